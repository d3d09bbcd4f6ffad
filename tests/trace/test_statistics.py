"""Statistics of masks: by hand, at their limits, and against plain loops over single bits."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import combinations
from math import isnan, sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from refusal import refusal

from hwsim.errors import UserError
from hwsim.network import ConvLayer, Network
from hwsim.trace import statistics as module
from hwsim.trace.__main__ import main
from hwsim.trace.files import open_traces, write_trace
from hwsim.trace.format.header import TraceHeader
from hwsim.trace.mask_trace import MaskTrace
from hwsim.trace.statistics import ALL_LAYERS, count_masks, mask_statistics
from hwsim.trace.synthetic import synthetic_channels, synthetic_trace

CORRELATIONS = ["spatial_correlation", "channel_correlation"]


def network_of(*maps: tuple[int, int], channels: int = 8) -> Network:
    """Layers of 2 gating groups, one per map (height, width), each a part of the one before."""
    inputs = (maps[0], *maps)
    layers = tuple(
        ConvLayer(
            name=f"conv{at}", in_channels=channels, out_channels=channels, kernel_size=1,
            stride=inputs[at][0] // height, in_height=inputs[at][0], in_width=inputs[at][1],
            gated=True, groups=2,
        )
        for at, (height, _) in enumerate(maps)
    )  # fmt: skip
    return Network(name="made up", layers=layers)


def trace_of(*masks: np.ndarray, mask_group: int = 1) -> MaskTrace:
    """A layer per array, bool (images, lists, height, width)."""
    network = network_of(
        *(bits.shape[2:] for bits in masks), channels=masks[0].shape[1] * mask_group
    )
    header = TraceHeader(
        network=network, method="made up", mask_group=mask_group, dataset="none",
        image_ids=tuple(range(len(masks[0]))), synthetic=True,
    )  # fmt: skip
    return MaskTrace.from_masks(header, {f"conv{at}": bits for at, bits in enumerate(masks)})


def drawn(*shape: int, density: float = 0.4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < density


def of_layer(frame: pd.DataFrame, layer: str = "conv0") -> pd.Series:
    (at,) = frame.index[frame["layer"] == layer]
    return frame.loc[at]


def plain_loops(bits: np.ndarray, lists: int) -> dict[str, float]:
    """The definitions, bit by bit; counts are exact and under names that start with ``#``."""
    images, channels, height, width = bits.shape
    sites = [(n, y, x) for n in range(images) for y in range(height) for x in range(width)]
    neighbours = [
        ((n, y, x), (n, y + dy, x + dx))
        for n, y, x in sites
        for dy, dx in ((0, 1), (1, 0))
        if y + dy < height and x + dx < width
    ]

    def bit(channel: int, site: tuple[int, int, int]) -> int:
        return int(bits[site[0], channel, site[1], site[2]])

    ones = [sum(bit(c, site) for site in sites) for c in range(channels)]
    densities = [count / len(sites) for count in ones]
    both, ends, spatial, spatial_variance = [], [], 0.0, 0.0
    for c in range(channels):
        both.append(sum(bit(c, p) * bit(c, q) for p, q in neighbours))
        ends.append(sum(bit(c, p) + bit(c, q) for p, q in neighbours))
        mean = ends[-1] / (2 * len(neighbours)) if neighbours else 0.0
        for p, q in neighbours:
            spatial += (bit(c, p) - mean) * (bit(c, q) - mean)
            spatial_variance += ((bit(c, p) - mean) ** 2 + (bit(c, q) - mean) ** 2) / 2
    runs, closed, across, across_variance = 0, 0.0, 0.0, 0.0
    groups = [range(first, first + lists) for first in range(0, channels, lists)]
    for group in groups:
        runs += sum(any(bit(c, site) for c in group) for site in sites)
        none = 1.0
        for c in group:
            none *= 1 - densities[c]
        closed += none
        for c, d in combinations(group, 2):
            for site in sites:
                one, other = bit(c, site) - densities[c], bit(d, site) - densities[d]
                across += one * other
                across_variance += (one**2 + other**2) / 2
    density = sum(ones) / (channels * len(sites))
    return {
        "#ones": ones, "#both": both, "#ends": ends, "#runs": runs, "#pairs": len(neighbours),
        "#bits": channels * len(sites),
        "density": density,
        "lockstep_density": runs / (len(groups) * len(sites)),
        "expected_lockstep_density": 1 - (1 - density) ** lists,
        "expected_lockstep_density_channels": 1 - closed / len(groups),
        "spatial_correlation": spatial / spatial_variance if spatial_variance else float("nan"),
        "channel_correlation": across / across_variance if across_variance else float("nan"),
        "channel_spread": sqrt(sum((d - density) ** 2 for d in densities) / channels),
        "#sums": (spatial, spatial_variance, across, across_variance),
    }  # fmt: skip


