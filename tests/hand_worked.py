"""What a case worked out by hand is: a small layer, and a tile's cycles in named latencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from by_hand import NOTHING, machine
from layer_run import LayerRun
from oracle.machines import conv

from hwsim.arch.config import ArchConfig
from hwsim.model.reference.latencies import LATENCIES

STEP, READ, HOP, ROW = (LATENCIES.step, LATENCIES.bank_word, LATENCIES.hop, LATENCIES.drained_row)
PASS, EMIT, SYMBOLS = LATENCIES.empty_word, LATENCIES.emission, LATENCIES.symbols

ALL_EMPTY = (NOTHING,) * 4

WAITS = 4 * ROW - 2 * STEP
"""What a round of 2 steps waits for 4 rows."""

BASE_OF_16 = {"base": 4 * 2 * STEP, "drain": 4 * WAITS + 4 * ROW}
"""The base pass of 16 pixels, R = 4: rounds of 2 steps; then the last drain."""


@dataclass(frozen=True)
class Hand:
    """A 1x1 convolution, 4 -> 4 channels in 2 groups, on a row of pixels.

    R = 4, C = 2, A = 2, W = 8 and more banks than pointers unless ``machine`` says otherwise;
    L_b = L_c = 2, one beat each, a channel tile is one gating group; dense, L = 4 in two beats.
    ``masks`` are the set pixels of each channel. Expected of the ``tile``: all causes but for
    zeros, and these counters.
    """

    name: str
    scheme: str
    pixels: int
    causes: Mapping[str, int]
    counters: Mapping[str, int] = field(default_factory=dict)
    masks: Sequence[Sequence[int]] = ALL_EMPTY
    machine: Mapping[str, object] = field(default_factory=dict)
    tile: int = 0

    @property
    def arch(self) -> ArchConfig:
        shares = self.scheme.startswith(("structured", "lockstep"))
        return machine(**{"lane_group": 2 if shares else 1, **self.machine})

    @property
    def run(self) -> LayerRun:
        """A structured scheme's masks have one list for each lane group."""
        layer = conv("conv", (4, 4), (1, self.pixels), groups=2)
        bits = np.zeros((1, 4, 1, self.pixels), bool)
        for channel, ones in enumerate(self.masks):
            bits[0, channel, 0, list(ones)] = True
        lanes = self.arch.index.lane_group if self.scheme.startswith("structured") else 1
        return LayerRun(self.arch, layer, self.scheme, lanes, 1, bits[:, ::lanes])


def beside_base(**causes: int) -> dict[str, int]:
    """The causes of a tile of 16 pixels whose conditional pass takes these."""
    return {name: BASE_OF_16.get(name, 0) + causes.get(name, 0) for name in BASE_OF_16 | causes}
