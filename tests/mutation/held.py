"""The cases that mutants of kernel and reference are tried on, counted by the other model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from random import Random

import numpy as np
from by_hand import BETWEEN_TILES
from campaign.cases import MASKED, PARAMETERS, Value, acting, build, draw_case, draw_value
from campaign.replay import Replayed, replay, within_tiles
from oracle.cases import Case as Drawn
from test_against_oracle import in_memory_trace

from hwsim.counts import CAUSES
from hwsim.simulate import simulate
from hwsim.tiling import MappingError
from hwsim.timing import Engine

CASES, WIDE_CASES = 600, 200

WIDE = (63, 64, 65, 100, 127, 128, 130)
"""Pixels of a tile around the 64 bits of the kernel's words: the campaign of `make verify` has few
tiles of more than one word."""

Counted = list[tuple[np.ndarray, ...]]
"""Per batch and layer: what models tell by tile, and what they tell by layer (campaign.replay).

For mutants of the kernel also the totals of a run, which it makes of many batches at once.
"""


@dataclass(frozen=True)
class Held:
    """A case, and what the other model counts."""

    name: str
    case: Replayed
    expected: Counted


def held_cases(model: Engine, number: int = CASES, wide: int = WIDE_CASES) -> list[Held]:
    """Seeded cases; those first that show a value which none before them has shown."""
    other: Engine = "reference" if model == "kernel" else "kernel"
    early, late, shown = [], [], set()
    drawn = ((f"seed {seed}", *draw_case(seed)) for seed in count())
    wider = ((f"wide {seed}", *draw_wide(seed)) for seed in count())
    for values, held in [*_held(drawn, number, other), *_held(wider, wide, other)]:
        options = set(acting(values).items())
        (late if options <= shown else early).append(held)
        shown |= options
    everything = {(name, value) for name, values in PARAMETERS.items() for value in values}
    if number >= CASES and (missing := everything - shown):
        raise ValueError(f"no case has {missing}: more cases are needed")
    return early + late


def _held(
    drawn: Iterator[tuple[str, dict[str, Value], Drawn]], number: int, model: Engine
) -> Iterator[tuple[dict[str, Value], Held]]:
    """So many of the cases that the machine can hold."""

    def fitting() -> Iterator[tuple[dict[str, Value], Held]]:
        for name, values, one in drawn:
            case = Replayed(one.arch, in_memory_trace(one), one.scheme, one.batch)
            try:
                yield values, Held(name, case, counted(case, model, model == "reference"))
            except MappingError:
                continue

    return islice(fitting(), number)


def draw_wide(seed: int) -> tuple[dict[str, Value], Drawn]:
    """As ``draw_case``, with tiles of about a word or two in a buffer that does not cut them."""
    rng = Random(f"wide {seed}")
    while True:
        values = {name: draw_value(name, rng) for name in PARAMETERS}
        values |= {"scheme": rng.choice(MASKED), "P": rng.choice(WIDE)}
        values |= {"activation KiB": 512, "images": 3, "batch": 3, "R": rng.choice([1, 2, 3])}
        if case := build(values, rng):
            return values, case


def counted(case: Replayed, model: Engine, with_totals: bool) -> Counted:
    """What a model counts, in the form in which models compare."""
    between = [CAUSES.index(name) for name in BETWEEN_TILES]
    found: Counted = [
        (within_tiles(run), run[0][:, between].sum(axis=0)) for run in replay(case, model)
    ]
    if with_totals:
        run = simulate(
            case.arch, case.trace, case.scheme, batch=case.batch, engine=model, threads=1
        )
        found += [(run.causes, run.counters), (run.batch_cycles,)]
    return found


def equal(found: Counted, expected: Counted) -> bool:
    return all(
        np.array_equal(mine, right)
        for several, others in zip(found, expected, strict=True)
        for mine, right in zip(several, others, strict=True)
    )
