"""Turning points: lines that cross by hand, and a machine whose price is set to where they do."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from hwsim import plots
from hwsim.arch.load import load_arch
from hwsim.run.comparison import compare
from hwsim.run.tables import turning_points_table
from hwsim.run.turning_points import TURNING_PRICES, Line, turning_points
from hwsim.trace.files import write_trace
from hwsim.trace.mask_trace import MaskTrace

KEYS = {
    price: f"{'dram.pj_per_bit' if price == 'dram_pj_per_bit' else f'pricing.{price}'}"
    for price in TURNING_PRICES
}


@pytest.mark.parametrize(
    ("one", "other", "price"),
    [
        ((10, 2), (4, 5), 2.0),  # 10 + 2 x 2 = 4 + 5 x 2
        ((4, 5), (10, 2), 2.0),
        ((10, 2), (10, 3), None),  # at 0, which is no price
        ((10, 2), (4, 2), None),
        ((10, 2), (4, 2 + 1e-12), None),
        ((10, 2), (11, 3), None),  # at -1
    ],
)
def test_where_two_lines_meet(
    one: tuple[float, float], other: tuple[float, float], price: float | None
) -> None:
    assert Line(*one).meets(Line(*other)) == price


@pytest.fixture(scope="module")
def turned(trace_folder: Path) -> pd.DataFrame:
    traces = [trace_folder / "small-cdg.h5", trace_folder / "small-scdg.h5"]
    return pd.DataFrame(turning_points(compare("pe16x16", traces, batches=[2]).results()))


def test_every_pair_of_schemes_once(turned: pd.DataFrame) -> None:
    """Five schemes on each trace, four of them on both: 45 pairs, of which 4 are of one scheme."""
    assert len(turned) == 45 - 4
    assert (turned["less_uj"] <= turned["more_uj"]).all()
    assert (turned["own_dram_pj_per_bit"] == 8).all()
    shares = turned["gated_mac_share"].dropna()
    assert ((shares > 0) & (shares <= 1)).all()


@pytest.mark.parametrize("price", TURNING_PRICES)
def test_at_the_price_both_take_the_same_and_beyond_it_they_have_changed(
    price: str, turned: pd.DataFrame, trace_folder: Path
) -> None:
    crossing = turned.dropna(subset=[price])
    if price == "dram_pj_per_bit":  # Bytes are equal on both traces, and in all schemes.
        assert crossing.empty
        return
    row = crossing.iloc[0]
    names = [row["less_scheme"], row["more_scheme"]]
    energies = {}
    for value in (row[f"own_{price}"], row[price], 2 * row[price] - row[f"own_{price}"]):
        if price == "gated_mac_share" and value > 1:
            continue
        if value < 0:
            continue
        arch = load_arch("pe16x16", {KEYS[price]: float(value)})
        for side, name in zip(("less", "more"), names, strict=True):
            path = trace_folder / f"{row[f'{side}_trace']}.h5"
            (result,) = compare(arch, path, [name], [2]).results()
            energies[value, side] = sum(result.energy_pj.values())
    at = row[price]
    assert energies[at, "less"] == pytest.approx(energies[at, "more"])
    for value in {value for value, _ in energies} - {at}:
        before = value == row[f"own_{price}"]
        assert (energies[value, "less"] < energies[value, "more"]) == before


def test_traces_of_one_method_are_told_by_their_names(
    trace_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Masks of pixels and of groups of pixels, both of a method "cdg"."""
    made = MaskTrace.open(trace_folder / "small-scdg.h5")
    one, other = trace_folder / "small-cdg.h5", tmp_path / "coarse.h5"
    packed = {layer.name: made.packed(layer.name) for layer in made.network.gated_layers}
    write_trace(other, made.header.model_copy(update={"method": "cdg"}), packed)
    rows = turning_points(compare("pe16x16", [one, other], batches=[2]).results())
    turning_points_table(rows, 2)
    printed = capsys.readouterr().out
    figure = plots.turning_points(pd.DataFrame(rows), widest=1e6)
    pairs = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    for text in (printed, *pairs):
        assert "(cdg)" not in text
    assert "(small-cdg)" in printed
    assert "(coarse)" in printed
    assert len(set(pairs)) == len(pairs) > 1


def test_the_figure_marks_each_crossing(turned: pd.DataFrame) -> None:
    figure = plots.turning_points(turned, widest=1e6)
    left, right = figure.axes
    marks = [line for line in left.lines if line.get_marker() != "None"]
    drawn = sum(pd.notna(line.get_xdata()).sum() for line in marks)
    factors = [price for price in TURNING_PRICES if price != "gated_mac_share"]
    assert drawn == turned[factors].notna().sum().sum()
    assert pd.notna(right.lines[0].get_xdata()).sum() == turned["gated_mac_share"].notna().sum()
