"""A trace from a file: what is read from it is what its hash is of, or it is refused."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from hwsim.errors import one_line
from hwsim.trace.format.container import Container, Stored, one_line_errors
from hwsim.trace.format.contents import TraceContents
from hwsim.trace.format.header import CHUNKED_VERSION, TraceError, TraceHeader
from hwsim.trace.format.int8_sample import LayerSample
from hwsim.trace.format.layout import (
    CONDITIONAL,
    HASHES,
    INPUT_BITS,
    MASKS,
    SALIENCE,
    ZEROS,
    Table,
    chunk_rows,
    root_sha256,
    sha256_before_chunks,
    tables,
)

NETWORKS = (".yaml", ".yml", ".json", ".onnx")
"""How names of files end that hold layers and no masks."""


def read_contents(path: Path) -> TraceContents:
    """Of a file. Its header, counts and hashes are checked now; masks, margins and input bits chunk
    by chunk as they are read, those of format versions 1 to 3, which have one hash, now as well.

    Raises TraceError, one line.
    """
    try:
        file = Container(path)
    except TraceError:
        if path.suffix in NETWORKS and path.is_file():
            raise TraceError(
                f"{path}: expected a trace, an HDF5 file; a layer list runs with --network"
            ) from None
        raise
    with one_line_errors(path):
        text, header = _header(file)
        margins = file.by_layer(SALIENCE, with_attributes=True)
        contents = TraceContents(
            header,
            masks=file.by_layer(MASKS),
            zero_operand_macs={n: data[:] for n, data in file.by_layer(ZEROS).items()},
            zero_operand_macs_conditional={
                name: data[:] for name, data in file.by_layer(CONDITIONAL).items()
            },
            salience=margins,
            salience_scale={n: float(data.attributes["scale"]) for n, data in margins.items()},
            sample=LayerSample.read(file) if file.has("sample") else None,
            input_bits=file.by_layer(INPUT_BITS),
            path=path,
            sha256=file.text("sha256"),
        )
        if header.format_version < CHUNKED_VERSION:
            found = sha256_before_chunks(contents)
        else:
            hashes = _hashes_of_chunks(file, contents)
            found = root_sha256(contents, text, hashes)
    if found != contents.sha256:
        raise TraceError(f"{path}: contents do not match the recorded SHA-256")
    return contents


def _header(file: Container) -> tuple[str, TraceHeader]:
    """The header's text, and what it says. Raises TraceError."""
    text = file.text("header")
    if text is None:
        raise TraceError(f"{file.path}: not a mask trace: it has no header")
    if hashlib.sha256(text.encode("utf-8", "replace")).hexdigest() != file.text("header_sha256"):
        raise TraceError(f"{file.path}: header damaged: it does not match its hash")
    try:
        return text, TraceHeader.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        message = str(first["ctx"]["error"]) if "error" in first.get("ctx", {}) else first["msg"]
        raise TraceError(f"{file.path}: header: {one_line(message)}") from None


def _hashes_of_chunks(file: Container, contents: TraceContents) -> np.ndarray:
    """uint8 (chunks, 32); each chunk is held to its own when it is first read, counts are now.

    Raises ValueError where there are not as many as chunks, TraceError where a count is damaged.
    """
    hashes, at = np.empty((0, 32), np.uint8), 0
    if file.has(HASHES):
        stored = file.dataset(HASHES)
        if stored.dtype != np.uint8 or stored.shape[1:] != (32,):
            raise ValueError(f"{HASHES} of type {stored.dtype} and shape {stored.shape}")
        hashes = stored[:]
    for table in tables(contents):
        rows = chunk_rows(table.kind, len(table.data))
        number = -(-len(table.data) // rows)
        own = hashes[at : at + number]
        at += number
        if isinstance(table.data, Stored):
            if table.data.rows != rows:
                raise ValueError(f"{table.kind}/{table.layer}: expected chunks of {rows} images")
            table.data.first_read.append(partial(_hold, file.path, table, own))
        else:
            _hold(file.path, table, own, 0, table.data)
    if at != len(hashes):
        raise ValueError(f"{len(hashes)} hashes of {at} chunks")
    return hashes


def _hold(path: Path, table: Table, hashes: np.ndarray, start: int, rows: np.ndarray) -> None:
    """Raise TraceError where a chunk's rows, from ``start`` on, are not what its hash is of."""
    expected = hashes[start // chunk_rows(table.kind, len(table.data))].tobytes()
    if hashlib.sha256(np.ascontiguousarray(rows).data).digest() != expected:
        raise TraceError(
            f"{path}: layer {table.layer}: data damaged: {table.kind} of images {start} to "
            f"{start + len(rows) - 1} do not match their SHA-256"
        )
