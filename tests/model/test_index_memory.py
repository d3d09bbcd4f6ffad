"""The reference's index memory: what is written by pixel is read by list."""

from __future__ import annotations

import pytest

from hwsim.model.reference.index_memory import Bitmaps, Coordinates, RunLengths, SymbolLists
from hwsim.model.reference.parts import Counts


def test_lists_that_share_a_decoder_are_ored_and_those_that_share_words_read_once() -> None:
    counts = Counts()
    memory = Bitmaps(lists=3, pixels=6, word_bits=4, counts=counts)
    memory.write(0, [1, 0, 0])
    memory.write(3, [0, 1, 1])
    memory.write(5, [0, 0, 1])
    assert [memory.read([0, 1], word) for word in range(2)] == [0b1001, 0]
    assert counts["index_words_read"] == 4
    assert [memory.read([1, 2], word) for word in range(2)] == [0b1000, 0b10]
    assert counts["index_words_read"] == 6
    assert counts["mask_bits_written"] == 9


@pytest.mark.parametrize(
    ("code", "words", "bits"),
    [
        (Coordinates(6), [[0, 5, 6], [13]], 4 * 6),
        # 5: an escape for 1-3 and one zero; 6: none; 13: escapes for 7-9, 10-12 and no zero.
        (RunLengths(2), [[0, 3, 1], [0, 3, 3], [0]], 7 * 2),
        (RunLengths(3), [[0, 4, 0], [6]], 4 * 3),
    ],
)
def test_ones_become_symbols(
    code: Coordinates | RunLengths, words: list[list[int]], bits: int
) -> None:
    """Three symbols to a word; the zeros of pixels 14 to 19 leave none."""
    counts = Counts()
    memory = SymbolLists(1, code, 3, counts)
    for pixel in range(20):
        memory.write(pixel, [pixel in (0, 5, 6, 13)])
    assert list(memory.words([0])) == words
    assert counts["mask_bits_written"] == bits
    assert counts["index_words_read"] == len(words)


def test_a_run_as_long_as_an_escape_is_an_escape_and_no_zero() -> None:
    code = RunLengths(2)
    assert [code.encode(1, pixel) for pixel in (3, 4, 6, 7)] == [[2], [3, 0], [3, 2], [3, 3, 0]]


def test_lists_of_symbols_are_read_each_once_and_encoded_anew() -> None:
    """{0}, {9} and {9}: the OR has escapes for 1-3 and 4-6; alone, 9 has three escapes."""
    counts = Counts()
    memory = SymbolLists(3, RunLengths(2), 3, counts)
    memory.write(0, [1, 0, 0])
    memory.write(9, [0, 1, 1])
    assert counts["mask_bits_written"] == (1 + 4 + 4) * 2
    assert list(memory.words([0, 1])) == [[0, 3, 3], [2]]
    assert counts["index_words_read"] == 1 + 2
    assert list(memory.words([1, 2])) == [[3, 3, 3], [0]]
    assert counts["index_words_read"] == 1 + 2 + 2
