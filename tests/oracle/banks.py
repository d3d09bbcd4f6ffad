"""Banks at work on a round (docs/model/bank_conflicts.md, docs/model/run_ahead.md)."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.arch.config import ArchConfig

from .beats import Beat
from .layout import ceil_div


def reading_cycles(words: set[int], beats: Sequence[Beat], arch: ArchConfig) -> int:
    """Cycles of a round's beats; ``words``: the distinct addresses that its pointers start from."""
    banks = arch.activation.banks
    steps = [beat.steps for beat in beats]
    if arch.activation.bank_conflicts == "none":
        return sum(steps)
    if arch.activation.bank_conflicts == "bandwidth":
        return max(sum(steps), ceil_div(len(beats) * len(words), banks))
    asked = [words_by_bank(words, beat.offset, banks) for beat in beats]
    return play_beats(steps, asked, arch.activation.run_ahead)


def words_by_bank(words: set[int], offset: int, banks: int) -> list[int]:
    """How many words each bank is asked for in a beat, which adds its offset to every pointer."""
    asked = [0] * banks
    for word in words:
        asked[(word + offset) % banks] += 1
    return asked


def play_beats(steps: Sequence[int], asked: Sequence[Sequence[int]], run_ahead: int) -> int:
    """Cycles of beats, cycle by cycle; ``asked``: by beat and bank.

    Each bank serves one word per cycle, of the oldest beat that it has words of. It may go on with
    the words of ``run_ahead`` beats behind the one that the array is in, and with no others.
    """
    left = [list(words) for words in asked]
    at = [0 for _ in left[0]] if left else []  # the beat that each bank is at
    cycles = 0
    for beat in range(len(steps)):
        last = min(beat + run_ahead, len(steps) - 1)
        steps_left = steps[beat]
        while steps_left > 0 or any(left[beat]):
            for bank in range(len(at)):
                while at[bank] < last and not left[at[bank]][bank]:
                    at[bank] += 1
                if left[at[bank]][bank]:
                    left[at[bank]][bank] -= 1
            steps_left -= 1
            cycles += 1
    return cycles
