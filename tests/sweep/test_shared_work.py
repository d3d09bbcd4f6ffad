"""What machines of a sweep share changes no figure: each class of docs/guide/sweeps.md's table."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.arch.load import load_arch
from hwsim.model.memory import Memory
from hwsim.model.replay import Memories
from hwsim.run.results import SimResult
from hwsim.run.simulate import simulate, usable_schemes
from hwsim.trace.mask_trace import MaskTrace

CLASSES: dict[str, dict[str, tuple[Any, ...]]] = {
    "prices": {"pricing.table": ("cacti22", "gates45"), "dram.pj_per_bit": (2.0, 31.5)},
    "clock and DRAM": {
        "clock_mhz": (200, 1999),
        "dram.bandwidth_gb_per_s": (0.7, 64.0),
        "dram.efficiency_percent": (37, 100),
    },
    "buffers": {"activation.buffer_kib": (18, 24, 64), "weight.buffer_kib": (20, 160)},
    "banks": {
        "activation.banks": (4, 16),
        "activation.run_ahead": (0, 2),
        "activation.bank_conflicts": ("exact", "bandwidth"),
    },
    "decoders": {
        "index.word_bits": (8, 64),
        "index.decoders": ("private", "shared"),
        "index.format": ("bitmap", "run-length"),
        "index.window": (0, 8),
    },
    "array": {"array.rows": (4, 8), "array.columns": (4, 8), "index.lane_group": (1, 4)},
}
SMALL = {
    "array.rows": 4,
    "array.columns": 4,
    "partial_sums.entries": 128,
    "index.lane_group": 4,
    "batch": 2,
}


def machines(axes: dict[str, tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    for values in product(*axes.values()):
        yield {**SMALL, **dict(zip(axes, values, strict=True))}


def forget() -> None:
    """All that this process remembers of machines and layers."""
    for name, module in list(sys.modules.items()):
        if not name.startswith("hwsim."):
            continue
        for value in list(vars(module).values()):
            if hasattr(value, "cache_clear"):
                value.cache_clear()
            elif isinstance(value, Memory):
                value.clear()


def same(found: SimResult, expected: SimResult) -> None:
    np.testing.assert_array_equal(found.causes, expected.causes)
    np.testing.assert_array_equal(found.counters, expected.counters)
    np.testing.assert_array_equal(found.batch_cycles, expected.batch_cycles)
    assert found.mask_ones == expected.mask_ones
    assert found.energy_pj == expected.energy_pj


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("method", ["cdg", "scdg"])
def test_shared_work_is_that_of_a_run_from_nothing(
    name: str, method: str, trace_folder: Path
) -> None:
    trace = MaskTrace.open(trace_folder / f"small-{method}.h5")
    memories = Memories(Memory(1 << 24), Memory(1 << 24))
    shared = []
    for keys in machines(CLASSES[name]):
        arch = load_arch("pe16x16-baseline", keys)
        for scheme in usable_schemes(arch, trace):
            run = simulate(arch, trace, scheme, threads=1, memories=memories)
            shared.append((arch, scheme, run))
    # Twice, so that nothing is left that the runs themselves would have made.
    for arch, scheme, run in shared:
        same(simulate(arch, trace, scheme, threads=1, memories=memories), run)
    for arch, scheme, run in shared:
        forget()
        same(run, simulate(arch, trace, scheme, threads=1))


def test_the_oldest_goes_first_where_memory_ends() -> None:
    memory: Memory[str] = Memory(10)
    memory.keep("a", "one", 4)
    memory.keep("b", "two", 4)
    assert memory.get("a") == "one"
    memory.keep("c", "three", 4)
    assert [memory.get(key) for key in "abc"] == ["one", None, "three"]
    memory.keep("d", "too large", 11)
    assert [memory.get(key) for key in "acd"] == ["one", "three", None]
    memory.clear()
    assert memory.get("a") is None
