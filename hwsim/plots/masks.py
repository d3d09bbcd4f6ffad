"""Where a network computes: the share of open gates at each pixel, over the images or alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hwsim.analysis import open_gates
from hwsim.errors import UserError
from hwsim.plots.style import HEADING_POINTS, head, label_outer, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hwsim.trace import MaskTrace


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
    figure, axes = panels(
        rows * len(images), max(2.5, 5 / len(images)), 2.35, len(images), sharex=True, sharey=True
    )
    # Square pixels leave room over, which should not stand between the panels.
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
            f"image {number}: {share.mean():.0f} % open", fontsize=HEADING_POINTS
        )
    for panel in axes:
        panel.set_xlabel("output column (pixels)")
        panel.set_ylabel("output row (pixels)")
        panel.locator_params(integer=True, nbins=5, min_n_ticks=1)
    label_outer(axes, len(images))
    bar = figure.colorbar(drawn, ax=axes, shrink=0.9)
    bar.set_label("open gates (%)")
    head(figure, [trace.header.label], f"Gates open in {layer}, masks of {trace.header.method}")
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
