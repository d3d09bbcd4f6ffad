"""What the figures share: colours, panels, headings, and the check of a frame's columns."""

from __future__ import annotations

import io
import os
import re
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from hwsim.errors import UserError, escaped, nearest

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class SchemeStyle(NamedTuple):
    """How a scheme is drawn, wherever it is."""

    colour: str
    marker: str
    line: str = "-"


SCHEMES = {
    "dense": SchemeStyle("#000000", "x", "--"),
    "dense-zero-gated": SchemeStyle("#999999", "+", ":"),
    "clock-gated": SchemeStyle("#E69F00", "s"),
    "unstructured": SchemeStyle("#0072B2", "o"),
    "structured": SchemeStyle("#009E73", "D"),
    "lockstep": SchemeStyle("#D55E00", "^"),
    "channels": SchemeStyle("#CC79A7", "v"),
}
"""By scheme; structured-8x and lockstep-8 by the part before the number."""

LANE_GROUPS = {
    "structured": {"2x": "p", "4x": "h", "16x": "*", "32x": "8"},
    "lockstep": {"2": "<", "4": ">", "16": "d", "32": "H"},
}
"""Markers of schemes of other lane groups than the usual, which differ by them alone."""

SKIPPING_LINES = {"-skip-bound": ":", "-skip": "-."}
"""Lines of schemes that skip zeros; else they are drawn as without."""

METHODS = {
    "dense": SchemeStyle("#000000", "x", "--"),
    "cdg": SchemeStyle("#0072B2", "o"),
    "scdg": SchemeStyle("#009E73", "D"),
    "cgnet": SchemeStyle("#56B4E9", "s"),
    "broadcast": SchemeStyle("#D55E00", "^"),
    "fbs": SchemeStyle("#CC79A7", "v"),
    "dgc": SchemeStyle("#E69F00", "P"),
}
"""By gating method: the colour of the scheme that its masks are made for, where there is one."""

OTHER_METHOD = SchemeStyle("#999999", "*")

CAUSE_COLOURS = {
    "base": ("#0072B2", ""),
    "conditional": ("#56B4E9", ""),
    "bank_stall": ("#D55E00", "///"),
    "drain": ("#F0E442", ""),
    "decode_stall": ("#CC79A7", "xxx"),
    "output_stall": ("#009E73", "..."),
    "dram_stall": ("#555555", "\\\\\\"),
}
"""Colour and hatch of each cause of cycles."""

COMPONENT_COLOURS = {
    "mac": ("#0072B2", ""),
    "activation_buffer": ("#56B4E9", ""),
    "weight_buffer": ("#009E73", ""),
    "partial_sums": ("#F0E442", ""),
    "operand_network": ("#E69F00", "///"),
    "bank_arbiter": ("#F0A0C0", "\\\\"),
    "index": ("#D55E00", "..."),
    "gate": ("#CC79A7", "xxx"),
    "output_stage": ("#999999", ""),
    "dram": ("#555555", "\\\\\\"),
    "leakage": ("#DDDDDD", ""),
}
"""Colour and hatch of each component of energy."""

NOTES = ("synthetic", "barely trained", "thresholds shifted, approximate")
"""What a trace's label may say and no figure may leave out."""

LONGEST_RUN, LONGEST_LAYER, LONGEST_TITLE = 40, 64, 240
"""Characters that a figure shows of a run's name, of a layer's, and of a title that holds such."""

DPI = 140

MOST_PIXELS = 60_000
"""Of a side; a figure of more rows, of thousands of runs, is drawn smaller."""

HEADING_POINTS = 11
TEXT_POINTS = 9


def scheme_style(scheme: str) -> SchemeStyle:
    """Raises UserError for what is no scheme."""
    suffix = next((each for each in SKIPPING_LINES if scheme.endswith(each)), "")
    plain = scheme.removesuffix(suffix)
    kind, _, lane_group = plain.partition("-")
    style = SCHEMES.get(plain) or SCHEMES.get(kind)
    if style is None:
        raise UserError(f"no scheme {escaped(scheme)!r}{nearest(scheme, SCHEMES)}")
    marker = LANE_GROUPS.get(kind, {}).get(lane_group, style.marker)
    return SchemeStyle(style.colour, marker, SKIPPING_LINES.get(suffix, style.line))


def method_style(method: str) -> SchemeStyle:
    """One of METHODS, or the one that all others share."""
    return METHODS.get(method, OTHER_METHOD)


def in_order(schemes: Iterable[str]) -> list[str]:
    """Schemes as every legend lists them: as in SCHEMES, then by name."""
    kinds = list(SCHEMES)

    def place(scheme: str) -> tuple[int, int, str]:
        kind = scheme if scheme in SCHEMES else scheme.partition("-")[0]
        at = kinds.index(kind) if kind in SCHEMES else len(kinds)
        return at, len(scheme), scheme

    return sorted(dict.fromkeys(schemes), key=place)


