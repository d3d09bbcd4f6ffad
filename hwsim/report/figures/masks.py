"""Charts of masks: open gates at each output pixel, and the pictures that they are of."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hwsim.analysis import open_gates
from hwsim.errors import UserError, one_line
from hwsim.report.figures.chart import Chart, Data, axis, packed, text
from hwsim.trace.mask_trace import MaskTrace

MOST_IMAGES, MOST_VALUES = 4, 200_000
"""Images shown of a trace, and pixels of all maps together: of more, fewer layers are shown."""

Pictures = Mapping[int, np.ndarray]
"""By image id: uint8 (3, H, W)."""


def has_maps(trace: MaskTrace) -> bool:
    """Whether its masks know pixels."""
    return trace.header.has_masks and not trace.header.of_channels


def layers_shown(trace: MaskTrace) -> list[str]:
    """Gated layers in order, as many as fit on a page."""
    shown: list[str] = []
    values = 0
    for layer in trace.network.gated_layers:
        values += layer.out_height * layer.out_width * min(MOST_IMAGES, trace.images)
        if values > MOST_VALUES and shown:
            break
        shown.append(layer.name)
    return shown


def mask_charts(trace: MaskTrace, choice: str, pictures: Pictures | None = None) -> list[Chart]:
    """A chart per image, a variant per layer: the share of the gates that are open.

    ``choice``: the name of the choice among :func:`layers_shown`.
    """
    at = range(min(MOST_IMAGES, trace.images))
    shares = {layer: 100 * open_gates(trace, layer, at) for layer in layers_shown(trace)}
    charts = []
    for place in at:
        number = trace.header.image_ids[place]
        own = (pictures or {}).get(number)
        source = None if own is None else png_uri(own)
        charts.append(
            Chart(
                heading=f"Image {number}, masks of {trace.header.method}",
                label=f"Share of open gates at each output pixel of a layer, image {number}",
                height=370,
                by=(choice,),
                variants={
                    (str(key),): _map(share[place], share.max(), layer, source is not None)
                    for key, (layer, share) in enumerate(shares.items())
                },
                layout={"hovermode": "closest"},
                picture=source or "",
            )
        )
    return charts


def _map(share: np.ndarray, most: float, layer: str, over_picture: bool) -> Data:
    """One layer's map; the scale ends at the largest share in any image shown.

    The page knows the picture that lies under it: it is the chart's.
    """
    height, width = share.shape
    drawn: Data = {
        "type": "heatmap", "z": packed(np.rint(share).astype(np.uint8)), "colorscale": "Cividis",
        "zmin": 0, "zmax": max(1, round(most)), "hoverongaps": False, "name": text(layer),
        "colorbar": {
            "orientation": "h", "thickness": 10, "title": {"text": "open gates (%)", "side": "top"},
            "y": -0.27, "yanchor": "top",
        },
        "hovertemplate": "row %{y}, column %{x}: %{z} %<extra></extra>",
    }  # fmt: skip
    whole = {
        "tickformat": "d",
        "nticks": 6,
        "zeroline": False,
        "showgrid": False,
        "constrain": "domain",
    }
    layout: Data = {
        "xaxis": axis("output column (pixels)", **whole),
        "yaxis": axis(
            "output row (pixels)", autorange="reversed", scaleanchor="x", scaleratio=1, **whole
        ),
    }
    if over_picture:
        drawn["opacity"] = 0.65
        layout["images"] = [
            {
                "source": "", "xref": "x", "yref": "y", "x": -0.5, "y": -0.5, "sizex": width,
                "sizey": height, "sizing": "stretch", "layer": "below",
            }
        ]  # fmt: skip
    return {
        "data": [drawn],
        "layout": layout,
        "said": f"{share.mean():.0f} % of the gates are open",
    }


def png_uri(picture: np.ndarray) -> str:
    """uint8 (3, H, W) as a data URI."""
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    imsave(buffer, np.ascontiguousarray(picture.transpose(1, 2, 0)), format="png")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def pictures_of(folder: Path, traces: Sequence[MaskTrace]) -> dict[int, np.ndarray]:
    """The test images of a dataset that the traces' maps are shown of, by id: uint8 (3, H, W).

    Raises UserError where the folder holds none, or another dataset than the traces name.
    """
    from hwsim.train.images.sources import find_source

    source = find_source(folder)
    for trace in traces:
        if not trace.header.dataset.startswith(source.name):
            raise UserError(
                f"--data {folder}: holds {source.name}, but {trace.path or trace.name} is of "
                f"{trace.header.dataset}"
            )
    wanted = {number for trace in traces for number in trace.header.image_ids[:MOST_IMAGES]}
    found: dict[int, np.ndarray] = {}
    try:
        for number, (picture, _) in enumerate(source.pictures("test")):
            if number in wanted:
                found[number] = picture
            if len(found) == len(wanted):
                break
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"--data {folder}: {one_line(error)}") from None
    return found
