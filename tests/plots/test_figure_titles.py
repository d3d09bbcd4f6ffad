"""Titles that say the finding, and what schemes look like wherever they are drawn."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from hwsim import plots
from hwsim.counters import CAUSES
from hwsim.energy.prices import COMPONENTS
from hwsim.errors import UserError
from hwsim.plots import findings
from hwsim.plots.style import METHODS, SCHEMES, in_order, method_style, scheme_style, text_on

TWO = {"t": "cdg", "u": "scdg"}


def runs(*rows: tuple[str, str, int, dict[str, Any]]) -> pd.DataFrame:
    """(trace, scheme, batch, further columns) each."""
    return pd.DataFrame(
        [
            {"trace": trace, "method": TWO[trace], "label": TWO[trace], "scheme": scheme}
            | {"batch": batch}
            | more
            for trace, scheme, batch, more in rows
        ]
    )


def test_least_energy_is_told_beside_dense_of_the_same_masks() -> None:
    frame = runs(
        ("t", "dense", 16, {"mac_uj": 200.0, "dram_uj": 100.0}),
        ("u", "dense", 16, {"mac_uj": 300.0, "dram_uj": 100.0}),
        ("u", "structured-8x", 16, {"mac_uj": 200.0, "dram_uj": 80.0}),
        ("t", "dense", 1, {"mac_uj": 1.0, "dram_uj": 1.0}),
    )
    # 280 of 400.
    assert findings.least_energy(frame, TWO) == (
        "Least energy at batch 16: structured-8x with scdg masks, 280 µJ an image, 30 % less than "
        "dense"
    )
    assert findings.least_energy(frame.head(1), {"t": "cdg"}) == (
        "Least energy at batch 16: dense, 300 µJ an image"
    )


def test_the_fastest_and_its_ties() -> None:
    frame = runs(
        ("u", "unstructured", 16, {"speedup": 1.741, "share_realised": 0.85}),
        ("u", "structured-8x", 16, {"speedup": 1.742, "share_realised": 0.853}),
        ("t", "unstructured", 16, {"speedup": 1.2, "share_realised": 0.4}),
        ("t", "unstructured", 1, {"speedup": 9.0, "share_realised": None}),
    )
    assert findings.fastest(frame, TWO) == (
        "Fastest: unstructured and structured-8x with scdg masks, 1.74x dense, 85 % of the saving"
    )


def layers(*rows: tuple[str, str, float, float]) -> pd.DataFrame:
    """(trace, scheme, cycles, of them bank stalls) each, of one layer."""
    return runs(
        *(
            (trace, scheme, 16, dict.fromkeys((f"{cause}_cycles" for cause in CAUSES), 0))
            for trace, scheme, _, _ in rows
        )
    ).assign(
        layer="a",
        images=1,
        cycles=[cycles for _, _, cycles, _ in rows],
        base_cycles=[cycles - stalls for _, _, cycles, stalls in rows],
        bank_stall_cycles=[stalls for *_, stalls in rows],
        utilisation=[1 - stalls / cycles for _, _, cycles, stalls in rows],
    )


def test_the_largest_loss_and_utilisation() -> None:
    frame = layers(("t", "dense", 100, 0), ("t", "unstructured", 80, 20), ("u", "dense", 100, 0))
    assert findings.largest_loss(frame, TWO) == (
        "Most cycles are lost to bank stall: 25 % of unstructured with cdg masks, batch 16"
    )
    assert "hardly any" in findings.largest_loss(frame.assign(bank_stall_cycles=0), TWO)
    assert findings.best_utilisation(frame, TWO) == (
        "Executed MACs fill 75 % (unstructured with cdg masks) to 100 % (dense with scdg masks) of "
        "the PE cycles"
    )


def test_one_dense_machine_for_all_traces_that_give_it_equal_cycles() -> None:
    frame = layers(("t", "dense", 100, 0), ("t", "unstructured", 80, 20), ("u", "dense", 100, 0))
    titles = [panel.get_title() for panel in plots.cycles_by_cause(frame).axes]
    assert titles[:2] == ["dense, batch 16", "cdg: unstructured, batch 16"]
    assert len(titles) == 2
    apart = frame.assign(cycles=[100, 80, 101])
    titles = [panel.get_title() for panel in plots.cycles_by_cause(apart).axes]
    assert titles[:3] == [
        "cdg: dense, batch 16",
        "cdg: unstructured, batch 16",
        "scdg: dense, batch 16",
    ]


def test_causes_without_cycles_are_in_no_legend() -> None:
    frame = layers(("t", "dense", 100, 0), ("t", "unstructured", 80, 20))
    (legend,) = plots.cycles_by_cause(frame).legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "base, or all of a dense pass", "bank stall"
    ]  # fmt: skip


def test_the_middle_point_under_the_roof() -> None:
    """10 bytes a cycle, 100 PEs: roofs of 50, 100, 100."""
    points = pd.DataFrame(
        {"macs_per_dram_byte": [5.0, 10.0, 99.0], "macs_per_cycle": [25, 20, 90], "batch": 16}
    )
    assert findings.share_of_roof(points, 10.0, 100) == "half of the points reach 50 % at batch 16"


def test_small_components_are_one_and_two_dense_machines_are_told_apart() -> None:
    small = dict.fromkeys((f"{name}_uj" for name in COMPONENTS), 0.1)
    rows = [
        ("t", "dense", 16, small | {"mac_uj": 100.0}),
        ("u", "dense", 16, small | {"dram_uj": 90.0}),
    ]
    figure = plots.energy_breakdown(runs(*rows))
    (panel,) = figure.axes
    assert [text.get_text() for text in panel.get_yticklabels()] == ["scdg: dense", "cdg: dense"]
    mac, dram, others = panel.containers
    assert [bar.get_width() for bar in mac] == [0.1, 100.0]
    assert [bar.get_width() for bar in dram] == [90.0, 0.1]
    assert [bar.get_width() for bar in others] == pytest.approx([0.9, 0.9])
    named = figure.legends[0].get_texts()[-1].get_text().replace("\n", " ")
    assert named.startswith("activation buffer, weight buffer")
    assert "MAC" not in named


def test_fronts_and_their_points() -> None:
    frame = runs(
        ("t", "dense", 16, {"array.rows": 8, "array.columns": 8, "x": 0}),
        ("t", "dense", 16, {"array.rows": 16, "array.columns": 8, "x": 0}),
        ("t", "dense", 16, {"array.rows": 32, "array.columns": 8, "x": 0}),
    ).assign(cycles_per_image=[30, 20, 25], energy_uj_per_image=[1.0, 2.0, 3.0])
    figure = plots.pareto(frame)
    assert [text.get_text() for text in figure.axes[0].texts] == ["rows 16", "rows 8"]
    assert figure.get_suptitle().splitlines()[0] == (
        "2 of 3 points are best in cycles per image and energy per image: dense"
    )


def test_the_winners_within_a_budget() -> None:
    rows = [
        ("t", "dense", 16, {"family": "dense"}),
        ("u", "structured-8x", 16, {"family": "structured"}),
    ]
    frame = runs(*rows).assign(cycles_per_image=[900, 500.0], energy_uj_per_image=[300.0, 250.4])
    assert findings.best_within_budget(frame, TWO) == (
        "Within one budget structured with scdg masks is fastest, 500 cycles, and takes least "
        "energy, 250 µJ"
    )
    frame["energy_uj_per_image"] = [100.0, 250.0]
    assert findings.best_within_budget(frame, TWO) == (
        "Within one budget: fastest structured with scdg masks, 500 cycles; least energy dense "
        "with cdg masks, 100 µJ"
    )


def test_legends_have_one_order() -> None:
    schemes = [
        "lockstep-8",
        "structured-16x",
        "structured-8x",
        "dense-zero-gated",
        "dense",
        "dense",
    ]
    assert in_order(schemes) == [
        "dense", "dense-zero-gated", "structured-8x", "structured-16x", "lockstep-8"
    ]  # fmt: skip


def test_schemes_that_skip_zeros_are_those_that_do_not_with_other_lines() -> None:
    for scheme in ("dense", "dense-zero-gated", "structured-4x", "lockstep-2"):
        plain = scheme_style(scheme)
        for suffix in ("-skip", "-skip-bound"):
            style = scheme_style(scheme + suffix)
            assert style[:2] == plain[:2]
            assert style.line != plain.line or scheme == "dense-zero-gated"
    with pytest.raises(UserError, match="no scheme 'denser'"):
        scheme_style("denser")


def test_a_method_has_the_colour_of_the_scheme_that_it_is_made_for() -> None:
    for method, scheme in (("cdg", "unstructured"), ("scdg", "structured"), ("fbs", "channels")):
        assert method_style(method)[:2] == SCHEMES[scheme][:2]
    assert len({style.colour for style in METHODS.values()}) == len(METHODS)
    assert method_style("mine") == method_style("yours")


@pytest.mark.parametrize(
    ("colour", "text"), [("#000000", "white"), ("#FFFFFF", "black"), ("#E69F00", "black")]
)
def test_text_on_a_colour_can_be_read(colour: str, text: str) -> None:
    assert text_on(colour) == text


def test_no_number_is_parted_from_its_unit() -> None:
    frame = pd.DataFrame({"label": ["x"]})
    figure, _ = plots.style.panels(1, 3.0, 2.0, 1)
    plots.style.head(figure, frame["label"], " ".join(["84 %"] * 12))
    lines = figure.get_suptitle().splitlines()
    assert len(lines) > 1
    assert all(line.startswith("84 %") and line.endswith("84 %") for line in lines)
