"""Decoders, cycle by cycle, from the words of a list to the pixels of a round."""

from __future__ import annotations

from hwsim.arch.config import ArchConfig

from .lists import Word, escape, words_of


class Decoder:
    """One list, the place in it, and the buffer of R indices that it fills for a round."""

    def __init__(self, bits: list[int], arch: ArchConfig) -> None:
        self.arch = arch
        self.left = [list(word) for word in words_of(bits, arch, arch.index.format)]
        self.buffer: list[int] = []
        self.cycles = 0
        self.passed = 0  # bitmap: pixels of the words behind; run-length: pixels behind

    @property
    def room(self) -> int:
        return self.arch.array.rows - len(self.buffer)

    @property
    def ready(self) -> bool:
        """Whether the round may start: the buffer is full, or the list at its end."""
        return self.room == 0 or not self.left

    def hand_over(self, below: int | None = None) -> list[int]:
        """Give a round the indices below a limit, or all; the others keep their places."""
        found = [index for index in self.buffer if below is None or index < below]
        self.buffer = self.buffer[len(found) :]
        return found

    def step(self) -> None:
        """Work for one cycle on the current word."""
        self.cycles += 1
        word = self.left[0]
        if self.arch.index.format == "bitmap":
            self._emit_ones(word)
            done = 1 not in word
            self.passed += len(word) if done else 0
        else:
            self._consume_symbols(word)
            done = not word
        if done:
            self.left.pop(0)

    def _emit_ones(self, word: Word) -> None:
        for _ in range(self.arch.index.indices_per_cycle):
            if 1 in word and self.room > 0:
                at = word.index(1)
                word[at] = 0
                self.buffer.append(self.passed + at)

    def _consume_symbols(self, word: Word) -> None:
        for _ in range(min(self.arch.index.indices_per_cycle, len(word), self.room)):
            symbol = word.pop(0)
            if self.arch.index.format == "coordinate":
                self.buffer.append(symbol)
                continue
            self.passed += symbol
            if symbol < escape(self.arch):
                self.buffer.append(self.passed)
                self.passed += 1


def fill(decoders: list[Decoder], arch: ArchConfig) -> int:
    """Step until every list is ready for a round; returns the cycles.

    Private decoders step together; a shared one serves the first list that is not ready.
    """
    cycles = 0
    while waiting := [decoder for decoder in decoders if not decoder.ready]:
        for decoder in waiting[:1] if arch.index.decoders == "shared" else waiting:
            decoder.step()
        cycles += 1
    return cycles
