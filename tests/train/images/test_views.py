"""Decoding, caching, augmentation, and what a wrong folder is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from drawn_images import drawn_image
from near import assert_near

from hwsim.train.images import views
from hwsim.train.images.drawn import CLASSES
from hwsim.train.images.sources import DataError


def test_split_is_decoded_once_and_read_from_the_cache(drawn: Path, tmp_path: Path) -> None:
    first = views.load_split(drawn, "test", tmp_path)
    assert first.images.shape == (20, 3, 32, 32)
    assert first.images.dtype == torch.uint8
    assert first.labels.tolist() == [i % CLASSES for i in range(20)]
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = views.load_split(drawn, "test", tmp_path)
    assert torch.equal(first.images, again.images)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == files


def test_changed_file_is_decoded_again(drawn: Path, tmp_path: Path) -> None:
    folder, cache = tmp_path / "data", tmp_path / "cache"
    folder.mkdir()
    for count in (3, 5):
        cell = {"bytes": drawn_image(1, np.random.default_rng(0)), "path": None}
        table = pa.table({"image": [cell] * count, "label": np.zeros(count, np.int64)})
        pq.write_table(table, folder / "train.parquet")
        assert len(views.load_split(folder, "train", cache)) == count


@pytest.mark.parametrize("resolution", [16, 32])
def test_views_have_the_asked_resolution_and_repeat_with_the_seed(resolution: int) -> None:
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    found = [
        views.augment(images, resolution, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    ]
    assert found[0].shape == (4, 3, resolution, resolution)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_a_crop_of_everything_is_the_image_or_its_mirror() -> None:
    pixels = torch.rand(2, 3, 8, 8)
    draws = torch.tensor([[1.0, 1.0], [0.5, 0.5], [0.3, 0.3], [0.3, 0.3], [0.9, 0.1]])
    crop = views._crop(pixels, draws, 8, 0.2)
    assert_near(crop[0], pixels[0])
    assert_near(crop[1], pixels[1].flip(2))


def test_hue_keeps_brightness_and_turns_colours() -> None:
    pixels = torch.rand(1, 3, 4, 4) * 0.2 + 0.4
    turned = views._rotate_hue(pixels, torch.tensor([0.5]))
    assert_near(views._luma(turned), views._luma(pixels), 1e-3)
    assert float((turned - pixels).abs().max()) > 0.01
    back = views._rotate_hue(turned, torch.tensor([-0.5]))
    assert_near(back, pixels, 1e-3)


def test_every_image_once_per_epoch() -> None:
    shuffler = views.Shuffler(10, 3, torch.Generator().manual_seed(0))
    epoch = torch.cat([shuffler.next() for _ in range(3)])
    assert len(set(epoch.tolist())) == 9
    assert shuffler.epoch == 1
    shuffler.next()
    assert shuffler.epoch == 2


def wrong_folders(tmp_path: Path) -> dict[str, Path]:
    folders = {name: tmp_path / name for name in ("absent", "empty", "columns", "broken", "image")}
    for folder in list(folders.values())[1:]:
        folder.mkdir()
    pq.write_table(pa.table({"a": [1]}), folders["columns"] / "train.parquet")
    (folders["broken"] / "train.parquet").write_bytes(b"PAR1 nothing")
    bad = pa.table({"img": [{"bytes": b"no image", "path": None}], "label": [0]})
    pq.write_table(bad, folders["image"] / "train.parquet")
    return folders


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent", "no such folder"),
        ("empty", r"no images found; expected train\*.parquet"),
        ("columns", "expected img"),
        ("broken", "not a readable parquet"),
        ("image", "row 0 holds no readable image"),
    ],
)
def test_a_wrong_folder_is_told_what_was_expected(tmp_path: Path, name: str, words: str) -> None:
    folder = wrong_folders(tmp_path)[name]
    with pytest.raises(DataError, match=words) as caught:
        views.load_split(folder, "train", tmp_path / "cache")
    assert str(folder) in str(caught.value)
