"""Paths of layers that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from near import assert_near
from torch import nn

from hwsim.train.networks import models
from hwsim.train.networks.gating import GatedConv2d, gated_layers
from studies.paths import layer_paths


def hand_made() -> layer_paths.Site:
    """Yb = x, Yc = twice the next channel, gates open above 0.5, then scaled by 3 / 2."""
    layer, norm = GatedConv2d(4, 4), nn.BatchNorm2d(4, eps=0)
    with torch.no_grad():
        layer.weight.zero_()
        for channel in range(4):
            layer.weight[channel, channel, 1, 1] = 1
            layer.weight[channel, (channel + 1) % 4, 1, 1] = 2
        layer.tau.fill_(0.5)
        norm.weight.fill_(3)
        norm.bias.fill_(7)
        norm.running_var.fill_(4)
    return layer_paths.Site("hand", layer.eval(), norm.eval(), 1)


@torch.no_grad()
def test_sums_are_those_of_the_layer_as_they_are_scaled_behind_it() -> None:
    """Z is x, but for an epsilon of 1e-5: channels 0 and 2 of the one pixel are open."""
    site = hand_made()
    x = torch.tensor([1.0, -2, 4, 0.25])[None, :, None, None]
    sums, gates = layer_paths.sums_and_gates(site, x, "diagonal")
    assert gates.flatten().tolist() == [True, False, True, False]
    found = {part: (value.flatten() / 1.5).tolist() for part, value in sums.items()}
    assert found == {
        "base": [1, -2, 4, 0.25],
        "conditional": [-4, 0, 0.5, 0],
        "conditional_unmasked": [-4, 8, 0.5, 2],
        "full": [-3, 6, 4.5, 2.25],
    }
    onward = site.norm(site.layer(x)) - 7
    assert_near(sums["base"] + sums["conditional"], onward)


def test_maps_are_of_what_varies_and_where_gates_are_open() -> None:
    """1 and 3 lie 1 from their mean, a channel of 5s 0 from its own: 1/2 on average.

    The channels' gates are open in the upper row, and in the left column.
    """
    sums = torch.tensor([[[1.0, 3], [3, 1]], [[5, 5], [5, 5]]])[None]
    gates = torch.tensor([[[True, True], [False, False]], [[True, False], [True, False]]])[None]
    maps = layer_paths.maps_of({"base": sums, "conditional_unmasked": 2 * sums}, gates)
    assert {part: values.flatten().tolist() for part, values in maps.items()} == {
        "base": [0.5] * 4,
        "conditional": [1, 1, 0, 0],
        "conditional_unmasked": [1] * 4,
        "gates": [1, 0.5, 0.5, 0],
    }


@torch.no_grad()
def test_figures_of_a_layer_by_hand() -> None:
    """A checkerboard in channel 0, gates open where it is 1.

    So is channel 1, lower and closed, of which channel 0 reads twice as much. Base and conditional
    sums lie equally far from their means everywhere; only the mask gives them a pattern.
    """
    rows, columns = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    board = (rows + columns) % 2
    x = torch.zeros(3, 4, 8, 8)
    x[:, 0], x[:, 1] = 2.0 * board - 1, 0.25 * board
    x[2, 0] = -1.0  # All closed, and nothing varies.
    edge = board.float().expand(3, 8, 8)
    batch = layer_paths.LayerBatch.of(hand_made(), x, "diagonal", edge, 2)
    assert batch.density == pytest.approx(2 * 32 / (3 * 4 * 64))
    row = layer_paths.row_of("hand", [batch])
    assert row["images"] == 3
    for part in ("conditional", "gates"):
        assert row[f"edge_correlation_{part}"] == pytest.approx(1)
        assert row[f"left_out_{part}"] == 1
    for part in ("base", "conditional_unmasked"):
        assert row[f"left_out_{part}"] == 3
        assert np.isnan(row[f"edge_correlation_{part}"])
    for part in layer_paths.SUMS:
        assert row[f"high_frequency_share_{part}"] == pytest.approx(1)
    assert batch.maps["gates"].shape == (2, 8, 8)
    small = layer_paths.LayerBatch.of(hand_made(), x[..., :6], "diagonal", edge[..., :6], 0)
    assert np.isnan(layer_paths.row_of("small", [small])["high_frequency_share_base"])


def test_layers_know_how_far_apart_their_outputs_are() -> None:
    encoder = models.ResNet18("cdg", 8, stages=(1, 1, 1))
    sites = list(layer_paths.sites_of(encoder))
    assert [site.name for site in sites] == list(gated_layers(encoder))
    assert [site.span for site in sites] == [1, 1, 2, 2, 4, 4]
    assert [site.norm for site in sites[:2]] == [encoder.layer1[0].bn1, encoder.layer1[0].bn2]
