"""Changes of a trace file below its hashes: none of them says that something has changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np

from tools.fuzz import hostile

KINDS = ("uint8", "int8", "int16", "uint16", "int32", "int64", "uint64", ">i8", ">u2", "float16",
         "float32", "float64", "complex64", "bool", "S3")  # fmt: skip
"""Types of numbers that a dataset is given."""

SHAPES: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
    lambda a: a[:-1], lambda a: a[:0], lambda a: a[..., :-1], lambda a: a[..., None],
    lambda a: a.ravel(), lambda a: a[None], lambda a: np.concatenate([a, a]), lambda a: a.T,
    lambda a: np.concatenate([a, a], axis=-1), lambda a: a.ravel()[0],
)  # fmt: skip


def objects(file: h5py.File) -> list[str]:
    """Paths of all datasets."""
    found: list[str] = []
    file.visititems(
        lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None
    )
    return sorted(found)


def _one(random: Random, file: h5py.File) -> str:
    return random.choice(objects(file))


def _put(file: h5py.File, name: str, data: Any, **how: Any) -> None:
    """Another dataset in the place of one, with its attributes."""
    attributes = dict(file[name].attrs)
    del file[name]
    file.create_dataset(name, data=data, **how).attrs.update(attributes)


def retyped(random: Random, path: Path) -> str:
    kind = random.choice(KINDS)
    with h5py.File(path, "r+") as file:
        name = _one(random, file)
        data = file[name][()]
        with np.errstate(all="ignore"):
            _put(file, name, data.astype(kind))
    return f"{name} as {kind}"


def of_no_numbers(random: Random, path: Path) -> str:
    kinds = {
        "text": h5py.string_dtype(), "a reference": h5py.ref_dtype, "rows": h5py.vlen_dtype("u1"),
        "compound": np.dtype([("a", "u1"), ("b", "i8")]), "opaque": np.dtype("V5"),
        "enumeration": h5py.enum_dtype({"a": 0, "b": 1}, "u1"), "array": np.dtype(("u1", (3,))),
    }  # fmt: skip
    with h5py.File(path, "r+") as file:
        name, (what, kind) = _one(random, file), random.choice(list(kinds.items()))
        shape = file[name].shape
        attributes = dict(file[name].attrs)
        del file[name]
        file.create_dataset(name, shape, dtype=kind).attrs.update(attributes)
    return f"{name} of {what}"


def reshaped(random: Random, path: Path) -> str:
    with h5py.File(path, "r+") as file:
        name = _one(random, file)
        before = file[name][()]
        data = random.choice(SHAPES)(before)
        _put(file, name, data)
    return f"{name} of shape {np.shape(data)}, not {before.shape}"


def restored(random: Random, path: Path) -> str:
    """Equal contents, stored in another way."""
    ways: tuple[dict[str, Any], ...] = (
        {}, {"compression": "gzip"}, {"compression": "lzf"}, {"scaleoffset": 0, "chunks": True},
        {"shuffle": True, "chunks": True}, {"chunks": True, "maxshape": "open"},
        {"fletcher32": True, "chunks": True, "compression": "gzip"}, {"fillvalue": 3},
    )  # fmt: skip
    with h5py.File(path, "r+") as file:
        name, how = _one(random, file), dict(random.choice(ways))
        data = file[name][()]
        if "maxshape" in how:
            how["maxshape"] = (None,) * data.ndim
        _put(file, name, data, **how)
    return f"{name} stored with {how}"


def gone(random: Random, path: Path) -> str:
    with h5py.File(path, "r+") as file:
        name = random.choice([*objects(file), *file])
        del file[name]
    return f"{name} is gone"


def further(random: Random, path: Path) -> str:
    with h5py.File(path, "r+") as file:
        groups = [name for name in file if isinstance(file[name], h5py.Group)]
        group = random.choice([*groups, ""])
        name = random.choice(("x", "second ", "%", "%zz", "a b", "\u2028", "first", "SECOND"))
        place = f"{group}/{name}"
        if place in file:
            return "as it was"
        file.create_dataset(place, data=np.zeros((2, 50), np.uint8))
    return f"{place} is new"


def linked(random: Random, path: Path) -> str:
    links = {
        "a soft link to nothing": h5py.SoftLink("/none"),
        "a soft link to masks": h5py.SoftLink("/masks/second"),
        "a soft link to itself": None,
        "a link to a file that is not there": h5py.ExternalLink("none.h5", "/x"),
        "a link to its own file": h5py.ExternalLink(path.name, "/masks/second"),
        "a link to a device": h5py.ExternalLink("/dev/zero", "/x"),
        "a hard link to masks": "masks",
        "a group that holds itself": "/",
    }
    with h5py.File(path, "r+") as file:
        name = random.choice([*objects(file), *file])
        what, link = random.choice(list(links.items()))
        target = file[link] if isinstance(link, str) and link in file else link
        del file[name]
        file[name] = h5py.SoftLink(f"/{name}") if target is None else target
    return f"{name} is {what}"


def elsewhere(random: Random, path: Path) -> str:
    """Virtual datasets and raw data outside the file: what is not there reads as zeros."""
    with h5py.File(path, "r+") as file:
        name = _one(random, file)
        data, attributes = file[name][()], dict(file[name].attrs)
        del file[name]
        if random.random() < 0.5:
            layout = h5py.VirtualLayout(data.shape, data.dtype)
            layout[...] = h5py.VirtualSource("none.h5", "x", data.shape)
            file.create_virtual_dataset(name, layout, fillvalue=random.choice((0, 1)))
            what = "virtual"
        else:
            outside = random.choice(("none.raw", path.name, "/dev/zero"))
            file.create_dataset(
                name, data.shape, data.dtype, external=[(outside, 0, h5py.h5f.UNLIMITED)]
            )
            what = f"external, {outside}"
        file[name].attrs.update(attributes)
    return f"{name} is {what}"


def unwritten(random: Random, path: Path) -> str:
    with h5py.File(path, "r+") as file:
        name = _one(random, file)
        was, attributes = file[name], dict(file[name].attrs)
        shape, kind, chunks = was.shape, was.dtype, was.chunks
        fill = random.choice((None, 0, 1))
        del file[name]
        file.create_dataset(
            name, shape, kind, chunks=chunks, fletcher32=True, fillvalue=fill
        ).attrs.update(attributes)
    return f"{name}: no chunk was written, fill {fill}"


def zeroed(random: Random, path: Path) -> str:
    """A chunk's bytes in the file, its checksum with them."""
    with h5py.File(path, "r") as file:
        chunked = [name for name in objects(file) if file[name].chunks]
        if not chunked:
            return "as it was"
        name = random.choice(chunked)
        chunks = file[name].id.get_num_chunks()
        place = file[name].id.get_chunk_info(random.randrange(chunks))
    contents = bytearray(path.read_bytes())
    fill = random.choice((0, 0, 255))
    size = place.size - random.choice((0, 0, 4))
    contents[place.byte_offset : place.byte_offset + size] = bytes([fill]) * size
    path.write_bytes(bytes(contents))
    return f"{name}: a chunk of {fill}"


