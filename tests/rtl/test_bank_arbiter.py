"""Load of a beat: one distinct word per bank and cycle, equal addresses served together.

With run-ahead banks that are done go on with later beats (docs/model/run_ahead.md).
"""

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

Served = list[list[list[tuple[int, int]]]]
"""By beat, and by cycle of it: (beat, pointer)."""

AHEAD: list[tuple[int, list[Pointers], list[int], Served]] = [
    # Q, beats of three pointers on two banks, their steps, what is served
    (
        # A word of two beats is read twice; a bank's own beats come in order.
        1,
        [[0, 2, 1], [2, 1, 1], [4, 4, 0]],
        [1, 1, 1],
        [[[(0, 0), (0, 2)], [(0, 1), (1, 1), (1, 2)]], [[(1, 0)]], [[(2, 0), (2, 1)], [(2, 2)]]],
    ),
    (
        # Bank 1 is done with beat 2 when beat 0 still runs; beats 2 and 3 have nothing to wait for.
        2,
        [[0, 2, None], [1, 1, None], [3, 1, None], [0, 3, None]],
        [2, 2, 2, 2],
        [
            [[(0, 0), (1, 0), (1, 1)], [(0, 1), (2, 0)]],
            [[(2, 1), (3, 0)], [(3, 1)]],
            [[], []],
            [[], []],
        ],
    ),
    (
        # Nothing but Q holds bank 1 back: it may not begin with beat 2 before beat 1 starts.
        1,
        [[0, 2, 4], [0, 0, 0], [1, 3, 5]],
        [1, 1, 1],
        [[[(0, 0)], [(0, 1)], [(0, 2)]], [[(1, 0), (1, 1), (1, 2), (2, 0)]], [[(2, 1)], [(2, 2)]]],
    ),
    # As many beats ahead as there are, and more.
    (3, [[1, 3, 0]], [1], [[[(0, 0), (0, 2)], [(0, 1)]]]),
    (
        3,
        [[0, 0, 0], [2, 2, 2], [4, 6, 1]],
        [1, 4, 1],
        [
            [[(0, 0), (0, 1), (0, 2), (2, 2)]],
            [[(1, 0), (1, 1), (1, 2)], [(2, 0)], [(2, 1)], []],
            [[]],
        ],
    ),
    # Without run-ahead the words of a beat wait for its start.
    (
        0,
        [[0, 2, 1], [1, 3, 0]],
        [3, 1],
        [[[(0, 0), (0, 2)], [(0, 1)], []], [[(1, 0), (1, 2)], [(1, 1)]]],
    ),
]


def play(rounds: list[list[Pointers]], steps: list[list[int]], folder: Path, **parameters: int) -> (
    list[Observation]
):  # fmt: skip
    cases = [{"beats": beats, "steps": of} for beats, of in zip(rounds, steps, strict=True)]
    return observe(
        "bank_arbiter", "arbiter_bench", {"ADDRESS_BITS": 8, **parameters}, cases, folder
    )


def test_hand_worked_beats(tmp_path: Path) -> None:
    rounds = [[addresses] for addresses, _ in HAND_WORKED]
    observed = play(rounds, [[1]] * len(rounds), tmp_path, N=8, B=4)
    for (addresses, expected), (seen,) in zip(HAND_WORKED, observed, strict=True):
        assert [[pointer for _, pointer in cycle["served"]] for cycle in seen] == expected, (
            addresses
        )


@pytest.mark.parametrize("ahead", sorted({ahead for ahead, *_ in AHEAD}))
def test_hand_worked_rounds(ahead: int, tmp_path: Path) -> None:
    worked = [case for case in AHEAD if case[0] == ahead]
    rounds, steps = [beats for _, beats, _, _ in worked], [of for _, _, of, _ in worked]
    observed = play(rounds, steps, tmp_path, N=3, B=2, Q=ahead)
    for (_, beats, _, expected), seen in zip(worked, observed, strict=True):
        served = [
            [[(beat, pointer) for beat, pointer in cycle["served"]] for cycle in of_beat]
            for of_beat in seen
        ]
        assert served == expected, beats


