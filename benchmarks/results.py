"""The results file: a row per figure, with the machine and the versions it was taken on."""

from __future__ import annotations

import csv
import io
import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

from .measure import Figure, cores

FILE = Path(__file__).parent / "results.csv"
ROOT = Path(__file__).parent.parent

PACKAGES = ("hwsim", "numpy", "numba")
PROVENANCE = ("date", "commit", "cpu", "cores", "load", "python", *PACKAGES)
COLUMNS = (*PROVENANCE, "section", *Figure._fields)

Row = dict[str, str]
"""By COLUMNS, as text."""


def provenance(date: str) -> Row:
    """Of this moment; ``load`` is the mean number of runnable processes of the last minute."""
    values = {
        "date": date,
        "commit": _commit(),
        "cpu": _cpu(),
        "cores": str(cores()),
        "load": f"{os.getloadavg()[0]:.2f}",
        "python": platform.python_version(),
    }
    return values | {name: metadata.version(name) for name in PACKAGES}


def rows_of(section: str, run: Row, figures: Iterable[Figure]) -> list[Row]:
    rows = []
    for figure in figures:
        fields = figure._asdict() | {"value": f"{figure.value:.6g}"}
        rows.append(run | {"section": section} | {name: str(v) for name, v in fields.items()})
    return rows


def append(rows: Sequence[Row], path: Path = FILE) -> None:
    """One write at the file's end: all rows whole. ValueError where the file has other columns."""
    if path.exists():
        read(path)
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    if not path.exists():
        writer.writeheader()
    writer.writerows(rows)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        data = text.getvalue().encode()
        if os.write(handle, data) != len(data):
            raise OSError(f"{path}: no room for all rows")
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path: Path = FILE) -> list[Row]:
    """All rows; ValueError where a line or the columns are not this version's."""
    text = path.read_text(encoding="utf-8")
    reader = csv.DictReader(io.StringIO(text))
    rows = list(reader)
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise ValueError(f"{path}: columns are not {', '.join(COLUMNS)}")
    if not text.endswith("\n") or any(None in row or None in row.values() for row in rows):
        raise ValueError(f"{path}: a row is not whole")
    return rows


def _commit() -> str:
    """Short hash of the checkout; a plus where hwsim's files differ from it; empty without git."""
    try:
        commit = _git("rev-parse", "--short", "HEAD")
        return commit + "+" * bool(_git("status", "--porcelain", "hwsim"))
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return run.stdout.strip()


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()
