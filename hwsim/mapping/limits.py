"""What of a layer, a machine and a batch can be planned (docs/model/machine.md#limits).

Tiles, pixels and words are counted one by one: these limits keep what is allocated within a few
GiB, and with the bounds of machines and layers every integer within 63 bits.
"""

from __future__ import annotations

from hwsim.arch.config import ArchConfig
from hwsim.mapping.layout import Layout
from hwsim.mapping.pixel_tiles import tile_count
from hwsim.mapping.tiles import MappingError
from hwsim.network import AnyLayer, ConvLayer

MOST_PIXELS = 1 << 25
"""Output pixels of a batch."""

MOST_VISITS = 1 << 21
"""Tiles of a batch: pixel tiles times channel tiles, twice where a visit ends what one began."""

MOST_VISITED = 1 << 27
"""Pixels of all visits together."""

MOST_WORDS = 1 << 27
"""Counts of words: rounds of a pass over all pixels, times banks."""

MOST_PLACES = 1 << 30
"""Pixels of all pixel tiles times banks, where masks choose pixels."""

MOST_STORED = 1 << 40
"""Bytes in which a layer reads a batch's input, padding and all."""

KEYS = "fewer images in flight (batch, --batch)"


def _refuse(layer: AnyLayer, found: int, what: str, most: int, keys: str) -> None:
    if found > most:
        raise MappingError(
            f"layer {layer.name}: {found:,} {what}; at most {most:,} can be run: take {keys}"
        )


def require_pixels(layer: AnyLayer, arch: ArchConfig, images: int, layout: Layout) -> None:
    """Raise MappingError before anything of a layer is counted; ``layout``: of its input."""
    _refuse(layer, images * layer.out_pixels, "output pixels in a batch", MOST_PIXELS, KEYS)
    stored = layout.stored_bytes(images, arch)
    smaller = f"{KEYS}, or smaller strides"
    _refuse(layer, stored, "bytes of input in a batch", MOST_STORED, smaller)


def require_tiles(
    layer: AnyLayer,
    arch: ArchConfig,
    images: int,
    cut: tuple[int, bool],
    *,
    gated: bool,
    instance: bool,
) -> None:
    """Raise MappingError for too many visits, or too many words that they ask of banks.

    ``arch``: the machine in the layer's shape; ``cut``: most pixels of a tile, and whether tiles
    are parts of a row.
    """
    by_image = instance or layer.multiplies
    tiles = tile_count(layer, images, cut[0], by_image, cut[1])
    longest = min(cut[0], layer.out_width if cut[1] else images * layer.out_pixels)
    blocks = layer.blocks if gated else layer.conv_groups
    channel_tiles = blocks * -(-(layer.out_channels // blocks) // arch.array.columns)
    more = f"{KEYS}, or more of partial_sums.entries or array.columns"
    visits = (1 + instance) * channel_tiles * tiles
    _refuse(layer, visits, "tiles in a batch", MOST_VISITS, more)
    visited = channel_tiles * images * layer.out_pixels
    _refuse(layer, visited, "pixels of tiles in a batch", MOST_VISITED, more)
    if not isinstance(layer, ConvLayer):
        return
    banks = f"{KEYS}, more array.rows or fewer activation.banks"
    words = tiles * -(-longest // arch.array.rows) * arch.activation.banks
    _refuse(layer, words, "rounds times banks in a batch", MOST_WORDS, banks)
    if gated:
        places = tiles * -(-longest // 64) * 64 * arch.activation.banks
        _refuse(layer, places, "pixels times banks in a batch", MOST_PLACES, banks)
