"""Hashes of a trace file made right again after a change: all of the format that is known here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import h5py
import numpy as np

OF_MASKS = (
    ("masks", "<u1", 64),
    ("zero_operand_macs", "<i8", None),
    ("zero_operand_macs_conditional", "<i8", None),
    ("salience", "<i1", 1),
)
"""Groups that are hashed layer by layer, their types, the images of a chunk (None: all)."""

INPUTS = ("input_bits", "<u1", 1)
"""Hashed behind these."""

SAMPLE = (("activations", "<i1"), ("weights", "<i1"), ("thresholds", "<i4"), ("mask", "<u1"))

HASHES = "chunk_sha256"

CHUNKED = 4
"""Format version from which on chunks have hashes of their own."""


def rehash(path: Path, header: str | None = None) -> None:
    """Write the header, or the one that is there, and all hashes as they ought to be."""
    with h5py.File(path, "r+") as file:
        text = file.attrs["header"] if header is None else header
        file.attrs["header"] = text
        raw = text.encode("utf-8", "surrogateescape")
        file.attrs["header_sha256"] = hashlib.sha256(raw).hexdigest()
        if HASHES in file:
            chunks = b"".join(
                hashlib.sha256(chunk).digest()
                for group, layer, kind, images in _stored(file)
                for chunk in _chunks(file[group][layer], kind, images)
            )
            del file[HASHES]
            hashes = np.frombuffer(chunks, np.uint8).reshape(-1, 32)
            if len(hashes):
                file.create_dataset(HASHES, data=hashes, chunks=hashes.shape)
            parts = [chunks, *(_scale(file, layer) for layer in _layers(file, "salience"))]
        else:
            parts = list(_in_one_piece(file))
        parts += _sample(file)
        file.attrs["sha256"] = hashlib.sha256(b"".join([raw, *parts])).hexdigest()


def made_old(path: Path, version: int) -> None:
    """The file as releases wrote it that knew no hashes of chunks."""
    with h5py.File(path, "r+") as file:
        header = json.loads(file.attrs["header"])
        del file[HASHES]
    later = ("granularity", "squeeze") if version == 1 else ()
    kept = {name: value for name, value in header.items() if name not in later}
    rehash(path, compact({**kept, "format_version": version}))


def compact(header: Any) -> str:
    """As hwsim writes it: the hash of older versions is of that."""
    return json.dumps(header, separators=(",", ":"), ensure_ascii=False)


def _layers(file: h5py.File, group: str) -> list[str]:
    """Names of datasets in the order of the header's layers; behind them others."""
    stored = list(file.get(group, {}))
    try:
        listed = json.loads(file.attrs["header"])["network"]["layers"]
        order = [layer["name"] for layer in listed]
    except (LookupError, TypeError, ValueError):
        return stored
    return sorted(stored, key=lambda n: order.index(unquote(n)) if unquote(n) in order else 99)


def _stored(file: h5py.File) -> Iterator[tuple[str, str, str, int | None]]:
    """Group, name, type and images of a chunk of all data, in the order of their hashes."""
    for layer in _layers(file, "masks"):
        for group, kind, images in OF_MASKS:
            if layer in file.get(group, {}):
                yield group, layer, kind, images
    for layer in _layers(file, INPUTS[0]):
        yield INPUTS[0], layer, INPUTS[1], INPUTS[2]


def _in_one_piece(file: h5py.File) -> Iterator[bytes]:
    for group, layer, kind, _ in _stored(file):
        if group == "salience":
            yield _scale(file, layer)
        yield _bytes(file[group][layer], kind)


def _scale(file: h5py.File, layer: str) -> bytes:
    return np.float64(file["salience"][layer].attrs["scale"]).tobytes()


def _sample(file: h5py.File) -> Iterator[bytes]:
    if "sample" in file:
        of = file["sample"].attrs
        yield f"{of['layer']} {of['image']}".encode()
        for name, kind in SAMPLE:
            yield _bytes(file["sample"][name], kind)


def _chunks(data: Any, kind: str, images: int | None) -> Iterator[bytes]:
    rows = images or max(1, len(data))
    for start in range(0, len(data), rows):
        yield _bytes(data[start : start + rows], kind)


def _bytes(data: Any, kind: str) -> bytes:
    """What is hashed of an array; of one that has no such numbers its own bytes."""
    array = np.asarray(data[()])
    if np.iscomplexobj(array):
        return array.tobytes()
    try:
        with np.errstate(all="ignore"):
            return array.astype(kind).tobytes()
    except (TypeError, ValueError):
        return array.tobytes()
