"""Channel orders: what they keep, what they gain by hand, and on which images they are measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from refusal import refusal

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import load_arch
from hwsim.network import ConvLayer, Network
from hwsim.run.simulate import simulate
from hwsim.sweep.__main__ import main
from hwsim.sweep.sweep import run_sweep
from hwsim.trace.channel_order import added_together, density_order, images_apart
from hwsim.trace.files import write_trace
from hwsim.trace.format.header import TraceError, TraceHeader
from hwsim.trace.mask_trace import MaskTrace
from hwsim.trace.synthetic import synthetic_channels, synthetic_trace


def every_other(images: int = 2) -> MaskTrace:
    """One 3x3 layer of 8 channels in 2 gating groups on 4x4 pixels: in each group lists 0 and 2
    are full, 1 and 3 empty."""
    layer = ConvLayer(
        name="conv", in_channels=8, out_channels=8, kernel_size=3, padding=1,
        in_height=4, in_width=4, gated=True, groups=2,
    )  # fmt: skip
    header = TraceHeader(
        network=Network(name="one", layers=(layer,)), method="made by hand", mask_group=1,
        dataset="none", image_ids=tuple(range(images)), synthetic=True,
    )  # fmt: skip
    masks = np.zeros((images, 8, 4, 4), bool)
    masks[:, ::2] = True
    return MaskTrace.from_masks(header, {"conv": masks})


def written(trace: MaskTrace, path: Path) -> Path:
    names = [layer.name for layer in trace.network.gated_layers]
    write_trace(path, trace.header, {name: trace.packed(name) for name in names})
    return path


@pytest.fixture(scope="module")
def narrow() -> ArchConfig:
    """4 x 2 PEs whose banks never conflict: two tiles to a gating group of 4 channels."""
    return load_arch(
        "pe16x16", {"array.rows": 4, "array.columns": 2, "activation.bank_conflicts": "none"}
    )


def test_sorting_halves_the_rounds_of_alternating_lists(narrow: ArchConfig) -> None:
    """Natural tiles hold a full and an empty list: 2 groups x 2 tiles x 16/4 rounds of L_c = 36
    steps. Sorted, one tile of each group holds both full lists, the other none."""
    trace = every_other()
    order = density_order(trace)
    np.testing.assert_array_equal(order["conv"], [0, 2, 1, 3, 4, 6, 5, 7])
    natural = simulate(narrow, trace.head(1), "unstructured").to_frame()
    ordered = simulate(narrow, trace.reordered(order).head(1), "unstructured").to_frame()
    assert natural["conditional_cycles"][0] == 2 * 2 * 4 * 36
    assert ordered["conditional_cycles"][0] == 2 * 1 * 4 * 36


def test_lockstep_lane_groups_of_alike_lists_run_half_as_often() -> None:
    """V = 2: a lane group of a full and an empty list runs everywhere; sorted, half of them do."""
    arch = load_arch(
        "pe16x16",
        {"array.rows": 4, "array.columns": 4, "index.lane_group": 2,
         "activation.bank_conflicts": "none"},
    )  # fmt: skip
    trace = every_other(1)
    natural = simulate(arch, trace, "lockstep-2").totals
    ordered = simulate(arch, trace.reordered(density_order(trace)), "lockstep-2").totals
    assert ordered["line_fills"] < natural["line_fills"]
    # Both lane groups of a tile run every pixel, or one of them does: words of partial sums,
    # 16 pixels each, in 2 gating groups.
    assert natural["psum_conditional_reads"] == 2 * 2 * 16
    assert ordered["psum_conditional_reads"] == 2 * 1 * 16


@pytest.mark.parametrize("mask_group", [1, 8])
def test_an_order_keeps_what_no_order_can_change(
    small_network: Network, pe16x16: ArchConfig, mask_group: int
) -> None:
    trace = synthetic_trace(
        small_network, 0.3, mask_group=mask_group, images=2, channel_bias=1.0, seed=5
    )
    ordered = trace.reordered(density_order(trace))
    assert ordered.ones() == trace.ones()
    for layer in small_network.gated_layers:
        lists = trace.masks(layer.name).sum(axis=(2, 3)).reshape(2, layer.groups, -1)
        moved = ordered.masks(layer.name).sum(axis=(2, 3)).reshape(2, layer.groups, -1)
        np.testing.assert_array_equal(np.sort(lists), np.sort(moved))
    for scheme in ("dense", "clock-gated"):
        before, after = (simulate(pe16x16, one, scheme) for one in (trace, ordered))
        np.testing.assert_array_equal(before.causes, after.causes)
    before, after = (simulate(pe16x16, one, "unstructured") for one in (trace, ordered))
    for counter in ("macs_base", "macs_conditional", "mask_bits_written", "dram_weight_bytes"):
        assert before.totals[counter] == after.totals[counter]


def test_orders_fall_inside_gating_groups_and_are_shared_along_residuals(
    small_network: Network,
) -> None:
    trace = synthetic_trace(small_network, 0.3, images=2, channel_bias=1.0, seed=6)
    orders = density_order(trace)
    assert set(orders) == {layer.name for layer in small_network.gated_layers}
    for layer in small_network.gated_layers:
        width = layer.out_channels // layer.groups
        assert not (orders[layer.name] // width - np.arange(layer.out_channels) // width).any()
    joined = ["layer2.0.conv2", "layer2.1.conv2"]
    np.testing.assert_array_equal(*(orders[name] for name in joined))
    summed = sum(trace.masks(name).sum(axis=(0, 2, 3)) for name in joined)
    in_order = summed[orders[joined[0]]].reshape(4, -1)
    assert (np.diff(in_order, axis=1) <= 0).all()
    assert (np.diff(in_order, axis=1) < 0).any()


def test_tensors_that_are_added_are_tied_together(small_network: Network) -> None:
    tied = {frozenset(tensors) for tensors in added_together(small_network) if len(tensors) > 1}
    assert tied == {
        frozenset({"conv1", "layer1.0.conv2", "layer1.1.conv2"}),
        frozenset({"layer2.0.shortcut", "layer2.0.conv2", "layer2.1.conv2"}),
        frozenset({"layer3.0.shortcut", "layer3.0.conv2", "layer3.1.conv2"}),
        frozenset({"layer4.0.shortcut", "layer4.0.conv2", "layer4.1.conv2"}),
    }


def test_the_networks_input_and_its_readers_groups_bind() -> None:
    """A layer that adds the input keeps its order; one read in 4 groups sorts inside a quarter."""
    shape = dict(in_channels=8, kernel_size=1, in_height=2, in_width=2, gated=True)
    first = ConvLayer(name="first", out_channels=8, groups=2, residual="input", **shape)
    second = ConvLayer(name="second", out_channels=8, groups=2, input="first", **shape)
    third = ConvLayer(name="third", out_channels=8, groups=4, input="second", **shape)
    header = TraceHeader(
        network=Network(name="three", layers=(first, second, third)), method="made by hand",
        mask_group=1, dataset="none", image_ids=(0,), synthetic=True,
    )  # fmt: skip
    rising = np.zeros((1, 8, 4), bool)
    for channel in range(8):
        rising[0, channel, : channel % 4 + 1] = True
    masks = {name: rising.reshape(1, 8, 2, 2) for name in ("first", "second", "third")}
    orders = density_order(MaskTrace.from_masks(header, masks))
    assert orders["first"].tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert orders["second"].tolist() == [1, 0, 3, 2, 5, 4, 7, 6]
    assert orders["third"].tolist() == [1, 0, 3, 2, 5, 4, 7, 6]


def test_margins_move_along(trace_folder: Path) -> None:
    for path in sorted(trace_folder.glob("*.h5")):
        trace = MaskTrace.open(path)
        orders = density_order(trace)
        after, before = trace.reordered(orders).shifted(0.5), trace.shifted(0.5).reordered(orders)
        for layer in trace.network.gated_layers:
            np.testing.assert_array_equal(after.packed(layer.name), before.packed(layer.name))
            counts = after.zero_operand_macs(layer.name)
            np.testing.assert_array_equal(counts, trace.zero_operand_macs(layer.name)[:2])


def test_orders_across_gating_groups_are_refused() -> None:
    trace = every_other()
    for order in (np.arange(8)[::-1], np.arange(4), np.zeros(8, np.int64)):
        with pytest.raises(TraceError, match=r"layer conv: .* inside 2 gating groups"):
            trace.reordered({"conv": order})


def test_images_that_are_replayed_are_not_measured(tmp_path: Path, narrow: ArchConfig) -> None:
    """Image 0 alternates; image 1, on which the order is measured, is empty in lists 0 and 1 of
    each group: sorted by it, lists 2 and 3 come first, and both tiles keep a full list."""
    masks = every_other().masks("conv").copy()
    masks[1] = False
    masks[1, [2, 3, 6, 7]] = True
    trace = MaskTrace.from_masks(every_other().header, {"conv": masks})
    path = written(trace, tmp_path / "mine.h5")
    options = {"traces": [path], "schemes": ["unstructured"], "images": 1, "workers": 1}
    orders = ["natural", "density"]
    found = run_sweep(narrow, {}, tmp_path / "out", **options, channel_orders=orders)
    assert list(found["channel_order"]) == orders
    assert list(found["conditional_cycles_per_image"]) == [2 * 2 * 4 * 36] * 2
    assert found["order_images"].tolist()[1] == 1
    assert pd.isna(found["order_images"][0])

    other = every_other().header.model_copy(update={"dataset": "another"})
    apart = written(MaskTrace.from_masks(other, {"conv": every_other().masks("conv")}),
                    tmp_path / "apart.h5")  # fmt: skip
    found = run_sweep(
        narrow, {}, tmp_path / "out", **options, channel_orders=orders, order_from=[apart]
    )
    assert list(found["conditional_cycles_per_image"]) == [2 * 2 * 4 * 36, 2 * 4 * 36]
    assert found["order_images"].tolist()[1] == 2


def test_images_apart() -> None:
    few = every_other(4).header
    replayed = few.model_copy(update={"image_ids": (2, 0)})
    assert images_apart(few, replayed) == [1, 3]
    assert images_apart(few, replayed.model_copy(update={"dataset": "another"})) == [0, 1, 2, 3]


BAD = {
    "nothing left": (["--channel-order", "density"], ["no image beside the 2", "--images N"]),
    "spelt wrong": (["--channel-order", "densty"], ["'densty'", "'density'"]),
    "other gates": (
        ["--channel-order", "density", "--order-from", "{shipped}"],
        ["mine.h5", "--order-from", "gates"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_orders_are_refused(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], trace_folder: Path
) -> None:
    path = written(every_other(), tmp_path / "mine.h5")
    arguments, parts = BAD[case]
    filled = [argument.format(shipped=trace_folder) for argument in arguments]
    out = tmp_path / "out"
    places = ["--trace", str(path), "--out", str(out)]
    error = refusal(capsys, main, [*filled, *places, "--workers", "1"])
    assert all(part in error for part in parts), error
    assert not out.exists()


def test_masks_of_channels_have_no_order(tmp_path: Path, small_network: Network) -> None:
    made = synthetic_channels(small_network, 0.5, images=2)
    with pytest.raises(TraceError, match="masks of channels"):
        density_order(made)
    path = written(made, tmp_path / "fbs.h5")
    with pytest.raises(TraceError, match=r"fbs\.h5: masks of channels"):
        run_sweep("pe16x16", {}, tmp_path / "out", traces=[path], channel_orders=["density"])
