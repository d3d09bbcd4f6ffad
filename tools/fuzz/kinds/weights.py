"""What `hwsim train` leaves: weights, checkpoints, logs and configurations, damaged or retyped."""

from __future__ import annotations

import io
import json
import pickle
import warnings
import zipfile
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from hwsim.__main__ import COMMANDS, main
from tools.fuzz import hostile
from tools.fuzz.case import INPUTS, Case, Kind
from tools.fuzz.kinds.commands import of_commands
from tools.fuzz.trial import copy_tree

DATA, RUN = f"{INPUTS}/images", f"{INPUTS}/run"

WEIGHTS = f"{RUN}/resnet18-cifar10-cdg.npz"

IMAGES = ("--data", DATA, "--cache", f"{INPUTS}/cache")

TRAIN = (
    "train", "--method", "cdg", *IMAGES, "--out", RUN, "--width", "4", "--stages", "1,1",
    "--resolution", "8", "--batch", "4", "--steps", "2", "--knn-every", "1", "--log-every", "1",
    "--images", "2", "--threads", "1", "--device", "cpu",
)  # fmt: skip

RECORD = ("record", "--weights", WEIGHTS, *IMAGES, "--images", "1", "--out", "out.h5")

EVALUATE = (
    "evaluate", "--weights", WEIGHTS, *IMAGES, "--what", "knn", "density", "--device", "cpu",
    "--json",
)  # fmt: skip

FURTHER = (
    "train", *IMAGES, "--weights", WEIGHTS, "--out", "out", "--resolution", "8", "--batch", "4",
    "--steps", "1", "--images", "2", "--threads", "1", "--device", "cpu",
)  # fmt: skip

SOUND: dict[str, tuple[tuple[str, ...], ...]] = {
    "record": (RECORD[1:],),
    "evaluate": (EVALUATE[1:], (*EVALUATE[1:], "--save")),
    "train": (FURTHER[1:], TRAIN[1:]),
}


@cache
def _torch() -> Any:
    """Torch and the rooms that need it: for every input of the process that draws."""
    import torch

    torch.set_num_threads(1)
    for command in SOUND:
        import_module(COMMANDS[command].module)
    import_module("hwsim.train.loop")

    return torch


