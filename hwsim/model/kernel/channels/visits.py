"""Visits of a layer that selects channels, and what each moves: loops over int64 arrays.

docs/model/channels.md. Part of ``layers``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.model.kernel.jit import allocating, compiled

WHOLE, TILED = 1, 2
"""Codes of ``Selecting.source``; 0 is an input on chip."""
ON_CHIP, IN_DRAM = 1, 2
"""Codes of ``Selecting.residual``; 0 is none."""
ONE = 1
"""``Selecting.reach`` of a buffer for one channel tile; 2 where it holds two, 0 where all."""


class Selecting(NamedTuple):
    """What shapes decide of a layer; flags and codes int64, arrays int64.

    ``compacted``: tiles are an image's active channels; else ``tile_start``, ``tile_width`` and
    ``tile_head`` (channel tiles,) hold for all. By pixel tile of an image: ``pixels``, ``pooled``
    pixels it finishes, input pixels that are ``lacking``: of a whole input behind the tiles before
    it, of a tiled one all it touches; ``loads`` (pixel tiles, rounds): words in the fullest bank,
    the same in each image, because images lie a constant number of words apart.
    ``reach``: how many different tiles back a column is still there, 0 for any. ``word_of``
    (in_channels,): the activation word of each input channel. ``mask_bits`` of an image, 0 where
    the layer is not gated; ``means``: input pixels that a predictor averages.
    """

    images: int
    taps: int
    steps: int
    columns: int
    word_channels: int
    compacted: int
    pixels_outer: int
    source: int
    residual: int
    stored: int
    reach: int
    mask_bits: int
    means: int
    tile_start: np.ndarray
    tile_width: np.ndarray
    tile_head: np.ndarray
    pixels: np.ndarray
    pooled: np.ndarray
    lacking: np.ndarray
    loads: np.ndarray
    word_of: np.ndarray


class Visits(NamedTuple):
    """The visits of a batch in order, int64 (visits,) each but for ``order``.

    ``start`` and ``width`` cut the image's row of ``order`` (images, out_channels); ``passes``: the
    visit takes a pass; ``head``: whose inputs it reads; ``begins``: the image's first visit.
    """

    order: np.ndarray
    image: np.ndarray
    pixel: np.ndarray
    start: np.ndarray
    width: np.ndarray
    passes: np.ndarray
    head: np.ndarray
    begins: np.ndarray


@allocating
def visits_of(layer, computed, added):
    """The visits of a batch; ``computed`` and ``added`` uint8 (images, out_channels)."""
    order, active, passed = _channel_order(computed, added)
    tiles = np.zeros(layer.images, np.int64)
    for image in range(layer.images):
        if layer.compacted:
            computing = -(-active[image] // layer.columns)
            tiles[image] = max(1, computing + -(-passed[image] // layer.columns))
        else:
            tiles[image] = layer.tile_start.size
    total = tiles.sum() * layer.pixels.size
    found = Visits(
        order,
        np.zeros(total, np.int64),
        np.zeros(total, np.int64),
        np.zeros(total, np.int64),
        np.zeros(total, np.int64),
        np.zeros(total, np.int64),
        np.zeros(total, np.int64),
        np.zeros(total, np.int64),
    )
    k = 0
    if layer.pixels_outer:
        for image in range(layer.images):
            for pixel in range(layer.pixels.size):
                for tile in range(tiles[image]):
                    _set(layer, found, k, image, pixel, tile, active[image], passed[image])
                    k += 1
    else:
        for tile in range(tiles.max()):
            for image in range(layer.images):
                if tile < tiles[image]:
                    for pixel in range(layer.pixels.size):
                        _set(layer, found, k, image, pixel, tile, active[image], passed[image])
                        k += 1
    return found


@allocating
def _channel_order(computed, added):
    """Per image the channels that are computed, then those only the residual has, ascending."""
    images, channels = computed.shape
    order = np.zeros((images, channels), np.int64)
    active, passed = np.zeros(images, np.int64), np.zeros(images, np.int64)
    for image in range(images):
        k = 0
        for channel in range(channels):
            if computed[image, channel]:
                order[image, k] = channel
                k += 1
        active[image] = k
        for channel in range(channels):
            if added[image, channel] and not computed[image, channel]:
                order[image, k] = channel
                k += 1
        passed[image] = k - active[image]
    return order, active, passed


@compiled
def _set(layer, visits, k, image, pixel, tile, active, passed):
    """Visit ``k``: which columns of the image, and whether they are computed."""
    visits.image[k], visits.pixel[k] = image, pixel
    visits.begins[k] = tile == 0 and pixel == 0
    if not layer.compacted:
        visits.start[k], visits.width[k] = layer.tile_start[tile], layer.tile_width[tile]
        visits.passes[k], visits.head[k] = 1, layer.tile_head[tile]
        return
    computing = -(-active // layer.columns)
    if tile < computing:
        visits.start[k], visits.passes[k] = tile * layer.columns, 1
        visits.width[k] = min(layer.columns, active - visits.start[k])
    else:
        behind = (tile - computing) * layer.columns
        visits.start[k] = active + behind
        visits.width[k] = min(layer.columns, passed - behind)


@allocating
def bytes_in(layer, visits, present, added):
    """Input and residual bytes that each visit lacks: int64 (visits,)."""
    moved = np.zeros(visits.image.size, np.int64)
    seen = np.zeros((layer.images, layer.pixels.size), np.int64)
    for k in range(visits.image.size):
        image, pixel = visits.image[k], visits.pixel[k]
        pixels = 0
        if layer.source == WHOLE and not seen[image, pixel]:
            pixels = layer.lacking[pixel]
        if layer.source == TILED:
            same = k > 0 and visits.image[k - 1] == image and visits.pixel[k - 1] == pixel
            pixels = 0 if same else layer.lacking[pixel]
        seen[image, pixel] = 1
        moved[k] = pixels * np.int64(present[image].sum())
    if layer.residual == IN_DRAM:
        residual = residual_bytes(layer, visits, added)
        for k in range(moved.size):
            moved[k] += residual[k]
    return moved


@allocating
def residual_bytes(layer, visits, added):
    """Residual bytes of each visit, wherever they lie: active channels of the tile, its pixels."""
    found = np.zeros(visits.image.size, np.int64)
    for k in range(found.size):
        image = visits.image[k]
        for at in range(visits.start[k], visits.start[k] + visits.width[k]):
            found[k] += added[image, visits.order[image, at]]
        found[k] *= layer.pixels[visits.pixel[k]]
    return found


@allocating
def weight_bytes(layer, visits):
    """Weight bytes that each visit lacks: whole columns, int64 (visits,)."""
    moved = np.zeros(visits.image.size, np.int64)
    used = np.zeros(visits.order.shape[1], np.int64)  # the last tile with a column, from 1 on
    tile, before = 0, -1
    for k in range(moved.size):
        if not visits.passes[k]:
            continue
        if before < 0 or not _same_channels(visits, before, k):
            tile += 1
            oldest = 1 if layer.reach == 0 else max(1, tile - layer.reach)
            lacking = 0
            for at in range(visits.start[k], visits.start[k] + visits.width[k]):
                channel = visits.order[visits.image[k], at]
                lacking += used[channel] < oldest
                used[channel] = tile
            moved[k] = lacking * layer.steps
        before = k
    return moved


@compiled
def _same_channels(visits, one, other):
    """Whether two visits have the same output channels."""
    if visits.width[one] != visits.width[other]:
        return False
    for at in range(visits.width[one]):
        left = visits.order[visits.image[one], visits.start[one] + at]
        if left != visits.order[visits.image[other], visits.start[other] + at]:
            return False
    return True


@allocating
def words_of(layer, visits, k, wanted):
    """Activation words (channel div A) of a visit's channels whose flag in ``wanted`` is set."""
    image, words, last = visits.image[k], 0, -1
    for at in range(visits.start[k], visits.start[k] + visits.width[k]):
        channel = visits.order[image, at]
        if wanted[channel] and channel // layer.word_channels != last:
            last = channel // layer.word_channels
            words += 1
    return words
