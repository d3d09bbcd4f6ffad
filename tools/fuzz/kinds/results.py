"""Folders of results: sweeps, searches and runs that are read, gone on with, or written anew."""

from __future__ import annotations

import json
import os
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq

from hwsim.__main__ import main
from tools.fuzz import hostile, sound
from tools.fuzz.case import INPUTS, Case, Kind
from tools.fuzz.trial import copy_tree

TRACE = f"{INPUTS}/t.h5"

SWEPT = f"{INPUTS}/swept"

SWEEP = (
    "sweep", "--trace", TRACE, "--vary", "activation.banks=8,16", "--scheme", "dense",
    "unstructured", "--show", "cycles_per_image", "energy_uj_per_image", "area_mm2", "scheme",
    "--out", SWEPT, "--workers", "1",
)  # fmt: skip

SEARCH = (
    "search", "--trace", TRACE, "--vary", "activation.banks=8,16,32", "--scheme", "unstructured",
    "--trials", "3", "--out", f"{INPUTS}/searched", "--workers", "1",
)  # fmt: skip

RUN = (
    "run", "--trace", TRACE, "--threads", "1", "--scheme", "dense", "--out", f"{INPUTS}/run",
)  # fmt: skip

COMMANDS: dict[str, tuple[str, ...]] = {"swept": SWEEP, "searched": SEARCH, "run": RUN}
"""By the folder that each goes on with."""

JOURNAL = "_search.journal"


def prepare(base: Path) -> None:
    sound.write(base / TRACE)
    for argv in (SWEEP, SEARCH, RUN):
        if status := main(argv):
            raise RuntimeError(f"{' '.join(argv)}: status {status}")


def draw(random: Random, base: Path, folder: Path) -> Case:
    """A part, a journal or another file of a folder changed; then the same command again."""
    inputs = folder / INPUTS
    drawn = random.random()
    name = "swept" if drawn < 0.75 else "searched" if drawn < 0.95 else "run"
    argv = COMMANDS[name]
    (inputs / "t.h5").write_bytes((base / TRACE).read_bytes())
    copy_tree(base / INPUTS / name, inputs / name)
    place = inputs / name
    if name == "run":
        target = random.choice(sorted(place.iterdir()))
        change, contents = hostile.damaged(random, target.read_bytes())
        target.write_bytes(contents)
        return Case(f"{target.name}: {change}", argv, base, ("*",), changes=(INPUTS,), skipped=0)
    if name == "searched" and random.random() < 0.6:
        change, sort = _journal(random, place / JOURNAL), "journal"
    else:
        change, sort = _parts(random, place)
    changes = (f"{INPUTS}/{name}/{JOURNAL}", f"{INPUTS}/{name}/{JOURNAL}.held")
    # The first line of a sweep counts what was there.
    skipped = 1 if name == "swept" else 0
    return Case(change, argv, base, (f"{INPUTS}/{name}",), skipped, changes=changes, sort=sort)


def _journal(random: Random, path: Path) -> str:
    """Lines of a search's journal changed."""
    if random.random() < 0.5:
        change, contents = hostile.mutated_text(random, path.read_text())
        path.write_bytes(contents)
        return f"journal: {change}"
    lines = path.read_text().splitlines()
    at = random.randrange(len(lines))
    record = json.loads(lines[at])
    key = random.choice(list(record))
    record[key] = hostile.plain(random)
    lines[at] = json.dumps(record)
    path.write_text("\n".join(lines) + "\n")
    return f"journal: {key} of line {at + 1}"


def _parts(random: Random, place: Path) -> tuple[str, str]:
    """The folder's parts: bytes, rows, columns, types, names, what lies beside them."""
    parts = sorted(place.glob("part-*.parquet"))
    part = random.choice(parts)
    how = random.choice(
        (_bytes, _bytes, _bytes, _values, _values, _values, _columns, _files, _files)
    )
    return f"part: {how(random, part, place)}", f"part: {how.__name__.strip('_')}"


