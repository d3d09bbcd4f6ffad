"""D_j(i) and the tail: the decoder in Verilog against hand-worked lists and the oracle's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracle.decoders import Decoder, fill
from oracle.machines import machine

from hwsim.arch.config import ArchConfig

from .simulator import observe

HAND_WORKED = [
    # words (first pixel first), then (cycles, indices) of every slot; R = 2, W = 8, E = 1
    (["00000000"], [(1, [])]),
    (["00000000", "00000000", "00000010"], [(3, [22])]),
    (["10000001"], [(2, [0, 7])]),
    (["10000000", "00000000", "00000000"], [(3, [0])]),
    (["11000000", "00000000", "00000000"], [(2, [0, 1]), (2, [])]),
    (["11100000", "00000000"], [(2, [0, 1]), (2, [2])]),
    (["10000000", "01000000", "00000000", "00000001"], [(2, [0, 9]), (2, [31])]),
]
"""A word with ones costs no cycle of its own; the tail of a full last round is a slot."""


WINDOWED = [
    # words, limits, then (cycles, indices) of every slot; R = 2, W = 8, E = 1
    # The two lists of the contract's example: 0 + 4, then 7 + 4.
    (["11000000", "01000000"], [4, 11], [(2, [0, 1]), (1, [9])]),
    (["00000001", "10000000"], [4, 11], [(2, []), (0, [7, 8])]),
    # What stays moves up, and the room it leaves is filled; a round may have no index of the list.
    (["10010000", "11000000"], [2, 9, 9, 50], [(2, [0]), (1, [3, 8]), (1, []), (0, [9])]),
    # The tail is scanned in the first slot with room, that of the kept index too; a full buffer
    # keeps the decoder from it.
    (["11000000", "00000000", "00000000"], [1, 1, 50], [(2, [0]), (2, []), (0, [1])]),
    (["11000000", "00000000", "00000000"], [0, 2], [(2, []), (0, [0, 1]), (2, [])]),
    # A limit is not reached; none does what no window does.
    (["11100000", "00000000"], [1, 2, 3], [(2, [0]), (1, [1]), (1, [2])]),
    (["11100000", "00000000"], [50], [(2, [0, 1]), (2, [2])]),
]
WINDOWED_OF_THREE = [
    # R = 3, E = 4: kept indices leave room for one of the next four
    (["11110000", "11000000"], [1, 9, 50], [(1, [0]), (1, [1, 2, 3]), (1, [8, 9])]),
    (["11110000", "11000000"], [2, 3, 50], [(1, [0, 1]), (2, [2]), (1, [3, 8, 9])]),
]
WINDOWS = [(WINDOWED, {"R": 2, "W": 8, "E": 1}), (WINDOWED_OF_THREE, {"R": 3, "W": 8, "E": 4})]


def oracle_slots(
    bits: list[int], arch: ArchConfig, limits: list[int] | None
) -> list[tuple[int, list[int]]]:
    """(cycles, indices) of every slot; the last may find nothing (the tail)."""
    decoder = Decoder(bits, arch)
    slots: list[tuple[int, list[int]]] = []
    while decoder.left or decoder.buffer:
        below = limits[min(len(slots), len(limits) - 1)] if limits else None
        slots.append((fill([decoder], arch), decoder.hand_over(below)))
    return slots


def word(bits: str) -> int:
    return int(bits[::-1], 2)


def slots(observed: list[dict[str, Any]]) -> list[tuple[int, list[int]]]:
    return [(slot["cycles"], slot["indices"]) for slot in observed]


def play(cases: list[dict[str, Any]], folder: Path, **parameters: int) -> list[Any]:
    return observe("bitmap_decoder", "decoder_bench", {"WORDS": 8, **parameters}, cases, folder)


def test_hand_worked_lists(tmp_path: Path) -> None:
    cases = [{"words": [word(bits) for bits in words], "waits": [0]} for words, _ in HAND_WORKED]
    observed = play(cases, tmp_path, R=2, W=8, E=1)
    for (words, expected), seen in zip(HAND_WORKED, observed, strict=True):
        assert slots(seen) == expected, words


@pytest.mark.parametrize(("worked", "machine_of"), WINDOWS)
def test_hand_worked_windows(
    worked: list[tuple[list[str], list[int], list[tuple[int, list[int]]]]],
    machine_of: dict[str, int],
    tmp_path: Path,
) -> None:
    """A round takes the indices below its limit, the others stay in the buffer."""
    cases = [
        {"words": [word(bits) for bits in words], "waits": [0], "limits": limits}
        for words, limits, _ in worked
    ]
    observed = play(cases, tmp_path, **machine_of)
    for (words, limits, expected), seen in zip(worked, observed, strict=True):
        assert slots(seen) == expected, (words, limits)


@pytest.mark.parametrize(
    ("rows", "word_bits", "per_cycle", "most_words", "lists"),
    [
        (3, 8, 2, 8, 150),
        pytest.param(1, 8, 1, 8, 300, marks=pytest.mark.slow),
        pytest.param(2, 8, 1, 1, 100, marks=pytest.mark.slow),
        pytest.param(2, 16, 3, 8, 300, marks=pytest.mark.slow),
        pytest.param(4, 8, 1, 8, 300, marks=pytest.mark.slow),
        pytest.param(5, 32, 4, 8, 300, marks=pytest.mark.slow),
        pytest.param(16, 32, 1, 8, 300, marks=pytest.mark.slow),
        pytest.param(4, 64, 8, 8, 300, marks=pytest.mark.slow),
    ],
)
def test_random_lists(
    rows: int, word_bits: int, per_cycle: int, most_words: int, lists: int, tmp_path: Path
) -> None:
    """Every slot's cycles and indices, also where rounds keep the full buffer waiting.

    Every other list has limits, that grow from round to round and end behind the list.
    """
    arch = machine(rows=rows, entries=64, word_bits=word_bits, indices_per_cycle=per_cycle)
    rng = np.random.default_rng(rows + word_bits)
    cases, expected = [], []
    for _ in range(lists):
        pixels = int(rng.integers(1, most_words * word_bits + 1))
        density = rng.choice([0.0, 0.02, 0.1, 0.5, 0.9, 1.0])
        bits = [int(bit) for bit in rng.random(pixels) < density]
        padded = bits + [0] * (-pixels % word_bits)
        words = [
            sum(bit << place for place, bit in enumerate(padded[at : at + word_bits]))
            for at in range(0, len(padded), word_bits)
        ]
        waits = [int(wait) for wait in rng.integers(0, 4, 5)]
        limits = None
        if len(cases) % 2:
            rounds = int(rng.integers(0, pixels // rows + 2))
            limits = [*sorted(int(limit) for limit in rng.integers(0, pixels, rounds)), pixels]
        cases.append({"words": words, "waits": waits, "limits": limits})
        expected.append(oracle_slots(bits, arch, limits))
    machine_of = {"R": rows, "W": word_bits, "E": per_cycle, "WORDS": most_words}
    for case, observed, right in zip(
        cases, play(cases, tmp_path, **machine_of), expected, strict=True
    ):
        seen = slots(observed)
        assert seen == right, case
        assert all(slot["worked"] == slot["cycles"] for slot in observed)
