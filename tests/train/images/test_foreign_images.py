"""Data sets from anywhere: no code of theirs runs, none takes more than its size, one line each."""

from __future__ import annotations

import os
import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from drawn_images import drawn_image
from refusal import refusal

from hwsim.train.__main__ import main
from hwsim.train.images import views
from hwsim.train.images.cifar_pickle import load_batch
from hwsim.train.images.sources import DataError

BATCH = {b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 9]}
LONG = (1 << 37).to_bytes(8, "little")  # 128 GiB

NDARRAY, RECONSTRUCT = b"cnumpy\nndarray\n", b"cnumpy.core.multiarray\n_reconstruct\n"
SIZE = b"\x8a\x06" + (1 << 37).to_bytes(6, "little")
PICKLES: dict[str, tuple[bytes, str]] = {
    "an array of 128 GiB": (NDARRAY + SIZE + b"\x85R.", "not a whole CIFAR batch"),
    "another of 128 GiB": (RECONSTRUCT + NDARRAY + SIZE + b"\x85C\x01b\x87R.", "not a CIFAR batch"),
    "a buffer of 128 GiB": (b"\x96" + LONG, "not a whole CIFAR batch"),
    "bytes of 128 GiB": (b"\x8e" + LONG, "not a whole CIFAR batch"),
    "a frame of 128 GiB": (b"\x80\x04\x95" + LONG, "not a whole CIFAR batch"),
    "a memo of 64 GiB": (b"Nr" + b"\xff" * 4 + b".", "not a CIFAR batch: no data"),
    "a key that no hash takes": (b"})" + b"\x85" * 500_000 + b"Ns.", "keys that are no names"),
    "such keys": (b"}()" + b"\x85" * 500_000 + b"Nu.", "keys that are no names"),
    "a set of them": (b"\x8f()" + b"\x85" * 500_000 + b"\x90.", "not a whole CIFAR batch"),
    "text that unpacks": (
        b"c_codecs\nencode\n\x8c\x01x\x8c\x03zip\x86R.",
        "text that is not of bytes",
    ),
    "a function's defaults": (b"c_codecs\nencode\n}b.", "sets what is no array"),
    "a class": (b"ios\nsystem\n.", "not a whole CIFAR batch"),
    "a number of 5,000 digits": (b"I" + b"9" * 5000 + b"\n.", "not a whole CIFAR batch"),
    "an array of objects": (
        pickle.dumps({**BATCH, b"data": np.array([{}])}, 2),
        "an array that is not of uint8",
    ),
    "an array of floats": (
        pickle.dumps({**BATCH, b"data": np.zeros((2, 3072), np.float32)}, 2),
        "an array that is not of uint8",
    ),
    "data a list": (pickle.dumps({**BATCH, b"data": [[0]]}, 2), "data is no array"),
    "labels a number": (pickle.dumps({**BATCH, b"labels": 3}, 2), "labels are no list"),
    "a huge label": (pickle.dumps({**BATCH, b"labels": [0, 10**30]}, 2), "no class numbers"),
    "a label below 0": (pickle.dumps({**BATCH, b"labels": [0, -1]}, 2), "no class numbers"),
    "a label that is true": (pickle.dumps({**BATCH, b"labels": [0, True]}, 2), "no class numbers"),
    "nothing": (b"", "not a whole CIFAR batch"),
}


@pytest.mark.parametrize("case", PICKLES)
def test_a_pickle_takes_what_its_file_has(case: str, tmp_path: Path) -> None:
    contents, words = PICKLES[case]
    (tmp_path / "batch").write_bytes(contents)
    with pytest.raises(ValueError, match=words) as raised:
        load_batch(tmp_path / "batch", b"labels")
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL))
def test_batches_of_any_python_are_read(protocol: int, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3072), np.uint8)
    for order in "CF":
        batch = {**BATCH, b"data": np.array(pixels, order=order)}
        (tmp_path / "batch").write_bytes(pickle.dumps(batch, protocol))
        found, labels = load_batch(tmp_path / "batch", b"labels")
        np.testing.assert_array_equal(found.reshape(2, 3072), pixels)
        assert labels == [0, 9]


def images(folder: Path, cells: list, labels: list) -> None:
    folder.mkdir(exist_ok=True)
    for split in ("train", "test"):
        pq.write_table(pa.table({"img": cells, "label": labels}), folder / f"{split}.parquet")


def image() -> dict:
    return {"bytes": drawn_image(1, np.random.default_rng(0)), "path": None}


