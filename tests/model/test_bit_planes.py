"""The bit planes in which zeros are skipped, beside plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.model.kernel.zero_skipping import fill_planes

BATCHES, IMAGES, CHANNELS, HEIGHT = 2, 2, 5, 2


def source_of(inputs: np.ndarray) -> np.ndarray:
    """Bits of each image, with a word behind: uint64 (images, words + 1)."""
    flat = inputs.reshape(len(inputs), -1)
    packed = np.packbits(flat, axis=1, bitorder="little")
    source = np.zeros((len(inputs), -(-flat.shape[1] // 64) + 1), np.uint64)
    source.view(np.uint8)[:, : packed.shape[1]] = packed
    return source


@pytest.mark.parametrize("width", [1, 40, 63, 64, 65, 127, 128, 130])
def test_planes_tell_how_many_channels_of_a_word_are_not_zero(width: int) -> None:
    """Words of three channels and of two: planes of two and more, and of three, in each batch."""
    word, words = 3, 2
    top, left, bottom, right = edges = 1, 2, 0, 1
    inputs = np.random.default_rng(width).random((BATCHES * IMAGES, CHANNELS, HEIGHT, width)) < 0.6
    wide, high = width + left + right, HEIGHT + top + bottom
    pixels = IMAGES * high * wide
    planes = np.zeros((BATCHES, 2 * -(-pixels // 64), 32), np.uint32)
    fill_planes(source_of(inputs), inputs.shape[1:], np.array(edges), word, CHANNELS, planes)
    padded = np.pad(inputs, [(0, 0), (0, 0), (top, bottom), (left, right)])
    padded = padded.reshape(BATCHES, IMAGES, CHANNELS, -1)
    expected = np.zeros((BATCHES, 32, 32 * planes.shape[1]), bool)
    for number, first in enumerate(range(0, CHANNELS, word)):
        held = padded[:, :, first : first + word].sum(axis=2).reshape(BATCHES, -1)
        for plane in range(word - 1):
            expected[:, plane * words + number, :pixels] = held >= plane + 2
    found = np.unpackbits(
        np.ascontiguousarray(planes.swapaxes(1, 2)).view(np.uint8), axis=2, bitorder="little"
    )
    np.testing.assert_array_equal(found.astype(bool), expected)
