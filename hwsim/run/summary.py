"""The figures of a run on one row, beside those of the dense run of the same trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwsim.counters import CAUSES, DRAM_COUNTERS, utilisation
from hwsim.run.results import SimResult, named


def summary(result: SimResult, dense: SimResult) -> dict[str, Any]:
    """The row of ``summary.json`` (per image where it says so); ``dense`` is the same trace's.

    Energy and area are None where they have no price, ``no_price`` says why; densities are None
    without masks.
    """
    return counted(result, dense) | priced(result)


def priced(result: SimResult) -> dict[str, Any]:
    """The part of :func:`summary` that prices decide."""
    if result.no_price is not None:
        return {"no_price": result.no_price}
    images = result.images
    energy_uj = {name: pj / images / 1e6 for name, pj in result.energy_pj.items()}
    total_uj = sum(energy_uj.values())
    tops_per_w = 2 * result.network.macs / total_uj / 1e6 if total_uj else None
    return {
        "energy_uj_per_image": total_uj,
        "energy_uj": energy_uj,
        "area_mm2": result.area_mm2,
        "tops_per_w_dense_equivalent": tops_per_w,
    }


def counted(result: SimResult, dense: SimResult) -> dict[str, Any]:
    """The part of :func:`summary` that no price changes; what prices decide is None."""
    images, totals = result.images, result.totals
    cycles = result.cycles / images
    speedup = dense.cycles / result.cycles
    masked = result.header.has_masks
    ideal = result.ideal_speedup_network
    return {
        "scheme": result.scheme.name,
        "engine": result.engine,
        "trace": result.trace_name,
        "method": result.header.method,
        "label": result.header.label,
        "mask_group": result.header.mask_group,
        "images": images,
        "batch": result.batch,
        "lane_group": result.scheme.lane_group,
        "zeros_gated": result.gates_zeros,
        "format": result.arch.index.format,
        "cycles_per_image": cycles,
        "cycles_per_image_distribution": result.distribution(),
        "images_per_s": result.arch.clock_hz / cycles,
        "speedup": speedup,
        "ideal_speedup": result.ideal_speedup,
        "ideal_speedup_network": ideal,
        "share_realised": share_of_promise(speedup, ideal) if ideal > 1 else None,
        "utilisation": utilisation(result.arch.pes, result.cycles, totals),
        "density_elements": result.header.density_elements(result.mask_ones) if masked else None,
        "density_macs": result.density_macs,
        "energy_uj_per_image": None,
        "energy_uj": None,
        "area_mm2": None,
        "no_price": None,
        "tops_per_w_dense_equivalent": None,
        "dram_bytes_per_image": sum(totals[name] for name in DRAM_COUNTERS) / images,
        "sram_bytes_per_image": result.sram_bytes / images,
        "index_bits_per_image": totals["mask_bits_written"] / images,
        "stalls": named(CAUSES, result.causes.sum(axis=0)),
    }


def share_of_promise(speedup: float, ideal: float) -> float:
    """Saved time over the time that an ``ideal`` above 1 would save."""
    return (1 - 1 / speedup) / (1 - 1 / ideal)


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A summary's row for a data frame: ``<component>_uj`` columns instead of nested energies."""
    nested = ("energy_uj", "stalls", "cycles_per_image_distribution")
    plain = {key: value for key, value in row.items() if key not in nested}
    return plain | {f"{component}_uj": uj for component, uj in (row["energy_uj"] or {}).items()}
