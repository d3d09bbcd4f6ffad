"""Tiles by hand: how channels and pixels are cut, what each tile moves, how long DMA takes."""

from __future__ import annotations

import numpy as np
import pytest
from oracle.machines import conv, network

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import load_arch
from hwsim.mapping.residency import map_network
from hwsim.mapping.tiles import Mapping, MappingError, dma_cycles, tile_layer


def mapped(gating: str = "batch", images: int = 2, **keys: object) -> Mapping:
    """A gated 1x1 layer of 2 groups, 4 -> 10 channels on 3x4 pixels: 4 columns, P = 8."""
    arch = load_arch(
        "pe16x16", {"array.rows": 4, "array.columns": 4, "partial_sums.entries": 32, **keys}
    )
    layers = network(conv("conv", (4, 10), (3, 4), groups=2))
    (mapping,) = map_network(layers, arch, images, gating)  # type: ignore[arg-type]
    return mapping


def test_channel_tiles_stay_inside_a_gating_group() -> None:
    """Groups of 5 channels in tiles of 4; without gates 10 channels in tiles of 4."""
    assert mapped().channel_tiles == ((0, 4), (4, 1), (5, 4), (9, 1))
    assert mapped("off").channel_tiles == ((0, 4), (4, 4), (8, 2))


def test_pixel_tiles_cross_images_unless_gates_decide_on_whole_maps() -> None:
    """24 pixels of two images in tiles of 8; by instance 12 and 12."""
    starts, counts = mapped().pixel_cuts
    assert (starts.tolist(), counts.tolist()) == ([0, 8, 16], [8, 8, 8])
    starts, counts = mapped("instance").pixel_cuts
    assert (starts.tolist(), counts.tolist()) == ([0, 8, 12, 20], [8, 4, 8, 4])


def test_each_tile_brings_its_weights_once_where_all_stay() -> None:
    """4 channel tiles x 3 pixel tiles; L = 4 bytes of weights a channel."""
    tiles = tile_layer(mapped())
    assert len(tiles) == 12
    assert tiles.weight_bytes.sum() == 4 * 10
    assert tiles.output_bytes.sum() == 10 * 24
    # The input, 4 channels x 24 pixels, arrives once, a row of 4 pixels at a time.
    assert tiles.input_bytes.sum() == 4 * 24
    assert set((tiles.input_bytes % 16).tolist()) == {0}


def test_instance_gates_visit_a_tile_twice_where_an_image_has_several() -> None:
    """Two pixel tiles an image: first passes, then the rest, image by image."""
    tiles = tile_layer(mapped("instance"))
    assert len(tiles) == 4 * 2 * 2 * 2
    assert tiles.first.sum() == tiles.finishes.sum() == 16
    assert not (tiles.first & tiles.finishes).any()


@pytest.mark.parametrize(
    ("moved", "cycles"), [(0, 0), (1, 1), (20, 1), (21, 2), (512, 25), (513, 26)]
)
def test_dma_moves_20_48_bytes_a_cycle(pe16x16: ArchConfig, moved: int, cycles: int) -> None:
    """12.8 GB/s at 80 % and 500 MHz: 512 bytes in 25 cycles."""
    assert dma_cycles(np.int64(moved), pe16x16) == cycles


def test_a_gated_channel_tile_of_weights_has_to_fit() -> None:
    """512 x 9 weights of 4 columns: 18,432 bytes in a buffer of 16 KiB."""
    arch = load_arch("pe16x16", {"array.columns": 4, "weight.buffer_kib": 16})
    layers = network(conv("wide", (512, 4), (4, 4), kernel=3, groups=2))
    with pytest.raises(MappingError, match=r"layer wide: weight buffer: .* 18432 bytes"):
        map_network(layers, arch, 1, "batch")
