"""What a trace holds, in memory or in an HDF5 file (layout: docs/reference/formats.md)."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

import h5py
import numpy as np
from pydantic import ValidationError

from hwsim.errors import one_line
from hwsim.files import whole
from hwsim.trace.header import TraceError, TraceHeader
from hwsim.trace.int8_sample import LayerSample

CHUNK_IMAGES = 64

CONDITIONAL = "zero_operand_macs_conditional"

INPUT_BITS = "input_bits"

NETWORKS = (".yaml", ".yml", ".json", ".onnx")
"""How names of files end that hold layers and no masks."""

KEPT_BITS = 8 << 26
"""Masks of no more bits, 64 MiB, are read once and kept; larger ones are read as they are used."""


@dataclass(frozen=True)
class TraceContents:
    """A header and its data by gated layer: arrays in memory, or datasets of an open file.

    ``masks``: uint8 (N, ceil(bits/8)), bits in the order of ``header.mask_shape``, little-endian
    within the byte. ``zero_operand_macs`` and ``zero_operand_macs_conditional``: int64 (N,), or
    none. ``salience``: int8 (images, bits), margins in steps of ``salience_scale`` (units of Z), or
    none. ``input_bits``: uint8 (images, ceil(C_in H W / 8)), bits in the order (channel, y, x), of
    any layers, where an input is not zero. ``sample``: one layer's int8 data, or None. ``path``,
    ``sha256``: of the file. Raises TraceError where data do not fit the header's layer list.
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
        if self.header.of_channels and (self.salience or self.sample):
            raise TraceError(
                f"{self.path or 'trace'}: salience and samples go with element masks, "
                f"not with {self.header.granularity}"
            )
        if self.sample:
            self.sample.check(self.header, str(self.path or "trace"))
        layers = self.header.masked_layers
        bits = {layer.name: self.header.layer_bits(layer) for layer in layers}
        images, margins = self.header.images, self.salience_images
        packed = {name: (images, -(-count // 8)) for name, count in bits.items()}
        self._check("masks", self.masks, packed)
        counts = dict.fromkeys(bits, (images,))
        if self.zero_operand_macs:
            self._check("zero_operand_macs", self.zero_operand_macs, counts)
        if self.zero_operand_macs_conditional:
            self._check(CONDITIONAL, self.zero_operand_macs_conditional, counts)
            self._check_counts()
        if self.salience:
            decisions = {name: (margins, count) for name, count in bits.items()}
            self._check("salience", self.salience, decisions)
        if self.input_bits:
            self._check_input_bits()

    def _check_input_bits(self) -> None:
        """Raise TraceError where they are no maps of layers, or zero operands are not counted."""
        layers, images = self.header.network.by_name, self.input_images
        known = {name: layers[name] for name in self.input_bits if name in layers}
        shapes = {
            name: (images, -(-layer.in_channels * layer.in_height * layer.in_width // 8))
            for name, layer in known.items()
        }
        self._check(INPUT_BITS, self.input_bits, shapes)
        where = self.path or "trace"
        if images > self.header.images:
            raise TraceError(
                f"{where}: {INPUT_BITS} of {images} images, masks of {self.header.images}"
            )
        gated = self.header.has_masks and any(layer.gated for layer in known.values())
        if gated and not self.zero_operand_macs_conditional:
            raise TraceError(f"{where}: {INPUT_BITS} of gated layers go with {CONDITIONAL}")

    def _check_counts(self) -> None:
        """Raise TraceError where zero operands cannot be split into base and conditional MACs."""
        where = self.path or "trace"
        if self.header.of_channels or not self.zero_operand_macs:
            raise TraceError(f"{where}: {CONDITIONAL} goes with zero_operand_macs of element masks")
        for layer in self.header.masked_layers:
            if (np.asarray(self.zero_operand_macs[layer.name]) % layer.groups).any():
                raise TraceError(
                    f"{where}: layer {layer.name}: zero_operand_macs are no multiple of "
                    f"{layer.groups}, the gating groups"
                )

    def _check(
        self, kind: str, data: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
    ) -> None:
        if wrong := sorted(set(data) ^ set(shapes)):
            raise TraceError(
                f"{self.path or 'trace'}: {kind} do not fit the layer list: "
                f"{', '.join(wrong)} on one side only"
            )
        for name, stored in data.items():
            if tuple(stored.shape) != shapes[name]:
                raise TraceError(
                    f"{self.path or 'trace'}: layer {name}: {kind} of shape "
                    f"{tuple(stored.shape)}, expected {shapes[name]}"
                )

    @classmethod
    def open(cls, path: Path) -> Self:
        """Of a file: its header is checked now, data chunk by chunk as they are read."""
        try:
            file = h5py.File(path, "r")
        except FileNotFoundError:
            raise TraceError(f"{path}: no such file") from None
        except OSError as error:
            if path.suffix in NETWORKS:
                raise TraceError(
                    f"{path}: expected a trace, an HDF5 file; a layer list runs with --network"
                ) from None
            raise TraceError(
                f"{path}: not a readable HDF5 file, perhaps truncated ({error})"
            ) from None
        header = _read_header(path, file)
        try:
            margins = _by_layer(file, "salience")
            counts = _by_layer(file, "zero_operand_macs")
            conditional = _by_layer(file, CONDITIONAL)
            return cls(
                header,
                masks=_by_layer(file, "masks"),
                zero_operand_macs={name: data[:] for name, data in counts.items()},
                zero_operand_macs_conditional={n: data[:] for n, data in conditional.items()},
                salience=margins,
                salience_scale={name: float(data.attrs["scale"]) for name, data in margins.items()},
                sample=LayerSample.read(file["sample"]) if "sample" in file else None,
                input_bits=_by_layer(file, INPUT_BITS),
                path=path,
                sha256=str(file.attrs["sha256"]),
            )
        except (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
            raise TraceError(f"{path}: damaged ({one_line(error)})") from None

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
        return self._read(self.salience, layer, start, stop).astype(np.int8, copy=False)

    def packed_inputs(self, layer: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """uint8 (images, ceil(bits/8)). Raises TraceError."""
        return self._read(self.input_bits, layer, start, stop)

    def _read(
        self, data: Mapping[str, Any], layer: str, start: int = 0, stop: int | None = None
    ) -> np.ndarray:
        try:
            return np.asarray(data[layer][start:stop])
        except (OSError, RuntimeError) as error:
            raise TraceError(
                f"{self.path}: layer {layer}: data damaged ({one_line(error)})"
            ) from None

    def write(self, path: Path) -> None:
        """To a temporary name, flushed, fsynced, then renamed.

        The file is made in memory: on a full disk HDF5 itself ends the process. Raises TraceError.
        """
        image = io.BytesIO()
        with h5py.File(image, "w") as file:
            for layer in self.header.masked_layers:
                self._write_layer(file, layer.name)
            for name in self.input_bits:
                packed = self.packed_inputs(name)
                file.create_dataset(
                    f"{INPUT_BITS}/{_stored_as(name)}",
                    data=packed,
                    fletcher32=True,
                    chunks=(1, packed.shape[1]),
                    compression="gzip",
                    compression_opts=9,
                )
            if self.sample:
                self.sample.write(file.create_group("sample"))
            text = self.header.as_json()
            file.attrs["header"] = text
            file.attrs["header_sha256"] = hashlib.sha256(text.encode()).hexdigest()
            file.attrs["sha256"] = self.digest()
        try:
            with whole(path) as temporary:
                temporary.write_bytes(image.getbuffer())
        except OSError as error:
            why = one_line(error.strerror or error)
            raise TraceError(f"{path}: cannot be written ({why})") from None

    def _write_layer(self, file: h5py.File, name: str) -> None:
        packed, stored_as = self.packed(name), _stored_as(name)
        chunks = (min(CHUNK_IMAGES, len(packed)), packed.shape[1])
        file.create_dataset(f"masks/{stored_as}", data=packed, chunks=chunks, fletcher32=True)
        for kind, by_layer in self._counts():
            counts = np.asarray(by_layer[name], np.int64)
            file.create_dataset(
                f"{kind}/{stored_as}", data=counts, chunks=counts.shape, fletcher32=True
            )
        if self.salience:
            margins = self.margins(name)
            stored = file.create_dataset(
                f"salience/{stored_as}",
                data=margins,
                chunks=(1, margins.shape[1]),
                fletcher32=True,
                shuffle=False,
                compression="gzip",
                compression_opts=9,
            )
            stored.attrs["scale"] = float(self.salience_scale[name])

    def _counts(self) -> Iterator[tuple[str, Mapping[str, np.ndarray]]]:
        """Counts of zero operands that there are, by the name of their group in the file."""
        if self.zero_operand_macs:
            yield "zero_operand_macs", self.zero_operand_macs
        if self.zero_operand_macs_conditional:
            yield CONDITIONAL, self.zero_operand_macs_conditional

    def digest(self) -> str:
        """SHA-256 over header and all data, in layer order; the same for any chunking."""
        digest = hashlib.sha256(self.header.as_json().encode())
        for layer in self.header.masked_layers:
            for start in range(0, self.header.images, CHUNK_IMAGES):
                digest.update(self.packed(layer.name, start, start + CHUNK_IMAGES).tobytes())
            for _, by_layer in self._counts():
                digest.update(np.asarray(by_layer[layer.name], "<i8").tobytes())
            if self.salience:
                digest.update(np.float64(self.salience_scale[layer.name]).tobytes())
                digest.update(self.margins(layer.name).tobytes())
        for name in self.header.network.by_name:
            if name in self.input_bits:
                digest.update(self.packed_inputs(name).tobytes())
        if self.sample:
            digest.update(self.sample.contents())
        return digest.hexdigest()


def _stored_as(layer: str) -> str:
    """A layer's name in the file: HDF5 cuts names at slashes, and takes a dot for the group."""
    return "%2E" if layer == "." else layer.replace("%", "%25").replace("/", "%2F")


def _by_layer(file: h5py.File, kind: str) -> dict[str, Any]:
    """The datasets of a group, by the names of their layers."""
    return {unquote(name): data for name, data in file.get(kind, {}).items()}


def _read_header(path: Path, file: h5py.File) -> TraceHeader:
    try:
        text = str(file.attrs["header"])
        recorded = str(file.attrs["header_sha256"])
    except KeyError:
        raise TraceError(f"{path}: not a mask trace: it has no header") from None
    except (OSError, UnicodeError) as error:
        raise TraceError(f"{path}: header damaged ({one_line(error)})") from None
    if hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest() != recorded:
        raise TraceError(f"{path}: header damaged: it does not match its hash")
    try:
        return TraceHeader.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        message = str(first["ctx"]["error"]) if "error" in first.get("ctx", {}) else first["msg"]
        raise TraceError(f"{path}: header: {message}") from None
