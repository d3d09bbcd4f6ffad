"""Comparisons: the 2x2, the density axis, other prices, and the figures drawn from them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import load_arch
from hwsim.counters import idle_pe_cycles
from hwsim.errors import UserError
from hwsim.model.kernel.jit import DISABLED
from hwsim.network import Network
from hwsim.run.comparison import compare, compare_skipping, density_sweep, two_by_two
from hwsim.run.price_sets import PRICES, other_prices
from hwsim.trace.files import open_traces
from hwsim.trace.mask_trace import MaskTrace
from hwsim.trace.synthetic import synthetic_trace


@pytest.fixture(scope="module")
def traces(trace_folder: Path) -> list[MaskTrace]:
    return [MaskTrace.open(path) for path in sorted(trace_folder.glob("*.h5"))]


def test_dense_is_the_yardstick(baseline: ArchConfig, traces: list[MaskTrace]) -> None:
    rows = compare(baseline, traces, batches=[2]).rows()
    assert [row["speedup"] for row in rows if row["scheme"] == "dense"] == [1.0, 1.0]
    assert all(row["share_realised"] is None for row in rows if row["scheme"].startswith("dense"))
    for row in rows:
        assert row["energy_uj_per_image"] == pytest.approx(sum(row["energy_uj"].values()))
        assert row["cycles_per_image"] == sum(row["stalls"].values()) / row["images"]


def test_share_realised_is_the_part_of_the_promised_time(
    baseline: ArchConfig, traces: list[MaskTrace]
) -> None:
    (row,) = compare(baseline, traces[1:], ["structured-8x"], [2]).rows()
    saved, promised = 1 - 1 / row["speedup"], 1 - 1 / row["ideal_speedup_network"]
    assert row["share_realised"] == pytest.approx(saved / promised)


def test_equal_dense_runs_are_one_row(baseline: ArchConfig, traces: list[MaskTrace]) -> None:
    comparison = compare(baseline, traces, ["dense", "unstructured"], [4, 1]).distinct()
    schemes = [row["scheme"] for row in comparison.rows()]
    assert schemes.count("dense") == 2
    assert schemes.count("unstructured") == 4


def test_a_comparison_is_a_frame(baseline: ArchConfig, traces: list[MaskTrace]) -> None:
    comparison = compare(baseline, traces, ["dense", "unstructured"], [4])
    frame = comparison.to_frame()
    assert list(frame["scheme"]) == ["dense", "unstructured", "unstructured"]
    assert frame["mac_uj"].iloc[0] == comparison.rows()[0]["energy_uj"]["mac"]


def test_a_frame_of_prices_has_a_column_for_each(
    baseline: ArchConfig, traces: list[MaskTrace]
) -> None:
    comparison = compare(baseline, traces, ["dense", "unstructured"], [4])
    prices = comparison.other_prices()
    assert prices.shape == (3, len(PRICES))
    assert list(prices.index.get_level_values("scheme")) == list(comparison.to_frame()["scheme"])
    own = prices["cacti22", 1.0, 1.0, 8.0, 0.0, False].to_numpy()
    assert own == pytest.approx(comparison.to_frame()["energy_uj_per_image"].to_numpy())
    listed = [row["energy_uj_per_image"] for row in other_prices(comparison.results()[:1])]
    assert list(prices.iloc[0]) == listed


def test_two_by_two_meets_the_density(baseline: ArchConfig, traces: list[MaskTrace]) -> None:
    rows = two_by_two(baseline, traces)
    assert [(row["density"], row["method"], row["lane_group"]) for row in rows] == [
        (density, method, lane_group)
        for density in ("recorded", "equal")
        for method in ("cdg", "scdg")
        for lane_group in (1, 8)
    ]
    equal = [row["density_macs"] for row in rows if row["density"] == "equal"]
    assert max(equal) - min(equal) < 0.01


def test_two_by_two_needs_a_pair(baseline: ArchConfig, traces: list[MaskTrace]) -> None:
    assert two_by_two(baseline, traces[:1]) == []


def test_other_prices_price_the_same_counts(baseline: ArchConfig, traces: list[MaskTrace]) -> None:
    results = compare(baseline, traces[:1], ["unstructured"], [2]).results()
    rows = pd.DataFrame(other_prices(results))
    assert not rows["zeros_run"].any()
    shared = rows[rows["gated_mac_share"] > 0]["energy_uj_per_image"].item()
    rows = rows[rows["gated_mac_share"] == 0]
    macs = rows[(rows["operand_network_scale"] == 1) & (rows["dram_pj_per_bit"] == 8)]
    macs = macs[macs["table"] == "cacti22"].set_index("mac_scale")["energy_uj_per_image"]
    executed = results[0].totals["macs_base"] + results[0].totals["macs_conditional"]
    mac_uj = (0.3393 + 64 * 0.0030461) * executed / results[0].images / 1e6
    for scale in (0.25, 0.5, 2.0):
        assert macs[scale] - macs[1.0] == pytest.approx((scale - 1) * mac_uj)
    rows = rows[rows["mac_scale"] == 1]
    at = rows.set_index(["table", "operand_network_scale", "dram_pj_per_bit"])[
        "energy_uj_per_image"
    ]
    # MAC and accumulator: 0.3393 + 64 x 0.0030461 pJ, of which idle PEs take 28 %, as do 64 other
    # flip-flops: 256 pointers with 64, 16 decoders with 288.
    idle = idle_pe_cycles(256, results[0].cycles, results[0].totals)
    idle += (256 + 16 * 288 // 64) * results[0].cycles
    more_uj = 0.28 * (0.3393 + 64 * 0.0030461) * idle / results[0].images / 1e6
    assert shared - at["cacti22", 1.0, 8.0] == pytest.approx(more_uj)
    for table in ("cacti22", "horowitz45"):
        free, once, four = (at[table, scale, 8.0] for scale in (0.0, 1.0, 4.0))
        # Dynamic energy is linear in the scale; so is the leakage of the network's area.
        assert four - free == pytest.approx(4 * (once - free))
        assert once > free
    dram_bytes = sum(count for name, count in results[0].totals.items() if name.startswith("dram_"))
    per_pj = dram_bytes * 8 / results[0].images / 1e6
    assert at["cacti22", 1.0, 20.0] - at["cacti22", 1.0, 4.0] == pytest.approx(16 * per_pj)


def test_the_density_axis_holds_the_recorded_network(
    baseline: ArchConfig, traces: list[MaskTrace]
) -> None:
    frame = density_sweep(baseline, traces, ["dense", "unstructured"], [0.2, 0.6])
    for _, points in frame[frame["scheme"] == "unstructured"].groupby("trace"):
        ordered = points.sort_values("threshold_shift")
        assert len(ordered) == 3
        assert (ordered["threshold_shift"] == 0).sum() == 1
        assert ordered["density_macs"].is_monotonic_decreasing
        assert ordered["energy_uj_per_image"].is_monotonic_decreasing
    assert frame[frame["scheme"] == "dense"]["cycles_per_image"].nunique() == 1


def test_a_trace_without_margins_has_no_density_axis(
    baseline: ArchConfig, small_network: Network
) -> None:
    assert density_sweep(baseline, [synthetic_trace(small_network, 0.3, images=1)]).empty


def test_a_scheme_that_fits_no_trace_is_refused(
    baseline: ArchConfig, traces: list[MaskTrace]
) -> None:
    with pytest.raises(UserError, match="'structured-8x' cannot use these masks"):
        compare(baseline, traces[:1], ["structured-8x"])


def test_machines_and_traces_by_name(trace_folder: Path) -> None:
    path = trace_folder / "small-scdg.h5"
    by_path, by_trace = (
        compare("pe16x16", traces, ["dense"], [1]).rows() for traces in (path, MaskTrace.open(path))
    )
    assert by_path == by_trace
    with pytest.raises(UserError, match="no traces"):
        compare("pe16x16", [])
    with pytest.raises(UserError, match="expected positive integers"):
        compare("pe16x16", path, batches=[0])


@pytest.mark.skipif(DISABLED, reason="real layers: minutes without compiled kernels")
def test_zeros_are_skipped_on_a_machine_without_lane_groups() -> None:
    """V = 1: masks of eight channels run on unstructured hardware, as everywhere else."""
    arch = load_arch("pe16x16", {"index.lane_group": 1})
    scdg = open_traces()[1].head(1)
    assert scdg.mask_group == 8
    names = [row["scheme"] for row in compare_skipping(arch, [scdg]).rows()]
    suffixes = ("", "-skip", "-skip-bound")
    assert names == [name + suffix for name in ("dense", "unstructured") for suffix in suffixes]
