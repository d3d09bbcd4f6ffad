"""What a unit is played in each case: its operands, cycle by cycle, and what is counted in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.rtl_energy import beats
from tools.rtl_energy.bench import WARM_UP
from tools.rtl_energy.operands import ROUND_STEPS, Draw, held

A, B, R, W = beats.STEPS, 16, beats.ROWS, 32

WAIT = 12
"""Cycles that a waiting pointer keeps its bank before it is given another one."""

Ports = dict[str, np.ndarray | list[int]]


@dataclass(frozen=True)
class Played:
    """Operands by port, a value a cycle; ``counts``: how often what is named happens in them."""

    operands: Ports
    counts: dict[str, float]


def each_cycle(operands: Ports, per: str = "cycle") -> Played:
    """``per`` happens once in every cycle that is counted."""
    return Played(operands, {per: len(next(iter(operands.values()))) - WARM_UP})


# Multiplication and accumulation


def steps(draw: Draw, zeros: str = "none", numbers: str = "uniform") -> Played:
    """A MAC that runs in every cycle; ``zeros`` says what becomes of zero activations."""
    return each_cycle(_step_ports(draw, zeros, numbers), "step")


def _step_ports(draw: Draw, zeros: str, numbers: str) -> Ports:
    activation, weight = draw.activations(), draw.weights()
    if numbers == "signed":
        activation = draw.weights()
    elif numbers == "small":
        activation, weight = draw.small(positive=True), draw.small(positive=False)
    found: Ports = {"runs": draw.ones(), "first": draw.beginnings()}
    if zeros == "none":
        return found | {"activation": activation, "weight": weight}
    zero = draw.bits(draw.of.zero_operands)
    if zeros != "gated":
        kept = held(weight, zero) if zeros == "weight held" else weight
        return found | {"activation": np.where(zero, 0, activation), "weight": kept}
    # A step that is gated begins no round: the next one that runs does.
    begins = np.zeros_like(zero)
    begins[np.flatnonzero(zero == 0)[::ROUND_STEPS]] = 1
    operands: Ports = {"activation": held(activation, zero), "weight": held(weight, zero)}
    operands |= {"runs": 1 - zero, "first": begins}
    return operands


def idle_steps(draw: Draw) -> Played:
    return each_cycle(_idle_ports(draw))


def _idle_ports(draw: Draw) -> Ports:
    return dict.fromkeys(("runs", "first", "activation", "weight"), draw.zeros())


def whole_pe(draw: Draw, runs: bool) -> Played:
    """Accumulators take turns by rounds; the one that does not add up is drained."""
    ports = _step_ports(draw, "none", "uniform") if runs else _idle_ports(draw)
    bank = np.arange(draw.cycles) // ROUND_STEPS % 2 if runs else draw.zeros()
    turns: Ports = {"accumulator": bank, "drain_bank": 1 - bank}
    return each_cycle(ports | turns, "step" if runs else "cycle")


# Pointers: the multiplexer and the line register behind it


def pointer(
    draw: Draw,
    fills: bool,
    number: int = B,
    ahead: int = 0,
    turns: bool | None = None,
    banks: int = B,
    channels: int = A,
) -> Played:
    """A pointer with Q = ``ahead`` that is filled in every cycle, or waits in every cycle.

    In every cycle ``number`` banks read a new word, the pointer's own among them. A pointer that is
    filled has another bank in every cycle; one that waits keeps it for WAIT cycles, unless
    ``turns``. With Q = 1 it asks for nothing in the beat behind the one that runs.
    """
    bank = _banks(draw, fills if turns is None else turns, banks)
    return _pointer(draw, fills, bank, draw.some_banks(banks, number, bank), ahead, channels)


def other_bank_reads(draw: Draw, number: int) -> Played:
    """A pointer waits while ``number`` (0 or 1) banks read, and never its own."""
    bank = _banks(draw, False)
    other = (bank + 1 + draw.random.integers(0, B - 1, draw.cycles)) % B
    reading = (np.arange(B) == other[:, None]) & (number > 0)
    return _pointer(draw, False, bank, reading, 0)


def still_pointer(draw: Draw, ahead: int = 0, banks: int = B, channels: int = A) -> Played:
    """Nothing changes but the clock."""
    reading = np.zeros((draw.cycles, banks), dtype=bool)
    return _pointer(draw, False, draw.zeros(), reading, ahead, channels)


def _banks(draw: Draw, turns: bool, banks: int = B) -> np.ndarray:
    bank = draw.random.integers(0, banks, draw.cycles)
    return bank if turns else bank[np.arange(draw.cycles) // WAIT * WAIT]


def _pointer(
    draw: Draw, fills: bool, bank: np.ndarray, reading: np.ndarray, ahead: int, channels: int = A
) -> Played:
    entries = ahead + 2
    filling = np.arange(draw.cycles) % entries if fills else draw.zeros()
    # Of the beats ahead the lowest place is the beat that runs; the others ask for bank 0.
    operands: Ports = {
        "served": draw.ones() if fills else draw.zeros(),
        "banks": bank,
        "words": draw.bank_words(reading.shape[1], reading, channels),
        "filling": filling,
        "reading": (filling + 1) % entries,
    }
    return each_cycle(operands, "fill" if fills else "cycle")


def multiplexed(draw: Draw, turns: bool, number: int = B) -> Played:
    bank = _banks(draw, turns)
    words = draw.bank_words(B, draw.some_banks(B, number, bank))
    return each_cycle({"words": words, "bank": bank}, "word" if turns else "cycle")


def chosen_byte(draw: Draw) -> Played:
    """A word of A bytes stands for A cycles; its bytes are chosen one after the other."""
    cycles = np.arange(draw.cycles)
    words = draw.bank_words(1, (cycles % A == 0)[:, None])
    return each_cycle({"words": words, "bank": cycles % A}, "step")


# Arbiter and decoder


def arbitrated(
    draw: Draw, pointers: int, banks: int, ahead: int, lane_groups: str = "own"
) -> Played:
    """``lane_groups`` as in beats.rounds; a fill is a pointer that is served."""
    found = beats.arbiter(
        draw.random, draw.of.density, pointers, banks, ahead, draw.cycles, lane_groups
    )
    counts = {"busy cycle": found.busy, "beat": found.beats, "word read": found.reads}
    counts["fill"] = found.fills
    return _of_all(dict(found.inputs), counts)


def nobody_asks(draw: Draw, pointers: int, banks: int, ahead: int) -> Played:
    found = beats.arbiter(draw.random, draw.of.density, pointers, banks, ahead, 1)
    still: Ports = {name: values * draw.cycles for name, values in found.inputs.items()}
    asked: Ports = dict.fromkeys(("first", "start", "enable"), draw.zeros())
    return each_cycle(still | asked | _reset(draw))


def decoded(draw: Draw, density: str) -> Played:
    """Lists of eight words of ``density`` (a field of Statistics)."""
    lists = beats.lists(draw.random, getattr(draw.of, density), 8, W)
    found = beats.decoder(lists, R, draw.cycles)
    return _of_all(dict(found.inputs), {"busy cycle": found.busy, "index": found.indices})


def no_list(draw: Draw) -> Played:
    names = ("start", "words", "enable", "word", "take", "limited", "limit")
    return each_cycle(_reset(draw) | dict.fromkeys(names, draw.zeros()))


def _of_all(operands: Ports, counts: dict[str, int]) -> Played:
    """What was counted in all cycles happens in those behind the warm-up as often as before."""
    cycles = len(next(iter(operands.values())))
    share = (cycles - WARM_UP) / cycles
    return Played(operands, {per: count * share for per, count in counts.items()})


def _reset(draw: Draw) -> Ports:
    """In the first cycle."""
    return {"rst": (np.arange(draw.cycles) == 0).astype(np.int64)}


# The small ones


def numbers(draw: Draw, bits: int) -> np.ndarray:
    return draw.random.integers(0, 1 << bits, draw.cycles)


def compared(draw: Draw) -> Played:
    """A column's threshold stands still."""
    threshold = np.full(draw.cycles, 1000)
    return each_cycle({"value": draw.sums(), "threshold": threshold}, "comparison")


