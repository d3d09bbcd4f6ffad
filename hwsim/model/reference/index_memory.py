"""The index memory of the reference: a tile's lists of pixels, as bitmaps or as symbols.

Comparators write it pixel by pixel, decoders read it list by list, in words of W bits. Where a
decoder follows several lists, what it is given is their OR: the words of one list.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import groupby

from hwsim.model.reference.parts import Counts


class IndexMemory(ABC):
    """A few stored lists of one tile; counts the bits written and the words read."""

    def __init__(self, lists: int, counts: Counts) -> None:
        self._words_read = [0] * lists
        self._counts = counts

    @abstractmethod
    def write(self, pixel: int, bits: Iterable[int]) -> None:
        """One pixel's column, a bit per list: what is written by pixel is read by list."""

    def _count_read(self, number: int, word: int) -> None:
        """A list's words are read in order, each only once: lane groups that share a list share
        the reading."""
        if word == self._words_read[number]:
            self._words_read[number] += 1
            self._counts["index_words_read"] += 1


class Bitmaps(IndexMemory):
    """One bit per pixel, set or not."""

    def __init__(self, lists: int, pixels: int, word_bits: int, counts: Counts) -> None:
        super().__init__(lists, counts)
        self.word_bits = word_bits
        self._size = -(-pixels // word_bits)
        self._stored = [[0] * self._size for _ in range(lists)]

    def write(self, pixel: int, bits: Iterable[int]) -> None:
        word, position = divmod(pixel, self.word_bits)
        for stored, bit in zip(self._stored, bits, strict=True):
            stored[word] |= bit << position
            self._counts["mask_bits_written"] += 1

    def read(self, lists: Iterable[int], word: int) -> int:
        """The OR of one word of several lists."""
        union = 0
        for number in lists:
            union |= self._stored[number][word]
            self._count_read(number, word)
        return union

    def words(self, lists: Sequence[int]) -> Iterator[int]:
        """The words of the OR of several lists."""
        return (self.read(lists, word) for word in range(self._size))


@dataclass(frozen=True)
class Coordinates:
    """A symbol is the index of a pixel with a one."""

    bits: int

    def encode(self, start: int, pixel: int) -> list[int]:
        """The symbols for a one at ``pixel`` where ``start`` is the first pixel not encoded yet."""
        return [pixel]

    def decode(self, start: int, symbol: int) -> tuple[int, bool]:
        """The first pixel behind the symbol's pixels, and whether they end in a one."""
        return symbol + 1, True


@dataclass(frozen=True)
class RunLengths:
    """A symbol is a number of zeros and the one behind them, or an escape: zeros and no one."""

    bits: int

    @property
    def escape(self) -> int:
        """The largest symbol: its zeros, and the run goes on in the next symbol."""
        return 2**self.bits - 1

    def encode(self, start: int, pixel: int) -> list[int]:
        """As in Coordinates."""
        symbols = []
        while pixel - start >= self.escape:
            symbols.append(self.escape)
            start += self.escape
        return [*symbols, pixel - start]

    def decode(self, start: int, symbol: int) -> tuple[int, bool]:
        """As in Coordinates."""
        if symbol == self.escape:
            return start + symbol, False
        return start + symbol + 1, True


class SymbolLists(IndexMemory):
    """The ones of each list as symbols of a code, a whole number of them in a word.

    A run is encoded when the one behind it is written: zeros after the last one leave no symbol.
    """

    def __init__(
        self, lists: int, code: Coordinates | RunLengths, word_symbols: int, counts: Counts
    ) -> None:
        super().__init__(lists, counts)
        self.code = code
        self._word_symbols = word_symbols
        self._stored: list[list[int]] = [[] for _ in range(lists)]
        self._encoded = [0] * lists  # pixels that each list's symbols cover

    def write(self, pixel: int, bits: Iterable[int]) -> None:
        for number, bit in enumerate(bits):
            if bit:
                symbols = self.code.encode(self._encoded[number], pixel)
                self._encoded[number] = pixel + 1
                self._stored[number] += symbols
                self._counts["mask_bits_written"] += len(symbols) * self.code.bits

    def words(self, lists: Sequence[int]) -> Iterator[list[int]]:
        """The words of the OR of several lists, encoded anew; the last one may be shorter."""
        word: list[int] = []
        encoded = 0
        for pixel, _ in groupby(merge(*(self._pixels(number) for number in lists))):
            for symbol in self.code.encode(encoded, pixel):
                word.append(symbol)
                if len(word) == self._word_symbols:
                    yield word
                    word = []
            encoded = pixel + 1
        if word:
            yield word

    def _pixels(self, number: int) -> Iterator[int]:
        """The ones of a stored list; a word is read when its first symbol is wanted."""
        behind = 0
        for position, symbol in enumerate(self._stored[number]):
            word, first = divmod(position, self._word_symbols)
            if first == 0:
                self._count_read(number, word)
            behind, one = self.code.decode(behind, symbol)
            if one:
                yield behind - 1
