"""What units are played: operands, words and sums with the statistics of the shipped traces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwsim.trace.mask_trace import MaskTrace
from hwsim.trace.statistics import ALL_LAYERS, mask_statistics

TRACE = Path(__file__).parents[2] / "traces" / "resnet18-cifar10-cdg.h5"

ROUND_STEPS = 144
"""Steps that an accumulator adds up: nine taps of 16 channels, one gating group of 64 channels."""


@dataclass(frozen=True)
class Statistics:
    """``zero_operands``: share of the gated layers' MACs that have a zero activation. ``density``:
    of the mask bits; ``lockstep``: of the pixels at which any of eight columns is open.
    """

    zero_operands: float
    density: float
    lockstep: float


def trace_statistics(path: Path = TRACE) -> Statistics:
    """Of all images and gated layers of a trace: what ``hwsim trace statistics`` prints of its
    masks, and what it holds of zero operands, of every MAC of a dense pass.
    """
    trace = MaskTrace.open(path)
    layers = trace.network.gated_layers
    zeros = sum(int(trace.zero_operand_macs(layer.name).sum()) for layer in layers)
    macs = trace.images * sum(layer.macs for layer in layers)
    table = mask_statistics(trace)
    row = table[table["layer"] == ALL_LAYERS]
    density, lockstep = (float(row[name].iloc[0]) for name in ("density", "lockstep_density"))
    return Statistics(zeros / macs, density, lockstep)


class Draw:
    """A seeded source of operands: ``cycles`` of them, from the same seed always the same."""

    def __init__(self, statistics: Statistics, cycles: int, seed: int = 0) -> None:
        self.of, self.cycles = statistics, cycles
        self.random = np.random.default_rng(seed)

    def ones(self) -> np.ndarray:
        return np.ones(self.cycles, dtype=np.int64)

    def zeros(self) -> np.ndarray:
        return np.zeros(self.cycles, dtype=np.int64)

    def bits(self, share: float) -> np.ndarray:
        """1 with probability ``share``."""
        return (self.random.random(self.cycles) < share).astype(np.int64)

    def activations(self) -> np.ndarray:
        """Non-zero int8 behind a ReLU: 1 to 127, each as likely."""
        return self.random.integers(1, 128, self.cycles)

    def weights(self) -> np.ndarray:
        """Non-zero int8: -127 to 127 without 0, each as likely."""
        return self.random.integers(1, 128, self.cycles) * self.random.choice([-1, 1], self.cycles)

    def small(self, positive: bool) -> np.ndarray:
        """Non-zero int8 from a normal distribution of deviation 32, cut at 127."""
        sizes = np.clip(np.abs(self.random.normal(0, 32, self.cycles)), 1, 127).astype(np.int64)
        return sizes if positive else sizes * self.random.choice([-1, 1], self.cycles)

    def beginnings(self) -> np.ndarray:
        """1 in every ROUND_STEPS-th cycle, from the first one on."""
        return (np.arange(self.cycles) % ROUND_STEPS == 0).astype(np.int64)

    def bank_words(self, banks: int, reading: np.ndarray, channels: int = 4) -> list[int]:
        """What all banks' outputs show, a word of ``channels`` bytes each, bank 0 lowest.

        ``reading`` (cycles, banks): where a bank reads a new word; else it shows the last one. A
        byte is zero with the trace's share.
        """
        shape = (self.cycles, banks, channels)
        values = self.random.integers(1, 128, shape, dtype=np.uint8)
        values[self.random.random(shape) < self.of.zero_operands] = 0
        for cycle in range(1, self.cycles):
            held = ~reading[cycle]
            values[cycle, held] = values[cycle - 1, held]
        return [int.from_bytes(row.tobytes(), "little") for row in values]

    def some_banks(self, banks: int, number: int, own: np.ndarray) -> np.ndarray:
        """bool (cycles, banks): in each cycle bank ``own`` and ``number`` - 1 others read."""
        order = self.random.random((self.cycles, banks)).argsort(axis=1)
        mine = order == own[:, None]
        # The others in their drawn order, the own bank in front of them.
        rank = np.where(mine, -1, np.arange(banks))
        chosen = np.take_along_axis(order, rank.argsort(axis=1), axis=1)[:, :number]
        reading = np.zeros((self.cycles, banks), dtype=bool)
        np.put_along_axis(reading, chosen, True, axis=1)
        return reading

    def sums(self) -> np.ndarray:
        """Partial sums: ROUND_STEPS products each, with the trace's share of zeros."""
        shape = (self.cycles, ROUND_STEPS)
        activations = self.random.integers(1, 128, shape)
        activations[self.random.random(shape) < self.of.zero_operands] = 0
        return (activations * self.random.integers(-127, 128, shape)).sum(axis=1)


def held(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """``values``, each replaced by the one before it where ``where`` is not 0."""
    kept = np.where(where != 0, 0, np.arange(len(values)))
    return values[np.maximum.accumulate(kept)]
