"""What figures derive from frames, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hwsim.analysis import (
    break_even,
    dram_bytes_per_cycle,
    open_gates,
    operating_points,
    pareto_front,
)
from hwsim.arch.config import ArchConfig
from hwsim.counters import DRAM_COUNTERS
from hwsim.errors import UserError
from hwsim.network import ConvLayer, Network
from hwsim.trace.format.header import TraceHeader
from hwsim.trace.mask_trace import MaskTrace
from hwsim.trace.synthetic import synthetic_channels


def lines(**energies_uj: list[float]) -> pd.DataFrame:
    """Schemes at MAC densities of 0.9, 0.5 and 0.1: sparsities of 0.1, 0.5 and 0.9."""
    return pd.DataFrame(
        [
            {"trace": "t", "scheme": scheme, "density_macs": density, "energy_uj_per_image": uj}
            for scheme, line in energies_uj.items()
            for density, uj in zip((0.9, 0.5, 0.1), line, strict=True)
        ]
    )


def test_lines_break_even_between_the_points() -> None:
    """20 uJ above at 0.5 and 40 below at 0.9: a third of the way, 0.5 + 0.4 / 3."""
    (row,) = break_even(lines(dense=[100] * 3, unstructured=[140, 120, 60]))
    assert (row.trace, row.scheme, row.against) == ("t", "unstructured", "dense")
    assert row.sparsity == pytest.approx(0.5 + 0.4 / 3)
    assert row.value == pytest.approx(100)


def test_against_a_sloping_line_both_move() -> None:
    """Gaps of 40 and -40 around 0.3; there the dense line is at (100 + 80) / 2."""
    (row,) = break_even(lines(dense=[100, 80, 80], gated=[140, 40, 40]))
    assert (row.sparsity, row.value) == (pytest.approx(0.3), pytest.approx(90))


def test_a_crossing_at_a_point_is_found_once() -> None:
    (row,) = break_even(lines(dense=[100] * 3, gated=[120, 100, 80]))
    assert (row.sparsity, row.value) == (0.5, 100)


@pytest.mark.parametrize(
    "line", [[90, 80, 70], [120, 100, 120], [120, 110, 100], [100, 100, 100]],
    ids=["below", "touches", "meets at the end", "equal"],
)  # fmt: skip
def test_lines_that_do_not_cross_have_no_break_even(line: list[float]) -> None:
    assert break_even(lines(dense=[100] * 3, gated=line)) == []


def test_the_order_of_rows_is_indifferent_and_a_missing_machine_no_error() -> None:
    frame = lines(dense=[100] * 3, unstructured=[140, 120, 60])
    assert break_even(frame.iloc[::-1]) == break_even(frame)
    assert break_even(frame, "dense-zero-gated") == []


def test_a_line_may_cross_twice() -> None:
    """From 10 above to 30 below: a quarter of the way; back up again: three quarters."""
    crossings = break_even(lines(dense=[100] * 3, gated=[110, 70, 110]))
    assert [crossing.sparsity for crossing in crossings] == [pytest.approx(0.2), pytest.approx(0.8)]


def test_the_front_is_what_nothing_beats() -> None:
    frame = pd.DataFrame(
        {"cycles": [1, 2, 3, 4, 1, 9, np.nan], "uj": [5, 3, 3, 1, 5, 9, 0]}, index=range(10, 17)
    )
    front = pareto_front(frame, ["cycles", "uj"])
    assert list(front[front].index) == [10, 11, 13, 14]


def test_of_speed_more_is_better() -> None:
    frame = pd.DataFrame({"uj": [1, 2, 3], "images_per_s": [10, 30, 20]})
    assert list(pareto_front(frame, ["uj"], ["images_per_s"])) == [True, True, False]


def test_a_layer_under_the_roofline() -> None:
    """200 of 800 MACs in 50 cycles, 40 bytes in all."""
    layer = dict.fromkeys(DRAM_COUNTERS, 0) | {
        "dense_macs": 800, "macs_base": 150, "macs_conditional": 50, "cycles": 50,
        "dram_input_bytes": 30, "dram_psum_bytes": 10,
    }  # fmt: skip
    still = layer | {"dram_input_bytes": 0, "dram_psum_bytes": 0}
    executed = operating_points(pd.DataFrame([layer, still]))
    assert list(executed["macs_per_dram_byte"]) == [5.0, np.inf]
    assert list(executed["macs_per_cycle"]) == [4.0, 4.0]
    with pytest.raises(UserError, match="macs 'dense'; nearest valid: 'dense-equivalent'"):
        operating_points(pd.DataFrame([layer]), "dense")
    equivalent = operating_points(pd.DataFrame([layer]), "dense-equivalent")
    assert equivalent[["macs_per_dram_byte", "macs_per_cycle"]].values.tolist() == [[20.0, 16.0]]


def test_dram_sustains_bandwidth_times_efficiency(pe16x16: ArchConfig) -> None:
    """12.8 GB/s at 80 % and 500 MHz."""
    assert dram_bytes_per_cycle(pe16x16) == pytest.approx(20.48)


@pytest.fixture(scope="module")
def two_images() -> MaskTrace:
    """One gated layer of 8 channels on a 2x3 map. Image 7: all open in its first row.

    Image 9: channels 0 and 1 open at one pixel.
    """
    shape = {"in_channels": 8, "out_channels": 8, "in_height": 2, "in_width": 3}
    layer = ConvLayer(name="a", kernel_size=1, stride=1, padding=0, gated=True, groups=4, **shape)
    masks = np.zeros((2, 8, 2, 3), bool)
    masks[0, :, 0] = True
    masks[1, :2, 1, 2] = True
    header = TraceHeader(
        network=Network(name="one", layers=(layer,)),
        method="cdg", mask_group=1, dataset="by hand", image_ids=(7, 9), synthetic=True,
    )  # fmt: skip
    return MaskTrace.from_masks(header, {"a": masks})


def test_open_gates_are_shares_of_the_lists(two_images: MaskTrace) -> None:
    shares = open_gates(two_images, "a", [1, 0])
    assert shares.tolist() == [[[0, 0, 0], [0, 0, 0.25]], [[1, 1, 1], [0, 0, 0]]]


def test_what_has_no_gates_per_pixel_is_told(two_images: MaskTrace, small_network: Network) -> None:
    with pytest.raises(UserError, match="no gated layer 'b'"):
        open_gates(two_images, "b", [0])
    with pytest.raises(UserError, match="image 2: expected 0 to 1"):
        open_gates(two_images, "a", [0, 2])
    with pytest.raises(UserError, match="image none"):
        open_gates(two_images, "a", [])
    channels = synthetic_channels(small_network, 0.5, images=1)
    with pytest.raises(UserError, match="know no pixels"):
        open_gates(channels, "layer1.0.conv1", [0])
