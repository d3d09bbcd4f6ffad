"""Hashes of a trace file made right again after a change: all of the format that is known here."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import h5py
import numpy as np

GROUPS = (("masks", "<u1"), ("zero_operand_macs", "<i8"), ("zero_operand_macs_conditional", "<i8"))
"""Hashed layer by layer, in this order; then margins, and behind all layers the input bits."""

SAMPLE = (("activations", "<i1"), ("weights", "<i1"), ("thresholds", "<i4"), ("mask", "<u1"))


def rehash(path: Path, header: str | None = None) -> None:
    """Write the header, or the one that is there, and both hashes as they ought to be."""
    with h5py.File(path, "r+") as file:
        text = file.attrs["header"] if header is None else header
        file.attrs["header"] = text
        raw = text.encode("utf-8", "surrogateescape")
        file.attrs["header_sha256"] = hashlib.sha256(raw).hexdigest()
        file.attrs["sha256"] = _digest(file, raw)


def _digest(file: h5py.File, header: bytes) -> str:
    digest = hashlib.sha256(header)
    stored = {
        group: {unquote(name): data for name, data in file.get(group, {}).items()}
        for group in (*(name for name, _ in GROUPS), "salience", "input_bits")
    }
    for layer in stored["masks"]:
        for group, kind in GROUPS:
            digest.update(_bytes(stored[group].get(layer), kind))
        margins = stored["salience"].get(layer)
        if margins is not None:
            digest.update(_bytes(np.float64(margins.attrs["scale"]), "<f8"))
            digest.update(_bytes(margins, "<i1"))
    for layer in sorted(stored["input_bits"]):
        digest.update(_bytes(stored["input_bits"][layer], "<u1"))
    if "sample" in file:
        of = file["sample"].attrs
        digest.update(f"{of['layer']} {of['image']}".encode())
        for name, kind in SAMPLE:
            digest.update(_bytes(file["sample"].get(name), kind))
    return digest.hexdigest()


def _bytes(data: Any, kind: str) -> bytes:
    """What is hashed of a dataset; of one that has no such numbers its own bytes."""
    if data is None:
        return b""
    array = np.asarray(data[()])
    try:
        with np.errstate(all="ignore"):
            return array.astype(kind).tobytes()
    except (TypeError, ValueError):
        return array.tobytes()
