"""The benchmarks' own parts: the plain loop, repeated masks. No times."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.loop import gated_layers
from benchmarks.masks import label, of_images
from hwsim.arch import ArchConfig
from hwsim.counts import C
from hwsim.simulate import simulate
from hwsim.synthetic import synthetic_trace
from hwsim.workload import Network

MACS = C["macs_conditional"]


@pytest.mark.parametrize(("scheme", "mask_group"), [("unstructured", 1), ("structured-8x", 8)])
@pytest.mark.parametrize("density", [0.0, 0.3, 1.0])
def test_plain_loop_equals_the_kernel(
    pe16x16: ArchConfig, small_network: Network, scheme: str, mask_group: int, density: float
) -> None:
    trace = synthetic_trace(small_network, density, mask_group=mask_group, images=4)
    layers = list(gated_layers(pe16x16, trace, scheme, batch=2))
    assert len(layers) == len(small_network.gated_layers)
    for layer in layers:
        for found, expected in zip(layer.by_index(), layer.by_kernel(), strict=True):
            np.testing.assert_array_equal(found, expected, layer.plan.name)


def test_repeated_images_begin_anew(pe16x16: ArchConfig, small_network: Network) -> None:
    trace = synthetic_trace(small_network, 0.3, images=4)
    more = of_images(trace, 10)
    name = small_network.gated_layers[0].name
    np.testing.assert_array_equal(
        more.packed(name), trace.packed(name)[[0, 1, 2, 3, 0, 1, 2, 3, 0, 1]]
    )
    np.testing.assert_array_equal(more.packed(name, 3, 6), trace.packed(name)[[3, 0, 1]])
    np.testing.assert_array_equal(of_images(trace, 3).packed(name), trace.packed(name, 0, 3))
    assert (label(trace, 10), label(trace, 3)) == ("synthetic, 4 repeated", "synthetic")
    once, twice = (
        simulate(pe16x16, of_images(trace, images), "unstructured", batch=4) for images in (4, 8)
    )
    np.testing.assert_array_equal(twice.counters[:, MACS], 2 * once.counters[:, MACS])
