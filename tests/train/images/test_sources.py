"""Every source of images gives the same pictures; what is wrong or missing is named."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from drawn_images import drawn_image
from PIL import Image

from hwsim.train.images import drawn, views
from hwsim.train.images.sources import MIXED_SIZE, DataError, find_source

LABELS = [3, 1, 0, 2, 4]


def pictures() -> np.ndarray:
    generator = np.random.default_rng(5)
    return np.stack([drawn.picture(label, generator) for label in LABELS])


def write_batch(path: Path, key: bytes, pixels: np.ndarray, labels: list[int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    batch = {b"data": pixels.reshape(-1, 3072), key: labels, b"batch_label": b"drawn"}
    path.write_bytes(pickle.dumps(batch, protocol=2))


def cifar10(folder: Path) -> Path:
    for number in range(1, 6):
        rows = slice(number - 1, number)
        path = folder / f"cifar-10-batches-py/data_batch_{number}"
        write_batch(path, b"labels", pictures()[rows], LABELS[rows])
    write_batch(folder / "cifar-10-batches-py/test_batch", b"labels", pictures(), LABELS)
    return folder


def cifar100(folder: Path) -> Path:
    for split in ("train", "test"):
        write_batch(folder / split, b"fine_labels", pictures(), LABELS)
    return folder


def folders(folder: Path) -> Path:
    for place in ("train", "val"):
        for number, (label, pixels) in enumerate(zip(LABELS, pictures(), strict=True)):
            (folder / place / f"n{label}").mkdir(parents=True)
            picture = Image.fromarray(pixels.transpose(1, 2, 0))
            picture.save(folder / place / f"n{label}" / f"{number}.png")
    return folder


def parquet(folder: Path) -> Path:
    folder.mkdir()
    generator = np.random.default_rng(5)
    cells = [{"bytes": drawn_image(label, generator), "path": None} for label in LABELS]
    table = pa.table({"img": cells, "fine_label": LABELS, "coarse_label": [0] * 5})
    for split in ("train", "test"):
        pq.write_table(table, folder / f"{split}.parquet")
    return folder


@pytest.mark.parametrize(
    ("make", "name"),
    [(cifar10, "CIFAR-10"), (cifar100, "CIFAR-100"), (folders, "set"), (parquet, "CIFAR-100")],
)
def test_every_source_gives_the_same_pictures(
    make: Callable[[Path], Path], name: str, tmp_path: Path
) -> None:
    folder = make(tmp_path / "set")
    order = np.argsort(LABELS) if make is folders else np.arange(5)
    for split in ("train", "test"):
        found = views.load_split(folder, split, tmp_path / "cache")
        np.testing.assert_array_equal(found.images.numpy(), pictures()[order])
        assert found.labels.tolist() == [LABELS[i] for i in order]
        assert found.images.dtype == torch.uint8
    assert find_source(folder).name == name
    assert find_source(folder).describe().startswith(name)


def test_the_drawn_set_needs_no_files(tmp_path: Path) -> None:
    train, test = (views.load_split(Path("tiny"), s, tmp_path) for s in ("train", "test"))
    assert (len(train), len(test)) == (1000, 200)
    assert train.images.shape[1:] == (3, 32, 32)
    assert not torch.equal(train.images[:200], test.images)
    again = views.load_split(Path("tiny"), "test", tmp_path / "again")
    assert torch.equal(test.images, again.images)


def test_folders_of_several_sizes_and_of_grey_are_cut_to_one(tmp_path: Path) -> None:
    for place, size in (("train", (300, 260)), ("test", (64, 80))):
        (tmp_path / place / "a").mkdir(parents=True)
        Image.new("L", size, 90).save(tmp_path / place / "a" / "x.JPEG")
    found = views.load_split(tmp_path, "train", tmp_path / "cache")
    assert found.images.shape == (1, 3, MIXED_SIZE, MIXED_SIZE)
    assert set(found.images.unique().tolist()) == {90}


class Harmful:
    def __reduce__(self) -> tuple:
        return (os.mkdir, ("harm",))


def test_a_batch_that_calls_anything_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cifar10(tmp_path)
    batch = tmp_path / "cifar-10-batches-py/test_batch"
    for content in (Harmful(), {b"data": Harmful(), b"labels": []}):
        batch.write_bytes(pickle.dumps(content, protocol=2))
        with pytest.raises(DataError, match=r"asks for posix\.mkdir"):
            views.load_split(tmp_path, "test", tmp_path / "cache")
    assert not (tmp_path / "harm").exists()


def truncated(folder: Path) -> None:
    path = cifar10(folder) / "cifar-10-batches-py/test_batch"
    path.write_bytes(path.read_bytes()[:-200])


def without_a_batch(folder: Path) -> None:
    (cifar10(folder) / "cifar-10-batches-py/test_batch").unlink()


def too_few_labels(folder: Path) -> None:
    write_batch(folder / "test", b"fine_labels", pictures(), LABELS[:2])


def no_labels(folder: Path) -> None:
    write_batch(folder / "test", b"labels", pictures(), LABELS)


def no_validation(folder: Path) -> None:
    (folder / "train/a").mkdir(parents=True)


def no_images(folder: Path) -> None:
    for place in ("train/a", "val/a"):
        (folder / place).mkdir(parents=True)


def another_class(folder: Path) -> None:
    (folders(folder) / "val/n3").rename(folder / "val/n7")


def no_image(folder: Path) -> None:
    (folders(folder) / "val/n3/0.png").write_bytes(b"nothing")


def packed(folder: Path) -> None:
    (folder / "cifar-10-python.tar.gz").write_bytes(b"")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (truncated, "test_batch: not a whole CIFAR batch"),
        (without_a_batch, "CIFAR-10 without test_batch; expected test_batch"),
        (too_few_labels, r"expected uint8 \(2, 3072\)"),
        (no_labels, "no fine_labels in it"),
        (no_validation, "no test/ or val/ in it"),
        (no_images, "no images; expected CLASS"),
        (another_class, "n7/0.png: class n7 is not in .*/train"),
        (no_image, "n3/0.png: no readable image"),
        (packed, "unpack cifar-10-python.tar.gz first"),
    ],
)
def test_a_wrong_folder_is_told(make: Callable[[Path], None], words: str, tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(DataError, match=words) as caught:
        views.load_split(tmp_path, "test", tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("cache/*"))


def test_a_folder_named_tiny_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_source(Path("tiny")).name == "drawn squares"
    cifar100(tmp_path / "tiny")
    assert find_source(Path("tiny")).name == "CIFAR-100"
