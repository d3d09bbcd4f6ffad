"""Trials of mutants of the RTL: the benches of tests/rtl, smallest first, in Icarus Verilog."""

from __future__ import annotations

import os
import re
import resource
import signal
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from rtl import layers, simulator
from rtl import test_bank_arbiter as arbiter
from rtl import test_bitmap_decoder as decoder
from rtl import test_gated_tile as gated
from rtl import test_skipped_operands as operands
from rtl import test_tile_pass as tile
from rtl import test_zero_skipping as zeros

from .mutant import Mutant
from .trials import DIFFERENCE, EXCEPTION, NOT_COMPILED, SURVIVED, TIMEOUT, Trial, Verdict

SOURCES = tuple(simulator.SOURCES)

SECONDS, TIMES = 6, 3
"""Of processor time for a simulation, at least, and times what a bench takes on the unchanged RTL;
then it is held to be endless."""

MEMORY = 4 << 30


@dataclass(frozen=True)
class Bench:
    """A test of the RTL below ``top``; it raises an AssertionError where that is wrong."""

    top: str
    run: Callable[[Path], object]


def _lists(*machine: int) -> Bench:
    """Rows, bits of a word, indices per cycle, most words of a list; then how many lists."""
    return Bench("bitmap_decoder", partial(decoder.test_random_lists, *machine))


def _beats(*machine: int) -> Bench:
    """Pointers, banks, beats that banks may be ahead; then how many beats."""
    return Bench("bank_arbiter", partial(arbiter.test_random_beats, *machine))


def _tiles(machine: int, layers: int, seed: int) -> Bench:
    arch = tile.MACHINES[machine]
    return Bench(
        "counted_tile_pass", lambda folder: tile.compare(arch, layers, seed=seed, folder=folder)
    )


def _zeros(test: Callable[..., None], *worked: object) -> Bench:
    return Bench("counted_tile_pass", partial(test, *worked))


def _sums_of_operands(folder: Path) -> None:
    operands.computed.cache_clear()
    operands.test_masks_and_sums_are_those_of_all_operands("short")
    operands.test_cycles_are_the_same_by_bytes_and_by_bits("short", folder)


def _sums(name: str) -> Bench:
    """A few layers on a machine of the test."""
    arch, layers = gated.MACHINES[name]
    if layers > 6:
        name = f"{name}, few layers"
        gated.MACHINES[name] = (arch, 3)

    def run(folder: Path) -> None:
        gated.played.cache_clear()
        gated.test_masks_and_sums(name, "numpy")
        gated.test_cycles(name)

    return Bench("gated_tile", run)


gated.MACHINES["B = 1"] = (tile.build(4, 3, 1, 1, 8, 4, 1, 32), 3)
gated.MACHINES["R = A = 1"] = (tile.build(1, 3, 1, 1, 8, 1, 2, 16), 6)
"""Widths of their own: log2 of 1 would be 0."""

BENCHES = (
    Bench("bitmap_decoder", decoder.test_hand_worked_lists),
    *(
        Bench("bitmap_decoder", partial(decoder.test_hand_worked_windows, *worked))
        for worked in decoder.WINDOWS
    ),
    _lists(3, 8, 2, 8, 60),
    _lists(1, 8, 1, 8, 40),
    _lists(4, 64, 8, 8, 40),
    Bench("bank_arbiter", arbiter.test_hand_worked_beats),
    Bench("bank_arbiter", partial(arbiter.test_hand_worked_rounds, 1)),
    Bench("bank_arbiter", partial(arbiter.test_hand_worked_rounds, 3)),
    _beats(12, 3, 0, 60),
    _beats(9, 3, 2, 60),
    _beats(7, 1, 0, 40),
    _beats(1, 4, 0, 20),
    _tiles(1, 4, 11),
    _tiles(9, 3, 19),
    _tiles(0, 5, 10),
    _tiles(10, 4, 20),
    _tiles(2, 6, 12),
    _tiles(4, 4, 14),
    _tiles(5, 4, 15),
    _tiles(6, 4, 16),
    _tiles(7, 4, 17),
    _tiles(11, 4, 21),
    _tiles(15, 3, 24),
    _zeros(zeros.test_a_beat_waits_for_its_words_and_for_the_longest, *zeros.ONE_BEAT[0]),
    _zeros(zeros.test_all_zero),
    _zeros(zeros.test_no_zero),
    _zeros(zeros.test_a_conditional_pass_with_two_lists),
    _zeros(zeros.test_banks_that_run_ahead, *zeros.AHEAD[1]),
    *(_sums(name) for name in list(gated.MACHINES)),
    Bench("gated_tile", _sums_of_operands),
    _lists(2, 8, 1, 1, 20),
    _tiles(13, 4, 22),
    _tiles(14, 4, 23),
)
"""Machines of the tests; those of tiles by their number. The longest are the last."""


