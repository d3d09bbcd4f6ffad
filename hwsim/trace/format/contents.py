"""What a trace holds, in memory or in an open file, and what must be true of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.errors import one_line, shown
from hwsim.network import AnyLayer, ConvLayer
from hwsim.trace.format.header import TraceError, TraceHeader
from hwsim.trace.format.int8_sample import LayerSample
from hwsim.trace.format.layout import CONDITIONAL, INPUT_BITS, MASKS, SALIENCE, TYPES, ZEROS, tables
from hwsim.trace.format.packing import count_ones_of_images, pack_bits

KEPT_BITS = 8 << 26
"""Masks of no more bits, 64 MiB, are read once and kept; larger ones are read as they are used."""


@dataclass(frozen=True)
class TraceContents:
    """A header and its data by gated layer: arrays in memory, or datasets of an open file.

    ``masks``: uint8 (N, ceil(bits/8)), bits in the order of ``header.mask_shape``, little-endian
    within the byte, those behind the last one 0. ``zero_operand_macs`` and
    ``zero_operand_macs_conditional``: int64 (N,), or none. ``salience``: int8 (images, bits),
    margins in steps of ``salience_scale`` (units of Z), or none. ``input_bits``: uint8 (images,
    ceil(C_in H W / 8)), bits in the order (channel, y, x), of any layers, where an input is not
    zero. ``sample``: one layer's int8 data, or None. ``path``, ``sha256``: of the file. Raises
    TraceError where data are not of these types and shapes, or cannot be of the header's layers:
    now for arrays and counts, chunk by chunk as they are read for an open file's.
    """

    header: TraceHeader
    masks: Mapping[str, Any]
    zero_operand_macs: Mapping[str, np.ndarray] = field(default_factory=dict)
    zero_operand_macs_conditional: Mapping[str, np.ndarray] = field(default_factory=dict)
    salience: Mapping[str, Any] = field(default_factory=dict)
    salience_scale: Mapping[str, float] = field(default_factory=dict)
    sample: LayerSample | None = None
    input_bits: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    sha256: str | None = None
    _kept: dict[str, np.ndarray] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for kind, by_layer in self.by_kind().items():
            _require_arrays(self._where, kind, by_layer)
        if self.header.of_channels and (self.salience or self.sample):
            raise TraceError(
                f"{self._where}: salience and samples go with element masks, "
                f"not with {self.header.granularity}"
            )
        if self.sample:
            self.sample.check(self.header, self._where)
        bits = {layer.name: self.header.layer_bits(layer) for layer in self.header.masked_layers}
        images, margins = self.header.images, self.salience_images
        packed = {name: (images, -(-count // 8)) for name, count in bits.items()}
        self._check(MASKS, self.masks, packed)
        counts = dict.fromkeys(bits, (images,))
        if self.zero_operand_macs:
            self._check(ZEROS, self.zero_operand_macs, counts)
        if self.zero_operand_macs_conditional:
            self._check(CONDITIONAL, self.zero_operand_macs_conditional, counts)
        self._check_counts()
        if self.salience:
            decisions = {name: (margins, count) for name, count in bits.items()}
            self._check(SALIENCE, self.salience, decisions)
            self._check_margins()
        if self.input_bits:
            self._check_input_bits()
        for kind, name, data in tables(self):
            told = partial(self._check_rows, kind, self.header.network.by_name[name])
            if isinstance(data, np.ndarray):
                told(0, data)
            else:
                data.first_read.append(told)

    @property
    def _where(self) -> str:
        return str(self.path or "trace")

    def by_kind(self) -> dict[str, Mapping[str, Any]]:
        """All data by kind, in the order in which a layer's are hashed; input bits are the last."""
        return {
            MASKS: self.masks,
            ZEROS: self.zero_operand_macs,
            CONDITIONAL: self.zero_operand_macs_conditional,
            SALIENCE: self.salience,
            INPUT_BITS: self.input_bits,
        }

    def _check(
        self, kind: str, data: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
    ) -> None:
        """Raise TraceError where the data are not of all these layers, or of another form."""
        if wrong := sorted(set(data) ^ set(shapes)):
            raise TraceError(
                f"{self._where}: {kind} do not fit the layer list: "
                f"{', '.join(wrong)} on one side only"
            )
        for name, stored in data.items():
            if stored.dtype != TYPES[kind]:
                raise TraceError(
                    f"{self._where}: layer {name}: {kind} of type {stored.dtype}, "
                    f"expected {TYPES[kind]}"
                )
            if tuple(stored.shape) != shapes[name]:
                raise TraceError(
                    f"{self._where}: layer {name}: {kind} of shape "
                    f"{tuple(stored.shape)}, expected {shapes[name]}"
                )

    def _check_counts(self) -> None:
        """Raise TraceError for zero operands that no layer has, or that cannot be split."""
        split = bool(self.zero_operand_macs_conditional)
        if split and (self.header.of_channels or not self.zero_operand_macs):
            raise TraceError(f"{self._where}: {CONDITIONAL} goes with {ZEROS} of element masks")
        for layer in self.header.masked_layers if self.zero_operand_macs else ():
            of_layer = f"{self._where}: layer {layer.name}"
            zeros = self.zero_operand_macs[layer.name]
            if ((zeros < 0) | (zeros > layer.macs)).any():
                raise TraceError(f"{of_layer}: {ZEROS} outside 0 to {layer.macs:,}, its MACs")
            if not split:
                continue
            if (zeros % layer.groups).any():
                raise TraceError(
                    f"{of_layer}: {ZEROS} are no multiple of {layer.groups}, the gating groups"
                )
            conditional = self.zero_operand_macs_conditional[layer.name]
            if ((conditional < 0) | (conditional > conditional_zeros(layer, zeros))).any():
                raise TraceError(f"{of_layer}: {CONDITIONAL} negative, or more than {ZEROS} allow")

    def _check_margins(self) -> None:
        """Raise TraceError where margins have no scale, or one that is no size."""
        for name in self.salience:
            scale = self.salience_scale.get(name, math.nan)
            if not (math.isfinite(scale) and scale > 0):
                raise TraceError(
                    f"{self._where}: layer {name}: salience has scale {scale}, expected a number "
                    "above 0"
                )

    def _check_input_bits(self) -> None:
        """Raise TraceError where they are no maps of layers, or zero operands are not counted."""
        layers, images = self.header.network.by_name, self.input_images
        known = {name: layers[name] for name in self.input_bits if name in layers}
        shapes = {name: (images, -(-input_size(layer) // 8)) for name, layer in known.items()}
        self._check(INPUT_BITS, self.input_bits, shapes)
        if images > self.header.images:
            raise TraceError(
                f"{self._where}: {INPUT_BITS} of {images} images, masks of {self.header.images}"
            )
        gated = self.header.has_masks and any(layer.gated for layer in known.values())
        if gated and not self.zero_operand_macs_conditional:
            raise TraceError(f"{self._where}: {INPUT_BITS} of gated layers go with {CONDITIONAL}")

    def _check_rows(self, kind: str, layer: AnyLayer, start: int, rows: np.ndarray) -> None:
        """Raise TraceError for data of images from ``start`` on that cannot be of the layer."""
        if kind not in (MASKS, INPUT_BITS):
            return
        bits = self.header.layer_bits(layer) if kind == MASKS else input_size(layer)
        if bits % 8 and (rows[:, -1] >> bits % 8).any():
            raise TraceError(f"{self._where}: layer {layer.name}: {kind}: padding bits are set")
        if kind == MASKS and self.zero_operand_macs_conditional:
            assert isinstance(layer, ConvLayer)
            most = count_ones_of_images(rows) * (self.header.mask_group * layer.conditional_steps)
            zeros = self.zero_operand_macs_conditional[layer.name][start : start + len(rows)]
            if (zeros > most).any():
                image = start + int(np.argmax(zeros > most))
                raise TraceError(
                    f"{self._where}: layer {layer.name}, image {image}: more {CONDITIONAL} than "
                    "MACs that its mask lets run"
                )

    @property
    def salience_images(self) -> int:
        """Images for which margins are stored."""
        return min((len(data) for data in self.salience.values()), default=0)

    @property
    def input_images(self) -> int:
        """Images for which input bits are stored."""
        return min((len(data) for data in self.input_bits.values()), default=0)

    def packed(self, layer: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """uint8 (images, ceil(bits/8)); not to be written to. Raises TraceError."""
        if self.header.images * self.header.bits > KEPT_BITS:
            return self._read(self.masks, layer, start, stop)
        if layer not in self._kept:
            self._kept[layer] = self._read(self.masks, layer)
        return self._kept[layer][start:stop]

    def margins(self, layer: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """int8 (images, bits). Raises TraceError."""
        return self._read(self.salience, layer, start, stop)

    def packed_inputs(self, layer: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """uint8 (images, ceil(bits/8)). Raises TraceError."""
        return self._read(self.input_bits, layer, start, stop)

    def _read(
        self, data: Mapping[str, Any], layer: str, start: int = 0, stop: int | None = None
    ) -> np.ndarray:
        try:
            return np.asarray(data[layer][start:stop])
        except OSError as error:
            raise TraceError(
                f"{self.path}: layer {layer}: data damaged ({one_line(error)})"
            ) from None

    def check(self) -> None:
        """Read all data once. Raises TraceError where a chunk is damaged, or margins and masks do
        not agree."""
        for kind, name, _ in tables(self):
            if kind == MASKS:
                self.packed(name)
            elif kind == INPUT_BITS:
                self.packed_inputs(name)
            elif kind == SALIENCE:
                self.check_margins(name)

    def check_margins(self, layer: str) -> None:
        """Raise TraceError where a margin's sign is not the mask's bit."""
        margins = self.margins(layer)
        decided = np.packbits(margins > 0, axis=1, bitorder="little")
        if (decided != self.packed(layer, 0, len(margins))).any():
            raise TraceError(
                f"{self._where}: layer {layer}: masks are not where salience is above 0"
            )


def _require_arrays(where: str, kind: str, by_layer: Mapping[str, Any]) -> None:
    """Raise TraceError where something is no array, or has no axis of images."""
    if not isinstance(by_layer, Mapping):
        raise TraceError(f"{where}: {kind}: expected arrays by layer, found {shown(by_layer)}")
    for name, data in by_layer.items():
        if not hasattr(data, "dtype") or not getattr(data, "shape", ()):
            raise TraceError(
                f"{where}: layer {name}: {kind}: expected an array of images, found {shown(data)}"
            )


def pack_layers(kind: str, by_layer: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Bool arrays (images, ...) by layer as packed bits. Raises TraceError for others."""
    _require_arrays("trace", kind, by_layer)
    for name, bits in by_layer.items():
        if bits.dtype != bool:
            raise TraceError(
                f"trace: layer {name}: {kind} of type {bits.dtype}, expected bool: a bit each"
            )
    return {name: pack_bits(bits) for name, bits in by_layer.items()}


def conditional_zeros(layer: ConvLayer, zeros: Any) -> Any:
    """Of so many zero operands of the dense convolution, those on the conditional path.

    Each input channel is one group's base and the others' conditional input.
    """
    return zeros if layer.zeroes else zeros - zeros // layer.groups


def input_size(layer: AnyLayer) -> int:
    """Values of a layer's input map."""
    return layer.in_channels * layer.in_height * layer.in_width
