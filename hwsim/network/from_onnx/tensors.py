"""Tensors that an ONNX model stores: what it may say of them, and the values of small ones."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
from onnx import TensorProto, numpy_helper

FOLDED = 1 << 14
"""Constants of more values are known by their shapes alone."""

ELEMENTS = set(TensorProto.DataType.values()) - {TensorProto.UNDEFINED}


FIELDS = (
    "raw_data", "float_data", "double_data", "int32_data", "int64_data", "uint64_data",
    "string_data",
)  # fmt: skip
"""Where values are, by their type."""


class Constant:
    """A tensor that does not hang on the network's input: its shape, and perhaps its values."""

    def __init__(self, shape: tuple[int, ...], values: np.ndarray | None = None) -> None:
        self.shape, self.values = shape, values


def require_sound(tensor: Any) -> None:
    """Raise ValueError for what is no tensor, or has no room for its values."""
    if tensor.data_type not in ELEMENTS:
        raise ValueError(f"its element type {tensor.data_type} is not known")
    if min(tensor.dims, default=0) < 0:
        raise ValueError("its shape has a negative size")
    # onnx makes room for as many as the shape says. Of the smallest, a byte holds four.
    stored = sum(len(getattr(tensor, field)) for field in FIELDS)
    if not is_beside(tensor) and prod(tensor.dims) > 8 * stored:
        raise ValueError("its shape holds more values than are stored")


def stored_in(graph: Any) -> Iterator[Any]:
    """All tensors of a graph, and of the graphs that its operators run."""
    yield from graph.initializer
    for attribute in (each for node in graph.node for each in node.attribute):
        yield from (attribute.t, *attribute.tensors)[not attribute.HasField("t") :]
        for inner in (attribute.g, *attribute.graphs)[not attribute.HasField("g") :]:
            yield from stored_in(inner)


def is_beside(tensor: Any) -> bool:
    """Whether its data are in another file, which nobody opens: of weights the shape tells all."""
    return bool(tensor.data_location == TensorProto.EXTERNAL)


def read(tensor: Any) -> Constant:
    """With values where they are few, and in the model itself. Raises ValueError, TypeError."""
    shape = tuple(tensor.dims)
    known = prod(shape) <= FOLDED and not is_beside(tensor)
    return Constant(shape, numpy_helper.to_array(tensor) if known else None)
