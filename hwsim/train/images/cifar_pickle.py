"""CIFAR's python batches: pickle files, of which only numbers, text and arrays are let in."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

SHAPE = (3, 32, 32)

ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}
"""The names that an array or a byte string refers to in a pickle; nothing else is looked up."""


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no batch needs")
        # NumPy 2 has moved the module; the files are older than that.
        return super().find_class(module.replace("numpy.core.", "numpy._core."), name)


def load_batch(path: Path, label_key: bytes) -> tuple[np.ndarray, list[int]]:
    """Pixels (N, 3, 32, 32) uint8 and class numbers of one file. ValueError where it is none."""
    try:
        with path.open("rb") as handle:
            found = _ArraysOnly(handle, encoding="bytes").load()
    except (pickle.UnpicklingError, EOFError, ValueError, KeyError, IndexError, AttributeError,
            TypeError, ImportError) as error:  # fmt: skip
        raise ValueError(f"not a whole CIFAR batch ({error})") from None
    keys = [key for key in (b"data", label_key) if not isinstance(found, dict) or key not in found]
    if keys:
        raise ValueError(f"not a CIFAR batch: no {keys[0].decode()} in it")
    pixels, labels = np.asarray(found[b"data"]), list(found[label_key])
    if pixels.dtype != np.uint8 or pixels.shape != (len(labels), int(np.prod(SHAPE))):
        raise ValueError(
            f"data {pixels.dtype}{pixels.shape}, expected uint8 ({len(labels)}, {np.prod(SHAPE)}) "
            f"for its {len(labels)} labels"
        )
    return pixels.reshape(-1, *SHAPE), [int(label) for label in labels]
