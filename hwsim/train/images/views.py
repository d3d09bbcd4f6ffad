"""Data sets as uint8 arrays, and contrastive views drawn from them in batches.

Images are decoded once (sources.py), and the arrays are cached as .npy. Augmentation is plain torch
on whole batches, on the images' device. All its random numbers come from one generator, so that a
run can be resumed.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from hwsim.cli import watched
from hwsim.errors import one_line
from hwsim.files import whole
from hwsim.train.images.sources import DataError, Source, find_source

CHANNEL_MEAN = (0.4914, 0.4822, 0.4465)
CHANNEL_STD = (0.2470, 0.2435, 0.2616)
LUMA = (0.299, 0.587, 0.114)

JITTER_PROBABILITY, GREY_PROBABILITY = 0.8, 0.2
BRIGHTNESS, CONTRAST, SATURATION, HUE_TURNS = 0.4, 0.4, 0.4, 0.1
ASPECT = (3 / 4, 4 / 3)

MOST_CLASSES = 1 << 16


@dataclass(frozen=True)
class Split:
    """images (N, 3, H, W) uint8, labels (N,) int64."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def head(self, count: int | None) -> Split:
        """The first `count` images, all where None."""
        return Split(self.images[:count], self.labels[:count])

    def to(self, device: torch.device) -> Split:
        return Split(self.images.to(device), self.labels.to(device))


def load_split(source: Source | Path, split: str, cache: Path) -> Split:
    """The "train" or "test" split of a source or of the one in a folder, decoded once into `cache`.

    The arrays are mapped, not read: what is larger than memory can be used. Raises DataError.
    """
    source = find_source(source) if isinstance(source, Path) else source
    stamp = f"{_stamp(source, split)}{source.size_tag}"
    paths = [cache / f"{split}-{what}-{stamp}.npy" for what in ("images", "labels")]
    found = _cached(*paths)
    if found is None:
        cache.mkdir(parents=True, exist_ok=True)
        _decode(source, split, *paths)
        found = _cached(*paths)
    if found is None:
        raise DataError(f"{paths[0]}: was changed as it was written; run the same again")
    return found


def _cached(images: Path, labels: Path) -> Split | None:
    """None where they are not there, or damaged: they are decoded anew."""
    if not images.is_file() or not labels.is_file():
        return None
    try:
        # Mapped copy-on-write: torch wants memory that it may write to.
        pixels, classes = (np.load(path, "c", allow_pickle=False) for path in (images, labels))
    # Whatever NumPy makes of it.
    except Exception:
        return None
    if (pixels.dtype, classes.dtype, classes.ndim) != (np.uint8, np.int64, 1):
        return None
    if pixels.ndim != 4 or pixels.shape[:2] != (len(classes), 3) or not pixels.size:
        return None
    if not 0 <= classes.min() <= classes.max() < MOST_CLASSES:
        return None
    return Split(torch.from_numpy(pixels), torch.from_numpy(classes))


def _stamp(source: Source, split: str) -> str:
    """A hash of source and files: another folder or a changed file has another cache."""
    text = source.key
    for path in source.files(split):
        stat = path.stat()
        text += f"\n{path.parent.name}/{path.name} {stat.st_size} {stat.st_mtime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _decode(source: Source, split: str, images: Path, labels: Path) -> None:
    """All images of a split as (N, 3, H, W) uint8, all labels as (N,) int64, each in its file.

    Images go to disk one by one; both files appear under their names when they are whole.
    """
    count = source.count(split)
    stored, found = None, []
    with whole(images) as images_part, whole(labels) as labels_part:
        for row, (pixels, label) in enumerate(
            watched(source.pictures(split), f"decoding {split} images", count)
        ):
            if stored is None:
                stored = np.lib.format.open_memmap(
                    images_part, "w+", np.uint8, (count, *pixels.shape)
                )
            if row == count:
                raise DataError(f"{source.files(split)[-1]}: more images than it says")
            if type(label) is not int or not 0 <= label < MOST_CLASSES:
                raise DataError(
                    f"{source.files(split)[0].parent}: label {one_line(label)[:40]} of {split} "
                    f"image {row}; expected a class number from 0 to {MOST_CLASSES - 1}"
                )
            if pixels.shape != stored.shape[1:]:
                raise DataError(
                    f"{source.files(split)[0].parent}: images of one size were expected; number "
                    f"{row} of {split} is {pixels.shape[2]}x{pixels.shape[1]}, the first "
                    f"{stored.shape[3]}x{stored.shape[2]}"
                )
            stored[row] = pixels
            found.append(label)
        if stored is None:
            raise DataError(f"{source.files(split)[0]}: no images in it")
        if len(found) < count:
            raise DataError(f"{source.files(split)[-1]}: fewer images than it says")
        stored.flush()
        with labels_part.open("wb") as handle:
            np.save(handle, np.array(found, np.int64), allow_pickle=False)


def normalise(images: Tensor) -> Tensor:
    """Values in 0..1, (N, 3, H, W) float -> zero mean and unit deviation per channel."""
    mean = torch.tensor(CHANNEL_MEAN, device=images.device)[:, None, None]
    std = torch.tensor(CHANNEL_STD, device=images.device)[:, None, None]
    return (images - mean) / std


