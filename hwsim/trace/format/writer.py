"""A trace to a file, whole or not at all."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hwsim.errors import one_line
from hwsim.files import whole
from hwsim.trace.format.contents import TraceContents
from hwsim.trace.format.header import TraceError
from hwsim.trace.format.layout import (
    HASHES,
    INPUT_BITS,
    SALIENCE,
    chunk_rows,
    chunks,
    root_sha256,
    scales,
    stored_as,
    tables,
)


def write_contents(contents: TraceContents, path: Path) -> None:
    """To a temporary name, flushed, fsynced, then renamed; always of the newest format version.

    The file is made in memory: on a full disk HDF5 itself ends the process. Raises TraceError.
    """
    image = io.BytesIO()
    with h5py.File(image, "w", libver="earliest") as file:
        hashes = []
        for kind, layer, data in tables(contents):
            hashes += [
                hashlib.sha256(images.data).digest() for images in _write(file, kind, layer, data)
            ]
        for name in scales(contents.header, contents.salience_scale):
            scale = float(contents.salience_scale[name])
            file[f"{SALIENCE}/{stored_as(name)}"].attrs["scale"] = scale
        of_chunks = np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 32)
        if hashes:
            file.create_dataset(HASHES, data=of_chunks, chunks=of_chunks.shape)
        if contents.sample:
            contents.sample.write(file.create_group("sample"))
        text = contents.header.newest().as_json()
        file.attrs["header"] = text
        file.attrs["header_sha256"] = hashlib.sha256(text.encode()).hexdigest()
        file.attrs["sha256"] = root_sha256(contents, text, of_chunks)
    try:
        with whole(path) as temporary:
            temporary.write_bytes(image.getbuffer())
    except OSError as error:
        why = one_line(error.strerror or error)
        raise TraceError(f"{path}: cannot be written ({why})") from None


def _write(file: h5py.File, kind: str, layer: str, data: Any) -> list[np.ndarray]:
    """One layer's data; the images of each chunk come back."""
    parts = [np.ascontiguousarray(images) for images in chunks(kind, data)]
    packed = (
        {"compression": "gzip", "compression_opts": 9} if kind in (SALIENCE, INPUT_BITS) else {}
    )
    whole_data = np.concatenate(parts)
    file.create_dataset(
        f"{kind}/{stored_as(layer)}",
        data=whole_data,
        chunks=(chunk_rows(kind, len(whole_data)), *whole_data.shape[1:]),
        **packed,
    )
    return parts
