"""Where images come from: each source of a data set, and what it is told when it does not fit.

A source yields pictures and labels of a split; views.py caches them as uint8 arrays. Known are the
official python batches of CIFAR-10 and CIFAR-100, parquet in the Hugging Face layout, folders of
images, and a drawn set that needs no files.
"""

from __future__ import annotations

import io
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from hwsim.errors import UserError, escaped, one_line
from hwsim.files import user_cache
from hwsim.network import as_name
from hwsim.train.images import drawn
from hwsim.train.images.cifar_pickle import load_batch
from hwsim.train.images.encoded import decode, format_of

TINY = "tiny"
SPLITS = ("train", "test")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
MIXED_SIZE = 224
"""Side to which the images of a folder are cut where they are not all of one size."""

LONGEST_SLUG = 96
"""Bytes of a data set's name in a file's; file systems take 255 for all of it."""

EXPECTED = (
    "expected train*.parquet and test*.parquet, CIFAR's python batches (data_batch_1..5 and "
    "test_batch; or train and test), folders train/CLASS/*.jpg and val/CLASS/*.jpg, or tiny alone"
)


class DataError(UserError):
    """The folder given by the user is not what was expected."""


class Source(ABC):
    """One data set; ``name`` is what tables and traces call it."""

    name: str
    size_tag = ""
    """A part of file names, where images are not of their own size: "-32x32"."""

    @property
    def key(self) -> str:
        """What a cache knows the source by, beside its files."""
        return self.name

    @property
    def file_name(self) -> str:
        """The name as a part of a file's."""
        return slug(self.name)

    @abstractmethod
    def files(self, split: str) -> list[Path]:
        """What the split is read from; a change of one makes caches invalid. Raises DataError."""

    @abstractmethod
    def count(self, split: str) -> int:
        """Images of the split."""

    @abstractmethod
    def pictures(self, split: str) -> Iterator[tuple[np.ndarray, int]]:
        """(3, H, W) uint8 and class number, one image after another, all of one size."""

    def describe(self) -> str:
        """The name, and what of the encoding matters to accuracies."""
        return self.name


class Drawn(Source):
    """Coloured squares on noise, the same in every run: `--data tiny`."""

    name = "drawn squares"

    @property
    def file_name(self) -> str:
        return TINY

    def files(self, split: str) -> list[Path]:
        # Another way of drawing makes old caches invalid.
        return [Path(drawn.__file__)]

    def count(self, split: str) -> int:
        return drawn.COUNTS[split]

    def pictures(self, split: str) -> Iterator[tuple[np.ndarray, int]]:
        return drawn.pictures(split)


class PythonBatches(Source):
    """The official python version of CIFAR-10 or CIFAR-100, unpacked."""

    LAYOUTS: ClassVar[dict[str, tuple[str, dict[str, list[str]], bytes]]] = {
        "CIFAR-10": (
            "cifar-10-batches-py",
            {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]},
            b"labels",
        ),
        "CIFAR-100": ("cifar-100-python", {"train": ["train"], "test": ["test"]}, b"fine_labels"),
    }

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        _, self.batches, self.labels = self.LAYOUTS[name]

    @classmethod
    def find(cls, folder: Path) -> PythonBatches | None:
        """The batches in ``folder`` or in the folder that the archive makes there."""
        for name, (unpacked, batches, _) in cls.LAYOUTS.items():
            for place in (folder, folder / unpacked):
                if any((place / file).is_file() for files in batches.values() for file in files):
                    return cls(place, name)
        return None

    def files(self, split: str) -> list[Path]:
        paths = [self.folder / name for name in self.batches[split]]
        missing = [path.name for path in paths if not path.is_file()]
        if missing:
            raise DataError(
                f"--data {self.folder}: {self.name} without {', '.join(missing)}; "
                f"expected {', '.join(self.batches[split])}"
            )
        return paths

    def count(self, split: str) -> int:
        return sum(len(self._batch(path)[1]) for path in self.files(split))

    def pictures(self, split: str) -> Iterator[tuple[np.ndarray, int]]:
        for path in self.files(split):
            pixels, labels = self._batch(path)
            yield from zip(pixels, labels, strict=True)

    def _batch(self, path: Path) -> tuple[np.ndarray, list[int]]:
        try:
            return load_batch(path, self.labels)
        except ValueError as error:
            raise DataError(f"{path}: {one_line(error)}") from None


