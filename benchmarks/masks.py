"""Recorded masks of as many images as a benchmark asks for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwsim.trace.files import find_traces
from hwsim.trace.format.contents import TraceContents
from hwsim.trace.format.header import TraceError
from hwsim.trace.mask_trace import MaskTrace

MAIN_SCHEMES = {"cdg": "unstructured", "scdg": "structured-8x"}
"""The scheme that each method's masks are made for."""


@dataclass(frozen=True)
class Settings:
    """What is run: trace file by method, images and repetitions of a timed call, peers' layers."""

    traces: dict[str, Path]
    images: int
    most_images: int
    repeats: int
    scalesim_layers: tuple[str, ...]


class Repeated:
    """A layer's packed masks of ``images`` images; after the trace's last comes its first again."""

    def __init__(self, trace: MaskTrace, layer: str, images: int) -> None:
        self._trace, self._layer = trace, layer
        self._held = trace.packed(layer) if images > trace.images else None
        self.shape = (images, trace.packed(layer, 0, 1).shape[1])
        self.dtype, self.first_read = np.dtype(np.uint8), []

    def __getitem__(self, images: slice) -> np.ndarray:
        wanted = range(self.shape[0])[images]
        if self._held is None:
            return self._trace.packed(self._layer, wanted.start, wanted.stop)
        return self._held[np.array(wanted) % len(self._held)]


def of_images(trace: MaskTrace, images: int) -> MaskTrace:
    """The trace cut to so many images (read as they are used), or repeated, held in memory."""
    if images == trace.images:
        return trace
    names = [layer.name for layer in trace.network.gated_layers]
    zeros = {}
    if trace.counts_zero_operands:
        zeros = {name: np.resize(trace.zero_operand_macs(name), images) for name in names}
    header = trace.header.model_copy(update={"image_ids": tuple(range(images))})
    masks = {name: Repeated(trace, name, images) for name in names}
    return MaskTrace(TraceContents(header, masks, zeros))


def with_inputs(trace: MaskTrace, images: int) -> MaskTrace:
    """The images that have input bits, as often as it takes, held in memory."""
    some, contents = trace.head(trace.input_images), {}
    at = np.arange(images) % some.images
    for kind in ("masks", "zero_operand_macs", "zero_operand_macs_conditional", "input_bits"):
        contents[kind] = {
            name: np.asarray(data[:])[at] for name, data in getattr(some.contents, kind).items()
        }
    header = some.header.model_copy(update={"image_ids": tuple(range(images))})
    return MaskTrace(TraceContents(header, **contents))


def label(trace: MaskTrace, images: int) -> str:
    """The method, and whether images are repeated, for a row."""
    if images > trace.images:
        return f"{trace.header.method}, {trace.images:,} repeated"
    return trace.header.method


def traces_of(folder: Path | None) -> dict[str, Path]:
    """A trace file of each method, in ``folder`` or among the shipped; TraceError if none."""
    found = {
        MaskTrace.open(path).header.method: path for path in find_traces([folder] if folder else [])
    }
    missing = sorted(set(MAIN_SCHEMES) - set(found))
    if missing:
        raise TraceError(f"{folder}: no trace of method {', '.join(missing)}")
    return {method: found[method] for method in MAIN_SCHEMES}
