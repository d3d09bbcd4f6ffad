"""Trials of mutants of kernel and reference: cases that the other model has counted, then tests."""

from __future__ import annotations

import importlib
import os
import resource
import sys
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from hwsim.model import Engine
from hwsim.model.kernel import jit

from .held import Held, counted, equal
from .modules import modules_of, path_of
from .mutant import Mutant
from .trials import DIFFERENCE, EXCEPTION, NOT_COMPILED, SURVIVED, Trial, Verdict, end_after

TESTS = Path(__file__).parents[2] / "tests"

SUITE: dict[Engine, tuple[str, ...]] = {
    "kernel": (
        "model/test_mask_words.py",
        "model/test_run_ahead.py",
        "model/test_kernel_decoders.py",
        "model/test_bit_planes.py",
        "model/test_kernel_runs.py",
        "model/test_any_layer_runs.py",
        "model/test_reference_against_kernel.py::test_the_kernel_books_stalls_at_the_last_visit",
    ),
    "reference": (
        "model/test_parts.py",
        "model/test_index_memory.py",
        "model/test_decoder.py",
        "model/test_reference.py",
        "model/test_kernel_runs.py",
        "model/test_any_layer_runs.py",
    ),
}
"""The tests that a survivor of the first cases meets: models tell some things by layer only."""

COMPILED: dict[Engine, tuple[str, ...]] = {
    "kernel": (
        "model/test_mask_words.py",
        "model/test_run_ahead.py",
        "model/test_bit_planes.py",
        "model/test_kernel_runs.py::test_a_window_that_ends_with_a_word",
    ),
    "reference": (),
}
"""Tests for what runs in no other way than compiled."""

FIRST = 100
"""Cases before the tests, which take as long as many a case."""

SECONDS, TEST_SECONDS = 2.0, 60.0
"""Of processor time, for a case that takes milliseconds; then a loop is held to be endless."""

MEMORY = 4 << 30


def trial_of(model: Engine, cases: Sequence[Held]) -> Trial:
    """How mutants of ``model`` are tried on ``cases`` that the other model has counted."""
    return partial(_try, model, cases)


def _try(model: Engine, cases: Sequence[Held], mutant: Mutant) -> Verdict:
    """In a process of its own: change the model, run cases and the suite until one differs."""
    warnings.simplefilter("ignore")
    # Beyond what the process has mapped already: a suite that has loaded torch has gigabytes.
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = MEMORY + pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    end_after(SECONDS)
    try:
        install(model, mutant)
    except SyntaxError as error:
        return Verdict(NOT_COMPILED, str(error))
    except Exception as error:
        return Verdict(EXCEPTION, f"import: {_short(error)}")
    verdict = _run(model, cases[:FIRST])
    if verdict.how == SURVIVED:
        verdict = _suite(SUITE[model])
    if verdict.how == SURVIVED:
        verdict = _run(model, cases[FIRST:])
    if verdict.how == SURVIVED and COMPILED[model]:
        with TemporaryDirectory() as folder:  # Numba would take a mutant's code for its caller's.
            jit.numba.config.CACHE_DIR = folder
            install(model, mutant, compiled=True)
            verdict = _suite(COMPILED[model])
    return verdict


def _run(model: Engine, cases: Sequence[Held]) -> Verdict:
    """Cases, until one differs."""
    for held in cases:
        end_after(SECONDS)
        try:
            found = counted(held.case, model, model == "kernel")
        except Exception as error:
            return Verdict(EXCEPTION, f"{held.name}: {_short(error)}")
        if not equal(found, held.expected):
            return Verdict(DIFFERENCE, held.name)
    return Verdict(SURVIVED)


def install(model: Engine, mutant: Mutant, compiled: bool = False) -> None:
    """Run the model's sources anew, one of them changed; without Numba's compiler, or with it."""
    jit.numba.config.DISABLE_JIT = jit.DISABLED = not compiled
    for name in modules_of(model):
        path = path_of(name)
        is_changed = path == TESTS.parent / mutant.key.file
        source = mutant.source if is_changed else path.read_text(encoding="utf-8")
        module = importlib.import_module(name)
        before = dict(vars(module))
        exec(compile(source, path, "exec"), vars(module))
        _pass_on(before, vars(module))
    _forget_plans()


def _pass_on(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Give what a module has defined anew to those that imported it by name.

    Not to the one that it came from: uncompiled, a compiled form is the function itself.
    """
    for name, module in list(sys.modules.items()):
        if name.startswith("hwsim."):
            for own, value in list(vars(module).items()):
                foreign = getattr(value, "__module__", None) != name
                if foreign and own in before and value is before[own]:
                    setattr(module, own, after[own])


def _forget_plans() -> None:
    """Empty the caches of the simulator: what they hold was made by the model unchanged."""
    for name, module in list(sys.modules.items()):
        if name.startswith("hwsim."):
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:100]


def _suite(tests: Sequence[str]) -> Verdict:
    """Tests of the suite; they and what they share are imported anew, to meet the mutant."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and Path(file).is_relative_to(TESTS):
            del sys.modules[name]
    os.chdir(TESTS.parent)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    failures = _Failures()
    end_after(TEST_SECONDS)
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:warnings"]
    pytest.main([*options, *(f"tests/{name}" for name in tests)], [failures])
    return Verdict(DIFFERENCE if failures.first else SURVIVED, failures.first)


class _Failures:
    """Remembers the first test that fails, or the file that cannot be read."""

    first = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.failed and not self.first:
            self.first = report.nodeid