def prepare(base: Path) -> None:
    """Sixteen images of 8 x 8, and a run of two steps on them."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    _torch()
    generator = np.random.default_rng(0)
    (base / DATA).mkdir()
    for split, count in (("train", 12), ("test", 4)):
        cells = []
        for _ in range(count):
            stream = io.BytesIO()
            pixels = generator.integers(0, 255, (8, 8, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(stream, "PNG")
            cells.append({"bytes": stream.getvalue(), "path": None})
        table = pa.table({"img": cells, "label": np.arange(count) % 2})
        pq.write_table(table, base / DATA / f"{split}-00000-of-00001.parquet")
    if status := main(TRAIN):
        raise RuntimeError(f"train: status {status}")


def draw(random: Random, base: Path, folder: Path) -> Case:
    """One of the files of a run changed; then a command that reads it."""
    _torch()
    copy_tree(base / INPUTS, folder / INPUTS)
    drawn = random.random()
    if drawn < 0.15:
        # A run goes on in its own folder.
        return replace(of_commands(random, SOUND), changes=(RUN,))
    if drawn < 0.55:
        return _weights(random, base, folder)
    run = folder / RUN
    others = ("config.json", "log.csv", "evaluation.json")
    name = "checkpoint.pt" if random.random() < 0.5 else random.choice(others)
    path = run / name
    if name == "checkpoint.pt":
        change = random.choice((_bytes, _bytes, _checkpoint, _checkpoint, _pickled))(random, path)
    else:
        change, contents = hostile.mutated_text(random, path.read_text())
        path.write_bytes(contents)
    # A run that goes on writes all of its files again.
    return Case(f"{name}: {change}", TRAIN, None, ("*",), changes=(RUN,))


def _weights(random: Random, base: Path, folder: Path) -> Case:
    path = folder / WEIGHTS
    how = random.choice((_bytes, _bytes, _array, _array, _meta, _meta, _archive))
    change = how(random, path)
    argv = random.choice((RECORD, EVALUATE, EVALUATE, FURTHER, (*EVALUATE, "--save")))
    if argv[-1] == "--save":
        beside = path.with_name(f"{path.stem}.evaluation.json")
        figures = random.choice((b"", b"[]", b"{}", b'{"a": NaN}', b"\xff", b"[" * 100_000))
        beside.write_bytes(figures)
        return Case(
            f"{change}, figures {figures[:9]!r}", argv, None, ("*",),
            changes=(f"{INPUTS}/run/{beside.name}",),
        )  # fmt: skip
    reference = base if how is _bytes and argv is EVALUATE else None
    return Case(change, argv, reference, ("*",), changes=())


def _bytes(random: Random, path: Path) -> str:
    change, contents = hostile.damaged(random, path.read_bytes())
    path.write_bytes(contents)
    return change


def _members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _pack(path: Path, members: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, contents in members.items():
            # Names in archives are UTF-8, or code page 437.
            archive.writestr(name.encode(errors="replace").decode(), contents)


def _npy(array: Any, pickled: bool = False) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(array), allow_pickle=pickled)
    return stream.getvalue()


def _array(random: Random, path: Path) -> str:
    """One array of another type, shape or value, or gone."""
    members = _members(path)
    name = random.choice([name for name in members if name != "meta.npy"])
    data = np.load(io.BytesIO(members[name]))
    how = random.choice(("type", "shape", "value", "gone", "renamed", "objects", "immense"))
    if how == "type":
        kind = random.choice(("float64", "int8", "complex64", "S4", "bool", ">f4", "uint64"))
        with np.errstate(all="ignore"):
            members[name] = _npy(data.astype(kind))
    elif how == "shape":
        members[name] = _npy(
            random.choice((data.ravel(), data[None], data[:0], data[:1], np.float32(1)))
        )
    elif how == "value":
        value = random.choice((float("nan"), float("inf"), -1.0, 1e30, 0.0))
        members[name] = _npy(np.full_like(data, value))
    elif how == "gone":
        del members[name]
    elif how == "renamed":
        members[hostile.text(random)[:60].replace("\x00", "") + ".npy"] = members.pop(name)
    elif how == "objects":
        members[name] = _npy(np.array([print, 3], object), pickled=True)
    else:
        size = 2 ** random.choice((34, 40, 61))
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({size},), }}"
        text = header.encode() + b" " * 20 + b"\n"
        members[name] = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
    _pack(path, members)
    return f"{name}: {how}"


def _meta(random: Random, path: Path) -> str:
    """The description of the network and its training."""
    members = _members(path)
    meta = json.loads(str(np.load(io.BytesIO(members["meta.npy"]))))
    holder = random.choice((meta, meta, meta["training"]))
    key = random.choice(list(holder))
    holder[key] = random.choice(
        (
            hostile.plain(random),
            hostile.number(random),
            [1, 1],
            [10**6],
            [0],
            [1] * 3000,
            "scdg",
            "dense",
        )
    )
    if random.random() < 0.1:
        del holder[key]
    try:
        members["meta.npy"] = _npy(np.array(json.dumps(meta)))
    except (UnicodeError, ValueError):
        members["meta.npy"] = _npy(np.array("{}"))
    _pack(path, members)
    return f"meta: {key} {str(holder.get(key))[:40]!r}"


def _archive(random: Random, path: Path) -> str:
    """The archive itself: a bomb, a member twice, none, another kind of file."""
    members = _members(path)
    how = random.choice(("bomb", "twice", "nothing", "pickle", "array", "deflated", "paths"))
    name = random.choice(list(members))
    if how == "bomb":
        members[name] = members[name][:128].ljust(128, b" ") + bytes(1 << 27)
        _pack(path, members, zipfile.ZIP_DEFLATED)
    elif how == "twice":
        _pack(path, members)
        with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings(action="ignore"):
            archive.writestr(zipfile.ZipInfo(name), _npy(np.zeros(3)))
    elif how == "nothing":
        _pack(path, {})
    elif how == "pickle":
        path.write_bytes(pickle.dumps({"meta": "x"}))
    elif how == "array":
        path.write_bytes(_npy(np.zeros(3)))
    elif how == "deflated":
        _pack(path, members, zipfile.ZIP_DEFLATED)
    else:
        members["../up.npy"] = members.pop(name)
        _pack(path, members)
    return f"archive: {how}"


def _checkpoint(random: Random, path: Path) -> str:
    """A value of a checkpoint, which torch reads without a word."""
    torch = _torch()
    state = torch.load(path, weights_only=True)
    holder, told = state, list[str]()
    while isinstance(holder, dict | list) and holder and (not told or random.random() < 0.75):
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key = random.choice(keys)
        above, holder = holder, holder[key]
        told.append(str(key))
    values: tuple[Any, ...] = (
        None, -1, 10**12, float("nan"), "x", [], {}, torch.zeros(3), torch.zeros(0),
        torch.zeros(2, dtype=torch.int8), torch.full((4, 4), float("nan")), hostile.number(random),
        True,
    )  # fmt: skip
    if random.random() < 0.2:
        del above[key]
        told.append("gone")
    else:
        above[key] = random.choice(values)
    if random.random() < 0.05:
        state = random.choice((None, [], 3, "x", {}, torch.zeros(3)))
        told = ["all of it"]
    torch.save(state, path)
    return ".".join(told)


class _Calls:
    """What a pickle may ask for: here a function that does nothing."""

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return print, ("unpickled",)


class _Asks:
    """A pickle that asks for 128 GiB."""

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return bytearray, (1 << 37,)


def _pickled(random: Random, path: Path) -> str:
    """Pickles inside a checkpoint's archive, or in its place."""
    hostile_one = pickle.dumps(random.choice((_Calls(), _Asks(), {"config": _Calls()})), protocol=2)
    hostile_one = random.choice(
        (hostile_one, b"\x80\x02" + b"(" * 100_000 + b".", b"\x80\x02]" + b"q\x00h\x00a" * 9 + b".",
         b"\x80\x04\x8e" + (1 << 37).to_bytes(8, "little") + b".", b"")
    )  # fmt: skip
    if random.random() < 0.4:
        path.write_bytes(hostile_one)
        return "a pickle"
    members = _members(path)
    name = next(name for name in members if name.endswith("data.pkl"))
    members[name] = hostile_one
    _pack(path, members)
    return "a pickle inside"


KIND = Kind(
    "weights",
    0.08,
    "what `hwsim train` leaves: weights with arrays retyped, reshaped, of 2^61 values, other "
    "descriptions, zip bombs, pickles; checkpoints with values exchanged and hostile pickles; "
    "`config.json`, `log.csv` and `evaluation.json` edited; command lines of `train`, `record` and "
    "`evaluate`",
    prepare,
    draw,
    seconds=60.0,
    imports=("torch", "hwsim.train.loop"),
)
