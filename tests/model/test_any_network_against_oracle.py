"""Networks of any layers on kernel and reference, held to the oracle in every cause and counter."""

from __future__ import annotations

import numpy as np
import pytest
from in_memory import in_memory_trace
from oracle.any_coverage import EVERYTHING, met, pairs
from oracle.any_draws import draw_any
from oracle.cases import Case

from hwsim.counters import CAUSES, COUNTERS
from hwsim.mapping.tiles import MappingError
from hwsim.model import Engine
from hwsim.run.simulate import simulate
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
