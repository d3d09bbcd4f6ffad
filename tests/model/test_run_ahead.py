"""The kernel's rounds whose banks run ahead, beside the page's recurrence round by round.

Compiled, rounds lie side by side in vectors, and times are counted anew every few beats.
"""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from by_hand import machine

from hwsim.arch.schemes import parse_scheme
from hwsim.model.kernel.jit import allocating
from hwsim.model.kernel.lanes import LANES, STRIP, play
from hwsim.model.kernel.passes import Beats, busy_of
from hwsim.model.kernel.run_ahead import Ahead, BeatSequence, ahead_of, play_rounds
from hwsim.model.plan import machine_of


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


def test_orders_that_are_more_than_beats() -> None:
    """One beat: a round ends with the words of its fullest bank, whatever its order."""
    played = Ahead(np.array([[0], [1]]), np.array([1], np.int16), 1, 16)
    found = np.zeros(2, np.int64)
    play_rounds(played, np.array([0, 1]), np.array([[3, 1], [1, 4]]), found)
    assert found.tolist() == [3, 4]


@pytest.mark.parametrize(
    ("words", "steps"),
    [
        # Spans of 32,767 // 100 - 4 - 1 beats: 40,000 cycles, 100 a beat.
        (3, 100),
        # Spans of 32,767 // 120 - 4 - 1 beats: 48,000 cycles, a word of one bank each.
        (120, 100),
    ],
)
def test_rounds_that_take_longer_than_their_type_can_tell(words: int, steps: int) -> None:
    beats = 400
    sequence = BeatSequence(np.zeros((1, beats), np.int64), np.full(beats, steps))
    ahead = ahead_of(sequence, 4, max(words, steps))
    assert ahead.steps.dtype == np.int16
    found = np.zeros(1, np.int64)
    play_rounds(ahead, np.zeros(1, np.int64), np.array([[words]]), found)
    assert found.tolist() == [beats * max(words, steps)]


def test_the_fullest_bank_of_all_rounds_decides_how_long_times_get() -> None:
    """700 beats of a step: a round of a word in a bank takes 700 cycles, one of 64 takes 44,800."""
    small = machine(rows=64, banks=2, run_ahead=1)
    kernels = machine_of(small, parse_scheme("dense", small))
    sequence = BeatSequence(np.zeros((1, 700), np.int64), np.ones(700, np.int64))
    words = np.array([[[1, 1], [64, 0]]])
    assert busy_of(kernels, Beats(700, 1, 0, 0), sequence, words).tolist() == [[[700, 44_800]]]


@allocating
def play_beats(words, shifts, steps, served, starts):
    return play(words, shifts, steps, served, starts, 0)


def odd_rows(rows: int, kind: type) -> np.ndarray:
    """Zeros (rows, LANES) that begin an item behind a cache line's start."""
    memory = np.zeros(rows * LANES + 128, kind)
    first = -memory.ctypes.data % 64 // memory.itemsize + 1
    return memory[first : first + rows * LANES].reshape(rows, LANES)


@pytest.mark.parametrize("kind", [np.int16, np.int32])
def test_rows_may_begin_anywhere(kind: type) -> None:
    """Three words of a bank for each of four beats of two steps; a round each lane."""
    words, served, starts = (odd_rows(rows, kind) for rows in (2 * STRIP, STRIP, 2))
    words[::STRIP] = 3
    now = play_beats(words, np.zeros(4, np.int64), np.full(4, 2, kind), served, starts)
    assert starts[now].tolist() == [4 * 3] * LANES
