"""Kernel and reference on random networks of layers that other random cases lack.

Groups, rectangular kernels, padding of four sides, maps, with zero skipping and without: they take
milliseconds each, so that a campaign of mutants can run them.
"""

from __future__ import annotations

import numpy as np
import pytest
from in_memory import in_memory_trace
from oracle.any_draws import draw_any

from hwsim.run.simulate import simulate

SEEDS = (
    2003, 2007, 2011, 2012, 2021, 2033, 2035, 2036, 2050, 2059, 2066, 2075, 2081, 2084, 2092, 2094,
    2151,
)  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_both_models_count_the_same(seed: int) -> None:
    case = draw_any(seed)
    kernel, reference = (
        simulate(case.arch, in_memory_trace(case), case.scheme, batch=case.batch, engine=engine)
        for engine in ("kernel", "reference")
    )
    assert np.array_equal(kernel.causes, reference.causes)
    assert np.array_equal(kernel.counters, reference.counters)
