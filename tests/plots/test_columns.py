"""Two columns of a sweep: what is drawn where, joined, scaled, and called."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from hwsim.errors import UserError
from hwsim.plots.columns import axis_name, two_columns
from hwsim.plots.style import scheme_style


def rows(*points: tuple[str, str, Any, float]) -> pd.DataFrame:
    """(method, scheme, banks, speed-up) each."""
    return pd.DataFrame(
        [
            {"trace": f"of {method}", "method": method, "label": method, "scheme": scheme}
            | {"activation.banks": banks, "area_mm2": 0.1 * at, "speedup": speedup}
            for at, (method, scheme, banks, speedup) in enumerate(points)
        ]
    )


FRAME = rows(
    ("cdg", "dense", 8, 1.0),
    ("cdg", "unstructured", 32, 1.5),
    ("cdg", "unstructured", 8, 0.9),
    ("cdg", "unstructured", 16, 1.25),
    ("scdg", "structured-8x", 16, 1.75),
)


def test_a_panel_per_trace_and_a_line_per_scheme() -> None:
    figure = two_columns(FRAME, "activation.banks", "speedup")
    left, right = figure.axes
    assert [panel.get_title() for panel in (left, right)] == ["masks of cdg", "masks of scdg"]
    dense, unstructured = left.lines
    assert list(unstructured.get_xdata()) == [8, 16, 32]
    assert list(unstructured.get_ydata()) == [0.9, 1.25, 1.5]
    assert unstructured.get_linestyle() == "-"
    assert (unstructured.get_color(), dense.get_color()) == ("#0072B2", "#000000")
    assert right.lines[0].get_marker() == scheme_style("structured-8x").marker
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "dense", "unstructured", "structured-8x"
    ]  # fmt: skip
    assert figure.get_suptitle() == (
        "Most speed-up over dense: 1.75x (structured-8x, scdg masks, activation.banks = 16)"
    )
    # A value that doubles has a tick for each, as far apart as the one before.
    assert left.get_xscale() == "log"
    assert [tick.get_text() for tick in right.get_xticklabels()] == ["8", "16", "32"]
    assert right.get_xlabel() == "activation banks"
    assert left.get_ylabel() == "speed-up over dense (x)"


def test_points_over_a_figure_or_several_at_a_place_are_not_joined() -> None:
    over_area = two_columns(FRAME, "area_mm2", "speedup")
    assert over_area.axes[0].lines[1].get_linestyle() == "None"
    twice = rows(("cdg", "dense", 8, 1.0), ("cdg", "dense", 8, 1.1), ("cdg", "dense", 16, 1.2))
    (line,) = two_columns(twice, "activation.banks", "speedup").axes[0].lines
    assert line.get_linestyle() == "None"
    same = rows(("cdg", "dense", 8, 1.0), ("cdg", "dense", 8, 1.0), ("cdg", "dense", 16, 1.2))
    (line,) = two_columns(same, "activation.banks", "speedup").axes[0].lines
    assert (list(line.get_ydata()), line.get_linestyle()) == ([1.0, 1.2], "--")


@pytest.mark.parametrize(
    ("values", "scale"),
    [((1.0, 9.9), "linear"), ((1.0, 10.0), "log"), ((0.0, 100.0), "linear"), ((2.0, 8.0), "log")],
)
def test_an_axis_that_spans_decades_is_a_logarithm(values: tuple[float, ...], scale: str) -> None:
    frame = rows(*(("cdg", "dense", at, value) for at, value in enumerate(values)))
    (panel,) = two_columns(frame, "activation.banks", "speedup").axes
    assert panel.get_yscale() == scale


def test_text_is_drawn_in_order() -> None:
    frame = FRAME.assign(feed=["systolic", "broadcast", "systolic", "$x$", "_y"])
    left, _ = two_columns(frame, "feed", "speedup").axes
    assert [tick.get_text() for tick in left.get_xticklabels()] == [
        "systolic", "broadcast", r"\$x\$", " _y"
    ]  # fmt: skip
    with pytest.raises(UserError, match="feed is text"):
        two_columns(frame, "speedup", "feed")


def test_rows_without_a_figure_are_left_out() -> None:
    frame = FRAME.assign(speedup=[1.0, None, None, None, None])
    assert len(two_columns(frame, "activation.banks", "speedup").axes) == 1
    with pytest.raises(UserError, match=r"no row has activation\.banks and speedup"):
        two_columns(FRAME.assign(speedup=float("nan")), "activation.banks", "speedup")
    with pytest.raises(UserError, match="no column 'speedup'"):
        two_columns(FRAME.drop(columns="speedup"), "activation.banks", "speedup")


def test_lane_groups_are_one_series_over_themselves() -> None:
    frame = rows(*(("scdg", f"structured-{at}x", at, 2.0 - at / 10) for at in (2, 4, 8)))
    frame["index.lane_group"] = frame["activation.banks"]
    (line,) = two_columns(frame, "index.lane_group", "speedup").axes[0].lines
    assert list(line.get_xdata()) == [2, 4, 8]
    assert len(two_columns(frame, "activation.banks", "speedup").axes[0].lines) == 3


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("energy_uj_per_image", "energy per image (µJ)"),
        ("operand_network_uj", "operand network (µJ per image)"),
        ("pe_array_mm2", "pe array (mm²)"),
        ("bank_stall_cycles_per_image", "bank stall (cycles per image)"),
        ("dram.bandwidth_gb_per_s", "DRAM bandwidth (GB/s)"),
        ("weight.buffer_kib", "weight buffer (KiB)"),
        ("array.rows", "array rows"),
    ],
)
def test_axes_have_units(column: str, name: str) -> None:
    assert axis_name(column) == name
