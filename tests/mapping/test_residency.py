"""Residency by hand: what stays in the activation buffer from layer to layer."""

from __future__ import annotations

from itertools import pairwise

from oracle.machines import conv, network

from hwsim.arch.load import load_arch
from hwsim.mapping.residency import map_network
from hwsim.mapping.tiles import Mapping
from hwsim.network import Network


def chain(*channels: int) -> Network:
    """1x1 layers on 16x16 pixels, each reading the one before."""
    layers, source = [], "input"
    for number, pair in enumerate(pairwise(channels)):
        layers.append(conv(f"conv{number}", pair, (16, 16), input=source))
        source = f"conv{number}"
    return network(*layers)


def placed(layers: Network, kib: int) -> tuple[Mapping, ...]:
    """On a buffer of which two staging tiles of 1 KiB are taken."""
    keys = {"partial_sums.entries": 1024, "activation.buffer_kib": kib}
    return map_network(layers, load_arch("pe16x16", keys), 1, "off")


def test_what_fits_is_passed_on_chip() -> None:
    """Three tensors of 4 KiB: input and output together need 8, the buffer leaves 14."""
    mappings = placed(chain(16, 16, 16), 16)
    assert [mapping.input for mapping in mappings] == ["whole", "chip"]
    assert [mapping.stored for mapping in mappings] == [False, True]


def test_an_output_without_room_goes_to_dram() -> None:
    """6 KiB are left: 4 for the input, 2 for an output of 4."""
    mappings = placed(chain(16, 16, 16), 8)
    assert [mapping.input for mapping in mappings] == ["whole", "whole"]
    assert all(mapping.stored for mapping in mappings)


def test_an_input_without_room_is_tiled() -> None:
    """32 channels are 8 KiB, in a buffer that leaves 6."""
    (mapping,) = placed(chain(32, 16), 8)
    assert mapping.input == "tiled"
    # Two footprints of k rows of 512 bytes have to fit: k = 6; P holds 4 rows of 16 pixels.
    assert mapping.pixels == 64


def test_weights_stay_where_all_channel_tiles_fit() -> None:
    """16 x 64 weights are four channel tiles of 256 bytes: all of them in 1 KiB."""
    keys = {"weight.buffer_kib": 1, "partial_sums.entries": 1024}
    arch = load_arch("pe16x16", keys)
    (all_fit,) = map_network(chain(16, 64), arch, 1, "off")
    (two_fit,) = map_network(chain(32, 64), arch, 1, "off")
    (one_fits,) = map_network(chain(64, 64), arch, 1, "off")
    assert [at.weights for at in (all_fit, two_fit, one_fits)] == ["all", "two", "one"]