class Parquet(Source):
    """Files <split>*.parquet: an image column (struct of bytes and path), a class number column."""

    IMAGES, LABELS = ("img", "image"), ("label", "fine_label")

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = self._name()

    def files(self, split: str) -> list[Path]:
        found = sorted(self.folder.glob(f"{split}*.parquet"))
        if not found:
            raise DataError(f"--data {self.folder}: no {split}*.parquet in it; {EXPECTED}")
        return found

    def count(self, split: str) -> int:
        found = 0
        for path in self.files(split):
            rows = self._open(path).metadata.num_rows
            if not 0 <= rows <= path.stat().st_size:
                raise DataError(f"{path}: {rows:,} rows, more than it has bytes")
            found += rows
        return found

    def pictures(self, split: str) -> Iterator[tuple[np.ndarray, int]]:
        for path in self.files(split):
            for row, (cell, label) in enumerate(self._cells(path)):
                try:
                    picture = decode(io.BytesIO(cell["bytes"]))
                except (OSError, TypeError, KeyError):
                    raise DataError(f"{path}: row {row} holds no readable image") from None
                yield picture, label

    def describe(self) -> str:
        path = self.files("train")[0]
        try:
            cell, _ = next(self._cells(path))
            encoding, _ = format_of(io.BytesIO(cell["bytes"]))
        except (StopIteration, OSError, TypeError, KeyError):
            raise DataError(f"{path}: its first row holds no readable image") from None
        if encoding == "JPEG" and self.name.startswith("CIFAR"):
            return (
                f"{self.name} re-encoded as JPEG (lossy): accuracies are below those on the "
                "originals"
            )
        return f"{self.name} stored as {encoding}"

    def _name(self) -> str:
        """CIFAR by the columns that its copies have, the folder's name otherwise."""
        file = min(self.folder.glob("*.parquet"))
        columns = self._columns(file)
        if "fine_label" in columns:
            return "CIFAR-100"
        return (
            "CIFAR-10" if {"img", "label"} <= set(columns) else name_of(self.folder.resolve().name)
        )

    def _columns(self, path: Path) -> list[str]:
        columns: list[str] = self._open(path).schema_arrow.names
        if not {*self.IMAGES} & {*columns} or not {*self.LABELS} & {*columns}:
            raise DataError(f"{path}: columns {', '.join(columns)}; expected img and label")
        return columns

    def _open(self, path: Path):  # type: ignore[no-untyped-def]
        import pyarrow.parquet as pq

        with _readable(path):
            if not path.is_file():
                raise ValueError("not a file")
            return pq.ParquetFile(path)

    def _cells(self, path: Path) -> Iterator[tuple[dict, int]]:
        """Encoded image and label, row by row."""
        columns = self._columns(path)
        image = next(name for name in self.IMAGES if name in columns)
        label = next(name for name in self.LABELS if name in columns)
        parts = self._open(path).iter_batches(batch_size=256, columns=[image, label])
        while True:
            with _readable(path):
                part = next(parts, None)
                if part is None:
                    return
                cells, labels = part.column(image).to_pylist(), part.column(label).to_pylist()
            yield from zip(cells, labels, strict=True)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """DataError for whatever pyarrow makes of bytes that are no Parquet file."""
    try:
        yield
    except Exception as error:
        reason = one_line(error)[:120]
        raise DataError(f"{path}: not a readable parquet file ({reason})") from None


class Folders(Source):
    """train/CLASS/* and val/CLASS/* (or test): classes are numbered in the order of their names.

    Images of several sizes are scaled, shorter side first, and cut to a square of MIXED_SIZE.
    """

    PLACES: ClassVar[dict[str, tuple[str, ...]]] = {"train": ("train",), "test": ("test", "val")}

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, name_of(folder.resolve().name)
        self._found: dict[str, list[Path]] = {}

    def files(self, split: str) -> list[Path]:
        if split not in self._found:
            place = self._place(split)
            found = (
                path
                for path in place.glob("*/*")
                if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
            )
            self._found[split] = sorted(found)
            if not self._found[split]:
                raise DataError(f"--data {place}: no images; expected CLASS/*.jpg in it")
        return self._found[split]

    def classes(self) -> list[str]:
        return sorted({path.parent.name for path in self.files("train")})

    def count(self, split: str) -> int:
        return len(self.files(split))

    def pictures(self, split: str) -> Iterator[tuple[np.ndarray, int]]:
        numbers = {name: number for number, name in enumerate(self.classes())}
        side = None if self._one_size else MIXED_SIZE
        for path in self.files(split):
            if path.parent.name not in numbers:
                raise DataError(
                    f"{path}: class {path.parent.name} is not in {self._place('train')}"
                )
            try:
                yield decode(path, side), numbers[path.parent.name]
            except OSError:
                raise DataError(f"{path}: no readable image") from None

    def _place(self, split: str) -> Path:
        places = [self.folder / name for name in self.PLACES[split]]
        found = next((place for place in places if place.is_dir()), None)
        if found is None:
            names = " or ".join(f"{name}/" for name in self.PLACES[split])
            raise DataError(f"--data {self.folder}: no {names} in it, with folders CLASS/*.jpg")
        return found

    @cached_property
    def _one_size(self) -> bool:
        """Whether all images of both splits have one size; only their headers are read."""
        sizes: set[tuple[int, int]] = set()
        for path in (path for split in SPLITS for path in self.files(split)):
            try:
                sizes.add(format_of(path)[1])
            except OSError:
                raise DataError(f"{path}: no readable image") from None
            if len(sizes) > 1:
                return False
        return True


def images_folder() -> Path:
    """Where decoded images are kept, unless --cache names another folder."""
    return user_cache() / "images"


def name_of(text: str) -> str:
    """A data set's name, with room for what a trace says behind it: "test split, 32x32"."""
    return as_name(escaped(text))


def slug(name: str) -> str:
    """A data set's name as part of a file's: "CIFAR-10" gives "cifar10", "A/B" "a-b"."""
    words = re.sub(r"[^\w.]+", "-", name.lower()).strip("-.")
    # As the shipped traces are called: no hyphen between a word and its number.
    words = re.sub(r"(?<=[^\W\d])-(?=\d)", "", words)
    return words.encode()[:LONGEST_SLUG].decode(errors="ignore") or "data"


def find_source(folder: Path) -> Source:
    """The source in a folder, or the drawn one for the word tiny. Raises DataError."""
    if str(folder) == TINY and not folder.is_dir():
        return Drawn()
    if not folder.is_dir():
        raise DataError(f"--data {folder}: no such folder; {EXPECTED}")
    if any(folder.glob("*.parquet")):
        return Parquet(folder)
    if batches := PythonBatches.find(folder):
        return batches
    if any((folder / name).is_dir() for places in Folders.PLACES.values() for name in places):
        return Folders(folder)
    archive = next(folder.glob("*.tar.gz"), None)
    if archive:
        raise DataError(f"--data {folder}: unpack {archive.name} first; {EXPECTED}")
    raise DataError(f"--data {folder}: no images found; {EXPECTED}")
