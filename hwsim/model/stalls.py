"""Stalls between visits: on the output stage and on DRAM (docs/model/pipeline.md).

They are all that the speeds of clock and DRAM change: what visits take by themselves, and the bytes
that they move, can be remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from hwsim.arch.config import ArchConfig
from hwsim.counters import CAUSES
from hwsim.mapping.tiles import dma_cycles
from hwsim.model.kernel.pipeline import Transfers, wait_batches
from hwsim.model.transfers import Moves

BETWEEN = np.array([CAUSES.index("output_stall"), CAUSES.index("dram_stall")])
"""Causes of the stalls between visits."""


class Bytes(NamedTuple):
    """What the visits of layers move, those of all layers one behind the other; int64.

    ``edges`` (layers + 1,): a layer's first visit; ``emptied`` (visits,): pixels behind each. By
    batch, or one row for all: ``before``, ``after``, ``exposed`` (rows, visits) and ``prefetched``
    (rows, layers) as in :class:`Moves`. ``there`` bool (batches, layers): where a layer's first
    weights are there already; ``ahead`` (batches, layers): what its last visit loads for the next.
    """

    edges: np.ndarray
    emptied: np.ndarray
    before: np.ndarray
    after: np.ndarray
    exposed: np.ndarray
    prefetched: np.ndarray
    there: np.ndarray
    ahead: np.ndarray

    @classmethod
    def of(
        cls,
        emptied: Sequence[np.ndarray],
        moves: Sequence[Sequence[Moves]],
        there: np.ndarray,
        ahead: np.ndarray,
    ) -> Self:
        """``moves``: of each layer, those of every batch or of one for all."""
        rows = max(len(of_layer) for of_layer in moves)

        def joined(name: str) -> np.ndarray:
            if rows == 1:
                parts = [np.atleast_1d(getattr(only, name)) for (only,) in moves]
                return np.concatenate(parts)[None]
            parts = [np.array([getattr(one, name) for one in of_layer]) for of_layer in moves]
            parts = [part.reshape(len(part), -1) for part in parts]
            return np.hstack([np.broadcast_to(part, (rows, part.shape[1])) for part in parts])

        return cls(
            np.cumsum([0, *(len(pixels) for pixels in emptied)]),
            np.concatenate(emptied),
            joined("before"),
            joined("after"),
            joined("exposed"),
            joined("prefetched"),
            there,
            ahead,
        )


def transfers_of(moved: Bytes, arch: ArchConfig) -> Transfers:
    """The same in cycles of the machine's DMA."""
    loads = dma_cycles(moved.before, arch)
    weightless = dma_cycles(moved.prefetched, arch)
    return Transfers(
        moved.edges,
        moved.emptied,
        loads,
        dma_cycles(moved.after, arch),
        dma_cycles(moved.exposed, arch),
        np.where(moved.there, weightless, loads[:, moved.edges[:-1]]),
        dma_cycles(moved.ahead, arch),
    )


def stalls_of(computed: np.ndarray, transfers: Transfers) -> np.ndarray:
    """int64 (batches, layers, 2), as BETWEEN; ``computed``: each visit's own (batches, visits)."""
    stalls = np.empty((*transfers.first.shape, len(BETWEEN)), np.int64)
    wait_batches(computed, transfers, stalls)
    return stalls
