"""The images that options choose: shrunk once, called what the user calls them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from refusal import refusal

from hwsim.trace.files import verify
from hwsim.train import __main__ as cli
from hwsim.train.evaluate import __main__ as evaluate
from hwsim.train.images import dataset, views
from hwsim.train.images.sources import slug
from hwsim.train.networks import models
from hwsim.train.record import __main__ as record


def means(images: torch.Tensor, factor: int) -> np.ndarray:
    """Of squares of factor x factor pixels, added one by one, rounded half to even."""
    count, channels, height, width = images.shape
    pixels = images.numpy().astype(int)
    total = np.zeros((count, channels, height // factor, width // factor), int)
    for y in range(factor):
        for x in range(factor):
            total += pixels[:, :, y::factor, x::factor]
    return np.rint(total / factor**2)


def test_a_pixel_is_the_mean_of_those_it_covers() -> None:
    image = torch.tensor([[[[0, 1, 9, 9], [1, 1, 9, 9], [0, 2, 255, 255], [0, 0, 255, 254]]]])
    shrunk = dataset.shrink(image.byte(), 2)
    assert shrunk.dtype == torch.uint8
    assert shrunk.tolist() == [[[[1, 9], [0, 255]]]]  # of 0.75, 9, 0.5 and 254.75
    images = torch.randint(0, 256, (1003, 3, 16, 16), dtype=torch.uint8)
    for factor in (2, 4):
        found = dataset.shrink(images, 16 // factor)
        np.testing.assert_array_equal(found.numpy(), means(images, factor))
    # 3 pixels to 2: the middle one belongs to both.
    assert dataset.shrink(torch.tensor([[[[4, 8, 100]] * 3]]).byte(), 2)[0, 0, 0].tolist() == [
        6,
        54,
    ]


def test_the_cache_keeps_shrunk_images_beside_whole_ones(drawn: Path, tmp_path: Path) -> None:
    whole = views.load_split(drawn, "test", tmp_path)
    source = dataset.choose(drawn, side=16)
    shrunk = views.load_split(source, "test", tmp_path)
    np.testing.assert_array_equal(shrunk.images.numpy(), means(whole.images, 2))
    assert torch.equal(shrunk.labels, whole.labels)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [name.endswith("-16x16.npy") for name in names].count(True) == 2
    assert len(names) == 4
    # Another name for the same images, and their own size, decode nothing.
    views.load_split(dataset.choose(drawn, "Mine", 16), "test", tmp_path)
    views.load_split(dataset.choose(drawn, "Mine", 32), "test", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_names(drawn: Path) -> None:
    found = dataset.choose(drawn, "ImageNet-100/64", 16)
    assert found.name == "ImageNet-100/64 shrunk to 16x16"
    assert found.describe() == "ImageNet-100/64 stored as PNG; shrunk to 16x16"
    assert found.file_name == "imagenet100-64-16x16"
    assert dataset.choose(drawn, side=32).describe() == "CIFAR-10 stored as PNG"  # its own size
    assert dataset.choose(drawn).file_name == "cifar10"
    assert dataset.choose(Path("tiny"), side=16).file_name == "tiny-16x16"
    wanted = {"CIFAR-100": "cifar100", "imagenet100-64": "imagenet100-64", "My set/2": "my-set2",
              "été": "été", "../x": "x", "/": "data"}  # fmt: skip
    assert {name: slug(name) for name in wanted} == wanted


def test_names_of_any_kind_fit_files_and_traces(drawn: Path) -> None:
    """A trace says a few words behind the name; file systems take 255 bytes."""
    for name in ("a\nb\x1b[31m\udcff", "層" * 10_000, "n" * 10_000):
        found = dataset.choose(drawn, name, 16)
        assert found.name.isprintable()
        assert len(found.name) <= 230
        assert len(os.fsencode(found.file_name)) <= 120
    assert dataset.choose(drawn, "a\nb\x1b").name == r"a\nb\x1b"
    assert dataset.choose(drawn, "層" * 100).file_name == "層" * 32


OPTIONS = ["--image-size", "16", "--data-name", "ImageNet-100/64"]


@pytest.fixture(scope="module")
def run(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of a run on shrunk images; their trace lies beside them."""
    out = tmp_path_factory.mktemp("run")
    arguments = ["--method", "scdg", "--stages", "1", "--width", "32", "--batch", "8", "--steps",
                 "1", "--resolution", "8", "--images", "2", "--device", "cpu"]  # fmt: skip
    places = ["--data", str(drawn), "--out", str(out)]
    assert cli.main([*arguments, *places, *OPTIONS]) == 0
    return out / "resnet18-imagenet100-64-16x16-scdg.npz"


def test_a_run_tells_the_size_and_records_at_it(run: Path, drawn: Path, tmp_path: Path) -> None:
    trace = verify(run.with_suffix(".h5"))
    assert trace.header.dataset == "ImageNet-100/64 shrunk to 16x16 test split, 16x16"
    assert trace.header.training["data"] == "ImageNet-100/64 stored as PNG; shrunk to 16x16"
    assert trace.header.training["data_name"] == "ImageNet-100/64 shrunk to 16x16"
    assert trace.network.layers[0].in_height == 16
    assert json.loads((run.parent / "config.json").read_text())["image_size"] == 16
    arguments = ["--weights", str(run), "--data", str(drawn), "--images", "2", *OPTIONS]
    assert record.main([*arguments, "--out", str(tmp_path / "again.h5")]) == 0
    assert verify(tmp_path / "again.h5").sha256 == trace.sha256


def test_evaluation_is_of_the_shrunk_images(
    run: Path, drawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--weights", str(run), "--data", str(drawn), "--what", "knn", "--json"]
    assert evaluate.main([*arguments, *OPTIONS]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["image_size"], figures["dataset"]) == (16, "ImageNet-100/64 shrunk to 16x16")
    _, training = models.load_weights(run)
    assert figures["knn_percent"] == pytest.approx(training["knn_percent"], abs=0.005)


@pytest.mark.parametrize(
    ("size", "words"),
    [("33", "--image-size 33: the images of CIFAR-10 are 32x32"), ("7", "an integer from 8")],
)
@pytest.mark.parametrize("command", [cli, evaluate, record])
def test_a_size_that_cannot_be_is_one_line_and_exit_2(
    command, size: str, words: str, run: Path, drawn: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    arguments = ["--data", str(drawn), "--image-size", size]
    arguments += ["--method", "scdg"] if command is cli else ["--weights", str(run)]
    arguments += ["--out", str(tmp_path / "out")] if command is not evaluate else []
    assert words in refusal(capsys, command.main, arguments)
    assert not list(tmp_path.iterdir())