class NotCompiled(Exception):
    """Icarus Verilog does not take the mutant."""


def prepare() -> Trial:
    """The trial, when the unchanged RTL has passed the benches."""
    limits = []
    with tempfile.TemporaryDirectory() as folder:
        for number, bench in enumerate(BENCHES):
            before = _children()
            bench.run(Path(folder) / str(number))
            limits.append(max(SECONDS, int(TIMES * (_children() - before))))
    return partial(_try, limits)


def _try(limits: Sequence[int], mutant: Mutant) -> Verdict:
    """In a process of its own: the benches whose top has the changed module in it, in order."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    _tell_builds_apart()
    layers._round = lambda *_: ""  # Where in a tile it differs would take simulations more.
    name = Path(mutant.key.file).name
    with tempfile.TemporaryDirectory() as folder:
        changed = Path(folder) / name
        changed.write_text(mutant.source, encoding="utf-8")
        simulator.SOURCES = [changed if path.name == name else path for path in SOURCES]
        for number, (bench, seconds) in enumerate(zip(BENCHES, limits, strict=True)):
            if changed.stem in modules_below(bench.top):
                verdict = _run(bench, Path(folder) / str(number), f"bench {number}", seconds)
                if verdict.how != SURVIVED:
                    return verdict
    return Verdict(SURVIVED)


def _run(bench: Bench, folder: Path, name: str, seconds: int) -> Verdict:
    """One bench; the processes it starts may take so many seconds of processor time."""
    folder.mkdir()
    before = _children()
    own = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    limit = int(own.ru_utime + own.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (limit, hard))
    try:
        bench.run(folder)
    except NotCompiled:
        return Verdict(NOT_COMPILED)
    except Exception as error:
        told = f"{name}: {' '.join(str(error).split())[:100]}"
        if _children() - before >= seconds or str(-signal.SIGXCPU) in told:
            return Verdict(TIMEOUT, told)
        failed = not isinstance(error, AssertionError) or told.startswith(f"{name}: the bench")
        return Verdict(EXCEPTION if failed else DIFFERENCE, told)
    return Verdict(SURVIVED)


def _tell_builds_apart() -> None:
    """Have cocotb's runner say whether it was the build that failed."""
    from cocotb_tools.runner import Runner

    build = Runner.build

    def checked(self: Runner, **options: Any) -> None:
        try:
            build(self, **options)
        except RuntimeError as failed:
            raise NotCompiled from failed

    Runner.build = checked


def _children() -> float:
    """Seconds of processor time that processes started from here have had."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@cache
def modules_below(top: str) -> frozenset[str]:
    """A module and those that it is made of; a file has one module of its own name."""
    text = next(path for path in SOURCES if path.stem == top).read_text(encoding="utf-8")
    names = {path.stem for path in SOURCES} & set(re.findall(r"^ *(\w+) #\(", text, re.MULTILINE))
    return frozenset({top}).union(*(modules_below(name) for name in names - {top}))
