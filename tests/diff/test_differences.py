"""Differences of results that were written by hand."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest

from hwsim.diff.differences import differences
from hwsim.diff.results import Results, Run, family, pairs
from hwsim.diff.tables import as_json, print_differences


def run(scheme: str = "dense", layers: dict[str, Any] | None = None, **figures: Any) -> Run:
    return Run({"scheme": scheme}, (scheme, family(scheme)), figures, layers or {})


def results(*runs: Run, **configuration: Any) -> Results:
    return Results(configuration, runs)


def test_equal_sides_have_no_difference() -> None:
    side = results(run(cycles={"base": Fraction(7, 3)}, energy={"mac": 0.1}), rows=4)
    found = differences(side, side)
    assert not found
    assert dict(found.equal) == {"key": 1, "figure": 2, "run": 1}


def test_the_largest_change_comes_first() -> None:
    a = results(
        run("dense", cycles={"base": Fraction(10), "drain": Fraction(5)}),
        run("unstructured", cycles={"base": Fraction(10), "drain": Fraction(100)}),
    )
    b = results(
        run("dense", cycles={"base": Fraction(14), "drain": Fraction(2)}),
        run("unstructured", cycles={"base": Fraction(10), "drain": Fraction(60)}),
    )
    found = differences(a, b)
    assert [
        (change.labels["scheme"], change.item, change.amount) for change in found.figures["cycles"]
    ] == [("unstructured", "drain", -40), ("dense", "base", 4), ("dense", "drain", -3)]
    # 15 to 16, and 110 to 70.
    assert [changed.totals["cycles"].amount for changed in found.runs] == [-40, 1]
    assert found.runs[1].most["cycles"].item == "base"
    assert found.figures["cycles"][0].share == -0.4


def test_counters_are_sorted_by_their_share() -> None:
    a = results(run(counts={"many": Fraction(1000), "few": Fraction(2), "none": Fraction(0)}))
    b = results(run(counts={"many": Fraction(1100), "few": Fraction(4), "none": Fraction(1)}))
    found = differences(a, b).figures["counts"]
    assert [change.item for change in found] == ["none", "few", "many"]


@pytest.mark.parametrize(
    ("tolerance", "differ"), [(0.0, True), (1e-12, True), (1e-9, False), (1.0, False)]
)
def test_a_tolerance_is_of_floats(tolerance: float, differ: bool) -> None:
    a, b = results(run(energy={"mac": 1.0})), results(run(energy={"mac": 1.0 + 1e-10}))
    assert bool(differences(a, b, tolerance)) is differ


def test_integers_are_exact_whatever_the_tolerance() -> None:
    whole = 1 << 52
    a = results(run(cycles={"base": Fraction(whole, 64)}, counts={"x": Fraction(whole, 64)}))
    b = results(run(cycles={"base": Fraction(whole + 1, 64)}, counts={"x": Fraction(whole, 64)}))
    found = differences(a, b, 1.0)
    assert [kind for kind, changes in found.figures.items() if changes] == ["cycles"]


def test_equal_shares_of_other_numbers_of_images_are_equal() -> None:
    a, b = (
        results(run(cycles={"base": Fraction(30 * images, images)}), images=images)
        for images in (3, 7)
    )
    found = differences(a, b)
    assert found.configuration == [("images", 3, 7)]
    assert found.equal["run"] == 1


def test_what_one_side_lacks_is_named() -> None:
    a = results(run("dense"), run("clock-gated"), rows=4, old=1)
    b = results(run("dense"), run("channels"), rows=True, new=None)
    found = differences(a, b)
    assert (found.only_a, found.only_b) == ([{"scheme": "clock-gated"}], [{"scheme": "channels"}])
    assert found.configuration == [("rows", 4, True), ("old", 1, None)]


def test_a_figure_without_price_differs_from_one_with() -> None:
    a = Results({}, [Run({"scheme": "dense"}, ("dense",), {"energy": {}}, no_figures="too large")])
    b = results(run(energy={"mac": 2.0}))
    found = differences(a, b)
    assert found.reasons == [("dense", "too large", None)]
    assert [change[0] for change in _amounts(found.figures["energy"])] == [2.0]
    assert found.runs[0].totals["energy"].a is None


def _amounts(changes: Any) -> list[tuple[float, float]]:
    return [(change.amount, change.share) for change in changes]


def test_schemes_of_other_lane_groups_are_paired() -> None:
    found = differences(
        results(run("structured-8x", area={"gate": 1.0}), run("lockstep-8")),
        results(run("structured-4x", area={"gate": 1.5}), run("lockstep-8")),
    )
    (changed,) = found.runs
    assert changed.labels == {"scheme": "structured-8x -> structured-4x"}
    assert not found.only_a
    assert not found.only_b


@pytest.mark.parametrize(
    ("scheme", "without"),
    [
        ("structured-8x", "structured"),
        ("structured-8x-skip", "structured-skip"),
        ("lockstep-16-skip-bound", "lockstep-skip-bound"),
        ("dense-zero-gated", "dense-zero-gated"),
        ("structured", "structured"),
        ("", ""),
    ],
)
def test_families(scheme: str, without: str) -> None:
    assert family(scheme) == without


def test_pairs_take_the_best_key_that_is_unique() -> None:
    both, left, right = pairs(
        ["a1", "b1", "b2", "c"], ["b2", "a7", "b3", "b4"], [lambda name: name, lambda name: name[0]]
    )
    assert sorted(both) == [("a1", "a7"), ("b2", "b2")]
    assert (left, right) == (["b1", "c"], ["b3", "b4"])


def test_layers_and_tables() -> None:
    a, b = (
        Results(
            {},
            [run(layers={"x": {"cycles": {"base": Fraction(base)}}, "y": {}})],
            {"python": str(base)},
            {"prices": [{"pj": 1.0}, {"pj": float(base)}], "turns": [[1, None]]},
        )
        for base in (5, 9)
    )
    found = differences(a, b)
    assert [(each.labels["layer"], each.totals["cycles"].amount) for each in found.layers] == [
        ("x", 4)
    ]
    assert found.tables == {"prices": 1}
    assert (found.equal["layer"], found.equal["further row"]) == (1, 2)
    assert found.environment == [("python", "5", "9")]


def test_another_environment_is_no_difference() -> None:
    a, b = (Results({}, [run()], {"python": version}) for version in ("3.11", "3.12"))
    assert not differences(a, b)


def test_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    a = results(
        *(run(f"structured-{at}x", cycles={"bank_stall": Fraction(1000 * at)}) for at in (2, 4, 8)),
        rows=16,
    )
    b = results(
        *(run(f"structured-{at}x", cycles={"bank_stall": Fraction(500 * at)}) for at in (2, 4, 8)),
        rows=8,
    )
    print_differences(differences(a, b), "old", "new\x1b[31m", 1)
    told = capsys.readouterr().out
    assert told.splitlines()[:2] == ["A: old", r"B: new\x1b[31m"]
    assert "structured-8x  bank stall  8,000  4,000  -4,000  -50.0 %" in told
    assert "2 further rows of smaller effect: --rows 3" in told
    assert "structured-4x" not in told
    assert told.splitlines()[-1] == "A and B differ"
    data = json.loads(as_json(differences(a, b), "old", "new", 0.0))
    assert [row["scheme"] for row in data["figures"]["cycles"]] == [
        "structured-8x", "structured-4x", "structured-2x"
    ]  # fmt: skip
    assert data["configuration"] == [{"key": "rows", "a": 16, "b": 8}]
    assert data["differ"] is True