def text_on(colour: str) -> str:
    """Black or white, whichever is easier to read on the colour (its luma)."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "white"


def require_columns(figure: str, frame: pd.DataFrame, columns: Iterable[str]) -> None:
    """Raise UserError for a frame that the figure cannot be drawn from."""
    for column in columns:
        if column not in frame.columns:
            near = nearest(column, map(str, frame.columns))
            raise UserError(f"{figure}: the frame has no column {column!r}{near}")
    if frame.empty:
        raise UserError(f"{figure}: the frame has no rows")


def literal(name: object, most: int = LONGEST_RUN) -> str:
    """A name from outside as a figure shows it: text, never a formula, of so many characters.

    Legends leave out what begins with an underscore, which therefore follows a blank.
    """
    shown = _no_formula(escaped(name, most))
    return f" {shown}" if shown.startswith("_") else shown


def _no_formula(text: str) -> str:
    return text.replace("$", r"\$")


def run_names(frame: pd.DataFrame) -> dict[Any, str]:
    """By trace, as figures show it: its method, or the trace's name where several share one."""
    methods = dict(zip(frame["trace"], frame["method"], strict=True))
    shared = list(methods.values())
    return {
        trace: literal(method if shared.count(method) == 1 else trace)
        for trace, method in methods.items()
    }


def panels(
    number: int, width: float, height: float, columns: int, beside: float = 0.6, **shared: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of ``number`` panels, ``width`` x ``height`` inches, in up to ``columns`` columns.

    ``beside``: inches of height for what is above and below all of them.
    """
    columns = min(columns, number)
    rows = -(-number // columns)
    figure = _figure_class()(
        figsize=(width * columns, height * rows + beside), layout="constrained"
    )
    grid = figure.subplots(rows, columns, squeeze=False, **shared)
    axes = list(grid.flat)
    for unused in axes[number:]:
        unused.set_visible(False)
    # Where a last row is not full, the panels above its gap show the axis that all share.
    for above in axes[max(0, number - columns) : number]:
        above.tick_params(labelbottom=True)
    return figure, axes[:number]


def plain_figure(width: float, height: float) -> Figure:
    """Of so many inches, without a layout."""
    return _figure_class()(figsize=(width, height))


def _figure_class() -> type[Figure]:
    """Drawn to files alone: an MPLBACKEND that matplotlib does not know hurts nobody."""
    with _without("MPLBACKEND"):
        from matplotlib.figure import Figure
    return Figure


@contextmanager
def _without(name: str) -> Iterator[None]:
    """Inside, the environment has no such variable."""
    value = os.environ.pop(name, None)
    try:
        yield
    finally:
        if value is not None:
            os.environ[name] = value


def label_outer(axes: list[Axes], columns: int) -> None:
    """Leave the names of axes that all panels share to the left column and the lowest panels."""
    columns = min(columns, len(axes))
    for position, panel in enumerate(axes):
        if position % columns:
            panel.set_ylabel("")
        if position + columns < len(axes):
            panel.set_xlabel("")


def legend_below(figure: Figure, entries: Mapping[str, Any], columns: int = 3) -> None:
    """One legend for all panels, below them: what was drawn, by its name."""
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside lower center",
        ncols=columns,
        fontsize=TEXT_POINTS,
    )


def head(figure: Figure, labels: Iterable[str], title: str, note: str = "") -> None:
    """The heading: title, note, and whatever the labels of the traces shown must not hide.

    The title is text, whatever names it holds.
    """
    labels = list(labels)
    notes = [known for known in NOTES if any(known in label for label in labels)]
    characters = int(11.5 * figure.get_figwidth())
    parts = (escaped(title, LONGEST_TITLE), note, "; ".join(notes))
    lines = [_no_formula(line) for part in parts for line in _wrapped(part, characters)]
    figure.suptitle("\n".join(lines), fontsize=HEADING_POINTS)


def _wrapped(text: str, characters: int) -> list[str]:
    """Lines of so many characters; no number is parted from its unit."""
    bound = re.sub(r"(?<=\d) (?=%|µJ|cycles)", "\u00a0", text)
    return [line.replace("\u00a0", " ") for line in textwrap.wrap(bound, characters)]


def png(figure: Figure) -> bytes:
    """The figure as PNG; letters that matplotlib's font lacks are boxes."""
    buffer = io.BytesIO()
    dpi = min(DPI, MOST_PIXELS / max(figure.get_size_inches()))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def svg(figure: Figure) -> str:
    """The figure as SVG whose letters are text, the same for the same figure, and small."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "hwsim"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    for found, instead in _SHORTER:
        text = re.sub(found, instead, text)
    return text


_SHORTER = (
    (r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}"),
    (r"font-family: [^;]*; ", ""),
    (r"<svg ", '<svg font-family="DejaVu Sans, sans-serif" '),
    (r' transform="rotate\(-0 [^"]*"', ""),
    (r'<g id="text_\d+">\s*(<text.*?</text>)\s*</g>', r"\1"),
    (r"(?m)^ +| +$", ""),
)
"""What matplotlib writes again and again, and what says the same."""
