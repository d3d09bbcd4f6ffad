"""Results: cycles and counters of a run, priced, as data frames and plain data.

:class:`SimResult` holds integers; energy is added when a table prices them. ``summary`` is the row
of the comparison table and of ``summary.json``; ``layers_frame`` is ``layers.parquet``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.arch.config import ArchConfig, Shape
from hwsim.arch.schemes import Scheme
from hwsim.counters import CAUSES, COUNTERS, DRAM_COUNTERS, C, idle_pe_cycles, utilisation
from hwsim.energy.area import area
from hwsim.energy.hardware import Hardware, hardware_of
from hwsim.energy.prices import COMPONENTS, price, prices
from hwsim.energy.table import EnergyTable, PriceError
from hwsim.model import Engine
from hwsim.network import AnyLayer, ConvLayer, Network
from hwsim.trace.format.header import TraceHeader

if TYPE_CHECKING:
    import pandas as pd


ACTIVATION_WORDS = "activation_word_reads", "residual_word_reads", "activation_word_writes"
PARTIAL_SUM_WORDS = (
    "psum_base_writes", "psum_conditional_reads", "psum_conditional_writes", "psum_output_reads",
)  # fmt: skip
"""Counters of words of the same memory."""


@dataclass(frozen=True, repr=False)
class SimResult:
    """One scheme on one trace: int64 ``causes`` (layers, CAUSES), ``counters`` (layers, COUNTERS).

    Totals over all images. ``mask_ones`` are the set mask bits per gated layer;
    ``batch_cycles`` (batches,) the cycles of each batch; ``shapes`` the
    array's in each layer (empty: its own). ``kept_macs``: by layer, of computed outputs and kept
    inputs, where masks are of channels.
    """

    arch: ArchConfig
    header: TraceHeader
    trace_name: str
    trace_sha256: str | None
    scheme: Scheme
    batch: int
    causes: np.ndarray
    counters: np.ndarray
    mask_ones: Mapping[str, int]
    batch_cycles: np.ndarray
    engine: Engine = "kernel"
    shapes: tuple[Shape, ...] = ()
    kept_macs: Mapping[str, int] | None = None

    def __repr__(self) -> str:
        return (
            f"SimResult({self.trace_name} on {self.arch.name}, {self.scheme.name}, {self.images} "
            f"images in batches of {self.batch}: {self.cycles:,} cycles)"
        )

    @property
    def network(self) -> Network:
        return self.header.network

    @property
    def images(self) -> int:
        return self.header.images

    @property
    def cycles(self) -> int:
        return int(self.causes.sum())

    def distribution(self) -> dict[str, Any]:
        """Cycles per image over whole batches: mean, percentiles, 95 % confidence of the mean.

        Of batches of one image these are the images'. A last, smaller batch is left out; the
        interval is 1.96 standard errors on either side, None of a single batch.
        """
        whole = self.batch_cycles[: self.images // self.batch] / self.batch
        mean, error = float(whole.mean()), None
        if len(whole) > 1:
            error = 1.96 * float(whole.std(ddof=1)) / len(whole) ** 0.5
        p5, p50, p95 = (float(part) for part in np.percentile(whole, [5, 50, 95]))
        return {
            "batches": len(whole),
            "mean": mean,
            "p5": p5,
            "p50": p50,
            "p95": p95,
            "confidence_95": None if error is None else [mean - error, mean + error],
        }

    @cached_property
    def totals(self) -> dict[str, int]:
        """Counters over all layers."""
        return named(COUNTERS, self.counters.sum(axis=0))

    @property
    def sram_bytes(self) -> int:
        """Bytes through all on-chip memories; what DMA moves passes a buffer once as well."""
        return int(self._sram_bytes().sum())

    @cached_property
    def hardware(self) -> Hardware:
        """What the scheme builds, with the array in its own shape."""
        return hardware_of(self.scheme, self.arch, self.header.mask_group)

    @cached_property
    def _shaped(self) -> dict[Shape, ArchConfig]:
        """The machine in its own shape and in those that layers take."""
        own = self.arch.array.shapes[0]
        others = {shape: self.arch.shaped(shape) for shape in self.shapes if shape != own}
        return {own: self.arch, **others}

    def _machine(self, position: int) -> ArchConfig:
        """The machine in the shape of this layer."""
        return self._shaped[self.shapes[position]] if self.shapes else self.arch

    @cached_property
    def table(self) -> EnergyTable:
        return EnergyTable.load(self.arch.pricing.table)

    @cached_property
    def no_price(self) -> str | None:
        """Why energy and area have no price: a memory of a size that was not measured; else None.

        Cycles and counters do not depend on it.
        """
        try:
            _ = self.areas_mm2, self.energy_pj
            for machine in self._shaped.values() if len(self._shaped) > 1 else ():
                hardware = self._hardware_of(machine)
                area(machine, hardware, self.table)
                prices(machine, hardware, self.table)
        except PriceError as error:
            return str(error)
        return None

    @cached_property
    def energy_pj(self) -> dict[str, float]:
        """Energy over all images by component. Raises PriceError where :attr:`no_price` says so."""
        if len(self._shaped) == 1:
            return self._price(self.arch, self.totals, self.cycles)
        energy_pj: Counter[str] = Counter()
        for shape in dict.fromkeys(self.shapes):
            chosen = [shape == other for other in self.shapes]
            counters = named(COUNTERS, self.counters[chosen].sum(axis=0))
            spent = int(self.causes[chosen].sum())
            energy_pj.update(self._price(self._shaped[shape], counters, spent))
        return dict(energy_pj)

    def _price(
        self, machine: ArchConfig, counters: Mapping[str, int], cycles: int
    ) -> dict[str, float]:
        """Energy in pJ by component on the machine in one of its shapes."""
        return price(counters, cycles, machine, self._hardware_of(machine), self.table)

    def _hardware_of(self, machine: ArchConfig) -> Hardware:
        """What the scheme builds on the machine in one of its shapes."""
        if machine is self.arch:
            return self.hardware
        return hardware_of(self.scheme.name, machine, self.header.mask_group)

    @cached_property
    def areas_mm2(self) -> dict[str, float]:
        """Area of the scheme's hardware by component. Raises PriceError."""
        return area(self.arch, self.hardware, self.table)

    @property
    def area_mm2(self) -> float:
        """Area of the scheme's hardware, an estimate (docs/model/energy.md). Raises PriceError."""
        return sum(self.areas_mm2.values())

    def repriced(self, **prices: str | float) -> SimResult:
        """The same counts under other prices: keys of ``pricing``, and ``dram_pj_per_bit``."""
        pricing = dict(prices)
        dram = {"pj_per_bit": pricing.pop("dram_pj_per_bit", self.arch.dram.pj_per_bit)}
        arch = self.arch.model_copy(
            update={
                "pricing": self.arch.pricing.model_copy(update=pricing),
                "dram": self.arch.dram.model_copy(update=dram),
            }
        )
        return replace(self, arch=arch)

    @property
    def gates_zeros(self) -> bool:
        """Whether MACs with a zero operand were gated or skipped, and so activations matter."""
        return self.totals["macs_zero_gated"] + self.totals["macs_zero_skipped"] > 0

    def ungated(self) -> SimResult:
        """The same run with its zero operands executed; they count as base MACs."""
        counters = self.counters.copy()
        counters[:, C["macs_base"]] += counters[:, C["macs_zero_gated"]]
        counters[:, C["macs_zero_gated"]] = 0
        return replace(self, counters=counters)

    def density(self, layer: AnyLayer) -> float:
        """Share of the layer's mask bits that are 1."""
        return self.mask_ones[layer.name] / (self.images * self.header.layer_bits(layer))

    @property
    def density_macs(self) -> float | None:
        """Density weighted by MACs; of masks of channels the share of MACs that are kept.

        None without masks.
        """
        if not self.header.has_masks:
            return None
        if self.kept_macs is None:
            return self.header.density_macs(self.mask_ones)
        return self._kept(self.network.gated_layers) / self.network.gated_macs

    @property
    def ideal_speedup(self) -> float:
        """Dense MACs over promised ones in the gated layers; 1 without gating.

        Promised: 1/G + (1 - 1/G) d_MAC of them, or the MACs of kept channels; where zeros are
        skipped, those of them whose operand is not zero.
        """
        return _ratio(self.network.gated_macs, self._promised_gated_macs())

    @property
    def ideal_speedup_network(self) -> float:
        """The same over the whole network with its dense layers."""
        if self.scheme.kind == "channels":
            return _ratio(self.network.macs, self._kept(self.network.convolutions))
        dense = self.network.macs - self.network.gated_macs - self._skipped(gated=False)
        return self.network.macs / (dense + self._promised_gated_macs())

    def _skipped(self, gated: bool) -> float:
        """MACs an image that are skipped because their operand is zero, in such layers."""
        rows = [
            position for position, layer in enumerate(self.network.layers) if layer.gated is gated
        ]
        return float(self.counters[rows, C["macs_zero_skipped"]].sum()) / self.images

    def to_frame(self) -> pd.DataFrame:
        """One row per layer: shape, cycles by cause, counters, energy in pJ; totals over images.

        Energies are NaN where they have no price.
        """
        import pandas as pd

        rows, sram_bytes = [], self._sram_bytes()
        for position, layer in enumerate(self.network.layers):
            counters = named(COUNTERS, self.counters[position])
            causes = named(CAUSES, self.causes[position])
            cycles = sum(causes.values())
            machine = self._machine(position)
            energy = {} if self.no_price else self._price(machine, counters, cycles)
            rows.append(
                {
                    **self._identity(),
                    "layer": layer.name,
                    "gated": layer.gated,
                    "array": f"{machine.array.rows}x{machine.array.columns}",
                    "in_channels": layer.in_channels,
                    "out_channels": layer.out_channels,
                    "kernel_size": layer.kernel_size if isinstance(layer, ConvLayer) else None,
                    "stride": layer.stride if isinstance(layer, ConvLayer) else None,
                    "out_height": layer.out_height,
                    "out_width": layer.out_width,
                    "dense_macs": layer.macs * self.images,
                    "density": self.density(layer) if layer.name in self.mask_ones else None,
                    "cycles": cycles,
                    "utilisation": utilisation(self.arch.pes, cycles, counters),
                    **{f"{cause}_cycles": spent for cause, spent in causes.items()},
                    **counters,
                    "idle_pe_cycles": idle_pe_cycles(self.arch.pes, cycles, counters),
                    "sram_bytes": int(sram_bytes[position]),
                    **{
                        f"{component}_pj": energy.get(component, math.nan)
                        for component in COMPONENTS
                    },
                    "energy_pj": sum(energy.values()) if energy else math.nan,
                }
            )
        return pd.DataFrame(rows)

    def _identity(self) -> dict[str, Any]:
        return {
            "arch": self.arch.name,
            "trace": self.trace_name,
            "method": self.header.method,
            "label": self.header.label,
            "scheme": self.scheme.name,
            "engine": self.engine,
            "batch": self.batch,
            "images": self.images,
        }

    def _promised_gated_macs(self) -> float:
        if self.scheme.kind == "channels":
            return self._kept(self.network.gated_layers)
        left: float = self.network.gated_macs
        if self.scheme.kind != "dense":
            gated = self.network.gated_layers
            left = sum(layer.executed_macs(self.density(layer)) for layer in gated)
        return left - self._skipped(gated=True)

    def _kept(self, layers: Iterable[ConvLayer]) -> float:
        """Kept MACs per image of these layers."""
        kept = self.kept_macs or {}
        return sum(kept[layer.name] for layer in layers) / self.images

    def _sram_bytes(self) -> np.ndarray:
        """int64 (layers,); partial sums that go to DRAM are words of their own memory."""

        def counted(names: Iterable[str]) -> np.ndarray:
            return self.counters[:, [C[name] for name in names]].sum(axis=1)

        shapes = self.shapes or self.arch.array.shapes[:1]
        columns = np.array([columns for _, columns in shapes])
        lanes = np.array([self.scheme.lanes(each) for each in columns.tolist()])
        index_bits = counted(["mask_bits_written"])
        index_bits += counted(["index_words_read"]) * self.arch.index.word_bits
        found: np.ndarray = (
            counted(ACTIVATION_WORDS) * self.arch.activation.word_channels
            + counted(["weight_word_reads"]) * columns
            + counted(PARTIAL_SUM_WORDS) * lanes * 4
            + -(-index_bits // 8)
            + counted(name for name in DRAM_COUNTERS if name != "dram_psum_bytes")
        )
        return found


def layers_frame(results: Iterable[SimResult]) -> pd.DataFrame:
    """Per-layer rows of several runs, one below the other."""
    import pandas as pd

    return pd.concat([result.to_frame() for result in results], ignore_index=True)


def _ratio(dense: float, promised: float) -> float:
    """Infinite where a mask keeps no channel at all; 1 where there is nothing to keep."""
    return dense / promised if promised else (math.inf if dense else 1.0)


def named(names: tuple[str, ...], values: np.ndarray) -> dict[str, int]:
    return {name: int(value) for name, value in zip(names, values, strict=True)}