def _bytes(random: Random, part: Path, place: Path) -> str:
    change, contents = hostile.damaged(random, part.read_bytes())
    part.write_bytes(contents)
    return change


def _values(random: Random, part: Path, place: Path) -> str:
    """One cell of a row with another value of its type."""
    table = pq.read_table(part, use_threads=False)
    name = random.choice(table.column_names)
    cells = table[name].to_pylist()
    at = random.randrange(len(cells))
    before = cells[at]
    if isinstance(before, str):
        cells[at] = random.choice(
            (before[:-1], before[::-1], "", "dense", hostile.text(random)[:99])
        )
    elif isinstance(before, bool) or before is None:
        return _columns(random, part, place)
    elif isinstance(before, int):
        cells[at] = random.choice((0, -1, before + 1, 2**62))
    else:
        cells[at] = random.choice((0.0, -1.0, before * 2, float("nan"), float("inf"), None))
    kind = table.schema.field(name).type
    try:
        column = pa.array(cells, kind)
    except (pa.ArrowException, UnicodeError, OverflowError):
        return _columns(random, part, place)
    changed = table.set_column(table.column_names.index(name), name, column)
    if random.random() < 0.5:
        pq.write_table(changed, part)
        return f"{name} {cells[at]!r}, not {before!r}"
    # The changed row beside the sound one.
    pq.write_table(changed, place / random.choice(("part-0.parquet", "part-z.parquet")))
    return f"a further part with {name} {cells[at]!r}, not {before!r}"


def _columns(random: Random, part: Path, place: Path) -> str:
    """A column gone, of another type, of another name, twice; no row; other metadata."""
    table = pq.read_table(part, use_threads=False)
    name = random.choice(("key", "impossible", *table.column_names))
    at = table.column_names.index(name)
    how = random.choice(
        ("gone", "text", "number", "renamed", "twice", "no rows", "lists", "further")
    )
    if how == "gone":
        table = table.drop_columns([name])
    elif how in ("text", "number", "lists"):
        value = {"text": "x", "number": 3, "lists": [1, 2]}[how]
        table = table.set_column(at, name, pa.array([value] * len(table)))
    elif how == "renamed":
        names = list(table.column_names)
        names[at] = f"{name} "
        table = table.rename_columns(names)
    elif how == "twice":
        table = table.append_column(name, table[name])
    elif how == "no rows":
        table = table.slice(0, 0)
    else:
        table = table.append_column("further", pa.array([1] * len(table)))
    pq.write_table(table, part)
    return f"column {name}: {how}"


def _files(random: Random, part: Path, place: Path) -> str:
    """Files renamed, linked, copied, foreign, or no files."""
    how = random.choice(("renamed", "copied", "gone", "folder", "pipe", "link", "empty", "text",
                         "foreign table", "link to a device"))  # fmt: skip
    other = place / random.choice(("part-0.parquet", "part-.parquet", f"part-{'f' * 32}.parquet"))
    if how == "renamed":
        part.rename(other)
    elif how == "copied":
        other.write_bytes(part.read_bytes())
    elif how == "gone":
        part.unlink()
    elif how == "folder":
        other.mkdir()
    elif how == "pipe":
        os.mkfifo(other)
    elif how == "link":
        other.symlink_to("nowhere")
    elif how == "link to a device":
        other.symlink_to("/dev/zero")
    elif how == "empty":
        other.touch()
    elif how == "text":
        other.write_text("key,impossible\n1,2\n")
    else:
        pq.write_table(pa.table({"key": ["a", "b"], "impossible": [None, None]}), other)
    return f"{how}: {other.name}"


KIND = Kind(
    "results",
    0.1,
    "folders of a sweep, a search and a run: Parquet parts with bytes, cells, columns and types "
    "changed, parts renamed, copied, foreign, pipes and folders among them, journals edited; then "
    "the command is given again",
    prepare,
    draw,
)
