"""The runs of a layer: each model is given plan, masks, input bits, and the loads around it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hwsim.counters import CAUSES, COUNTERS
from hwsim.model import Engine
from hwsim.model.channel_plan import ChannelPlan
from hwsim.model.kernel import gated_layers
from hwsim.model.kernel.channels import layers as channel_layers
from hwsim.model.kernel.pipeline import Results
from hwsim.model.plan import LayerPlan
from hwsim.model.skip_plan import with_lanes
from hwsim.model.transfers import Moves
from hwsim.trace.active_channels import Channels
from hwsim.trace.format.packing import unpack_bits

if TYPE_CHECKING:
    from hwsim.model.reference.observer import Observer


def run_channels(
    plan: ChannelPlan,
    found: Channels,
    prefetched: np.ndarray,
    next_load: np.ndarray,
    *,
    by_tile: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Cycles and counters of a layer that selects, in the rows of :func:`run_kernel`."""
    rows = len(prefetched)
    if by_tile:
        rows = int(channel_layers.visit_count(plan.layer, found))
    results = _results(rows, by_tile)
    loads = prefetched.astype(np.int64), next_load
    channel_layers.channel_batches(plan.machine, plan.layer, found, plan.dma, *loads, results)
    return results.cycles, results.counts


def run_kernel(
    plan: LayerPlan,
    packed: np.ndarray | None,
    first_load: np.ndarray,
    next_load: np.ndarray,
    inputs: np.ndarray | None = None,
    moves: Moves | None = None,
    *,
    by_tile: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Cycles and counters of a layer, a row per batch; ``by_tile``: one batch, a row per visit.

    ``moves``: of all batches, the plan's own unless told. Stalls between visits are booked at a
    batch's last one.
    """
    visits, batches = len(plan.tiles), len(first_load)
    rows = visits if by_tile else batches
    results = _results(rows, by_tile)
    fixed, skipping, ahead = (plan.fixed_cycles, plan.fixed_counts), None, plan.ahead
    if inputs is not None:
        skipped = plan.skip.run(inputs)
        fixed = fixed[0] + skipped.cycles, fixed[1] + skipped.counts
        skipping, ahead = skipped.conditional, ahead and with_lanes(ahead)
    transfers = plan.transfers(fixed[0], first_load, next_load, moves)
    if packed is None:
        gated_layers.dense_batches(transfers, batches, results)
    else:
        masked, machine = plan.masked(packed), (plan.machine, plan.conditional)
        if plan.scheme.kind == "clock-gated":
            gated_layers.clock_gated_batches(*machine, masked, transfers, results)
        else:
            options = ahead, plan.window(), skipping
            gated_layers.sparse_batches(*machine, masked, transfers, results, *options)
    if not by_tile:
        fixed = fixed[0].sum(axis=-2), fixed[1].sum(axis=-2)
    elif inputs is not None:
        fixed = fixed[0][0], fixed[1][0]
    return results.cycles + fixed[0], results.counts + fixed[1]


def _results(rows: int, by_tile: bool) -> Results:
    cycles = np.zeros((rows, len(CAUSES)), np.int64)
    return Results(cycles, np.zeros((rows, len(COUNTERS)), np.int64), int(by_tile))


def run_reference(
    plan: LayerPlan,
    packed: np.ndarray | None,
    first_load: np.ndarray,
    next_load: np.ndarray,
    inputs: np.ndarray | None = None,
    moves: Moves | None = None,
    *,
    observer: Observer | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The reference's run of one batch; SimPy is loaded only where it is used."""
    from hwsim.model.reference.machine import run_layer
    from hwsim.model.reference.observer import NOBODY
    from hwsim.model.reference.tile import Layer

    mapping, layer, masks, operands = plan.mapping, plan.mapping.layer, None, None
    moves = moves or plan.moves
    if inputs is not None:
        operands = unpack_bits(inputs, (layer.in_channels, layer.in_height, layer.in_width))
    if packed is not None:
        shape = (layer.out_channels // plan.mask_group, layer.out_pixels)
        bits = unpack_bits(packed, shape)
        masks = bits.swapaxes(0, 1).reshape(shape[0], mapping.total_pixels)
    return run_layer(
        Layer(plan.scheme, mapping, plan.tiles, masks, plan.mask_group, operands),
        np.concatenate([first_load, moves.loads[1:], next_load]),
        moves.stores,
        moves.exposed,
        observer or NOBODY,
    )


class _RunLayer(Protocol):
    def __call__(
        self,
        plan: LayerPlan,
        packed: np.ndarray | None,
        first_load: np.ndarray,
        next_load: np.ndarray,
        inputs: np.ndarray | None = None,
        moves: Moves | None = None,
    ) -> tuple[np.ndarray, np.ndarray]: ...


ENGINES: dict[Engine, _RunLayer] = {
    "kernel": partial(run_kernel, by_tile=True),
    "reference": run_reference,
}
"""Each model's run of a layer and one batch: cycles (visits, CAUSES), counters (visits, COUNTERS).

The packed masks and input bits of the batch's images are None where none are used; the loads, (1,)
each, are the DMA cycles before the first visit and, during the last one, for the next layer;
moves are the plan's own unless told.
"""
