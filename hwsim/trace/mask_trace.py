"""Mask traces: one network, one gating method, one branch, N images, in one HDF5 file.

docs/reference/formats.md documents the format. A trace is opened for streaming
(:class:`MaskTrace` reads slices of images) and written to a temporary name first: a crash leaves
no half file behind.
``python -m hwsim.trace inspect|verify FILE`` shows a trace and checks all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.network import ConvLayer, Network, as_name
from hwsim.trace.format.contents import TraceContents, conditional_zeros, pack_layers
from hwsim.trace.format.header import TraceError, TraceHeader, numbered
from hwsim.trace.format.int8_sample import LayerSample
from hwsim.trace.format.layout import CHUNK_IMAGES
from hwsim.trace.format.packing import count_ones, count_ones_of_images, pack_bits, unpack_bits
from hwsim.trace.format.reader import read_contents
from hwsim.trace.margins import Salience


class MaskTrace:
    """Masks of N images, layer by layer; ``contents`` lie in memory or in an open file."""

    def __init__(self, contents: TraceContents) -> None:
        if isinstance(contents, str | Path):
            raise TraceError(f"{contents}: MaskTrace.open opens a file")
        self.contents = contents
        self._margins: Salience | None = None
        self._ones: dict[str, int] | None = None

    @classmethod
    def from_masks(
        cls,
        header: TraceHeader,
        masks: Mapping[str, np.ndarray],
        zero_operand_macs: Mapping[str, np.ndarray] | None = None,
        zero_operand_macs_conditional: Mapping[str, np.ndarray] | None = None,
        inputs: Mapping[str, np.ndarray] | None = None,
    ) -> MaskTrace:
        """In memory, from bool arrays (N, *header.mask_shape(layer)) per gated layer.

        ``inputs``: bool (images, C_in, H, W) of any layers, where an input is not zero. Raises
        TraceError.
        """
        packed = pack_layers("masks", masks)
        input_bits = pack_layers("inputs", inputs or {})
        counts = zero_operand_macs or {}, zero_operand_macs_conditional or {}
        return cls(TraceContents(header, packed, *counts, input_bits=input_bits))

    @classmethod
    def of_network(cls, network: Network, images: int = 1) -> MaskTrace:
        """No masks at all: every layer runs dense, gated ones as well.

        Raises TraceError where no trace has so many images.
        """
        header = TraceHeader(
            network=network, method="no masks", granularity="none", mask_group=1, dataset="none",
            image_ids=numbered(images),
        )  # fmt: skip
        return cls(TraceContents(header, {}))

    @classmethod
    def open(cls, path: str | Path) -> MaskTrace:
        """Open a file and check its header; data are checked chunk by chunk as they are read.

        Raises TraceError.
        """
        return cls(read_contents(Path(path)))

    @property
    def header(self) -> TraceHeader:
        return self.contents.header

    @property
    def path(self) -> Path | None:
        """Of the file; None in memory."""
        return self.contents.path

    @property
    def sha256(self) -> str | None:
        """Of the file's contents; None in memory."""
        return self.contents.sha256

    @property
    def sample(self) -> LayerSample | None:
        """One layer's int8 data, where there are any."""
        return self.contents.sample

    @property
    def network(self) -> Network:
        return self.header.network

    @property
    def mask_group(self) -> int:
        return self.header.mask_group

    @property
    def images(self) -> int:
        return self.header.images

    @property
    def salience_images(self) -> int:
        """Images for which margins are stored; 0 where thresholds cannot be shifted."""
        return self.contents.salience_images

    @property
    def name(self) -> str:
        if self.path:
            return as_name(self.path.stem)
        return self.header.method if self.header.has_masks else self.network.name

    def packed(self, layer: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """uint8 (images, ceil(bits/8)), bits in the mask's order; not to be written to."""
        return self.contents.packed(layer, start, stop)

    def masks(self, layer: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """bool (images, *mask shape), as the header's granularity has it."""
        shape = self.header.mask_shape(self.network.by_name[layer])
        return unpack_bits(self.packed(layer, start, stop), shape)

    @property
    def counts_zero_operands(self) -> bool:
        """Whether a dense machine that gates zeros can be priced on this trace."""
        return bool(self.contents.zero_operand_macs)

    def zero_operand_macs(self, layer: str) -> np.ndarray:
        """int64 (N,): MACs of the dense convolution whose activation operand is zero."""
        return np.asarray(self.contents.zero_operand_macs[layer], np.int64)

    @property
    def counts_conditional_zeros(self) -> bool:
        """Whether every scheme can gate zeros on this trace, and not the dense machine alone."""
        return bool(self.contents.zero_operand_macs_conditional)

    def zero_operand_macs_conditional(self, layer: str) -> np.ndarray:
        """int64 (N,): conditional MACs that the mask lets run, whose activation operand is zero."""
        return np.asarray(self.contents.zero_operand_macs_conditional[layer], np.int64)

    @property
    def input_images(self) -> int:
        """Images for which input bits are stored; 0 where no machine can skip zeros."""
        return self.contents.input_images

    def has_inputs(self, layer: str) -> bool:
        """Whether the layer's input bits are stored."""
        return layer in self.contents.input_bits

    def packed_inputs(self, layer: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """uint8 (images, ceil(C_in H W / 8)), bits in the order (channel, y, x)."""
        return self.contents.packed_inputs(layer, start, stop)

    def inputs(self, layer: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """bool (images, C_in, H, W): where an input of the layer is not zero."""
        of = self.network.by_name[layer]
        packed = self.packed_inputs(layer, start, stop)
        return unpack_bits(packed, (of.in_channels, of.in_height, of.in_width))

    def ones(self) -> dict[str, int]:
        """Set mask bits per gated layer, over all images; counted once."""
        if self._ones is not None:
            return self._ones
        ones = {}
        for layer in self.header.masked_layers:
            chunks = range(0, self.images, CHUNK_IMAGES)
            packed = (self.packed(layer.name, start, start + CHUNK_IMAGES) for start in chunks)
            ones[layer.name] = sum(count_ones(bits) for bits in packed)
        self._ones = ones
        return ones

    def remember_ones(self, ones: Mapping[str, int]) -> None:
        """Spare :meth:`ones` a pass of its own: someone has read all images and counted."""
        self._ones = dict(ones)

    def densities(self) -> dict[str, float]:
        """Share of mask bits that are 1, per gated layer."""
        bits = {
            layer.name: self.images * self.header.layer_bits(layer)
            for layer in self.header.masked_layers
        }
        return {name: ones / bits[name] for name, ones in self.ones().items()}

    def head(self, images: int) -> MaskTrace:
        """The first ``images`` images, read into memory where the trace is a file."""
        if images >= self.images:
            return self
        names = [layer.name for layer in self.header.masked_layers]
        packed = {name: self.packed(name, 0, images) for name in names}
        margins = {name: self.contents.margins(name, 0, images) for name in self.contents.salience}
        return self._part(images, packed, self.header.training, margins)

    def shifted(self, shift: float) -> MaskTrace:
        """The images with margins, every threshold moved by ``shift`` (units of Z; approximate).

        Zero operands of the dense convolution stay as recorded; of conditional MACs the recorded
        share stays, image by image. ``shift`` 0 gives the recorded masks and counts.
        """
        salience = self._require_salience()
        names = [layer.name for layer in self.header.masked_layers]
        training = {**self.header.training, "threshold_shift": shift}
        packed = {name: pack_bits(salience.cut(name, shift)) for name in names}
        counts = {}
        if self.counts_conditional_zeros:
            counts = {name: self._rescaled_zeros(name, bits) for name, bits in packed.items()}
        return self._part(salience.images, packed, training, {}, counts)

    def _rescaled_zeros(self, name: str, packed: np.ndarray) -> np.ndarray:
        """int64 (images,): the recorded share of zero operands, of the MACs that masks let run.

        Where an image's recorded mask is empty, the share of the dense convolution.
        """
        images, layer = len(packed), self.network.by_name[name]
        before, after = map(count_ones_of_images, (self.packed(name, 0, images), packed))
        dense = conditional_zeros(layer, self.zero_operand_macs(name)[:images])
        all_bits = self.header.layer_bits(layer)
        zeros = self.zero_operand_macs_conditional(name)[:images]
        empty = before == 0
        of, known = np.where(empty, all_bits, before), np.where(empty, dense, zeros)
        return np.minimum((known * after + of // 2) // of, dense)

    def reordered(self, orders: Mapping[str, np.ndarray]) -> MaskTrace:
        """The same images, in memory; at place k of each gated layer list ``orders[layer][k]``.

        ``orders``: int64 (lists,), permutations inside each gating group; margins move along.
        Raises TraceError for other orders, and for masks of channels.
        """
        self._require_masks()
        for layer in self.header.masked_layers:
            self._check_order(layer, orders.get(layer.name))
        names = [layer.name for layer in self.header.masked_layers]
        packed = {name: self._moved_masks(name, orders[name]) for name in names}
        margins = {name: self._moved_margins(name, orders[name]) for name in self.contents.salience}
        training = {**self.header.training, "channels_reordered": True}
        part = self._part(self.images, packed, training, margins)
        # Whose input channels move with which output channels is not said: no words are known.
        part.contents = replace(part.contents, input_bits={})
        return part

    def shift_for_density(self, density_macs: float) -> float:
        """The threshold shift whose MAC-weighted density is nearest to ``density_macs``."""
        return self._require_salience().shift_for_density(self.header, density_macs)

    def _part(
        self,
        images: int,
        packed: Mapping[str, np.ndarray],
        training: Mapping[str, Any],
        margins: Mapping[str, np.ndarray],
        conditional: Mapping[str, np.ndarray] | None = None,
    ) -> MaskTrace:
        """The first ``images`` images with masks ``packed``, in memory.

        ``conditional``: zero operands of those masks; without any, they are as recorded.
        """
        contents = self.contents
        dense, recorded = (
            {name: stored[:images] for name, stored in counts.items()}
            for counts in (contents.zero_operand_macs, contents.zero_operand_macs_conditional)
        )
        part = replace(
            self.contents,
            header=self.header.head(images).model_copy(update={"training": training}),
            masks=packed,
            zero_operand_macs=dense,
            zero_operand_macs_conditional=recorded if conditional is None else conditional,
            salience=margins,
            salience_scale=contents.salience_scale if margins else {},
            sample=None,
            input_bits={
                name: contents.packed_inputs(name, 0, images) for name in contents.input_bits
            },
        )
        return MaskTrace(part)

    def _require_masks(self) -> None:
        if not self.header.has_masks:
            raise TraceError(f"{self.path or self.name}: has no masks")

    def _check_order(self, layer: ConvLayer, order: np.ndarray | None) -> None:
        if self.header.of_channels:
            raise TraceError(f"{self.path or self.name}: masks of channels cannot be reordered")
        lists = self.header.mask_channels(layer)
        inside = np.arange(lists).reshape(layer.groups, -1)
        if (
            order is None
            or np.shape(order) != (lists,)
            or not np.array_equal(np.sort(np.reshape(order, inside.shape), axis=1), inside)
        ):
            raise TraceError(
                f"{self.path or self.name}: layer {layer.name}: the channel order is no "
                f"permutation of {lists} mask lists inside {layer.groups} gating groups"
            )

    def _moved_masks(self, name: str, order: np.ndarray) -> np.ndarray:
        """All images' packed masks of a layer, lists in another order."""
        chunks = range(0, self.images, CHUNK_IMAGES)
        parts = (self.masks(name, start, start + CHUNK_IMAGES)[:, order] for start in chunks)
        return np.concatenate([pack_bits(part) for part in parts])

    def _moved_margins(self, name: str, order: np.ndarray) -> np.ndarray:
        """The same of a layer's margins."""
        margins = self.contents.margins(name)
        shape = self.header.mask_shape(self.network.by_name[name])
        moved = margins.reshape(len(margins), *shape)[:, order]
        return moved.reshape(margins.shape)

    def _require_salience(self) -> Salience:
        """Margins, read once. Raises TraceError where none are stored."""
        if not self.salience_images:
            raise TraceError(
                f"{self.path or self.name}: no salience stored, thresholds cannot be shifted"
            )
        if self._margins is None:
            for name in self.contents.salience:
                self.contents.check_margins(name)
            margins = {name: self.contents.margins(name) for name in self.contents.salience}
            self._margins = Salience(margins, self.contents.salience_scale)
        return self._margins
