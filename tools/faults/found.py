"""What a command left in its folder, item by item, so that two folders can be compared."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

Items = dict[str, str]
"""Name of a file, or key of a row, and a digest of what it holds."""

Look = Callable[[Path, bool], Items]
"""Items of a folder; the flag says whether the command is done. Raises Broken."""

TIMES = ("seconds", "views_per_s")
"""Columns and keys that no two runs have alike."""


class Broken(Exception):
    """A file that is not whole, in the place of a whole one."""


def visible(folder: Path) -> list[Path]:
    """Files without a hidden name, in order; none where there is no folder."""
    there = folder.rglob("*") if folder.is_dir() else []
    found = sorted(path for path in there if path.is_file())
    return [path for path in found if not hidden(path, folder)]


def hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def temporary(folder: Path) -> list[str]:
    """Hidden names of files and folders, in it and beside it."""
    found = [*folder.parent.glob(".*"), *(folder.rglob(".*") if folder.is_dir() else [])]
    return sorted(str(path.relative_to(folder.parent)) for path in found)


def of_files(folder: Path, done: bool) -> Items:
    """Every file by its bytes."""
    return {str(path.relative_to(folder)): _bytes(path) for path in visible(folder)}


def of_rows(folder: Path, done: bool) -> Items:
    """Every row of a sweep's folder, read as users read it."""
    from hwsim.errors import UserError
    from hwsim.sweep.folder import ResultsFolder

    if not folder.is_dir():
        return {}
    try:
        rows = ResultsFolder(folder).read()
    except UserError as error:
        raise Broken(str(error)) from None
    records = json.loads(rows.to_json(orient="records", double_precision=15))
    return {record["key"]: _digest(json.dumps(record).encode()) for record in records}


def of_fronts(folder: Path, done: bool) -> Items:
    """Rows, and what equal-area makes of them."""
    files = [path for path in visible(folder) if path.name.startswith("_equal_area")]
    return of_rows(folder, done) | {path.name: _bytes(path) for path in files}


def of_training(folder: Path, done: bool) -> Items:
    """Weights bit for bit, the log and the record without times, a trace and a checkpoint."""
    items = {}
    for path in visible(folder):
        if path.name == "log.csv" and not done:
            continue  # rows of steps after the checkpoint; a resumed run drops them
        reader = READERS[path.suffix]
        try:
            items[path.name] = reader(path)
        except Exception as error:
            raise Broken(f"{path.name}: {error}") from error
    if not done:
        # These hold how far the run has come; they are only asked to be whole.
        items.pop("checkpoint.pt", None)
    return items


def _weights(path: Path) -> str:
    import numpy as np

    digest = hashlib.sha256()
    with np.load(path, allow_pickle=False) as arrays:
        for name in sorted(arrays.files):
            if name != "meta":
                digest.update(name.encode() + arrays[name].tobytes())
    return digest.hexdigest()


def _checkpoint(path: Path) -> str:
    import torch

    return str(torch.load(path, weights_only=True)["step"])


def _trace(path: Path) -> str:
    from hwsim.trace.files import verify

    verify(path)
    return "whole"


def _log(path: Path) -> str:
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    return _digest(json.dumps([_timeless(row) for row in rows]).encode())


def _json(path: Path) -> str:
    return _digest(json.dumps(_timeless(json.loads(path.read_text()))).encode())


READERS: dict[str, Callable[[Path], str]] = {
    ".npz": _weights, ".pt": _checkpoint, ".h5": _trace, ".csv": _log, ".json": _json,
}  # fmt: skip


def _timeless(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in TIMES}


def _bytes(path: Path) -> str:
    contents = path.read_bytes()
    if path.suffix == ".png" and not _whole_png(contents):
        raise Broken(f"{path.name}: not a whole PNG file")
    return _digest(contents)


def _digest(contents: bytes) -> str:
    return hashlib.sha256(contents).hexdigest()


def _whole_png(contents: bytes) -> bool:
    return contents.endswith(struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND")))


def keys_of_parts(folder: Path) -> dict[str, list[str]]:
    """Keys of the rows of each part file."""
    import pyarrow.parquet as pq

    parts = sorted(folder.glob("part-*.parquet"))
    return {part.name: pq.ParquetFile(part).read()["key"].to_pylist() for part in parts}
