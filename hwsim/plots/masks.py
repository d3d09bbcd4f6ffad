"""Where a network computes: open gates at each pixel, and in the lane groups of each layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hwsim.analysis import open_gates
from hwsim.errors import UserError
from hwsim.plots import style as look
from hwsim.trace.statistics import ALL_LAYERS, expected_lockstep_density

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hwsim.trace.mask_trace import MaskTrace

COLOURS = ("#0072B2", "#009E73", "#D55E00", "#CC79A7", "#E69F00", "#56B4E9", "#999999")
MARKERS = ("o", "D", "^", "s", "v", "P")
"""By trace."""

LINES = ("-", "-.", ":")
"""Of independent bits, by the mask lists of a lane group."""


def mask_overlay(
    trace: MaskTrace,
    layer: str,
    images: Sequence[int] | None = None,
    pictures: np.ndarray | None = None,
) -> Figure:
    """Share of open gates per output pixel of one layer, an image per column.

    ``images``: positions in the trace (None: the first four, or all). ``pictures``: uint8 (images,
    height, width[, 3]), what the network saw of them, in the same order; the shares are then also
    laid over them.
    """
    if images is None:
        images = range(min(4, trace.images))
    shares = 100 * open_gates(trace, layer, images)
    if pictures is not None:
        pictures = _checked(pictures, len(images))
    rows = 1 if pictures is None else 2
    figure, axes = look.panels(
        rows * len(images), max(2.5, 5 / len(images)), 2.35, len(images), sharex=True, sharey=True
    )
    # Square pixels leave room over, which should not part the look.panels.
    figure.set_layout_engine("compressed")
    height, width = shares.shape[1:]
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    for column, (at, share) in enumerate(zip(images, shares, strict=True)):
        if pictures is not None:
            for panel in (axes[column], axes[len(images) + column]):
                panel.imshow(pictures[column], extent=extent, cmap="gray", vmin=0, vmax=255)
        drawn = axes[-len(images) + column].imshow(
            share,
            extent=extent,
            cmap="cividis",
            vmin=0,
            vmax=shares.max() or 1,
            alpha=1 if pictures is None else 0.65,
            interpolation="nearest",
        )
        number = trace.header.image_ids[at]
        axes[column].set_title(
            f"image {number}: {share.mean():.0f} % open", fontsize=look.HEADING_POINTS
        )
    for panel in axes:
        panel.set_xlabel("output column (pixels)")
        panel.set_ylabel("output row (pixels)")
        panel.locator_params(integer=True, nbins=5, min_n_ticks=1)
    look.label_outer(axes, len(images))
    bar = figure.colorbar(drawn, ax=axes, shrink=0.9)
    bar.set_label("open gates (%)")
    open_shares = sorted(round(float(share.mean())) for share in shares)
    span = " to ".join(dict.fromkeys(f"{open_shares[at]}" for at in (0, -1)))
    title = f"{span} % of the gates of {layer} open, masks of {trace.header.method}"
    look.head(figure, [trace.header.label], title)
    return figure


def _checked(pictures: np.ndarray, images: int) -> np.ndarray:
    pictures = np.asarray(pictures)
    colours = pictures.shape[3:]
    if pictures.dtype != np.uint8 or pictures.ndim < 3 or colours not in ((), (3,)):
        raise UserError(
            f"mask_overlay: pictures of {pictures.dtype} {pictures.shape}; expected uint8 "
            "(images, height, width) or (images, height, width, 3)"
        )
    if len(pictures) != images:
        raise UserError(f"mask_overlay: {len(pictures)} pictures for {images} images")
    return pictures


def lockstep_density(frame: pd.DataFrame) -> Figure:
    """How often a lane group runs, over the density of the mask, a point per layer and trace.

    ``frame`` as :func:`hwsim.trace.statistics.mask_statistics` gives it, of one trace or several:
    ``trace``, ``method``, ``label``, ``layer``, ``lanes``, ``lists_per_lane_group``, ``density``
    and ``lockstep_density``. The curves are what independent bits would do, and bits that are equal
    throughout a lane group.
    """
    columns = ("trace", "method", "label", "layer", "lanes", "lists_per_lane_group", "density")
    look.require_columns("lockstep_density", frame, (*columns, "lockstep_density"))
    figure, (panel,) = look.panels(1, 7.2, 4.8, 1)
    most = min(1.0, 1.25 * float(frame["density"].max())) or 1.0
    _lines_of_expectation(panel, most, sorted(set(frame["lists_per_lane_group"])))
    names = look.run_names(frame)
    for (trace, name), (colour, marker) in zip(names.items(), _styles(frame), strict=True):
        of_trace = frame[frame["trace"] == trace]
        together = of_trace["layer"] == ALL_LAYERS
        # The large one is hollow, because layers lie under it.
        for rows, size, fill, label in (
            (of_trace[~together], 5, colour, name),
            (of_trace[together], 13, "none", None),
        ):
            panel.plot(
                100 * rows["density"],
                100 * rows["lockstep_density"],
                color=colour,
                marker=marker,
                markersize=size,
                markerfacecolor=fill,
                linestyle="",
                label=label,
            )
    panel.set_xlim(0, 100 * most)
    panel.set_ylim(0, 103)
    panel.set_xlabel("density of the mask (%)")
    panel.set_ylabel("pixels at which a lane group runs (%)")
    panel.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, fontsize=look.TEXT_POINTS)
    lanes = " or ".join(map(str, sorted(set(frame["lanes"]))))
    note = "small markers: a layer each; large: all gated layers"
    title = f"Lockstep density, lane groups of {lanes} channels"
    if len(whole := frame[frame["layer"] == ALL_LAYERS]):
        shares = [
            f"{100 * row['lockstep_density']:.0f} % ({names[row['trace']]})"
            for row in whole.to_dict("records")
        ]
        title = f"Lane groups of {lanes} channels run at {' and '.join(shares[:3])} of the pixels"
    look.head(figure, frame["label"], title, note)
    return figure


def _styles(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Colour and marker of each trace: its method's, or by its place where some share one."""
    methods = list(frame.groupby("trace", sort=False)["method"].first())
    if len(set(methods)) == len(methods) and set(methods) <= set(look.METHODS):
        return [look.method_style(method)[:2] for method in methods]
    return [(COLOURS[at % len(COLOURS)], MARKERS[at % len(MARKERS)]) for at in range(len(methods))]


def _lines_of_expectation(panel: Axes, most: float, lists: Sequence[int]) -> None:
    density = np.linspace(0, most, 100)
    several = [number for number in lists if number > 1]
    for at, number in enumerate(several):
        panel.plot(
            100 * density,
            100 * expected_lockstep_density(density, number),
            color="#555555",
            linestyle=LINES[at % len(LINES)],
            linewidth=1,
            label=f"{number} independent mask lists: 1 - (1 - d)^{number}",
            zorder=1,
        )
    panel.plot(
        100 * density,
        100 * density,
        color="#555555",
        linestyle="--",
        linewidth=1,
        label="all bits of a lane group equal: d",
        zorder=1,
    )
