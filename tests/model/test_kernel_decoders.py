"""The kernel's bitmap decoders, on lists of a single one."""

from __future__ import annotations

import numpy as np
import pytest
from by_hand import machine

from hwsim.arch.schemes import parse_scheme
from hwsim.model.kernel.decoders import decode_bitmap
from hwsim.model.plan import machine_of


@pytest.mark.parametrize("word_bits", [16, 32, 64])
@pytest.mark.parametrize("pixels", [31, 32, 33, 64, 65, 96, 97, 128])
def test_a_one_takes_a_cycle_and_so_does_each_empty_word(pixels: int, word_bits: int) -> None:
    """Wherever the one is: a cycle for each index word, all of them in the only round's slot."""
    arch = machine(rows=2, lane_group=1, word_bits=word_bits)
    kernels = machine_of(arch, parse_scheme("unstructured", arch))
    words, index_words = -(-pixels // 64), -(-pixels // word_bits)
    for pixel in range(pixels):
        lists = np.zeros((1, words), np.uint64)
        lists[0, pixel // 64] = 1 << pixel % 64
        unions, slots = np.zeros((2, words), np.uint64), np.zeros(2, np.int64)
        found = decode_bitmap(kernels, lists, 0, pixels, 1, unions, slots)
        assert found == (1, 1, index_words), pixel
        assert slots.tolist() == [index_words, 0]
        assert unions[0].tolist() == lists[0].tolist()
