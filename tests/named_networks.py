"""Names that are allowed and awkward, names that are refused, and a network of the first.

``LAYERS`` and ``METHOD`` are what a page of HTML could take for something else.
"""

from __future__ import annotations

from hwsim.network import ConvLayer, Network

AWKWARD = [
    "[bold]<script>alert(1)</script>",
    "$x^{_",
    "\\frac{ \\$ $",
    'it\'s "quoted", a|b; =1+1',
    "_hidden",
    "../a/b%2F.",
    "ü שלום 層",
    "n" * 255,
]
"""Markup, TeX, quotes and separators, paths, letters that run to the left, the longest."""

REFUSED = [
    "", " ", " a", "a ", "a\nb", "a\tb", "\x1b[31ma", "a\0b", "a\x7f", "\u202ea", "a\u200bb",
    "a\u2028b", "\ufeffa", "\ud800", "n" * 256,
]  # fmt: skip
"""Empty, blanks at an end, line breaks, tabs, ANSI, NUL, right-to-left and zero-width marks, a
byte-order mark, half a character, too long."""


LAYERS = ["stem", "<script>alert(1)</script>", "</script><b>&amp;", 'it\'s "quoted" $x^{_ %{y}']
"""Names of layers that are markup, entities, quotes, TeX, and a template of Plotly's."""

METHOD = "a \"method\" of 'quotes' <i>"


def network_named(names: list[str]) -> Network:
    """3x3 convolutions of 4x4 maps, one behind the other; all but the first gated."""
    before = ["input", *names]
    layers = tuple(
        ConvLayer(
            name=name, input=before[at], in_channels=16, in_height=4, in_width=4, out_channels=16,
            kernel_size=3, padding=1, gated=at > 0, groups=2 if at else 1,
        )
        for at, name in enumerate(names)
    )  # fmt: skip
    return Network(name=names[0], layers=layers)
