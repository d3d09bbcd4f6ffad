"""Networks of any layers on kernel and reference, held to the oracle in every cause and counter."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from in_memory import in_memory_trace
from oracle.any_coverage import EVERYTHING, met, pairs
from oracle.any_draws import draw_any
from oracle.any_layers import SMALL, draw_conv
from oracle.cases import Case
from oracle.closed_form import closed_form
from oracle.machines import machine
from oracle.network import run

from hwsim.counters import CAUSES, COUNTERS
from hwsim.mapping.residency import map_network
from hwsim.mapping.tiles import MappingError
from hwsim.model import Engine
from hwsim.model.engines import ENGINES
from hwsim.network import ConvLayer, Network
from hwsim.run.simulate import simulate
from hwsim.trace.mask_trace import MaskTrace
from tools.verification.naive import Counted, oracle_totals


def difference(case: Case, expected: Counted, engine: Engine) -> str | None:
    """The first layer and name in which a model differs from the oracle."""
    found = simulate(
        case.arch, in_memory_trace(case), scheme=case.scheme, batch=case.batch, engine=engine
    )
    if found.shapes != expected[0]:
        return f"{engine}: shapes: expected {expected[0]}, found {found.shapes}"
    right = np.hstack(expected[1:])
    mine = np.hstack((found.causes, found.counters))
    for layer, name in np.argwhere(right != mine):
        told = f"expected {right[layer, name]}, found {mine[layer, name]}"
        return f"{engine}: {case.network.layers[layer].name}: {(CAUSES + COUNTERS)[name]}: {told}"
    return None


def compare(seed: int, *engines: Engine) -> set[str]:
    """Count on either side, or see both refuse; returns what the case met."""
    case = draw_any(seed)
    expected = oracle_totals(case)
    if expected is None:
        with pytest.raises(MappingError):
            simulate(case.arch, in_memory_trace(case), scheme=case.scheme, batch=case.batch)
        return {"refused"}
    for engine in engines:
        assert difference(case, expected, engine) is None, f"draw_any({seed}) is {case}"
    return met(case, expected[0])


@pytest.mark.parametrize("first", range(0, 80, 10))
def test_random_networks(first: int) -> None:
    for seed in range(first, first + 10):
        compare(seed, "kernel")


@pytest.mark.parametrize("first", range(1000, 1016, 4))
def test_random_networks_on_the_reference(first: int) -> None:
    for seed in range(first, first + 4):
        compare(seed, "reference")


@pytest.mark.parametrize("seed", range(50))
def test_random_shapes_take_the_closed_form(seed: int) -> None:
    """One layer, dense, banks that never wait: kernel, reference, oracle and closed form agree."""
    rng = Random(f"shape {seed}")
    layer = draw_conv(rng, "conv", {"input": (rng.choice(SMALL.channels), 7, 6)}, 1)
    layer = layer.model_copy(update={"residual": None, "gated": False, "groups": 1})
    arch = machine(3, 4, 60, bank_conflicts="none", activation_kib=64, weight_kib=64)
    causes, counts = run(Network(name="one", layers=(layer,)), arch, "dense", {}, 1, 1, 1)
    trace = MaskTrace.of_network(Network(name="one", layers=(layer,)), 1)
    for engine in ENGINES:
        found = simulate(arch, trace, scheme="dense", batch=1, engine=engine)
        assert np.array_equal(found.causes, causes)
        assert np.array_equal(found.counters, counts)
        passes = found.causes[0, [CAUSES.index("base"), CAUSES.index("drain")]].sum()
        assert passes == closed_form(layer, 3, 4, 60)


def test_a_product_whose_weights_fill_the_buffer() -> None:
    """Too rare at random: a channel tile of 200 x 4 bytes, of which 1 KiB holds one, not two."""
    shape = {"in_channels": 200, "in_height": 2, "in_width": 1, "kernel_size": 1}
    layers = (
        ConvLayer(name="q", out_channels=200, **shape),
        ConvLayer(name="k", out_channels=800, **shape),
        ConvLayer(name="scores", out_channels=8, input="q", weights_from="k", **shape),
    )
    network = Network(name="one tile", layers=layers)
    arch = machine(3, 4, 12, activation_kib=64, weight_kib=1)
    assert map_network(network, arch, 2, "off")[2].weights == "one"
    causes, counts = run(network, arch, "dense", {}, 1, 2, 3)
    for engine in ENGINES:
        trace = MaskTrace.of_network(network, 3)
        found = simulate(arch, trace, scheme="dense", batch=2, engine=engine)
        assert np.array_equal(found.causes, causes)
        assert np.array_equal(found.counters, counts)


@pytest.mark.slow
def test_many_random_networks() -> None:
    seen: set[str] = set()
    for seed in range(1500):
        seen |= compare(seed, "kernel")
    wanted = EVERYTHING | pairs() | {"refused"}
    assert seen >= wanted, f"never met: {sorted(wanted - seen)}"


@pytest.mark.slow
def test_many_random_networks_on_the_reference() -> None:
    for seed in range(300):
        compare(seed, "reference")
