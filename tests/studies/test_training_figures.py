"""Learning curves and accuracy over cost: what is drawn where, and what an unfit frame is told."""

from __future__ import annotations

import pandas as pd
import pytest

from hwsim.errors import UserError
from hwsim.plots.style import method_style
from studies.training_figures import GREY, accuracy_against_cost, learning_curves


def logs() -> pd.DataFrame:
    """Three methods, cdg with two seeds; losses 6, 4, 2; kNN in the last row, of 32 px."""
    runs = [("cdg", 0), ("cdg", 1), ("dense", 0), ("fbs", 0)]
    last = {"cdg": 30.0, "dense": 33.0, "fbs": 20.0}
    rows = [
        {"method": method, "seed": seed, "epochs": epoch, "loss": 8 - 2 * epoch}
        | {"knn_percent": last[method] + seed if epoch == 3 else None}
        | {"resolution": 32 if epoch == 3 else 16}
        for method, seed in runs
        for epoch in (1, 2, 3)
    ]
    return pd.DataFrame(rows)


def test_a_column_per_method_with_dense_in_each() -> None:
    figure = learning_curves(logs(), 10.0)
    losses, accuracies = figure.axes[:2], figure.axes[2:]
    assert [panel.get_title() for panel in losses] == ["cdg", "fbs"]
    for panel, colours in zip(losses, ("cdg", "fbs"), strict=True):
        curves = [each for each in panel.lines if len(each.get_xdata()) == 3]
        own = method_style(colours).colour
        assert [each.get_color() for each in curves][:2] == [GREY, own]
        assert [list(each.get_ydata()) for each in curves] == [[6, 5, 4]] * len(curves)
    assert [each.get_linestyle() for each in losses[0].lines[:3]] == ["-", "-", "--"]
    points = [each for each in accuracies[0].lines if each.get_marker() != "None"]
    assert [(list(each.get_xdata()), list(each.get_ydata())) for each in points] == [
        ([3], [33.0]), ([3], [30.0]), ([3], [31.0]),
    ]  # fmt: skip
    assert [10.0, 10.0] in [list(each.get_ydata()) for each in accuracies[1].lines]
    assert [text.get_text() for text in losses[0].texts] == ["32 px"]
    assert accuracies[0].get_xlabel() == "epochs"
    assert figure.get_suptitle().splitlines() == [
        "kNN at the last measurement: dense 33.0 %, cdg 30.5 % to fbs 20.0 %",
        "grey: dense; seed 0: solid, seed 1: dashed; dotted: a guess (10 %)",
    ]


def test_the_dense_network_alone() -> None:
    figure = learning_curves(logs()[lambda frame: frame["method"] == "dense"])
    loss, _ = figure.axes
    assert loss.get_title() == "dense"
    assert loss.lines[0].get_color() == method_style("dense").colour


def costs() -> pd.DataFrame:
    rows = [("cdg", "unstructured", 3000, 40.0), ("cdg", "unstructured", 3100, 41.0)]
    rows += [("cdg", "lockstep-8", 2000, 40.0), ("fbs", "channels", 1500, 35.0)]
    rows += [("dense", "dense", 6000, 45.0)]
    return pd.DataFrame(rows, columns=["method", "scheme", "cycles_per_image", "knn_percent"])


def test_a_point_per_network_lockstep_hollow() -> None:
    figure = accuracy_against_cost(costs(), chance_percent=10.0)
    (panel,) = figure.axes
    drawn = {each.get_label(): each for each in panel.lines}
    assert list(drawn["cdg: unstructured"].get_xdata()) == [3000, 3100]
    assert drawn["cdg: lockstep-8"].get_markerfacecolor() == "none"
    assert drawn["cdg: lockstep-8"].get_color() == drawn["cdg: unstructured"].get_color()
    assert drawn["cdg: lockstep-8"].get_marker() == "^"
    assert drawn["fbs: channels"].get_marker() == "v"
    assert panel.get_ylabel() == "kNN accuracy (%)"
    assert panel.get_xlabel() == "cycles per image"
    assert panel.get_ylim() == (0, pytest.approx(49.5))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "cdg: unstructured", "cdg: lockstep-8", "fbs: channels", "dense: dense", "a guess"
    ]  # fmt: skip
    assert figure.get_suptitle().splitlines() == [
        "Fewest cycles per image: fbs, 35.0 % kNN, for 25 % of dense's (45.0 % kNN)",
        "colour: method; marker: scheme; a line joins seeds",
    ]


def test_a_single_seed_is_not_joined() -> None:
    single = costs().drop(index=1)
    assert "joins" not in accuracy_against_cost(single).get_suptitle()


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: learning_curves(logs().drop(columns="loss")), "no column 'loss'"),
        (
            lambda: accuracy_against_cost(costs(), "cycles_per_picture"),
            "accuracy_against_cost: 'cycles_per_picture' is no metric to compare; "
            "nearest valid: 'cycles_per_image'$",
        ),
        (lambda: accuracy_against_cost(costs().head(0)), "the frame has no rows"),
    ],
)
def test_a_frame_that_does_not_fit_is_told(draw, words: str) -> None:
    with pytest.raises(UserError, match=words):
        draw()