@pytest.mark.parametrize(("ahead", "cycles"), [(0, [6, 6, 6, 6, 6]), (1, [6, 4, 4, 4, 4])])
def test_the_example_of_the_contract(ahead: int, cycles: list[int], tmp_path: Path) -> None:
    """Six words a beat, even beats of bank 0, odd beats of bank 1."""
    beats: list[Pointers] = [[beat % 2 + 2 * pointer for pointer in range(6)] for beat in range(5)]
    (seen,) = play([beats], [[4] * 5], tmp_path, N=6, B=2, Q=ahead)
    assert [len(of_beat) for of_beat in seen] == cycles


@pytest.mark.parametrize(
    ("pointers", "banks", "ahead", "beats"),
    [
        (12, 3, 0, 150),
        (9, 3, 2, 150),
        pytest.param(1, 4, 0, 100, marks=pytest.mark.slow),
        pytest.param(7, 1, 0, 300, marks=pytest.mark.slow),
        pytest.param(40, 8, 0, 300, marks=pytest.mark.slow),
        pytest.param(64, 16, 0, 200, marks=pytest.mark.slow),
        pytest.param(1, 4, 1, 100, marks=pytest.mark.slow),
        pytest.param(6, 1, 2, 200, marks=pytest.mark.slow),
        pytest.param(16, 6, 1, 300, marks=pytest.mark.slow),
        pytest.param(24, 8, 4, 300, marks=pytest.mark.slow),
    ],
)
def test_random_beats(pointers: int, banks: int, ahead: int, beats: int, tmp_path: Path) -> None:
    """A beat starts when the rule says so; each of its words is read once, the oldest first."""
    rng = np.random.default_rng(pointers)
    rounds: list[list[Pointers]] = []
    while sum(map(len, rounds)) < beats:
        span = int(rng.integers(1, 257))
        asked = rng.random(pointers) < rng.choice([0.2, 0.8, 1.0])
        rounds.append(
            [
                [int(a) if ask else None for a, ask in zip(addresses, asked, strict=True)]
                for addresses in rng.integers(0, span, (int(rng.integers(1, 7)), pointers))
            ]
        )
    steps = [[int(n) for n in rng.integers(1, 5, len(beats))] for beats in rounds]
    observed = play(rounds, steps, tmp_path, N=pointers, B=banks, Q=ahead)
    for of_round, of_steps, seen in zip(rounds, steps, observed, strict=True):
        _check(of_round, of_steps, seen, banks, ahead)


def _check(
    beats: list[Pointers], steps: list[int], seen: Observation, banks: int, ahead: int
) -> None:
    """Starts of beats by the recurrence of docs/model/run_ahead.md; what is read, and in order."""
    starts = np.cumsum([0, *map(len, seen)]).tolist()
    held = [
        [sorted({a for a in beat if a is not None and a % banks == bank}) for beat in beats]
        for bank in range(banks)
    ]
    done = [0] * banks
    expected = [0]
    for number in range(len(beats)):
        begin = expected[max(0, number - ahead)]
        done = [max(done[b], begin) + len(held[b][number]) for b in range(banks)]
        expected.append(max(expected[-1] + steps[number], *done))
    assert starts == expected, beats

    read: list[list[list[int]]] = [[[] for _ in beats] for _ in range(banks)]
    served: list[tuple[int, int]] = []
    latest = [0] * banks
    for cycle in (cycle for of_beat in seen for cycle in of_beat):
        words = dict(zip(cycle["banks"], cycle["words"], strict=True))
        of_bank: dict[int, int] = {}
        for beat, pointer in cycle["served"]:
            address = beats[beat][pointer]
            assert address is not None
            assert words[address % banks] == address, beats
            assert of_bank.setdefault(address % banks, beat) == beat, "one beat's words at a time"
            served.append((beat, pointer))
        assert of_bank.keys() == words.keys()
        for bank, beat in of_bank.items():
            assert beat >= latest[bank], "the oldest beat first"
            latest[bank] = beat
            read[bank][beat].append(words[bank])
    everything = [
        (number, pointer)
        for number, beat in enumerate(beats)
        for pointer, address in enumerate(beat)
        if address is not None
    ]
    assert sorted(served) == everything
    assert [[sorted(words) for words in of_bank] for of_bank in read] == held