def test_by_hand() -> None:
    """Four lists of 1x4 pixels in two gating groups, lane groups of two."""
    bits = np.array([[[[1, 1, 0, 0]], [[1, 0, 0, 0]], [[0, 0, 0, 0]], [[1, 1, 1, 1]]]], bool)
    row = of_layer(mask_statistics(trace_of(bits), lanes=2))
    assert row["density"] == 7 / 16
    assert row["lockstep_density"] == 6 / 8  # two pixels of the first lane group, four of the other
    assert row["expected_lockstep_density"] == pytest.approx(1 - (9 / 16) ** 2)
    # 1 - 1/2 * 3/4 = 5/8 of the first lane group, all of the second.
    assert row["expected_lockstep_density_channels"] == pytest.approx((5 / 8 + 1) / 2)
    # List 0: pairs 11, 10, 00: mean 1/2 at the ends, covariance 1/3 - 1/4, variance 1/4.
    # List 1: pairs 10, 00, 00: mean 1/6, covariance 0 - 1/36, variance 5/36. The others: none.
    spatial = (1 / 12 - 1 / 36) / (1 / 4 + 5 / 36)
    assert row["spatial_correlation"] == pytest.approx(spatial)
    # Lists 0 and 1: both at one pixel of four, covariance 1/4 - 1/2 * 1/4; variances 1/4 and 3/16.
    assert row["channel_correlation"] == pytest.approx((1 / 8) / ((1 / 4 + 3 / 16) / 2))
    # Densities 1/2, 1/4, 0, 1 about 7/16.
    assert row["channel_spread"] == pytest.approx(sqrt((1 + 9 + 49 + 81) / 256 / 4))


