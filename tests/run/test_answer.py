"""Sentences below the table of a run, and where its cycles were lost."""

from __future__ import annotations

import re

import numpy as np
import pytest

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import load_arch
from hwsim.counters import CAUSES
from hwsim.network import ConvLayer, Network
from hwsim.run.answer import idle_column_cycles, sentences
from hwsim.run.comparison import Comparison, compare
from hwsim.run.price_sets import other_prices
from hwsim.run.simulate import simulate
from hwsim.trace.format.header import TraceHeader
from hwsim.trace.mask_trace import MaskTrace


def trace_of(density: float, channels: int = 64, label: str = "scdg") -> MaskTrace:
    """One gated 1x1 layer of 4 gating groups on 8x8 pixels, masks of 8 channels, two images."""
    layer = ConvLayer(
        name="conv", in_channels=channels, out_channels=channels, kernel_size=1, in_height=8,
        in_width=8, gated=True, groups=4,
    )  # fmt: skip
    header = TraceHeader(
        network=Network(name="one", layers=(layer,)), method=label, mask_group=8, dataset="drawn",
        image_ids=(0, 1), synthetic=True,
    )  # fmt: skip
    masks = np.random.default_rng(0).random((2, channels // 8, 8, 8)) < density
    return MaskTrace.from_masks(header, {"conv": masks})


def told(comparison: Comparison) -> str:
    largest = max(result.batch for result in comparison.results())
    runs = [result for result in comparison.distinct().results() if result.batch == largest]
    return "\n".join(sentences(comparison.distinct(), other_prices(runs)))


def test_a_layer_that_fills_half_the_columns_loses_half_its_passes() -> None:
    """16 channels of a gating group on 32 columns: half of every pass."""
    arch = load_arch("pe16x16", {"array.columns": 32, "partial_sums.entries": 8192})
    result = simulate(arch, trace_of(0.3), "structured")
    working = [CAUSES.index(name) for name in ("base", "conditional")]
    passes = result.causes[:, working].sum()
    assert idle_column_cycles(result) == passes / 2
    assert idle_column_cycles(simulate(arch, trace_of(0.3), "dense")) == 0
    assert idle_column_cycles(simulate("pe16x16", trace_of(0.3), "structured")) == 0


def test_the_fastest_the_slowest_the_least(pe16x16: ArchConfig) -> None:
    """Figures of the sentences are those of the summary."""
    comparison = compare(pe16x16, [trace_of(0.2)])
    rows = {(row["scheme"], row["batch"]): row for row in comparison.rows()}
    best, text = rows["structured-8x", 2], told(comparison)
    assert f"Fastest: structured-8x with scdg masks, {best['speedup']:.2f}x dense." in text
    assert f"allow {best['ideal_speedup_network']:.2f}x: " in text
    assert f"{100 * best['share_realised']:.0f} % of that saving is realised." in text
    least = min(rows.values(), key=lambda row: (-row["batch"], row["energy_uj_per_image"]))
    assert f"Least energy: {least['scheme']} with scdg masks, " in text
    assert "One image at a time: structured-8x" in text
    assert "sets of prices" in text


def test_without_a_gain_nobody_is_called_fastest(pe16x16: ArchConfig) -> None:
    text = told(compare(pe16x16, [trace_of(0.9)], ["clock-gated"], [2]))
    assert "No scheme is faster than dense; the nearest is clock-gated with scdg masks" in text


def test_dense_alone_says_nothing_of_masks(pe16x16: ArchConfig) -> None:
    """Its time in cycles and ms, and what most of its energy is for, are those of the summary."""
    comparison = compare(pe16x16, [trace_of(0.2)], ["dense"], [2])
    (row,) = comparison.rows()
    text = told(comparison)
    assert f"Dense: {row['cycles_per_image']:,.0f} cycles an image, " in text
    assert f"{row['cycles_per_image'] / 500e3:.3g} ms; {100 * row['utilisation']:.0f} % of" in text
    most = max(row["energy_uj"].values()) / sum(row["energy_uj"].values())
    assert f"({100 * most:.0f} %)." in text
    assert "masks" not in text


@pytest.mark.parametrize("columns", [16, 32])
def test_columns_without_a_channel_are_named_where_there_are_any(columns: int) -> None:
    arch = load_arch("pe16x16", {"array.columns": columns, "partial_sums.entries": 8192})
    text = told(compare(arch, [trace_of(0.3)], ["structured"], [2]))
    assert ("columns without a channel" in text) == (columns == 32)
    shares = [int(part) for part in re.findall(r"(\d+) % to", text)]
    assert 10 <= min(shares) <= sum(shares) <= 100
