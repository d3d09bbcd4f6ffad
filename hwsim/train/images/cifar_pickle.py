"""CIFAR's python batches: pickle files, of which only numbers, text and arrays of bytes are let in.

A pickle is a program. Here it can name nothing but stand-ins of this file, is read from memory, so
that no length in it asks for more than the file has, and by Python's own reader, whose memo is as
large as its entries.
"""

from __future__ import annotations

import io
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.errors import one_line

SHAPE = (3, 32, 32)

MOST_BYTES = 1 << 30
"""CIFAR-100's larger file has 155 MB."""

MOST_CLASSES = 100


class _Bytes:
    """For numpy.dtype: of uint8 alone."""

    def __init__(self, name: Any, *_: Any) -> None:
        if name not in ("u1", b"u1"):
            raise pickle.UnpicklingError("it holds an array that is not of uint8")

    def __setstate__(self, state: Any) -> None:
        pass


class _Array:
    """For numpy's array, which is empty until its state is set."""

    def __init__(self, *_: Any) -> None:
        self.pixels = np.empty(0, np.uint8)

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, _Bytes) or not isinstance(data, bytes):
            raise pickle.UnpicklingError("it holds an array that is not of uint8")
        if any(type(side) is not int or side < 0 for side in shape):
            raise pickle.UnpicklingError("it holds an array without a shape")
        if math.prod(shape) != len(data):
            raise pickle.UnpicklingError(f"it holds an array {shape} in {len(data):,} bytes")
        flat = np.frombuffer(data, np.uint8)
        self.pixels = flat.reshape(shape, order="F" if fortran else "C")


def _encoded(text: Any, encoding: Any) -> bytes:
    """For _codecs.encode, by which Python 3 writes bytes into old pickles."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("it holds text that is not of bytes")
    return text.encode("latin1")


LEFT_OUT = b"iopPQd\x81\x82\x83\x84\x8f\x90\x91\x92\x96\x97\x98"
"""Opcodes of classes, persistent names, extensions, sets, and buffers made as long as they say."""

ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): "what _reconstruct makes",
    ("numpy", "dtype"): _Bytes,
    ("_codecs", "encode"): _encoded,
}
"""The names that an array or a byte string refers to in a pickle, and what stands for each."""


_Python: Any = pickle._Unpickler
"""Python's own reader."""


class _ArraysOnly(_Python):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no batch needs")
        return ALLOWED[module, name]

    def set_item(self) -> None:
        self.require_texts(self.stack[-2:-1])
        super().load_setitem()

    def set_items(self) -> None:
        self.require_texts(self.stack[::2])
        super().load_setitems()

    def set_state(self) -> None:
        if not isinstance(self.stack[-2], _Array | _Bytes):
            raise pickle.UnpicklingError("it sets what is no array")
        super().load_build()

    @staticmethod
    def require_texts(keys: list[Any]) -> None:
        """The hash of a deep tuple would end the process."""
        if any(type(key) not in (bytes, str) for key in keys):
            raise pickle.UnpicklingError("it holds keys that are no names")

    dispatch = {code: load for code, load in _Python.dispatch.items() if code not in LEFT_OUT} | {
        ord("s"): set_item,
        ord("u"): set_items,
        ord("b"): set_state,
    }


def load_batch(path: Path, label_key: bytes) -> tuple[np.ndarray, list[int]]:
    """Pixels (N, 3, 32, 32) uint8 and class numbers of one file. ValueError where it is none."""
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"more than {MOST_BYTES:,} bytes, which no CIFAR batch has")
    try:
        found = _ArraysOnly(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    # Whatever a program of another kind makes of Python's reader.
    except Exception as error:
        raise ValueError(f"not a whole CIFAR batch ({one_line(error)[:120]})") from None
    keys = [key for key in (b"data", label_key) if not isinstance(found, dict) or key not in found]
    if keys:
        raise ValueError(f"not a CIFAR batch: no {keys[0].decode()} in it")
    held, labels = found[b"data"], found[label_key]
    if not isinstance(held, _Array) or not isinstance(labels, list):
        raise ValueError("not a CIFAR batch: data is no array, or labels are no list")
    pixels = held.pixels
    if pixels.shape != (len(labels), math.prod(SHAPE)):
        raise ValueError(
            f"data {pixels.dtype}{pixels.shape}, expected uint8 ({len(labels)}, "
            f"{math.prod(SHAPE)}) for its {len(labels)} labels"
        )
    if any(type(label) is not int or not 0 <= label < MOST_CLASSES for label in labels):
        raise ValueError(f"labels that are no class numbers from 0 to {MOST_CLASSES - 1}")
    return pixels.reshape(-1, *SHAPE), labels
