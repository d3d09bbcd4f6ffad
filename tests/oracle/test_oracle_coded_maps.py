"""The oracle's coded maps, worked out by hand.

The machine has R = 2, C = 4, P = 8, one KiB of either buffer, and a DMA of one byte per cycle.
"""

from __future__ import annotations

import numpy as np

from hwsim.counters import COUNTERS
from oracle.coded_maps import code_bytes, units_of
from oracle.machines import conv, machine, network, row
from oracle.network import run
from oracle.residency import plan


def test_the_pages_example() -> None:
    # (1, 5), (31, 0), (5, 0); 40 pairs; (31, 0), (7, 0).
    one = [place == 1 for place in range(40)]
    assert [code_bytes(values) for values in (one, [True] * 40, [False] * 40)] == [8, 80, 8]


def test_a_run_of_31_and_of_32() -> None:
    # 31 zeros and a value are one pair, 32 zeros and a value (31, 0) and (0, v); five pairs, two
    # words, where four of one word lie in front.
    front = [True] * 3
    assert code_bytes([*front, *[False] * 31, True]) == 8
    assert code_bytes([*front, *[False] * 32, True]) == 16


def test_words_of_eyeriss() -> None:
    # Three pairs of 5 + 16 bits: 7 values in 3 words.
    assert code_bytes([True] * 7, value_bits=16) == 24


def test_a_unit_ends_where_a_tile_does() -> None:
    # 3x5 pixels of 6 channels in tiles of 8 pixels by 4 and 2 channels: the second row is cut
    # behind three of its pixels.
    layer = conv(channels=(2, 6), size=(3, 5))
    (only,) = plan(network(layer), machine(), "dense", 1)
    units = units_of(only, np.ones((1, 6, 3, 5), bool))
    assert [(u.row, u.columns, list(u.channels), u.bytes) for u in units] == [
        (0, [0, 1, 2, 3, 4], [0, 1, 2, 3], 40),
        (1, [0, 1, 2], [0, 1, 2, 3], 24),
        (1, [3, 4], [0, 1, 2, 3], 16),
        (2, [0, 1, 2, 3, 4], [0, 1, 2, 3], 40),
        (0, [0, 1, 2, 3, 4], [4, 5], 24),
        (1, [0, 1, 2], [4, 5], 16),
        (1, [3, 4], [4, 5], 8),
        (2, [0, 1, 2, 3, 4], [4, 5], 24),
    ]


def test_a_pooled_unit_has_pooled_pixels() -> None:
    # 4x4 pixels pooled by 2, tiles of 8 pixels: each tile finishes a pooled row of two pixels.
    layer = conv(channels=(2, 4), size=(4, 4), pool=2)
    (only,) = plan(network(layer), machine(), "dense", 1)
    units = units_of(only, np.zeros((1, 4, 2, 2), bool))
    assert [(u.maker, u.row, u.columns, u.bytes) for u in units] == [
        (0, 0, [0, 1], 8),
        (1, 1, [0, 1], 8),
    ]


def spilled(value: bool) -> list[dict[str, int]]:
    """Counters of two layers of 4 channels and 12 x 12 pixels, with the second one's input bits.

    Two words at a pitch of 146 are 584 bytes: a kibibyte less two staging tiles of 32 bytes does
    not hold two maps, so that the one between them is stored and loaded.
    """
    first = conv("first", channels=(4, 4), size=(12, 12))
    second = conv("second", channels=(4, 4), size=(12, 12), input="first")
    bits = {"second": np.full((1, 4, 12, 12), value)}
    arch = machine(dram_format="run-length")
    _, counts = run(network(first, second), arch, "dense", {}, 1, 1, 1, inputs=bits)
    return [row(counts, COUNTERS, layer) for layer in (0, 1)]


def test_a_map_between_two_layers_is_coded() -> None:
    # P = 8: rows of 12 are cut behind 8 or 4 pixels, so that each has two units, of 8 x 4 and of
    # 4 x 4 values. None is zero: 8 + 4 words. All are zero: a pair, so a word, each.
    for value, row_bytes in ((True, 12 * 8), (False, 2 * 8)):
        first, second = spilled(value)
        assert first["dram_output_bytes"] == second["dram_input_bytes"] == 12 * row_bytes
        # The network's input, and an output that no layer reads, go as they are.
        assert first["dram_input_bytes"] == second["dram_output_bytes"] == 4 * 144


def test_a_residual_loads_whole_units() -> None:
    # As in the residency test d adds a's map from DRAM: 2 channels, 12 x 12 pixels. One channel
    # tile; P = 8 cuts a's rows into units of 8 x 2 and 4 x 2 values, 4 and 2 words where none is
    # zero, and d's tiles as well: of each row 48 bytes. Of b's and c's maps no bits are known.
    a = conv("a", channels=(2, 2), size=(12, 12), kernel=3)
    b = conv("b", channels=(2, 2), size=(12, 12), kernel=3, input="a")
    c = conv("c", channels=(2, 2), size=(12, 12), kernel=3, input="b")
    d = conv("d", channels=(2, 2), size=(12, 12), kernel=3, input="c", residual="a")
    bits = {"b": np.ones((1, 2, 12, 12), bool)}
    arch = machine(dram_format="run-length")
    _, counts = run(network(a, b, c, d), arch, "dense", {}, 1, 1, images=1, inputs=bits)
    assert counts[:, COUNTERS.index("dram_residual_bytes")].tolist() == [0, 0, 0, 12 * 48]
    assert counts[:, COUNTERS.index("dram_output_bytes")].tolist() == [12 * 48, 0, 0, 288]
