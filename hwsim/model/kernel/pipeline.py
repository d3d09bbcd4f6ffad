"""What visits of a layer wait for: the output stage behind each, and DMA (docs/model/pipeline.md).

Part of the cycle model, hwsim.model.kernel.gated_layers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.counters import CAUSES
from hwsim.model.kernel.jit import compiled, inlined

_OUTPUT_STALL, _DRAM_STALL = CAUSES.index("output_stall"), CAUSES.index("dram_stall")


class Transfers(NamedTuple):
    """What visits of a layer wait for, in cycles, int64.

    ``computed`` (rows, visits): what no mask changes, a row for all batches, or for each where
    zeros are skipped; ``emptied`` (visits,): the output stage behind
    each; ``loads`` and ``stores`` (visits,): what DMA brings before, and takes after; ``exposed``
    (visits,): weight loads before each that nothing hides; ``first_load`` and ``next_load``
    (batches,): before the first visit, and during the last one for the next layer.
    """

    computed: np.ndarray
    emptied: np.ndarray
    loads: np.ndarray
    stores: np.ndarray
    exposed: np.ndarray
    first_load: np.ndarray
    next_load: np.ndarray


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


@compiled
def start(transfers, b):
    """A batch's first load."""
    return Clock(np.int64(0), transfers.first_load[b], np.int64(0), np.int64(0))


@inlined
def visit(transfers, b, t, spent, clock):
    """One visit: the one before is emptied and stored, the one after is loaded."""
    following = transfers.next_load[b]
    if t + 1 < transfers.loads.size:
        following = transfers.loads[t + 1]
    busy = max(spent, clock.emptying)
    waits = max(0, clock.storing + following - busy) + transfers.exposed[t]
    return Clock(
        clock.output_stall + busy - spent,
        clock.dram_stall + waits,
        transfers.emptied[t],
        transfers.stores[t],
    )


@compiled
def finish(clock, cycles):
    """Behind the last visit nothing is left but to empty and to store it."""
    cycles[_OUTPUT_STALL] += clock.output_stall + clock.emptying
    cycles[_DRAM_STALL] += clock.dram_stall + max(0, clock.storing - clock.emptying)