def plain(images: Tensor) -> Tensor:
    """uint8 (N, 3, H, W) -> the network's input without augmentation, float32."""
    return normalise(images.float() / 255)


class Shuffler:
    """Endless batches of indices, every image once per epoch; a short rest is dropped."""

    def __init__(self, count: int, batch: int, generator: Generator) -> None:
        self.count, self.batch, self.generator = count, batch, generator
        self.order = torch.empty(0, dtype=torch.int64)
        self.epoch = 0

    @property
    def at_end(self) -> bool:
        """Whether the epoch holds no further batch."""
        return len(self.order) < self.batch

    def next(self) -> Tensor:
        if self.at_end:
            self.order = torch.randperm(self.count, generator=self.generator)
            self.epoch += 1
        chosen, self.order = self.order[: self.batch], self.order[self.batch :]
        return chosen

    def state_dict(self) -> dict[str, object]:
        return {"order": self.order.clone(), "epoch": self.epoch}

    def load_state_dict(self, state: dict) -> None:
        self.order, self.epoch = state["order"], state["epoch"]


def augment(
    images: Tensor, resolution: int, generator: Generator, min_crop_area: float = 0.08
) -> Tensor:
    """One SimCLR view of each image: uint8 (N, 3, H, W) -> float32 (N, 3, resolution, resolution).

    Random resized crop (area min_crop_area..1, aspect 3/4..4/3), flip, colour jitter
    0.4/0.4/0.4/0.1 at probability 0.8, grey at 0.2; normalised. Random numbers are drawn on the
    generator's device and moved, in a fixed number, so that a resumed run draws the same ones.
    """
    count, device = len(images), images.device
    draws = torch.rand(12, count, generator=generator, device=generator.device).to(device)
    pixels = _crop(images.float() / 255, draws[:5], resolution, min_crop_area)
    jitter = (draws[5] < JITTER_PROBABILITY)[:, None, None, None]
    pixels = torch.where(jitter, _jitter(pixels, draws[6:10]), pixels)
    grey = (draws[10] < GREY_PROBABILITY)[:, None, None, None]
    return normalise(torch.where(grey, _luma(pixels).expand_as(pixels), pixels))


def _crop(pixels: Tensor, draws: Tensor, resolution: int, min_crop_area: float) -> Tensor:
    """A random rectangle of each image at resolution x resolution, half of them mirrored."""
    area = min_crop_area + (1 - min_crop_area) * draws[0]
    low, high = math.log(ASPECT[0]), math.log(ASPECT[1])
    aspect = torch.exp(low + (high - low) * draws[1])
    # Shares of the image's sides; a rectangle longer than a side is cut to it.
    width, height = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    centre_x, centre_y = (1 - width) * (2 * draws[2] - 1), (1 - height) * (2 * draws[3] - 1)
    zero = torch.zeros_like(area)
    mirror = torch.where(draws[4] < 0.5, -1.0, 1.0)
    transform = torch.stack(
        [
            torch.stack([width * mirror, zero, centre_x], 1),
            torch.stack([zero, height, centre_y], 1),
        ],
        1,
    )
    # Sampled twice as finely and averaged when shrinking, so that nothing aliases.
    fine = 2 if resolution < pixels.shape[-1] else 1
    size = [len(pixels), 3, fine * resolution, fine * resolution]
    grid = F.affine_grid(transform, size, align_corners=False)
    sampled = F.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)
    return F.avg_pool2d(sampled, fine) if fine > 1 else sampled


def _luma(pixels: Tensor) -> Tensor:
    """(N, 3, H, W) -> (N, 1, H, W) brightness."""
    weights = torch.tensor(LUMA, device=pixels.device)[:, None, None]
    return (pixels * weights).sum(1, keepdim=True)


def _jitter(pixels: Tensor, draws: Tensor) -> Tensor:
    """Brightness, contrast, saturation and hue, each by its own random amount, in this order.

    The order is fixed (SimCLR draws it too) and hue is a rotation in YIQ instead of HSV: both keep
    the operations batched.
    """

    def factor(index: int, strength: float) -> Tensor:
        return (1 + strength * (2 * draws[index] - 1))[:, None, None, None]

    pixels = (pixels * factor(0, BRIGHTNESS)).clamp(0, 1)
    mean = _luma(pixels).mean((2, 3), keepdim=True)
    pixels = (mean + (pixels - mean) * factor(1, CONTRAST)).clamp(0, 1)
    grey = _luma(pixels)
    pixels = (grey + (pixels - grey) * factor(2, SATURATION)).clamp(0, 1)
    return _rotate_hue(pixels, 2 * math.pi * HUE_TURNS * (2 * draws[3] - 1))


def _rotate_hue(pixels: Tensor, angle: Tensor) -> Tensor:
    """Rotates the colours of each image about the grey axis by `angle` radians, (N,)."""
    to_yiq = torch.tensor(
        [LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)], device=pixels.device
    )
    one, zero = torch.ones_like(angle), torch.zeros_like(angle)
    cos, sin = angle.cos(), angle.sin()
    turn = torch.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], 1).view(-1, 3, 3)
    matrix = torch.linalg.inv(to_yiq) @ turn @ to_yiq
    return (matrix @ pixels.flatten(2)).view_as(pixels).clamp(0, 1)
