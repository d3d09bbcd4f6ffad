"""Index lists as the index memory holds them (docs/model/index_decoder.md; readings 23 and 24).

A list is words of symbols: the bits of a bitmap, the indices of a coordinate list, the gaps and
escapes of run lengths. The last word may hold fewer.
"""

from __future__ import annotations

from hwsim.arch.config import ArchConfig

Word = list[int]


def words_of(bits: list[int], arch: ArchConfig, form: str) -> list[Word]:
    """The list of these pixels' bits in a format, cut into words."""
    if form == "bitmap":
        symbols = list(bits)
    elif form == "coordinate":
        symbols = [index for index, bit in enumerate(bits) if bit]
    else:
        symbols = run_lengths(bits, escape(arch))
    size = symbol_bits(arch, form)
    assert all(symbol < 2**size for symbol in symbols), f"a symbol exceeds {size} bits"
    held = arch.index.word_bits // size
    return [symbols[at : at + held] for at in range(0, len(symbols), held)]


def run_lengths(bits: list[int], longest: int) -> list[int]:
    """Zeros before every one, ``longest`` for as many zeros and no one; the last zeros go."""
    symbols = []
    zeros = 0
    for bit in bits:
        if not bit:
            zeros += 1
            continue
        while zeros >= longest:
            symbols.append(longest)
            zeros -= longest
        symbols.append(zeros)
        zeros = 0
    return symbols


def escape(arch: ArchConfig) -> int:
    """The run-length symbol that is zeros alone, and how many of them."""
    return 2**arch.index.run_length_bits - 1


def symbol_bits(arch: ArchConfig, form: str) -> int:
    """Bits of one symbol: coordinates tell the P of all shapes apart, however few the tile has."""
    if form == "bitmap":
        return 1
    if form == "run-length":
        return arch.index.run_length_bits
    most = max(arch.partial_sums.entries // columns for _, columns in arch.array.shapes)
    size = 1
    while 2**size < most:
        size += 1
    return size
