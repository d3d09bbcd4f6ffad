"""One small tile, cycle by cycle: a row for each part of the machine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from hwsim.counters import CAUSE_LABELS
from hwsim.errors import UserError
from hwsim.plots import style as look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = ("track", "name", "cause", "since", "until")

MOST_CYCLES = 240
"""Of a picture; more could not be told apart."""

CYCLE, ROW, LEFT, RIGHT, TOP, BOTTOM = 0.165, 0.23, 1.75, 0.2, 0.5, 0.85
"""Inches: of a cycle, of a row, and of what is around them."""

LETTER = 0.075
"""Inches of a letter, about."""

SMALL_POINTS = 8

FULL, FAINT = "#B3CDE3", "#E8E8E8"
"""Of what is of no cause: something is done, or a turn passes with nothing to do."""

IDLE = ("empty", "no pixel")
"""Names of such turns."""


def tile_timeline(frame: pd.DataFrame, title: str) -> Figure:
    """What every part does in each cycle of a tile; ``frame`` as ``Timeline.to_frame()`` gives it.

    Rows are in the order of their first appearance, causes in the colours of
    :func:`cycles_by_cause`. Raises UserError where there are too many cycles to draw.
    """
    look.require_columns("tile_timeline", frame, COLUMNS)
    end = int(frame["until"].max())
    if end > MOST_CYCLES:
        raise UserError(
            f"a picture shows {MOST_CYCLES} cycles at most, and these are {end:,}: write .json and "
            "open it in https://ui.perfetto.dev, or take a smaller tile"
        )
    tracks = list(dict.fromkeys(frame["track"]))
    figure, axes = _canvas(end, len(tracks), title)
    _rule(axes, range(0, end + 1, 4), len(tracks))
    for row, track in enumerate(tracks):
        _draw(axes, row, frame[frame["track"] == track])
    axes.set_xlim(0, end)
    axes.set_ylim(len(tracks), 0)
    axes.set_xticks(range(0, end + 1, 4))
    axes.set_yticks([row + 0.5 for row in range(len(tracks))], list(map(look.literal, tracks)))
    axes.tick_params(bottom=False, left=False, labelsize=look.TEXT_POINTS)
    axes.set_xlabel("cycles", fontsize=look.TEXT_POINTS)
    axes.spines[["top", "right", "left"]].set_visible(False)
    _legend(axes, frame)
    return figure


def _canvas(cycles: int, rows: int, title: str) -> tuple[Figure, Axes]:
    """Nothing is laid out by the size of letters, so that a picture is the same everywhere."""
    width, height = LEFT + CYCLE * cycles + RIGHT, TOP + ROW * rows + BOTTOM
    figure = look.plain_figure(width, height)
    axes = figure.add_axes(
        (LEFT / width, BOTTOM / height, CYCLE * cycles / width, ROW * rows / height)
    )
    figure.text(
        0.1 / width, 1 - 0.3 / height, look.literal(title, int(10 * width)),
        fontsize=look.HEADING_POINTS,
    )  # fmt: skip
    return figure, axes


def _rule(axes: Axes, cycles: Sequence[int], rows: int) -> None:
    """Thin lines at these cycles."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    lines = Path.make_compound_path(*(Path([(at, 0), (at, rows)]) for at in cycles))
    axes.add_patch(PathPatch(lines, fill=False, edgecolor="#CCCCCC", linewidth=0.5))


def _draw(axes: Axes, row: int, slices: pd.DataFrame) -> None:
    """One path for all slices that look alike."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    alike: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for name, cause, since, until in slices[["name", "cause", "since", "until"]].itertuples(
        index=False
    ):
        colour, hatch = _colour(name, cause)
        alike[colour, hatch].append((since, until))
        text = _label(name, until - since)
        if text and not hatch:
            axes.text(
                (since + until) / 2, row + 0.64, text, fontsize=SMALL_POINTS, ha="center",
                color="white" if colour == DARK else "black",
            )  # fmt: skip
    for (colour, hatch), spans in alike.items():
        boxes = [
            Path([(a, row + 0.1), (b, row + 0.1), (b, row + 0.9), (a, row + 0.9), (a, row + 0.1)],
                 closed=True)
            for a, b in spans
        ]  # fmt: skip
        path = Path.make_compound_path(*boxes)
        axes.add_patch(
            PathPatch(path, facecolor=colour, edgecolor="white", linewidth=0.8, hatch=hatch)
        )


DARK = look.CAUSE_COLOURS["base"][0]


def _colour(name: str, cause: str) -> tuple[str, str]:
    if name in IDLE:
        return FAINT, ""
    return look.CAUSE_COLOURS[cause] if cause else (FULL, "")


def _label(name: str, cycles: int) -> str:
    """The name where there is room for it, or its beginning, or the number of a pixel or word."""
    first, _, number = name.partition(" ")
    shorter = number if first in ("pixel", "word") else name.partition(", ")[0]
    for text in (CAUSE_LABELS.get(name, name), shorter):
        if LETTER * len(text) <= CYCLE * cycles:
            return look.literal(text)
    return ""


def _legend(axes: Axes, frame: pd.DataFrame) -> None:
    from matplotlib.patches import Patch

    shown = set(frame["cause"])
    handles = [
        Patch(facecolor=colour, edgecolor="white", hatch=hatch, label=CAUSE_LABELS[cause])
        for cause, (colour, hatch) in look.CAUSE_COLOURS.items()
        if cause in shown
    ]
    axes.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0, -0.42 / (ROW * axes.get_ylim()[0])),
        ncols=len(handles), frameon=False, fontsize=look.TEXT_POINTS, borderpad=0,
    )  # fmt: skip
