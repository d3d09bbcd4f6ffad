"""What base and conditional paths carry, as maps beside the pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.errors import UserError, nearest
from hwsim.plots.style import TEXT_POINTS, head

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

PARTS = {"base": "cividis", "conditional": "cividis", "gates": "magma"}
"""A layer's panels from left to right, and their colours."""

NETWORKS = {
    "trained": "the trained network",
    "untrained": "the untrained network",
    "untrained_equal_density": "the untrained network at the trained densities",
}


def path_maps(maps: Mapping[str, Any], network: str = "trained") -> Figure:
    """A row per image: the picture, its edges, and base, conditional and gates of each layer.

    ``maps``: what ``python -m studies.paths`` writes to paths.npz, opened by ``numpy.load`` or
    as a dict. ``network``: the trained one or a control. Every column but the pictures has a
    colour scale of its own, from 0 to its largest value, which is written below it. Raises
    UserError for maps of other origin and for a network that is not among them.
    """
    if "about" not in maps:
        raise UserError("path_maps: not the maps of python -m studies.paths (no 'about')")
    if network not in NETWORKS:
        raise UserError(f"path_maps: no network {network!r}{nearest(network, NETWORKS)}")
    about = json.loads(str(maps["about"]))
    columns = [("", "edges", "cividis", maps["edges"])]
    for layer in about["layers"]:
        for part, colours in PARTS.items():
            columns.append((layer, part, colours, _maps_of(maps, f"{network}/{layer}/{part}")))
    figure, grid, panels = _grid(len(maps["pictures"]), len(about["layers"]))
    for panel, picture, number in zip(panels[0], maps["pictures"], about["image_ids"], strict=True):
        panel.imshow(picture)
        panel.set_title(f"image {number}", fontsize=TEXT_POINTS - 2, pad=2)
    scales = {
        part: _draw_column(column, layer, part, colours, values)
        for column, (layer, part, colours, values) in zip(panels[1:], columns, strict=True)
    }
    _colour_bars(figure, grid, scales)
    labels = ["barely trained"] if about["barely_trained"] and network == "trained" else []
    title = f"What the paths of {about['method']} carry: {NETWORKS[network]}"
    head(figure, labels, title, f"{about['weights']}, {about['dataset']} test images")
    return figure


def _grid(images: int, layers: int) -> tuple[Figure, np.ndarray, list[np.ndarray]]:
    """The figure, its grid, and the columns to draw in: pictures, edges, three for each layer."""
    from matplotlib.figure import Figure

    # Of equal panels; a column of air before each layer.
    widths = [1.0, 1.0] + [w for _ in range(layers) for w in (0.12, 1, 1, 1)]
    # Few panels are drawn larger: the headings need room.
    inches = max(0.78, 7 / sum(widths))
    size = inches * sum(widths), 1.03 * inches * images + 1.4
    figure = Figure(figsize=size, layout="compressed")
    grid = figure.subplots(
        images, len(widths), squeeze=False, width_ratios=widths, gridspec_kw={"wspace": 0.03}
    )
    for panel in grid.flat:
        panel.set_axis_off()
    columns = [column for column, width in zip(grid.T, widths, strict=True) if width == 1]
    return figure, grid, columns


def _draw_column(
    panels: np.ndarray, layer: str, part: str, colours: str, values: np.ndarray
) -> AxesImage:
    """A map per panel, all from 0 to the largest value; the last map drawn."""
    largest = float(values.max())
    for panel, value in zip(panels, values, strict=True):
        drawn = panel.imshow(
            value, cmap=colours, vmin=0, vmax=largest or 1, interpolation="nearest"
        )
    heading = f"{layer}\n{part}" if part == "conditional" else part
    panels[0].set_title(heading, fontsize=TEXT_POINTS, pad=3)
    scale = f"0 to {100 * largest:.0f} %" if part == "gates" else f"0 to {largest:.3g}"
    panels[-1].text(
        0.5, -0.05, scale, ha="center", va="top", fontsize=TEXT_POINTS - 2,
        transform=panels[-1].transAxes,
    )  # fmt: skip
    return drawn


def _colour_bars(figure: Figure, grid: np.ndarray, scales: Mapping[str, AxesImage]) -> None:
    """One below the left half of the grid, one below the right half."""
    left, right = np.split(grid, [grid.shape[1] // 2], axis=1)
    for part, place, label in (
        ("edges", left, "edges, base, conditional:\n0 to the column's largest"),
        ("gates", right, "share of open gates:\n0 to the column's largest"),
    ):
        bar = figure.colorbar(
            scales[part], ax=place, location="bottom", shrink=0.7, aspect=45, pad=0.04
        )
        bar.set_ticks([])
        bar.set_label(label, fontsize=TEXT_POINTS)


def _maps_of(maps: Mapping[str, Any], name: str) -> np.ndarray:
    if name not in maps:
        raise UserError(f"path_maps: no maps {name!r}{nearest(name, list(maps))}")
    return np.asarray(maps[name])
