"""The images that a command's options choose: source, name, size, and where they are cached."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hwsim.errors import one_line
from hwsim.train.images import sources
from hwsim.train.images.sources import SPLITS, DataError, Source, find_source, name_of, slug
from hwsim.train.images.views import Split, load_split

SMALLEST = 8
"""Pixels: below it the last stages of ResNet-18 see nothing but padding."""


class Chosen(Source):
    """Another source, under a name of the user's or shrunk, or both."""

    def __init__(self, source: Source, name: str | None = None, side: int | None = None) -> None:
        self.source, self.given, self.side = source, name, side
        self.title = name_of(name) if name else source.name
        self.name = f"{self.title}{self._shrunk(' ')}"
        self.size_tag = f"-{side}x{side}" if side else ""

    @property
    def key(self) -> str:
        """The source's own, whatever it is called: two names of one set share a cache."""
        return f"{self.source.key}{self.size_tag}"

    @property
    def file_name(self) -> str:
        return f"{slug(self.given) if self.given else self.source.file_name}{self.size_tag}"

    def files(self, split: str) -> list[Path]:
        return self.source.files(split)

    def count(self, split: str) -> int:
        return self.source.count(split)

    def pictures(self, split: str) -> Iterator[tuple[np.ndarray, int]]:
        for pixels, label in self.source.pictures(split):
            if self.side is None:
                yield pixels, label
            else:
                # A copy: what a decoder gives may be read-only.
                yield shrink(torch.from_numpy(pixels.copy())[None], self.side)[0].numpy(), label

    def describe(self) -> str:
        """As the source's, which begins with its own name."""
        told = self.source.describe().removeprefix(self.source.name)
        return f"{self.title}{told}{self._shrunk('; ')}"

    def _shrunk(self, before: str) -> str:
        return f"{before}shrunk to {self.side}x{self.side}" if self.side else ""


def shrink(images: Tensor, side: int) -> Tensor:
    """uint8 (N, 3, H, W) -> uint8 (N, 3, side, side): each pixel the mean of what it covers.

    Rounded to the nearest integer, halves to the even one. Works through 1,000 images at a time.
    """
    parts = [
        F.interpolate(part.float(), size=[side, side], mode="area").round().byte()
        for part in images.split(1000)
    ]
    return torch.cat(parts)


def at_most(images: Tensor, side: int) -> Tensor:
    """uint8 images, shrunk to side x side where they are larger."""
    return shrink(images, side) if side < images.shape[-1] else images


def choose(folder: Path, name: str | None = None, side: int | None = None) -> Source:
    """The source in a folder as --data-name and --image-size want it. Raises DataError."""
    source = find_source(folder)
    if side is not None:
        first = next(iter(source.pictures("test")), None)
        if first is None:
            raise DataError(f"--data {folder}: no test images in it")
        height, width = first[0].shape[1:]
        if side > min(height, width):
            raise DataError(
                f"--image-size {side}: the images of {name or source.name} are {width}x{height}; "
                "they can only be shrunk"
            )
        # Images of this size already are not shrunk, and not called so.
        side = None if side == height == width else side
    return Chosen(source, name, side) if name or side else source


def add_options(parser: argparse.ArgumentParser) -> None:
    """--data, --data-name, --image-size and --cache."""
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="DIR",
        help="images (docs/guide/training.md), or the word tiny: drawn ones")  # fmt: skip
    add("--data-name", metavar="NAME", help="what to call the data (default: CIFAR-10, CIFAR-100 "
        "or the folder's name)")  # fmt: skip
    add("--image-size", type=_side, metavar="N", help="shrink to N x N (default: their own size)")
    add("--cache", type=Path, metavar="DIR", default=sources.images_folder(),
        help="folder of decoded images (default: %(default)s)")  # fmt: skip


def _side(text: str) -> int:
    if not text.isdecimal() or int(text) < SMALLEST:
        raise argparse.ArgumentTypeError(f"expected an integer from {SMALLEST}, found {text!r}")
    return int(text)


def chosen(args: argparse.Namespace) -> Source:
    """The source that the parsed options name. Raises DataError."""
    return choose(args.data, args.data_name, args.image_size)


def both_splits(args: argparse.Namespace, source: Source) -> list[Split]:
    """The training and the test split, decoded once into --cache. Raises DataError."""
    return [load_split(source, name, args.cache) for name in SPLITS]


def tell_cache(args: argparse.Namespace) -> None:
    """Says where decoded images are kept: they may be gigabytes."""
    print(one_line(f"decoded images: {args.cache}"))
