"""A whole replay: segments, threads, and the batches' distribution."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import hwsim
from hwsim.arch.config import ArchConfig
from hwsim.model import replay as engines
from hwsim.network import ConvLayer, Network
from hwsim.run.simulate import simulate
from hwsim.trace.synthetic import synthetic_trace


@pytest.fixture(scope="module")
def network() -> Network:
    """A gated layer behind a dense one; the first's weights are prefetched across batches."""
    stem = ConvLayer(
        name="stem", in_channels=3, out_channels=8, kernel_size=1, in_height=6, in_width=6
    )
    gated = ConvLayer(
        name="gated", in_channels=8, out_channels=32, kernel_size=3, padding=1, in_height=6,
        in_width=6, gated=True, groups=4, input="stem",
    )  # fmt: skip
    return Network(name="two", layers=(stem, gated))


def test_threads_and_segments_change_no_result(
    pe16x16: ArchConfig, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = synthetic_trace(network, 0.3, images=7)
    whole = simulate(pe16x16, trace, "unstructured", batch=2, threads=1)
    monkeypatch.setattr(engines, "SEGMENT_BYTES", (1, 1))
    for threads in (1, 3):
        cut = simulate(pe16x16, trace, "unstructured", batch=2, threads=threads)
        np.testing.assert_array_equal(cut.causes, whole.causes)
        np.testing.assert_array_equal(cut.counters, whole.counters)
        np.testing.assert_array_equal(cut.batch_cycles, whole.batch_cycles)
        assert cut.mask_ones == whole.mask_ones == trace.ones()
    assert whole.batch_cycles.sum() == whole.cycles
    assert len(whole.batch_cycles) == 4


def test_the_distribution_is_that_of_whole_batches(pe16x16: ArchConfig, network: Network) -> None:
    trace = synthetic_trace(network, 0.3, images=5)
    result = replace(
        simulate(pe16x16, trace, "unstructured", batch=2), batch_cycles=np.array([20, 40, 7])
    )
    # Images of 10 and 20 cycles: standard deviation sqrt(50), error of the mean 5.
    assert result.distribution() == {
        "batches": 2,
        "mean": 15.0,
        "p5": 10.5,
        "p50": 15.0,
        "p95": 19.5,
        "confidence_95": pytest.approx([15 - 1.96 * 5, 15 + 1.96 * 5]),
    }


def test_the_package_can_be_asked_to_simulate_again(pe16x16: ArchConfig, network: Network) -> None:
    trace = synthetic_trace(network, 0.3, images=1)
    runs = [hwsim.simulate(pe16x16, trace, scheme="dense") for _ in range(2)]
    assert runs[0].cycles == runs[1].cycles == simulate(pe16x16, trace, "dense").cycles
