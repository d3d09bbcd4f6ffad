"""Load of a beat: one distinct word per bank and cycle, equal addresses served together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from .simulator import Observation, observe

Pointers = list[int | None]
HAND_WORKED: list[tuple[Pointers, list[list[int]]]] = [
    # addresses of eight pointers on four banks (None: no pixel), pointers served in each cycle
    ([0, 1, 2, 3, None, None, None, None], [[0, 1, 2, 3]]),
    ([0, 4, 8, 1, None, None, None, None], [[0, 3], [1], [2]]),
    ([5, 5, 5, None, None, None, None, 5], [[0, 1, 2, 7]]),
    ([0, 4, 4, 0, 1, 5, 9, 9], [[0, 3, 4], [1, 2, 5], [6, 7]]),
    ([None, None, None, None, None, None, None, None], [[]]),
]


def play(beats: list[Pointers], folder: Path, **parameters: int) -> list[Observation]:
    cases = [{"addresses": addresses} for addresses in beats]
    return observe(
        "bank_arbiter", "arbiter_bench", {"ADDRESS_BITS": 8, **parameters}, cases, folder
    )


def test_hand_worked_beats(tmp_path: Path) -> None:
    observed = play([addresses for addresses, _ in HAND_WORKED], tmp_path, N=8, B=4)
    for (addresses, expected), seen in zip(HAND_WORKED, observed, strict=True):
        assert [cycle["served"] for cycle in seen] == expected, addresses


@pytest.mark.parametrize(
    ("pointers", "banks", "beats"),
    [
        (12, 3, 150),
        pytest.param(1, 4, 100, marks=pytest.mark.slow),
        pytest.param(7, 1, 300, marks=pytest.mark.slow),
        pytest.param(40, 8, 300, marks=pytest.mark.slow),
        pytest.param(64, 16, 200, marks=pytest.mark.slow),
    ],
)
def test_random_beats(pointers: int, banks: int, beats: int, tmp_path: Path) -> None:
    """A beat takes as many cycles as the fullest bank has words, each read once."""
    rng = np.random.default_rng(pointers)
    cases: list[Pointers] = []
    for _ in range(beats):
        span = int(rng.integers(1, 257))
        asked = rng.random(pointers) < rng.choice([0.2, 0.8, 1.0])
        addresses = rng.integers(0, span, pointers)
        cases.append([int(a) if ask else None for a, ask in zip(addresses, asked, strict=True)])
    for addresses, seen in zip(cases, play(cases, tmp_path, N=pointers, B=banks), strict=True):
        held: dict[int, set[int]] = {bank: set() for bank in range(banks)}
        for address in addresses:
            if address is not None:
                held[address % banks].add(address)
        assert len(seen) == max(1, *(len(words) for words in held.values())), addresses
        served = [pointer for cycle in seen for pointer in cycle["served"]]
        assert sorted(served) == [p for p, address in enumerate(addresses) if address is not None]
        read: dict[int, list[int]] = {bank: [] for bank in range(banks)}
        for cycle in seen:
            assert {addresses[pointer] for pointer in cycle["served"]} == set(cycle["words"])
            for bank, word in zip(cycle["banks"], cycle["words"], strict=True):
                read[bank].append(word)
        assert {bank: sorted(words) for bank, words in read.items()} == {
            bank: sorted(words) for bank, words in held.items()
        }
