"""One encoded image: its format, its size, its pixels. Pillow's errors are all OSErrors here."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwsim.errors import one_line

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_PIXELS = 1 << 26
"""Of one image; Pillow itself warns of a little more, and refuses twice as many."""


@contextmanager
def _opened(stream: io.BytesIO | Path) -> Iterator[Image]:
    from PIL import Image

    try:
        with Image.open(stream) as picture:
            if math.prod(picture.size) > MOST_PIXELS:
                raise OSError(f"an image of {picture.size} pixels")
            yield picture
    # Each format has a decoder of its own, and these have errors of theirs.
    except Exception as error:
        raise OSError(one_line(error)) from None


def format_of(stream: io.BytesIO | Path) -> tuple[str, tuple[int, int]]:
    """Its format, as Pillow calls it, and (width, height); only the header is read. OSError."""
    with _opened(stream) as picture:
        return str(picture.format), picture.size


def decode(stream: io.BytesIO | Path, side: int | None = None) -> np.ndarray:
    """(3, H, W) uint8, grey made RGB; with ``side`` scaled and cut to a square. OSError."""
    from PIL import Image, ImageOps

    with _opened(stream) as picture:
        colour = picture.convert("RGB")
        if side:
            colour = ImageOps.fit(colour, (side, side), Image.Resampling.BILINEAR)
        return np.asarray(colour).transpose(2, 0, 1)