def immense(random: Random, path: Path) -> str:
    shape = random.choice(((2, 2**40), (2**40, 50), (2**62,), (2, 2**20, 2**20), (10**6, 10**5)))
    with h5py.File(path, "r+") as file:
        name = _one(random, file)
        kind, attributes = file[name].dtype, dict(file[name].attrs)
        del file[name]
        chunks = tuple(min(side, 64) for side in shape)
        file.create_dataset(name, shape, kind, chunks=chunks).attrs.update(attributes)
    return f"{name} of shape {shape}, nothing written"


def attribute(random: Random, path: Path) -> str:
    """One of the file's, of margins' or of the sample's: another value, or gone."""
    with h5py.File(path, "r+") as file:
        holders = [("/", name) for name in file.attrs]
        for item in ["sample", *objects(file)]:
            holders += [(item, name) for name in file[item].attrs] if item in file else []
        where, name = random.choice(holders)
        at = file[where].attrs
        values: tuple[Any, ...] = (
            None, "", b"\xff\xfe", "x" * 50_000, 0, -1, 2**62, 0.5, float("nan"), float("inf"),
            np.zeros(3), np.zeros((2, 2), "i8"), h5py.Empty("f8"), "first",
            np.array(["a", "b"], "S"), np.float16(0.03), [1], "0" * 64,
        )  # fmt: skip
        value = random.choice(values)
        before = at[name]
        del at[name]
        if value is not None:
            at[name] = value
    return f"attribute {name} of {where}: {str(value)[:30]!r}, not {str(before)[:30]!r}"


def nameless(random: Random, path: Path) -> str:
    """A type or a group where a dataset is expected, or the other way round."""
    with h5py.File(path, "r+") as file:
        name = random.choice([*objects(file), *file])
        del file[name]
        what = random.choice(("group", "type", "dataset"))
        if what == "group":
            file.create_group(name)
        elif what == "type":
            file[name] = np.dtype("u1")
        else:
            file[name] = np.zeros(3, np.uint8)
    return f"{name} is a {what}"


def header_text(random: Random, path: Path) -> str:
    """The header's text changed, its hash left alone."""
    with h5py.File(path, "r+") as file:
        change, text = hostile.mutated_text(random, file.attrs["header"])
        file.attrs["header"] = text.decode(errors="replace").replace("\x00", "0")
    return f"header: {change}"


CHANGES: tuple[Callable[[Random, Path], str], ...] = (
    retyped, retyped, of_no_numbers, reshaped, restored, gone, further, linked, elsewhere,
    unwritten, zeroed, zeroed, immense, attribute, attribute, nameless, header_text,
)  # fmt: skip
