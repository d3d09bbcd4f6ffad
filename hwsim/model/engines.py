"""The runs of a layer: each model is given its plan, masks and input bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

from hwsim.arch.config import ArchConfig
from hwsim.counters import CAUSES, COUNTERS
from hwsim.mapping.tiles import dma_ratio
from hwsim.model import Engine
from hwsim.model.channel_plan import ChannelPlan
from hwsim.model.fixed import fixed_by_visit
from hwsim.model.kernel import gated_layers
from hwsim.model.kernel.channels import layers as channel_layers
from hwsim.model.kernel.pipeline import Results, Transfers
from hwsim.model.plan import LayerPlan
from hwsim.model.skip_plan import with_lanes
from hwsim.model.stalls import BETWEEN, stalls_of
from hwsim.trace.active_channels import Channels
from hwsim.trace.format.packing import unpack_bits

if TYPE_CHECKING:
    from hwsim.model.reference.observer import Observer


def run_channels(
    plan: ChannelPlan,
    arch: ArchConfig,
    found: Channels,
    prefetched: np.ndarray,
    next_load: np.ndarray,
    *,
    by_tile: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Cycles and counters of a layer that selects, a row per batch; ``by_tile``: one, by visit.

    ``arch``: with its DRAM, for whose transfers masks decide; ``prefetched`` bool (batches,): the
    first weights are there; ``next_load`` (batches,): DMA cycles during the last visit.
    """
    rows = len(prefetched)
    if by_tile:
        rows = int(channel_layers.visit_count(plan.layer, found))
    results = _results(rows, by_tile)
    loads = prefetched.astype(np.int64), next_load
    dma = channel_layers.Dma(*dma_ratio(arch))
    channel_layers.channel_batches(plan.machine, plan.layer, found, dma, *loads, results)
    return results.cycles, results.counts


LayerRun: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Cycles by cause and counters, a row per batch, and each visit's cycles (batches, visits)."""


def run_kernel(
    plan: LayerPlan,
    packed: np.ndarray | None,
    inputs: np.ndarray | None,
    batches: int,
    *,
    by_tile: bool,
) -> LayerRun:
    """Cycles and counters of a layer, a row per batch, without the stalls between its visits.

    And what each visit takes, int64 (batches, visits). ``by_tile``: of one batch, a row per visit.
    """
    if packed is None and inputs is None and not by_tile:
        rows = (np.broadcast_to(each, (batches, len(each))) for each in plan.fixed)
        computed, cycles, counts = rows
        return cycles, counts, computed
    results = _results(len(plan.tiles) if by_tile else batches, by_tile)
    computed, skipping, ahead = np.empty((batches, len(plan.tiles)), np.int64), None, plan.ahead
    if inputs is None and not by_tile:
        computed[:], *fixed = plan.fixed
    else:
        by_visit = fixed_by_visit(plan.setting)
        if inputs is not None:
            skipped = plan.skip.run(inputs)
            by_visit = by_visit[0] + skipped.cycles, by_visit[1] + skipped.counts
            skipping, ahead = skipped.conditional, ahead and with_lanes(ahead)
        computed[:] = by_visit[0].sum(axis=-1)
        fixed = [each.reshape(-1, *each.shape[-2:]) for each in by_visit]
        fixed = [each[0] if by_tile else each.sum(axis=1) for each in fixed]
    if packed is not None:
        masked, machine = plan.masked(packed), (plan.machine, plan.conditional)
        if plan.scheme.kind == "clock-gated":
            gated_layers.clock_gated_batches(*machine, masked, results)
        else:
            options = ahead, plan.window(), skipping
            gated_layers.sparse_batches(*machine, masked, computed, results, *options)
    return results.cycles + fixed[0], results.counts + fixed[1], computed


def _results(rows: int, by_tile: bool) -> Results:
    cycles = np.zeros((rows, len(CAUSES)), np.int64)
    return Results(cycles, np.zeros((rows, len(COUNTERS)), np.int64), int(by_tile))


def _kernel_tiles(
    plan: LayerPlan, packed: np.ndarray | None, inputs: np.ndarray | None, transfers: Transfers
) -> tuple[np.ndarray, np.ndarray]:
    """Stalls between visits are booked at the last one."""
    cycles, counts, computed = run_kernel(plan, packed, inputs, 1, by_tile=True)
    cycles[-1, BETWEEN] += stalls_of(computed, transfers)[0, 0]
    return cycles, counts


def run_reference(
    plan: LayerPlan,
    packed: np.ndarray | None,
    inputs: np.ndarray | None,
    transfers: Transfers,
    observer: Observer | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """SimPy is loaded only where it is used."""
    from hwsim.model.reference.machine import run_layer
    from hwsim.model.reference.observer import NOBODY
    from hwsim.model.reference.tile import Layer

    mapping, layer, masks, operands = plan.mapping, plan.mapping.layer, None, None
    if inputs is not None:
        operands = unpack_bits(inputs, (layer.in_channels, layer.in_height, layer.in_width))
    if packed is not None:
        shape = (layer.out_channels // plan.mask_group, layer.out_pixels)
        bits = unpack_bits(packed, shape)
        masks = bits.swapaxes(0, 1).reshape(shape[0], mapping.total_pixels)
    return run_layer(
        Layer(plan.scheme, mapping, plan.tiles, masks, plan.mask_group, operands),
        np.concatenate([transfers.first[0], transfers.loads[0, 1:], transfers.ahead[0]]),
        transfers.stores[0],
        transfers.exposed[0],
        observer or NOBODY,
    )


class _RunLayer(Protocol):
    def __call__(
        self,
        plan: LayerPlan,
        packed: np.ndarray | None,
        inputs: np.ndarray | None,
        transfers: Transfers,
    ) -> tuple[np.ndarray, np.ndarray]: ...


ENGINES: dict[Engine, _RunLayer] = {"kernel": _kernel_tiles, "reference": run_reference}
"""Each model's run of a layer and one batch: cycles (visits, CAUSES), counters (visits, COUNTERS).

The packed masks and input bits of the batch's images are None where none are used.
"""
