"""The kernel's rounds whose banks run ahead, beside the page's recurrence round by round.

Compiled, rounds lie side by side in vectors, and times are counted anew every few beats.
"""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from hwsim.model.kernel.lanes import LANES
from hwsim.model.kernel.run_ahead import Ahead, BeatSequence, ahead_of, play_rounds


def by_the_page(words: list[int], shifts: list[int], steps: list[int], ahead: int) -> int:
    """E(beats) of docs/model/run_ahead.md; beat t finds bank b's words in bank b + shifts[t]."""
    banks = len(words)
    starts, served = [0], [0] * banks
    for beat, (shift, spent) in enumerate(zip(shifts, steps, strict=True)):
        earliest = starts[max(0, beat - ahead)]
        served = [max(served[b], earliest) + words[(b + shift) % banks] for b in range(banks)]
        starts.append(max(starts[beat] + spent, *served))
    return starts[-1]


@pytest.mark.parametrize("seed", range(40))
def test_rounds_are_those_of_the_page(seed: int) -> None:
    choose = Random(seed)
    banks, beats, orders = choose.randint(1, 7), choose.randint(1, 40), choose.randint(1, 3)
    rounds, ahead = choose.choice([1, 5, LANES, 3 * LANES + 2]), choose.randint(0, 4)
    shifts = np.array([[choose.randrange(banks) for _ in range(beats)] for _ in range(orders)])
    steps = [choose.randint(1, 6) for _ in range(beats)]
    words = np.array([[choose.randint(0, 9) for _ in range(banks)] for _ in range(rounds)])
    of = np.array([choose.randrange(orders) for _ in range(rounds)])
    kind = choose.choice([np.int16, np.int32])
    span = choose.choice([1, 2, 3, 7, 100])
    found = np.zeros(rounds, np.int64)
    play_rounds(Ahead(shifts, np.array(steps, kind), ahead, span), of, words, found)
    assert found.tolist() == [
        by_the_page(words[i].tolist(), shifts[of[i]].tolist(), steps, ahead) for i in range(rounds)
    ]


@pytest.mark.parametrize("seed", range(20))
def test_rounds_of_which_each_has_its_own_steps(seed: int) -> None:
    choose = Random(seed)
    banks, beats, ahead = choose.randint(1, 5), choose.randint(1, 30), choose.randint(0, 3)
    rounds = choose.randint(1, LANES)
    shifts = np.array([[choose.randrange(banks) for _ in range(beats)]])
    steps = np.array([[choose.randint(1, 5) for _ in range(LANES)] for _ in range(beats)], np.int16)
    words = np.array([[choose.randint(0, 6) for _ in range(banks)] for _ in range(rounds)])
    found = np.zeros(rounds, np.int64)
    played = Ahead(shifts, steps, ahead, choose.choice([1, 4, 50]))
    play_rounds(played, np.zeros(rounds, np.int64), words, found)
    assert found.tolist() == [
        by_the_page(words[i].tolist(), shifts[0].tolist(), steps[:, i].tolist(), ahead)
        for i in range(rounds)
    ]


@pytest.mark.parametrize(
    ("longest", "steps", "ahead", "kind", "span"),
    [
        # 32,767 // 10 - 1 - 1; the words are more than the steps
        (10, 4, 1, np.int16, 3274),
        # 32,767 // 12 - 0 - 1; the steps are more
        (3, 12, 0, np.int16, 2729),
        # 32,767 // 1,725 - 2 - 1 is 15, too few beats for 16 bits: 2,147,483,647 // 1,725 - 3
        (1725, 4, 2, np.int32, 1_244_915),
        # 32,767 // 1,724 - 2 - 1
        (1724, 4, 2, np.int16, 16),
    ],
)
def test_times_of_a_span_fit_their_type(
    longest: int, steps: int, ahead: int, kind: type, span: int
) -> None:
    sequence = BeatSequence(np.zeros((1, 3), np.int64), np.array([1, steps, 1]))
    found = ahead_of(sequence, ahead, longest)
    assert (found.steps.dtype, found.span, found.ahead) == (kind, span, ahead)
    assert found.steps.tolist() == [1, steps, 1]