def compared_indices(draw: Draw) -> Played:
    return each_cycle({"value": numbers(draw, 8), "threshold": numbers(draw, 8)}, "comparison")


def added(draw: Draw) -> Played:
    return each_cycle({"one": draw.sums(), "other": draw.sums()}, "sum")


def decided(draw: Draw) -> Played:
    ports: Ports = {"one": draw.sums(), "other": draw.sums()}
    return each_cycle(ports | {"threshold": np.full(draw.cycles, 1000)}, "decision")


def written(draw: Draw) -> Played:
    return each_cycle({"write": draw.ones(), "value": numbers(draw, 32)})


def not_written(draw: Draw) -> Played:
    return each_cycle({"write": draw.zeros(), "value": draw.zeros()})


def chosen(draw: Draw) -> Played:
    words = {"one": numbers(draw, 32), "other": numbers(draw, 32)}
    return each_cycle({"choice": draw.bits(0.5), **words}, "word")


def counted(draw: Draw) -> Played:
    return each_cycle({**_reset(draw), "counts": draw.ones()})


def next_channels(draw: Draw) -> Played:
    """A beat every A cycles."""
    begins = np.arange(draw.cycles) % A == 0
    words = draw.bank_words(1, begins[:, None])
    return each_cycle(
        {"runs": draw.ones(), "begins": begins.astype(np.int64), "word": words}, "step"
    )


def counted_words(draw: Draw) -> Played:
    """A beat every A cycles; in its first two each bank reads with a chance of one half."""
    cycles = np.arange(draw.cycles)
    reading = (cycles % A < 2)[:, None] & (draw.random.random((draw.cycles, B)) < 0.5)
    channels = draw.random.random((draw.cycles, B * A)) >= draw.of.zero_operands
    return each_cycle(
        {
            "first": (cycles == 0).astype(np.int64),
            "start": (cycles % A == 0).astype(np.int64),
            "reads": [beats.packed([int(bit) for bit in row], 1) for row in reading],
            "nonzero": [beats.packed([int(bit) for bit in row], 1) for row in channels],
        }
    )


def window_compares(draw: Draw) -> Played:
    """Two lists whose first indices change every cycle."""
    full = np.full(draw.cycles, 3)
    window = np.full(draw.cycles, W)
    return each_cycle({"window": window, "any": full, "first": numbers(draw, 16)}, "comparison")
