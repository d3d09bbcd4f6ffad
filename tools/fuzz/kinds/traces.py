"""Trace files: HDF5 that is damaged, or changed and made whole again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

from tools.fuzz import hostile, sound
from tools.fuzz.case import INPUTS, Case, Kind
from tools.fuzz.kinds.changed_traces import CHANGES
from tools.fuzz.kinds.rewritten_traces import REWRITES
from tools.fuzz.rehash import made_old

BASES = ("unstructured", "structured", "bare", "channels", "heads", "old")
"""The last is of format version 3."""

NAME = "t.h5"

FILE = f"{INPUTS}/{NAME}"

COMMANDS = (
    ("run", "--trace", FILE, "--threads", "1", "--json", "-"),
    ("run", "--trace", FILE, "--threads", "1", "--json", "-"),
    ("run", "--trace", FILE, "--threads", "1", "--json", "-", "--scheme", "dense", "clock-gated"),
    ("run", "--trace", FILE, "--threads", "1"),
    ("trace", "verify", FILE),
    ("trace", "inspect", FILE),
    ("trace", "statistics", FILE),
    ("network", "show", FILE, "--json"),
    ("network", "check", FILE, "--arch", "pe16x16"),
    ("sweep", "--trace", FILE, "--shift", "-0.5", "0.5", "--out", "out", "--workers", "1"),
)


def prepare(base: Path) -> None:
    """A folder for each base, so that each is a reference by itself."""
    for name in BASES:
        folder = base / name / INPUTS
        folder.mkdir(parents=True)
        if name == "channels":
            sound.write_channels(folder / NAME, "output-channel")
        elif name == "heads":
            sound.write_channels(folder / NAME, "input-channel-by-head")
        else:
            sound.write(folder / NAME, 8 if name == "structured" else 1, name != "bare")
        if name == "old":
            made_old(folder / NAME, 3)


def draw(random: Random, base: Path, folder: Path) -> Case:
    """Bytes damaged, objects changed below the hashes, or contents changed and hashed again."""
    drawn = random.random()
    if drawn < 0.03:
        return _no_file(random, folder)
    source = base / random.choice(BASES)
    argv = random.choice(COMMANDS)
    target = folder / INPUTS / NAME
    contents = (source / INPUTS / NAME).read_bytes()
    if drawn < 0.45:
        change, contents = hostile.damaged(random, contents)
        target.write_bytes(contents)
        return Case(change, argv, source, ("out",), sort="bytes")
    target.write_bytes(contents)
    if drawn < 0.75:
        how = random.choice(CHANGES)
        return Case(how(random, target), argv, source, ("out",), sort=how.__name__)
    twin = folder / "twin"
    (twin / INPUTS).mkdir(parents=True)
    again = random.choice(REWRITES)
    change, reference = again(random, target, twin / INPUTS / NAME)
    return Case(
        change, argv, twin if reference else None, ("out",), sort=f"{again.__name__}, hashed again"
    )  # fmt: skip


def _no_file(random: Random, folder: Path) -> Case:
    """A pipe, a folder, a link in a circle, nothing at all."""
    path = folder / INPUTS / NAME
    make: tuple[tuple[str, Callable[[], object]], ...] = (
        ("a pipe", lambda: os.mkfifo(path)),
        ("a folder", path.mkdir),
        ("a link to itself", lambda: path.symlink_to(NAME)),
        ("nothing", lambda: None),
        ("an empty file", path.touch),
        ("a link to a device", lambda: path.symlink_to("/dev/zero")),
    )
    change, act = random.choice(make)
    act()
    return Case(change, random.choice(COMMANDS), None, ("out",), refused=True)


KIND = Kind(
    "traces",
    0.26,
    "HDF5 traces of six forms (of an older version; element masks with and without counts, "
    "margins, input bits and a sample; masks of channels). Bytes flipped, cut, zeroed, inserted "
    "anywhere. Below the hashes: other types and shapes, missing, further, linked, external and "
    "virtual datasets, chunks zeroed or never written, attributes retyped. With hashes made right "
    "again: header values, counts, masks with padding bits, image ids, names and shapes of "
    "layers. Pipes and folders as files",
    prepare,
    draw,
)
