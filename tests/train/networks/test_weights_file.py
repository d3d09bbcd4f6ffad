"""Weights files from anywhere: one line that names the file, whatever is in it."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from refusal import refusal

from hwsim.train.networks import models
from hwsim.train.record.__main__ import main as record

Arrays = dict[str, Any]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "w.npz"
    models.save_weights(path, models.ResNet18("scdg", 32, stages=(1,)), {"epochs": 1.0})
    return path


def refused(path: Path) -> str:
    with pytest.raises(models.WeightsError) as raised:
        models.load_weights(path)
    told = str(raised.value)
    assert told.startswith(f"{path}: ")
    assert "\n" not in told
    return told


def test_any_cut_or_flipped_byte_is_told(weights: Path, tmp_path: Path) -> None:
    """But for those that nobody reads: dates, attributes, padding."""
    contents, path = weights.read_bytes(), tmp_path / "w.npz"
    encoder, training = models.load_weights(weights)
    for place in range(0, len(contents), 3001):
        path.write_bytes(contents[:place])
        refused(path)
        changed = bytearray(contents)
        changed[place] ^= 16
        path.write_bytes(changed)
        try:
            found, said = models.load_weights(path)
        except models.WeightsError:
            continue
        assert said == training
        assert all(map(torch.equal, found.state_dict().values(), encoder.state_dict().values()))


def meta(arrays: Arrays, **changes: Any) -> None:
    arrays["meta"] = np.array(json.dumps(json.loads(str(arrays["meta"])) | changes))


def put(name: str, change: Callable[[np.ndarray], Any]) -> Callable[[Arrays], None]:
    def changed(arrays: Arrays) -> None:
        arrays[name] = change(arrays[name])

    return changed


def with_first(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def changed(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        array.flat[0] = value
        return array

    return changed


CHANGES: dict[str, tuple[Callable[[Arrays], Any], str]] = {
    "no meta": (lambda arrays: arrays.pop("meta"), "not a weights file"),
    "meta no JSON": (put("meta", lambda _: np.array("{")), "not a weights file"),
    "meta of bytes": (put("meta", lambda _: np.array(b"{}")), "not a weights file"),
    "meta a list": (put("meta", lambda _: np.array("[]")), "no object with training"),
    "meta deep": (put("meta", lambda _: np.array("[" * 99_999)), "not a weights file"),
    "meta with NaN": (lambda arrays: meta(arrays, width=float("nan")), "meta holds NaN"),
    "training a list": (lambda arrays: meta(arrays, training=[]), "no object with training"),
    "epochs a word": (lambda arrays: meta(arrays, training={"epochs": "2"}), "training.epochs"),
    "unknown method": (lambda arrays: meta(arrays, method="scdgg"), "'scdgg'; nearest valid"),
    "method a list": (lambda arrays: meta(arrays, method=["scdg"]), "method"),
    "width 0": (lambda arrays: meta(arrays, width=0), "no counts"),
    "width true": (lambda arrays: meta(arrays, width=True), "no counts"),
    "width huge": (lambda arrays: meta(arrays, width=1 << 40), "no counts"),
    "width large": (lambda arrays: meta(arrays, width=1 << 15), "expected floats (32768, 3, 3, 3)"),
    "width that no gate takes": (lambda arrays: meta(arrays, width=33), "not a weights file"),
    "stages a number": (lambda arrays: meta(arrays, stages=2), "no counts"),
    "stages huge": (lambda arrays: meta(arrays, stages=[65536]), "more stages than"),
    "another stage": (lambda arrays: meta(arrays, stages=[1, 1]), "is missing"),
    "gate_norm": (lambda arrays: meta(arrays, gate_norm="layer"), "batch, instance"),
    "an array less": (lambda arrays: arrays.pop("bn1.weight"), "bn1.weight is missing"),
    "an array more": (lambda a: a.update(x=a["bn1.weight"]), "x is not part of the network"),
    "not a number": (put("bn1.weight", with_first(np.nan)), "bn1.weight holds what is no weight"),
    "infinite": (put("conv1.weight", with_first(np.inf)), "conv1.weight holds what is no"),
    "a variance below 0": (put("bn1.running_var", with_first(-1)), "bn1.running_var holds"),
    "integers": (put("bn1.weight", lambda array: array.astype(int)), "bn1.weight is int64(32,)"),
    "complex": (put("bn1.weight", lambda array: array * 1j), "bn1.weight is complex64(32,)"),
    "another shape": (put("bn1.weight", lambda array: array[:8]), "float32(8,), expected floats"),
    "an empty array": (put("bn1.weight", lambda array: array[:0]), "float32(0,), expected floats"),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES)
def test_what_is_no_network_is_told(case: str, weights: Path, tmp_path: Path) -> None:
    change, words = CHANGES[case]
    with np.load(weights) as file:
        arrays = dict(file)
    change(arrays)
    path = tmp_path / "w.npz"
    np.savez(path, **arrays)
    assert words in refused(path)


def header(shape: str, descr: str = "<f4") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (header("(34359738368,)"), "float32 (34359738368,) in 0 bytes"),  # 128 GiB
        (header("(-1,)") + bytes(4), "float32 (-1,)"),
        (header("(1,)", "|O") + bytes(8), "an array of object"),
        (header("(1 << 9,)"), "not a weights file"),
        (header("(" * 200), "not a weights file"),
        (b"\x80\x04N.", "not a weights file"),
        (b"", "not a weights file"),
    ],
)
def test_sizes_are_the_file_s_and_objects_are_not_unpickled(
    member: bytes, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "w.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bn1.weight.npy", member)
    assert words in refused(path)


def test_compressed_members_are_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bn1.weight.npy", bytes(1 << 20))
    assert "its members are compressed" in refused(path)


def test_members_that_share_their_bytes_are_refused(weights: Path, tmp_path: Path) -> None:
    """Each entry of the directory twice and thrice: together larger than the file."""
    path, contents = tmp_path / "w.npz", weights.read_bytes()
    end = contents.rindex(b"PK\x05\x06")
    count, size, start = (
        int.from_bytes(contents[end + at : end + at + length], "little")
        for at, length in ((10, 2), (12, 4), (16, 4))
    )
    tail = contents[end : end + 8] + (3 * count).to_bytes(2, "little") * 2
    tail += (3 * size).to_bytes(4, "little") + contents[end + 16 :]
    path.write_bytes(contents[:end] + contents[start:end] * 2 + tail)
    assert "larger than the file" in refused(path)


def test_what_is_no_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    for name, words in (
        ("pipe", "not a file"),
        ("empty", "not a weights file"),
        ("", "not a weights file"),
        ("nothing", "no such weights file"),
    ):
        assert words in refused(tmp_path / name)
    asked = ["--weights", str(tmp_path / "empty"), "--data", "tiny", "--out", "x.h5"]
    assert "empty: not a weights file" in refusal(capsys, record, asked)
