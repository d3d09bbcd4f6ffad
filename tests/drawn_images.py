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

from hwsim.train.images.drawn import CLASSES, picture


def drawn_image(label: int, generator: np.random.Generator) -> bytes:
    """One of hwsim.train.images.drawn's pictures as PNG."""
    stream = io.BytesIO()
    Image.fromarray(picture(label, generator).transpose(1, 2, 0)).save(stream, "PNG")
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
