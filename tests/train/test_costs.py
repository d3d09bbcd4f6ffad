"""FLOPs and index bits of a gated network against sums by hand."""

from __future__ import annotations

import pytest

from hwsim.train.costs import costs, executed_macs
from hwsim.workload import resnet18


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


def test_executed_macs_of_one_layer_by_hand() -> None:
    network = resnet18()
    per_layer = {layer.name: 0.0 for layer in network.gated_layers} | {"layer2.0.conv1": 0.5}
    executed = executed_macs(per_layer, network)
    # 128 channels x 16 x 16 outputs, 16 of 64 input channels always, half of 48 on top.
    assert executed["layer2.0.conv1"] == 128 * 256 * 9 * (16 + 24)
    assert executed["layer1.0.conv1"] == 64 * 1024 * 9 * 16