def cut(folder: Path) -> None:
    images(folder, [image()], [1])
    path = folder / "test.parquet"
    path.write_bytes(path.read_bytes()[:-20])


def flipped(folder: Path) -> None:
    images(folder, [image()], [1])
    contents = bytearray((folder / "test.parquet").read_bytes())
    contents[4:60] = b"\xff" * 56
    (folder / "test.parquet").write_bytes(contents)


def pipe(folder: Path) -> None:
    images(folder, [image()], [1])
    (folder / "test.parquet").unlink()
    os.mkfifo(folder / "test.parquet")


def bomb(folder: Path) -> None:
    """A PNG of 30,000 x 30,000 pixels in its header."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunks = struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    images(folder, [{"bytes": b"\x89PNG\r\n\x1a\n" + chunks, "path": None}], [1])


SETS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a cut file": (cut, "test.parquet: not a readable parquet file"),
    "other bytes": (flipped, "test.parquet: not a readable parquet file"),
    "a pipe": (pipe, "test.parquet: not a readable parquet file (not a file)"),
    "many rows": (
        lambda folder: images(folder, pa.nulls(1 << 20), pa.nulls(1 << 20)),
        "test.parquet: 1,048,576 rows, more than it has bytes",
    ),
    "no rows": (lambda f: images(f, pa.nulls(0), pa.nulls(0)), "test.parquet: no images in it"),
    "images of numbers": (lambda f: images(f, [3], [1]), "row 0 holds no readable image"),
    "no image": (lambda f: images(f, [None], [1]), "row 0 holds no readable image"),
    "a large image": (bomb, "row 0 holds no readable image"),
    "labels of words": (lambda f: images(f, [image()], ["cat"]), "label cat of test image 0"),
    "a label below 0": (lambda f: images(f, [image()], [-1]), "label -1 of test image 0"),
    "a huge label": (lambda f: images(f, [image()], [1 << 40]), "label 1099511627776 of test"),
    "a label too few": (lambda f: images(f, [image()], [None]), "label None of test image 0"),
}


@pytest.mark.parametrize("case", SETS)
def test_a_set_that_is_none_is_told(case: str, tmp_path: Path) -> None:
    make, words = SETS[case]
    make(tmp_path / "set")
    with pytest.raises(DataError) as raised:
        views.load_split(tmp_path / "set", "test", tmp_path / "cache")
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.glob("cache/*"))


def test_pipes_among_images_are_passed_over(tmp_path: Path) -> None:
    for place in ("train", "test"):
        (tmp_path / place / "a").mkdir(parents=True)
        os.mkfifo(tmp_path / place / "a" / "x.png")
        (tmp_path / place / "a" / "y.png").write_bytes(image()["bytes"])
    assert len(views.load_split(tmp_path, "test", tmp_path / "cache")) == 1


@pytest.mark.parametrize("more", [[], ["--image-size", "8"]])
def test_no_images_are_one_line(
    more: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images(tmp_path / "set", pa.nulls(0), pa.nulls(0))
    told = refusal(
        capsys, main,
        ["--method", "dense", "--data", str(tmp_path / "set"), "--out", str(tmp_path / "out"),
         "--cache", str(tmp_path / "cache"), "--device", "cpu", *more],
    )  # fmt: skip
    assert "no images in it" in told or "no test images in it" in told


def retyped(path: Path) -> None:
    np.save(path, np.load(path).astype(np.int16))


def objects(path: Path) -> None:
    np.save(path, np.array([{}]), allow_pickle=True)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "empty": lambda path: path.write_bytes(b""),
    "another file": lambda path: path.write_bytes(b"\x80\x04N."),
    "one less": lambda path: np.save(path, np.load(path)[1:]),
    "retyped": retyped,
    "objects": objects,
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("case", DAMAGES)
@pytest.mark.parametrize("what", ["images", "labels"])
def test_a_damaged_cache_is_made_anew(case: str, what: str, tmp_path: Path) -> None:
    images(tmp_path / "set", [image()] * 2, [1, 0])
    # A copy: the file is mapped.
    before = views.load_split(tmp_path / "set", "test", tmp_path / "cache").images.clone()
    (path,) = (tmp_path / "cache").glob(f"test-{what}-*")
    DAMAGES[case](path)
    again = views.load_split(tmp_path / "set", "test", tmp_path / "cache")
    assert torch.equal(again.images, before)
    assert again.labels.tolist() == [1, 0]
