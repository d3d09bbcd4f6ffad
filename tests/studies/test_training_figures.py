"""Learning curves and accuracy over cost: what is drawn where, and what an unfit frame is told."""

from __future__ import annotations

import pandas as pd
import pytest

from hwsim.errors import UserError
from studies.training_figures import accuracy_against_cost, learning_curves


def logs() -> pd.DataFrame:
    """Two methods, cdg with two seeds; losses 6, 4, 2; kNN at the last row; 32 px from epoch 3."""
    runs = [("cdg", 0), ("cdg", 1), ("dense", 0)]
    rows = [
        {"method": method, "seed": seed, "epochs": epoch, "loss": 8 - 2 * epoch}
        | {"knn_percent": 30.0 + seed if epoch == 3 else None}
        | {"resolution": 32 if epoch == 3 else 16}
        for method, seed in runs
        for epoch in (1, 2, 3)
    ]
    return pd.DataFrame(rows)


def test_a_line_per_method_and_seed_loss_averaged_knn_where_it_was_measured() -> None:
    figure = learning_curves(logs())
    loss, knn = figure.axes
    curves = [each for each in loss.lines if len(each.get_xdata()) == 3]
    assert [list(each.get_ydata()) for each in curves] == [[6, 5, 4]] * 3
    assert [each.get_linestyle() for each in curves] == ["-", "--", "-"]
    points = [each for each in knn.lines if each.get_marker() != "None"]
    assert [(list(each.get_xdata()), list(each.get_ydata())) for each in points] == [
        ([3], [30.0]), ([3], [31.0]), ([3], [30.0]),
    ]  # fmt: skip
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["cdg", "dense"]
    assert "epochs" in loss.get_xlabel()
    assert [text.get_text() for text in loss.texts] == ["32 px"]


def costs() -> pd.DataFrame:
    rows = [("cdg", "unstructured", 3000, 40.0), ("cdg", "unstructured", 3100, 41.0)]
    rows += [("cdg", "lockstep-8", 2000, 40.0), ("fbs", "channels", 1500, 35.0)]
    return pd.DataFrame(rows, columns=["method", "scheme", "cycles_per_image", "knn_percent"])


def test_a_point_per_network_lockstep_hollow() -> None:
    figure = accuracy_against_cost(costs())
    (panel,) = figure.axes
    drawn = {each.get_label(): each for each in panel.lines}
    assert set(drawn) == {"cdg: unstructured", "cdg: lockstep-8", "fbs: channels"}
    assert list(drawn["cdg: unstructured"].get_xdata()) == [3000, 3100]
    assert drawn["cdg: lockstep-8"].get_markerfacecolor() == "none"
    assert panel.get_ylabel() == "kNN accuracy (%)"
    assert panel.get_xlabel() == "cycles per image"


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
