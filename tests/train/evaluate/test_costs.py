"""FLOPs and index bits of a network against sums by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.network import ConvLayer, Network, resnet18
from hwsim.trace.format.header import TraceHeader
from hwsim.trace.mask_trace import MaskTrace
from hwsim.train.evaluate.costs import channel_costs, costs


def test_the_gated_layers_of_equal_density_give_the_poster_s_factor() -> None:
    # The poster: 71.64 % of the conditional path skipped, FLOPs reduced 2.16x.
    network = resnet18()
    even = dict.fromkeys([layer.name for layer in network.gated_layers], 1 - 0.7164)
    found = costs(even, network, 8)
    assert found["density_macs"] == pytest.approx(0.2836)
    assert found["flops_reduction_gated"] == pytest.approx(1 / (0.25 + 0.75 * 0.2836))
    assert round(found["flops_reduction_gated"], 2) == 2.16
    dense = 555_422_720 - 547_356_672
    executed = 547_356_672 / found["flops_reduction_gated"]
    assert found["flops_reduction_network"] == pytest.approx(555_422_720 / (dense + executed))
    assert (found["index_bits"], found["index_reduction"]) == (61440, 8)


def test_macs_of_a_layer_half_open_by_hand() -> None:
    network = resnet18()
    per_layer = {layer.name: 0.0 for layer in network.gated_layers} | {"layer2.0.conv1": 0.5}
    found = costs(per_layer, network, 1)
    # 128 channels x 16 x 16 outputs: 16 of 64 input channels always, half of 48 on top.
    executed = network.gated_macs / 4 + 128 * 256 * 9 * 24
    assert found["flops_reduction_gated"] == network.gated_macs / executed


def test_masks_of_output_channels_by_hand() -> None:
    # Two layers of 4 -> 4 channels on 3 pixels, one tap: 48 MACs each. Image 0 computes 3 and
    # 1 channels, the second layer's from 3; image 1 computes 2 and 4 of 2.
    layers = [
        ConvLayer(
            name=name, in_channels=4, out_channels=4, kernel_size=1, in_height=1, in_width=3,
            gated=True, groups=2, input=read,
        )
        for name, read in (("first", "input"), ("second", "first"))
    ]  # fmt: skip
    last = ConvLayer(
        name="last", in_channels=4, out_channels=2, kernel_size=1, in_height=1, in_width=3,
        input="second",
    )  # fmt: skip
    header = TraceHeader(
        network=Network(name="two", layers=(*layers, last)), method="fbs",
        granularity="output-channel", mask_group=1, dataset="hand", image_ids=(0, 1),
    )  # fmt: skip
    masks = {"first": [[1, 0, 1, 1], [0, 1, 0, 1]], "second": [[0, 1, 0, 0], [1, 1, 1, 1]]}
    bits = {name: np.array(rows, bool) for name, rows in masks.items()}
    found = channel_costs(MaskTrace.from_masks(header, bits))
    kept = 3 * (4 * 3 + 3 * 1) + 3 * (4 * 2 + 2 * 4)
    # "last" reads 1 and 4 channels.
    whole = kept + 3 * 2 * (1 + 4)
    assert found["density_elements"] == 10 / 16
    assert found["density_macs"] == pytest.approx(kept / (2 * 96))
    assert found["flops_reduction_gated"] == pytest.approx(2 * 96 / kept)
    assert found["flops_reduction_network"] == pytest.approx(2 * (96 + 24) / whole)
    # 8 mask bits instead of 2 * 12, one per output.
    assert (found["index_bits"], found["index_reduction"]) == (8, 3)
