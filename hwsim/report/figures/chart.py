"""Charts as Plotly's plain data: what all of them share, and the look of :mod:`hwsim.plots`."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwsim.errors import escaped
from hwsim.plots import style as look

Data = dict[str, Any]

SYMBOLS = {
    "x": "x", "+": "cross", "s": "square", "o": "circle", "D": "diamond", "^": "triangle-up",
    "v": "triangle-down", "p": "pentagon", "h": "hexagon", "*": "star", "8": "octagon",
    "<": "triangle-left", ">": "triangle-right", "d": "diamond-tall", "H": "hexagon2",
}  # fmt: skip
"""Plotly's names of matplotlib's markers."""

DASHES = {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}

HATCHES = {"": "", "///": "/", "\\\\\\": "\\", "\\\\": "\\", "xxx": "x", "...": "."}

INK = "#000000"
"""On a dark page what is black is drawn white: the roofs, and the scheme ``dense``."""


@dataclass(frozen=True)
class Chart:
    """One chart and its variants, by the values chosen for ``by``, in their order.

    ``common`` are attributes that the traces have in all variants; a variant has ``data``, and may
    have ``each``, attributes of all its traces, ``layout``, and ``said``, the sentence below the
    heading. ``label`` is what the chart shows, for
    whoever cannot see it.
    """

    heading: str
    label: str
    height: int
    variants: Mapping[Any, Data]
    by: Sequence[str] = ()
    common: Sequence[Data] = ()
    layout: Data = field(default_factory=dict)
    picture: str = ""
    """A data URI of an image that is shown above the chart."""


def text(name: object, most: int = look.LONGEST_RUN) -> str:
    """A name from outside as Plotly shows it: text, none of its tags, of so many characters."""
    return html.escape(escaped(name, most), quote=False)


def rounded(values: Iterable[float | None]) -> list[float | None]:
    """Figures of five digits: more is not seen; None where there is none."""
    return [
        None if value is None or not math.isfinite(value) else float(f"{value:.5g}")
        for value in values
    ]


def packed(values: np.ndarray) -> Data:
    """uint8 (height, width) as Plotly takes it, a quarter as long as digits."""
    shape = ", ".join(map(str, values.shape))
    return {"dtype": "u1", "bdata": base64.b64encode(values.tobytes()).decode(), "shape": shape}


def axis(title: str, **more: Any) -> Data:
    return {"title": {"text": title}, "automargin": True, **more}


def named_axis(names: Sequence[str], most: int = look.LONGEST_RUN, **more: Any) -> Data:
    """Positions 0, 1, ... under these names: equal names stay apart, digits are no numbers."""
    shown = [text(name, most) for name in names]
    every = max(1, -(-len(shown) // MOST_NAMED)) if more.pop("thin", False) else 1
    ticks = list(range(0, len(shown), every))
    return {
        "tickmode": "array", "tickvals": ticks, "ticktext": shown[::every], "automargin": True,
        "zeroline": False, **more,
    }  # fmt: skip


MOST_NAMED = 40
"""Of a longer axis of names every second, third, ... one is written."""


def scheme_marker(scheme: str, size: int | list[int] = 8, **more: Any) -> Data:
    style = look.scheme_style(scheme)
    return {"color": style.colour, "symbol": SYMBOLS[style.marker], "size": size, **more}


def scheme_line(scheme: str, **more: Any) -> Data:
    style = look.scheme_style(scheme)
    return {"color": style.colour, "dash": DASHES[style.line], "width": 2, **more}


def filled(colour: str, hatch: str) -> Data:
    """The marker of a bar: a colour, and white hatching."""
    marker: Data = {"color": colour}
    if HATCHES[hatch]:
        marker["pattern"] = {
            "shape": HATCHES[hatch], "fillmode": "overlay", "size": 6, "fgcolor": "#ffffff",
            "fgopacity": 0.7,
        }  # fmt: skip
    return marker


def notes_of(labels: Iterable[str]) -> str:
    """What labels of traces say and no figure may leave out, such as ``synthetic``."""
    told = list(labels)
    return "; ".join(note for note in look.NOTES if any(note in label for label in told))
