"""What visits of a layer wait for: the output stage behind each, and DMA (docs/model/pipeline.md).

Part of the cycle model, hwsim.model.kernel.gated_layers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.model.kernel.jit import compiled, inlined


class Transfers(NamedTuple):
    """What visits wait for, those of all layers one behind the other; int64, in cycles.

    ``edges`` (layers + 1,): a layer's first visit; ``emptied`` (visits,): the output stage behind
    each. By batch, or one row for all: ``loads`` before and ``stores`` behind each (rows, visits);
    ``exposed`` (rows, visits), weight loads before each that nothing hides; ``first`` and ``ahead``
    (batches, layers): before a layer's first visit, and during its last one for the next layer.
    """

    edges: np.ndarray
    emptied: np.ndarray
    loads: np.ndarray
    stores: np.ndarray
    exposed: np.ndarray
    first: np.ndarray
    ahead: np.ndarray


class Results(NamedTuple):
    """What batches add to: int64 ``cycles`` (rows, CAUSES) and ``counts`` (rows, COUNTERS).

    A row per batch; with ``by_tile`` 1, of one batch a row per visit.
    """

    cycles: np.ndarray
    counts: np.ndarray
    by_tile: int


class Clock(NamedTuple):
    """Stalls of a layer so far, and what of the last visit is still to be emptied and stored."""

    output_stall: int
    dram_stall: int
    emptying: int
    storing: int


@inlined
def start(first_load):
    """A batch's first load."""
    return Clock(np.int64(0), first_load, np.int64(0), np.int64(0))


@inlined
def visit(clock, computed, following, exposed, emptied, stored):
    """A visit of ``computed`` cycles: the one before is emptied and stored, the next is loaded."""
    busy = max(computed, clock.emptying)
    waits = max(0, clock.storing + following - busy) + exposed
    output_stall = clock.output_stall + busy - computed
    return Clock(output_stall, clock.dram_stall + waits, emptied, stored)


@inlined
def finish(clock):
    """Stalls on the output stage and on DRAM: behind the last visit there is only what is left."""
    dram_stall = clock.dram_stall + max(0, clock.storing - clock.emptying)
    return clock.output_stall + clock.emptying, dram_stall


@compiled
def wait_batches(computed, transfers, stalls):
    """Of visits that take ``computed`` (batches, visits) cycles by themselves.

    Fills ``stalls``, int64 (batches, layers, 2): on the output stage, on DRAM.
    """
    edges, emptied, loads, stores, exposed, first, ahead = transfers
    shared = loads.shape[0] == 1
    for b in range(computed.shape[0]):
        row = 0 if shared else b
        for layer in range(edges.size - 1):
            last = edges[layer + 1] - 1
            clock = start(first[b, layer])
            for t in range(edges[layer], last + 1):
                following = loads[row, t + 1] if t < last else ahead[b, layer]
                clock = visit(
                    clock, computed[b, t], following, exposed[row, t], emptied[t], stores[row, t]
                )
            stalls[b, layer, 0], stalls[b, layer, 1] = finish(clock)
