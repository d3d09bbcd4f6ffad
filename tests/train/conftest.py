"""A drawn data set: coloured shapes as PNG in parquet files, laid out like CIFAR-10's."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

SIZE, CLASSES = 32, 10


def drawn_image(label: int, generator: np.random.Generator) -> bytes:
    """A square of a class's colour and size on noise."""
    pixels = generator.integers(0, 80, (SIZE, SIZE, 3))
    side = 6 + 2 * label
    top, left = generator.integers(0, SIZE - side + 1, 2)
    pixels[top : top + side, left : left + side] += [17 * label, 160 - 15 * label, 90]
    stream = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    generator = np.random.default_rng(0)
    for split, count in (("train", 96), ("test", 20)):
        labels = np.arange(count) % CLASSES
        cells = [{"bytes": drawn_image(label, generator), "path": None} for label in labels]
        table = pa.table({"img": cells, "label": labels.astype(np.int64)})
        pq.write_table(table, folder / f"{split}-00000-of-00001.parquet")
    return folder


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
