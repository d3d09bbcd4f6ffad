"""Draws the README's first figure from a run of the shipped traces.

``python -m tools.readme_figure`` replays them and writes docs/images/what_survives.svg. A test
compares the file with what the model counts today.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hwsim.arch.load import load_arch
from hwsim.plots.style import scheme_style, text_on
from hwsim.run.comparison import compare
from hwsim.trace.files import open_traces

FIGURE = Path(__file__).parents[1] / "docs" / "images" / "what_survives.svg"

BATCH = 16

STYLE = """\
    .bg { fill: #ffffff; stroke: #d0d7de; }
    text { fill: #1f2328; font-size: 13px; }
    .name { font-size: 15px; font-weight: bold; }
    .share { font-weight: bold; }
    .mark { text-anchor: middle; font-size: 12px; }
    .line { stroke: #1f2328; stroke-width: 1.2; }
    .promise { stroke: #1f2328; stroke-width: 2; stroke-dasharray: 5 4; }
    @media (prefers-color-scheme: dark) {
      .bg { fill: #0d1117; stroke: #30363d; }
      text { fill: #e6edf3; }
      .line, .promise { stroke: #e6edf3; }
    }
"""


class Bar(NamedTuple):
    """A machine of the figure: masks, scheme, and what a reader is told of both."""

    method: str
    scheme: str
    masks: str
    hardware: str


class Panel(NamedTuple):
    """A metric of which less is better."""

    heading: str
    metric: str
    left: int


BARS = (
    Bar("cdg", "unstructured", "CDG: a decision per channel", "each channel skips alone"),
    Bar("cdg", "lockstep-8", "CDG: a decision per channel", "8 channels skip together"),
    Bar("scdg", "structured-8x", "SCDG: one per 8 channels", "8 channels skip together"),
    Bar("cdg", "clock-gated", "CDG: a decision per channel", "switched off, not skipped"),
)

PANELS = (
    Panel("time", "cycles_per_image", 256),
    Panel("DRAM traffic", "dram_bytes_per_image", 462),
    Panel("energy", "energy_uj_per_image", 668),
)

FULL = 154
"""Pixels of 100 %."""

TOP, STEP, THICK = 92, 52, 34


def drawn(rows: Sequence[dict[str, Any]]) -> str:
    """The figure as SVG. ``rows``: of a comparison's summary at one batch size."""
    of = {(row["method"], row["scheme"]): row for row in rows}
    bottom = TOP + STEP * len(BARS)
    height = bottom + 34
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 880 {height}" width="880" '
        f'height="{height}" role="img" aria-labelledby="title" '
        'font-family="Helvetica, Arial, sans-serif">',
        '  <title id="title">Time, DRAM traffic and energy of an image, in per cent of the dense '
        "machine</title>",
        f"  <style>\n{STYLE}  </style>",
        f'  <rect class="bg" x="0.5" y="0.5" width="879" height="{height - 1}" rx="8"/>',
        '  <text class="name" x="20" y="34">per cent of the</text>',
        '  <text class="name" x="20" y="53">dense machine</text>',
    ]
    for at, bar in enumerate(BARS):
        y = TOP + STEP * at
        lines += [
            f'  <text x="20" y="{y + 14}">{bar.masks}</text>',
            f'  <text x="20" y="{y + 31}">{bar.hardware}</text>',
        ]
    for panel in PANELS:
        lines += _panel(panel, of, bottom)
    lines.append(
        f'  <text x="20" y="{height - 14}">ResNet-18, 64 CIFAR-10 images, networks trained for '
        f"under five epochs; machine pe16x16, batch {BATCH}, prices cacti22</text>"
    )
    return "\n".join([*lines, "</svg>", ""])


def _panel(panel: Panel, of: dict[tuple[str, str], dict[str, Any]], bottom: int) -> Iterator[str]:
    yield f'  <text class="name" x="{panel.left}" y="34">{panel.heading}</text>'
    for at, bar in enumerate(BARS):
        row = of[bar.method, bar.scheme]
        share = row[panel.metric] / of[bar.method, "dense"][panel.metric]
        y = TOP + STEP * at
        colour = scheme_style(bar.scheme).colour
        yield (
            f'  <rect fill="{colour}" x="{panel.left}" y="{y}" '
            f'width="{FULL * share:.1f}" height="{THICK}"/>'
        )
        yield (
            f'  <text class="share" style="fill: {text_on(colour)}" x="{panel.left + 10}" '
            f'y="{y + 22}">{100 * share:.0f} %</text>'
        )
    yield _line("line", panel.left + FULL, bottom)
    yield f'  <text class="mark" x="{panel.left + FULL}" y="74">dense</text>'
    if panel.metric == "cycles_per_image":
        promised = 1 / of["scdg", "structured-8x"]["ideal_speedup_network"]
        middle = panel.left + FULL * promised
        yield _line("promise", middle, bottom)
        label = f"FLOPs promise {100 * promised:.0f} %"
        yield f'  <text class="mark" x="{middle - 12:.1f}" y="74">{label}</text>'


def _line(kind: str, x: float, bottom: int) -> str:
    return f'  <path class="{kind}" d="M{x:.1f} 80V{bottom - 10}"/>'


def main() -> int:
    rows = compare(load_arch("pe16x16"), open_traces(), batches=[BATCH]).rows()
    FIGURE.write_text(drawn(rows))
    print(f"written: {FIGURE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
