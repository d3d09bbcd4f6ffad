"""Changes of a trace file with every hash made right again: contents that a forger could write."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import h5py

from hwsim.trace.files import write_trace
from hwsim.trace.format.header import TraceHeader
from hwsim.trace.format.int8_sample import LayerSample
from tools.fuzz import hostile
from tools.fuzz.kinds.changed_traces import (
    further,
    gone,
    objects,
    of_no_numbers,
    reshaped,
    restored,
    retyped,
    unwritten,
)
from tools.fuzz.rehash import SAMPLE, compact, rehash


def _header_keys(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value of the header."""
    found = [path] if path else []
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in items:
        deeper = isinstance(value, dict | list)
        found += _header_keys(value, (*path, key)) if deeper else [(*path, key)]
    return found


def _near(random: Random, value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return random.choice((value + 1, value - 1, 2 * value, value // 2, 1, 2, 4, 8))
    if isinstance(value, str):
        names = (hostile.text(random), "first", "second", "input", "batch", "instance", "inverse")
        return random.choice(names)
    return random.choice((None, 1, "first", [1, 2], value))


def header(random: Random, path: Path, twin: Path) -> tuple[str, bool]:
    """A value of the header, with every hash made right."""
    with h5py.File(path, "r") as file:
        data = json.loads(file.attrs["header"])
    *above, last = way = random.choice(_header_keys(data))
    part = data
    for key in above:
        part = part[key]
    how = random.choice(("near", "near", "near", "value", "value", "gone", "further"))
    if how == "gone" and isinstance(part, dict):
        del part[last]
    elif how == "further" and isinstance(part, dict):
        part[hostile.text(random)] = hostile.plain(random)
    else:
        part[last] = _near(random, part[last]) if how == "near" else hostile.plain(random)
    try:
        rehash(path, compact(data).replace("\x00", ""))
    except (UnicodeError, ValueError, OSError):
        rehash(path, json.dumps(data))
    return f"header {'.'.join(map(str, way))}: {how}", False


def counts(random: Random, path: Path, twin: Path) -> tuple[str, bool]:
    """Counts of zero operands that no layer has."""
    with h5py.File(path, "r+") as file:
        names = [name for name in objects(file) if name.startswith("zero_operand")]
        if not names:
            return masks(random, path, twin)
        name = random.choice(names)
        value = random.choice((-1, -5, 2**62, 2**63 - 1, -(2**63), 10**12, 10**6, 3, 0))
        file[name][random.randrange(2)] = value
    rehash(path)
    return f"{name} of {value}", False


def masks(random: Random, path: Path, twin: Path) -> tuple[str, bool]:
    """Other masks, which are as good: the same is written by another way for comparison."""
    with h5py.File(path, "r+") as file:
        name = random.choice(list(file["masks"]))
        data = file["masks"][name][()]
        row, byte = random.randrange(len(data)), random.randrange(data.shape[1] - 1)
        flipped = random.randrange(1, 256)
        data[row, byte] ^= flipped
        file["masks"][name][...] = data
        if "salience" in file:
            _turn_margins(file["salience"][name], row, 8 * byte, flipped)
        _write_again(file, twin)
    rehash(path)
    return f"masks/{name}: byte {byte} of image {row}", True


def _turn_margins(margins: h5py.Dataset, row: int, first: int, flipped: int) -> None:
    """The margins of bits that were flipped: above zero where the bit is 1."""
    for bit in range(8):
        if flipped >> bit & 1:
            margins[row, first + bit] = -1 if margins[row, first + bit] > 0 else 1


def _write_again(file: h5py.File, path: Path) -> None:
    """A trace of the same contents, as hwsim writes it."""
    names = ("masks", "zero_operand_macs", "salience", "zero_operand_macs_conditional",
             "input_bits")  # fmt: skip
    data = {
        group: {name: stored[()] for name, stored in file.get(group, {}).items()} for group in names
    }
    scale = {name: stored.attrs["scale"] for name, stored in file.get("salience", {}).items()}
    sample = None
    if "sample" in file:
        of = file["sample"]
        contents = {name: of[name][()] for name, _ in SAMPLE}
        sample = LayerSample(of.attrs["layer"], int(of.attrs["image"]), **contents)
    told = TraceHeader.model_validate_json(file.attrs["header"])
    masks, zeros, salience, conditional, inputs = (data[name] for name in names)
    write_trace(path, told, masks, zeros, salience, scale, sample, conditional, inputs)


def padding(random: Random, path: Path, twin: Path) -> tuple[str, bool]:
    """Bits behind the last one of a mask, or of a map of inputs."""
    twin.write_bytes(path.read_bytes())
    with h5py.File(path, "r+") as file:
        padded = [n for n in objects(file) if n == "input_bits/first" or file[n].shape == (2, 7)]
        if not padded:
            return masks(random, path, twin)
        name = random.choice(padded)
        data = file[name][()]
        data[random.randrange(len(data)), -1] |= random.choice((0x80, 0xC0, 0xF0))
        file[name][...] = data
    rehash(path)
    return f"padding of {name}", True


def image_ids(random: Random, path: Path, twin: Path) -> tuple[str, bool]:
    with h5py.File(path, "r") as file:
        data = json.loads(file.attrs["header"])
    data["image_ids"] = random.choice(
        ([3, 3], [-1, 1], [2**62, 1], [2**70, 1], [3], [3, 1, 2], [], [3.0, 1], [True, False],
         ["3", "1"], [None, 1], list(range(100_000)))
    )  # fmt: skip
    rehash(path, compact(data))
    return f"image_ids {str(data['image_ids'])[:40]}", False


def scales(random: Random, path: Path, twin: Path) -> tuple[str, bool]:
    value = random.choice((float("nan"), float("inf"), 0.0, -0.03, 1e300, 5e-324, 1e-300))
    with h5py.File(path, "r+") as file:
        if "salience" not in file:
            return masks(random, path, twin)
        name = random.choice(list(file["salience"]))
        file["salience"][name].attrs["scale"] = value
    rehash(path)
    return f"scale of {name}: {value}", False


def below_the_hash(random: Random, path: Path, twin: Path) -> tuple[str, bool]:
    """Types, shapes, storage and links changed, and the hash made right where that can be."""
    twin.write_bytes(path.read_bytes())
    change = random.choice((retyped, reshaped, restored, of_no_numbers, gone, further, unwritten))
    done = change(random, path)
    try:
        rehash(path)
    except (OSError, TypeError, ValueError, KeyError, AttributeError, RuntimeError):
        return f"{done}, hash left alone", change is restored
    return f"{done}, hashed again", change in (restored, retyped)


REWRITES: tuple[Callable[[Random, Path, Path], tuple[str, bool]], ...] = (
    header, header, header, header, counts, masks, padding, image_ids, scales, below_the_hash,
    below_the_hash,
)  # fmt: skip
