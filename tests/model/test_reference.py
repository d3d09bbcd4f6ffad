"""The reference between tiles: output stage and transfers, worked out by hand.

What a tile's own passes take, every model is asked in test_by_hand.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from by_hand import machine
from oracle.machines import conv, network

from hwsim.arch.config import ArchConfig
from hwsim.arch.schemes import parse_scheme
from hwsim.counters import CAUSES
from hwsim.mapping.residency import map_network
from hwsim.mapping.tiles import tile_layer
from hwsim.model.reference.machine import run_layer
from hwsim.model.reference.tile import Layer


def run_by_hand(
    arch: ArchConfig,
    loads: Sequence[int] = (0,) * 5,
    stores: Sequence[int] = (0,) * 4,
    exposed: Sequence[int] = (0,) * 4,
) -> list[dict[str, int]]:
    """Cycles of each tile of a dense 1x1 layer, 4 -> 4 channels on 9 pixels, with these transfers.

    L = 4 steps in two beats; two channel tiles where C = 2.
    """
    layers = network(conv("conv", (4, 4), (1, 9)))
    (mapping,) = map_network(layers, arch, images=1, gating="off")
    transfers = (np.array(cycles) for cycles in (loads, stores, exposed))
    scheme = parse_scheme("dense", arch)
    cycles, _ = run_layer(Layer(scheme, mapping, tile_layer(mapping), None, 1), *transfers)
    return [{n: v for n, v in zip(CAUSES, row, strict=True) if v} for row in cycles.tolist()]


def dense_tiles(**transfers: Sequence[int]) -> list[dict[str, int]]:
    """Four tiles of 8 pixels and 1 (weights outer, R = 4, P = 8), with these transfers.

    T = 2 rounds x 4 steps + 4 = 12 for the long tiles, 4 + 4 = 8 for the short ones.
    """
    return run_by_hand(machine(tile_pixels=8), **transfers)


def test_the_output_stage_ends_behind_the_last_tile() -> None:
    """8 pixels beside a short tile of 8 cycles; one pixel at the end."""
    assert dense_tiles() == [
        {"base": 8, "drain": 4},
        {"base": 4, "drain": 4},
        {"base": 8, "drain": 4},
        {"base": 4, "drain": 4, "output_stall": 1},
    ]


def test_an_output_stage_longer_than_the_next_tile_stalls() -> None:
    """R = 2, P = 8: a tile of one pixel takes 4 + 2 = 6 cycles beside 8 pixels."""
    cycles = run_by_hand(machine(rows=2, tile_pixels=8))
    assert cycles[1] == {"base": 4, "drain": 2, "output_stall": 2}
    assert cycles[3] == {"base": 4, "drain": 2, "output_stall": 2 + 1}


def test_transfers_as_long_as_the_tile_are_hidden() -> None:
    """Beside tile 1 (8 cycles): 5 to store and 3 to load; but for the first load all is hidden."""
    cycles = dense_tiles(loads=[7, 12, 3, 0, 3], stores=[5, 0, 5, 1])
    assert [tile.get("dram_stall", 0) for tile in cycles] == [7, 0, 0, 0]


def test_transfers_one_cycle_longer_are_not() -> None:
    cycles = dense_tiles(loads=[7, 13, 4, 0, 4], stores=[5, 0, 5, 2])
    assert [tile.get("dram_stall", 0) for tile in cycles] == [7 + 1, 1, 0, 1 + 1]
    assert cycles[3]["output_stall"] == 1


def test_a_transfer_longer_than_the_output_stage_stalls_for_the_rest() -> None:
    """R = 2: 6 cycles compute, 8 pixels are emptied, 11 cycles transfer."""
    arch = machine(rows=2, tile_pixels=8)
    cycles = run_by_hand(arch, loads=[0, 0, 11, 0, 0])
    assert cycles[1] == {"base": 4, "drain": 2, "output_stall": 2, "dram_stall": 3}


def test_exposed_weights_are_hidden_by_nothing() -> None:
    """The output stage waits as well: its 8 pixels still fill tile 3's 8 cycles, no more."""
    cycles = dense_tiles(exposed=[0, 0, 9, 0])
    assert [tile.get("dram_stall", 0) for tile in cycles] == [0, 0, 9, 0]
    assert [tile.get("output_stall", 0) for tile in cycles] == [0, 0, 0, 1]
