"""How a trace lies in its file: groups, types, chunks, names, and what its hashes are of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

import numpy as np

from hwsim.trace.format.header import TraceHeader

if TYPE_CHECKING:
    from hwsim.trace.format.contents import TraceContents

CHUNK_IMAGES = 64

MASKS, ZEROS, CONDITIONAL = "masks", "zero_operand_macs", "zero_operand_macs_conditional"
SALIENCE, INPUT_BITS = "salience", "input_bits"

TYPES = {
    MASKS: np.dtype(np.uint8),
    ZEROS: np.dtype(np.int64),
    CONDITIONAL: np.dtype(np.int64),
    SALIENCE: np.dtype(np.int8),
    INPUT_BITS: np.dtype(np.uint8),
}
"""Of the data of each group."""

HASHES = "chunk_sha256"
"""The dataset of the hashes of all chunks, uint8 (chunks, 32), in the order of :func:`tables`."""


class Table(NamedTuple):
    """The data of one kind of one layer; the first axis counts images."""

    kind: str
    layer: str
    data: Any


def tables(contents: TraceContents) -> Iterator[Table]:
    """All data, in the order in which they are hashed."""
    of_masks = contents.by_kind()
    inputs = of_masks.pop(INPUT_BITS)
    for layer in contents.header.masked_layers:
        for kind, by_layer in of_masks.items():
            if by_layer:
                yield Table(kind, layer.name, by_layer[layer.name])
    for name in contents.header.network.by_name:
        if name in inputs:
            yield Table(INPUT_BITS, name, inputs[name])


def chunk_rows(kind: str, images: int) -> int:
    """Images of a chunk; a hash is of one chunk's images, as they are in memory."""
    if kind in (SALIENCE, INPUT_BITS):
        return 1
    return min(CHUNK_IMAGES, images) if kind == MASKS else images


def chunks(kind: str, data: Any) -> Iterator[np.ndarray]:
    """The images of each chunk."""
    rows = chunk_rows(kind, len(data))
    for start in range(0, len(data), rows):
        yield np.asarray(data[start : start + rows])


def root_sha256(contents: TraceContents, text: str, hashes: np.ndarray) -> str:
    """What a trace is known by: SHA-256 over its header's text, all chunks' hashes, the scales of
    its margins in layer order, and its sample."""
    digest = hashlib.sha256(text.encode() + hashes.tobytes())
    for name in scales(contents.header, contents.salience_scale):
        digest.update(np.float64(contents.salience_scale[name]).tobytes())
    if contents.sample:
        digest.update(contents.sample.contents())
    return digest.hexdigest()


def scales(header: TraceHeader, salience_scale: Mapping[str, float]) -> list[str]:
    """The layers whose margins have a scale, in execution order."""
    return [layer.name for layer in header.masked_layers if layer.name in salience_scale]


def sha256_before_chunks(contents: TraceContents) -> str:
    """The same of format versions 1 to 3, which are hashed in one piece."""
    digest = hashlib.sha256(contents.header.as_json().encode())
    for kind, layer, data in tables(contents):
        if kind == SALIENCE:
            digest.update(np.float64(contents.salience_scale[layer]).tobytes())
        for images in chunks(kind, data):
            digest.update(images.tobytes())
    if contents.sample:
        digest.update(contents.sample.contents())
    return digest.hexdigest()


def stored_as(layer: str) -> str:
    """A layer's name in the file: HDF5 cuts names at slashes, and takes a dot for the group."""
    return "%2E" if layer == "." else layer.replace("%", "%25").replace("/", "%2F")


def layer_of(name: str) -> str:
    """The layer that is stored under a name. Raises ValueError where none is stored so."""
    layer = unquote(name)
    if stored_as(layer) != name:
        raise ValueError(f"{name!r} is no layer's name in a file")
    return layer