@pytest.mark.parametrize(
    ("shape", "lists", "mask_group"),
    [
        ((3, 8, 3, 5), 4, 1),
        ((3, 8, 3, 5), 2, 1),
        ((2, 8, 4, 4), 1, 1),
        ((5, 4, 1, 3), 2, 1),
        ((5, 4, 3, 1), 2, 1),
        ((9, 4, 1, 1), 2, 1),
        ((2, 8, 7, 7), 2, 4),
    ],
    ids=str,
)
def test_plain_loops_find_the_same(
    shape: tuple[int, ...], lists: int, mask_group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_IMAGES", 2)
    bits = drawn(*shape, density=0.4, seed=sum(shape)) | drawn(shape[0], 1, *shape[2:], density=0.1)
    bits[:, 1] = True
    trace = trace_of(bits, mask_group=mask_group)
    found = plain_loops(bits, lists)
    counts = count_masks(trace, trace.network.layers[0], lists)
    assert counts.ones.tolist() == found["#ones"]
    assert counts.both.tolist() == found["#both"]
    assert counts.ends.tolist() == found["#ends"]
    assert counts.pairs == found["#pairs"]
    assert counts.open_lists[1:].sum() == found["#runs"]
    assert counts.open_lists @ np.arange(lists + 1) == sum(found["#ones"])
    row = of_layer(mask_statistics(trace, lanes=lists * mask_group))
    assert row["lists_per_lane_group"] == lists
    for name, value in found.items():
        if not name.startswith("#"):
            assert row[name] == pytest.approx(value, nan_ok=True, abs=1e-12), name


def test_the_last_row_is_all_layers_together() -> None:
    """Of a large map and a small one, lanes 4; sums and weights from the plain loops."""
    masks = [drawn(3, 8, 6, 6, density=0.3), drawn(3, 8, 2, 2, density=0.8, seed=1)]
    frame = mask_statistics(trace_of(*masks), lanes=4)
    large, small = (plain_loops(bits, 4) for bits in masks)
    bits = (large["#bits"], small["#bits"])
    assert bits == (864, 96)
    assert list(frame["layer"]) == ["conv0", "conv1", ALL_LAYERS]
    row = of_layer(frame, ALL_LAYERS)
    assert row["density"] == pytest.approx((sum(large["#ones"]) + sum(small["#ones"])) / 960)
    assert row["lockstep_density"] == pytest.approx((large["#runs"] + small["#runs"]) / 240)
    for name in ("expected_lockstep_density", "expected_lockstep_density_channels"):
        assert row[name] == pytest.approx(0.9 * large[name] + 0.1 * small[name])
    sums = [sum(both) for both in zip(large["#sums"], small["#sums"], strict=True)]
    assert row["spatial_correlation"] == pytest.approx(sums[0] / sums[1])
    assert row["channel_correlation"] == pytest.approx(sums[2] / sums[3])
    squares = 0.9 * large["channel_spread"] ** 2 + 0.1 * small["channel_spread"] ** 2
    assert row["channel_spread"] == pytest.approx(sqrt(squares))


def test_independent_bits_run_as_expected(small_network: Network) -> None:
    """Within five standard deviations of a share of so many independent draws."""
    trace = synthetic_trace(small_network, 0.2, images=8, seed=3)
    frame = mask_statistics(trace)
    expected = 1 - 0.8**8
    for _, row in frame[frame["layer"] != ALL_LAYERS].iterrows():
        bits = 8 * trace.header.layer_bits(trace.network.by_name[row["layer"]])
        bound = 5 * sqrt(expected * (1 - expected) / (bits / 8))
        assert row["lockstep_density"] == pytest.approx(expected, abs=bound)
        # At least one pair of neighbours per bit, and 3.5 pairs inside its lane group; taking out
        # a list's own mean costs a correlation of one in its number of pixels.
        pixels = bits / trace.network.by_name[row["layer"]].out_channels
        if pixels > 8:
            assert abs(row["spatial_correlation"]) < 5 / sqrt(bits) + 2 / pixels
        assert abs(row["channel_correlation"]) < 5 / sqrt(3.5 * bits)


def test_lists_alike_in_a_group_run_as_one() -> None:
    bits = np.repeat(drawn(4, 2, 5, 5), 8, axis=1)
    row = of_layer(mask_statistics(trace_of(bits)))
    assert row["lockstep_density"] == row["density"]
    assert row["channel_correlation"] == pytest.approx(1)
    assert row["expected_lockstep_density"] > 0.9


def test_two_lists_that_exclude_each_other_have_the_least_correlation() -> None:
    one = drawn(4, 2, 5, 5)
    row = of_layer(mask_statistics(trace_of(np.stack([one, ~one], axis=2).reshape(4, 4, 5, 5)), 2))
    assert row["lockstep_density"] == 1
    assert row["channel_correlation"] == pytest.approx(-1)


def test_masks_that_are_constant_over_the_map_are_spatially_correlated() -> None:
    bits = np.broadcast_to(drawn(6, 8, 1, 1), (6, 8, 4, 3))
    assert of_layer(mask_statistics(trace_of(bits), 4))["spatial_correlation"] == pytest.approx(1)


def test_a_chequerboard_is_the_opposite_of_its_neighbours() -> None:
    board = np.indices((4, 4)).sum(axis=0) % 2 == 0
    bits = np.broadcast_to(board, (2, 4, 4, 4))
    assert of_layer(mask_statistics(trace_of(bits), 2))["spatial_correlation"] == pytest.approx(-1)


def test_biased_lists_are_expected_to_run_less_often() -> None:
    """One lane group of four is always open, the others are bits of chance."""
    bits = drawn(16, 16, 8, 8, density=0.1)
    bits[:, :4] = True
    row = of_layer(mask_statistics(trace_of(bits), lanes=4))
    assert row["expected_lockstep_density_channels"] < row["expected_lockstep_density"]
    # Three lane groups run at 1 - 0.9^4 = 0.34 of their pixels; five standard deviations.
    bound = 5 * sqrt(0.34 * 0.66 / (16 * 64 * 3))
    expected = row["expected_lockstep_density_channels"]
    assert row["lockstep_density"] == pytest.approx(expected, abs=bound)


@pytest.mark.parametrize("value", [False, True])
def test_constant_lists_count_for_nothing(value: bool) -> None:
    varied = drawn(3, 4, 4, 4)
    constant = np.full((3, 4, 4, 4), value)
    mixed = np.concatenate([varied, constant], axis=1)
    frame = mask_statistics(trace_of(mixed, np.full_like(mixed, value)), lanes=4)
    alone = of_layer(mask_statistics(trace_of(varied), lanes=2))["spatial_correlation"]
    assert of_layer(frame)["spatial_correlation"] == pytest.approx(alone)
    assert not isnan(of_layer(frame)["channel_correlation"])
    assert of_layer(frame, "conv1")[CORRELATIONS].isna().all()
    together = of_layer(frame, ALL_LAYERS)[CORRELATIONS]
    assert list(together) == list(of_layer(frame)[CORRELATIONS])


def test_what_the_docs_say_of_the_shipped_cdg_masks() -> None:
    """docs/guide/traces.md; the measured share by another way, on whole arrays."""
    cdg, _ = open_traces()
    row = mask_statistics(cdg).iloc[-1]
    runs = groups = 0
    for layer in cdg.network.gated_layers:
        masks = cdg.masks(layer.name)
        lockstep = np.logical_or.reduceat(masks, range(0, masks.shape[1], 8), axis=1)
        runs, groups = runs + lockstep.sum(), groups + lockstep.size
    assert row["lockstep_density"] == pytest.approx(runs / groups)
    assert f"{100 * runs / groups:.1f}" == "94.3"
    assert f"{100 * row['expected_lockstep_density']:.1f}" == "95.6"
    assert f"{100 * row['expected_lockstep_density_channels']:.1f}" == "95.6"
    assert f"{row['channel_correlation']:.3f}" == "0.026"


def test_scdg_runs_no_lane_in_vain() -> None:
    _, scdg = open_traces()
    frame = mask_statistics(scdg)
    assert len(frame) == 17
    assert list(frame["lockstep_density"]) == list(frame["density"])
    assert list(frame["expected_lockstep_density"]) == pytest.approx(list(frame["density"]))
    assert frame["channel_correlation"].isna().all()
    assert list(frame["density"][:-1]) == pytest.approx(list(scdg.densities().values()))
    assert frame["density"].iloc[-1] == pytest.approx(scdg.header.density_elements(scdg.ones()))


@pytest.mark.parametrize("chunk", [1, 3, 64])
def test_chunks_do_not_matter(
    chunk: int, trace_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = MaskTrace.open(trace_folder / "small-cdg.h5")
    whole = mask_statistics(trace)
    monkeypatch.setattr(module, "CHUNK_IMAGES", chunk)
    pd.testing.assert_frame_equal(mask_statistics(trace), whole, check_exact=True)


def test_lane_groups_that_do_not_exist_are_refused(trace_folder: Path) -> None:
    cdg, scdg = (MaskTrace.open(trace_folder / f"small-{name}.h5") for name in ("cdg", "scdg"))
    for trace, lanes, nearest in ((cdg, 6, 4), (cdg, 0, 1), (cdg, 32, 16), (scdg, 4, 8)):
        with pytest.raises(UserError, match=rf"layer1.0.conv1: {lanes} .* valid: {nearest}$"):
            mask_statistics(trace, lanes)
    with pytest.raises(UserError, match="masks of output-channels know no pixels"):
        mask_statistics(synthetic_channels(cdg.network, 0.5, images=1))


def test_the_command_prints_and_writes(
    trace_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "folder"
    assert (
        main(["statistics", str(trace_folder), "--lanes", "16", "--images", "3", "--out", str(out)])
        == 0
    )
    printed = capsys.readouterr().out
    assert "small-cdg (cdg (synthetic)), 3 images, lane groups of 16 channels, 16 mask" in printed
    assert "small-scdg (scdg (synthetic)), 3 images, lane groups of 16 channels, 2 mask" in printed
    assert printed.count(ALL_LAYERS) == 2
    written = pd.read_csv(out / "mask_statistics.csv")
    expected = [
        mask_statistics(MaskTrace.open(trace_folder / f"small-{name}.h5").head(3), 16)
        for name in ("cdg", "scdg")
    ]
    pd.testing.assert_frame_equal(written, pd.concat(expected, ignore_index=True))
    assert [path.name for path in out.iterdir()] == ["mask_statistics.csv"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--lanes", "5"], "layer layer1.0.conv1: 5 lanes: expected"),
        (["--images", "5"], "--images 5"),
        (["--lanes", "x"], "--lanes: expected a positive integer"),
        (["--lanez", "4"], "nearest valid: '--lanes'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input_is_one_line(
    arguments: list[str],
    complaint: str,
    trace_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    complained = refusal(
        capsys, main, ["statistics", str(trace_folder), "--out", str(out), *arguments]
    )
    assert complained.startswith("hwsim trace")
    assert complaint in complained
    assert not out.exists()


def test_a_trace_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    complained = refusal(capsys, main, ["statistics", "none.h5"])
    assert complained.startswith("hwsim trace: none.h5: no such file")


def test_masks_of_channels_are_refused_before_anything_is_counted(
    small_network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = synthetic_channels(small_network, 0.5, images=1)
    path = tmp_path / "fbs.h5"
    names = [layer.name for layer in small_network.gated_layers]
    write_trace(path, trace.header, {name: trace.packed(name) for name in names})
    complained = refusal(capsys, main, ["statistics", "resnet18-cifar10-cdg.h5", str(path)])
    assert "fbs.h5: masks of output-channels know no pixels" in complained


def test_a_reader_that_leaves_is_not_complained_of(trace_folder: Path) -> None:
    command = [sys.executable, "-m", "hwsim.trace", "statistics", *[str(trace_folder)] * 4]
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as broken:
        done = subprocess.run(command, stdout=broken, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
