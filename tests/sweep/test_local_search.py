"""Pareto local search: fronts by hand, spaces and budgets, and all machines of a small space."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import load_arch, with_keys
from hwsim.energy.area import area_mm2
from hwsim.sweep.equal_area import Setup, contests_of
from hwsim.sweep.folder import ResultsFolder
from hwsim.sweep.local_search import Budget, Costs, Space, State, front, local_search, starts
from hwsim.sweep.sweep import run_points
from hwsim.sweep.workers import workers_of
from hwsim.trace.files import open_traces


def test_a_front_by_hand() -> None:
    """(2, 5) is beaten by (2, 4), (3, 4) by (2, 4); of two equal ones the first stays."""
    costs: dict[State, Costs | None] = {
        (0,): (2, 5), (1,): (2, 4), (2,): (1, 9), (3,): (3, 4), (4,): (5, 1), (5,): (5, 1),
        (6,): None,
    }  # fmt: skip
    assert front(costs) == {(2,): (1, 9), (1,): (2, 4), (4,): (5, 1)}


def test_steps_lead_from_one_end_of_a_valley_to_the_other() -> None:
    """Costs (x, 9 - x) on a line of ten states: all are on the front, and all are found."""
    asked: list[State] = []

    def around(state: State) -> Iterator[State]:
        yield from ((at,) for at in (state[0] - 1, state[0] + 1) if 0 <= at < 10)

    def replay(states: Sequence[State]) -> list[Costs | None]:
        asked.extend(states)
        return [(at, 9 - at) for (at,) in states]

    found = local_search([(4,)], around, replay)
    assert list(found) == [(at,) for at in range(10)]
    assert sorted(asked) == sorted(found)  # nothing is replayed twice


def test_nothing_is_looked_for_beyond_what_the_front_touches() -> None:
    """Both costs grow with x: from 5 the search walks down to 0, and never to 7."""
    asked: set[int] = set()

    def replay(states: Sequence[State]) -> list[Costs | None]:
        asked.update(at for (at,) in states)
        return [(at, at) for (at,) in states]

    found = local_search([(5,)], lambda state: [(state[0] - 1,), (state[0] + 1,)][state[0] == 0 :],
                         replay)  # fmt: skip
    assert list(found) == [(0,)]
    assert asked == {0, 1, 2, 3, 4, 5, 6}


AXES: dict[str, tuple[Any, ...]] = {
    "array.rows": (4, 8, 16, 32),
    "activation.banks": (8, 16),
    "activation.word_channels": (4, 8),
}


def space(budget: Budget, base: ArchConfig) -> Space:
    return Space(base, AXES, "unstructured", 1, budget)


def test_a_step_keeps_to_the_budget_by_giving_up_rows(pe16x16: ArchConfig) -> None:
    """16 rows and 8 banks take the budget: 16 banks of them do not fit, nor 32 rows."""
    own = with_keys(pe16x16, {"activation.banks": 8})
    held = space(Budget(area_mm2(own, "unstructured", 1), 64), pe16x16)
    at = held.nearest({"array.rows": 16, "activation.banks": 8, "activation.word_channels": 4})
    assert at == (2, 0, 0)
    assert held.fits(at)
    near = list(held.around(at))
    # Fewer rows; 16 banks with 8 rows; words of 8 bytes in 8 banks with what fits.
    assert near[0] == (1, 0, 0)
    assert near[1] == (1, 1, 0)
    assert all(held.fits(state) for state in near)
    # 8 banks x 8 bytes are 64; one more step in banks would be 128 a cycle.
    wide = next(state for state in near if state[2] == 1)
    assert not any(state[1:] == (1, 1) for state in held.around(wide))


def test_a_step_is_taken_with_the_most_rows_as_well(pe16x16: ArchConfig) -> None:
    held = space(Budget(10.0, 1024), pe16x16)
    assert {(2, 1, 0), (3, 1, 0)} <= set(held.around((2, 0, 0)))


def test_starts_are_the_machine_and_seeded_draws_within_the_budget(pe16x16: ArchConfig) -> None:
    held = space(Budget(area_mm2(pe16x16, "unstructured", 1), 64), pe16x16)
    found = starts(held, 3, seed=1)
    assert found[0] == (2, 1, 0)
    assert found == starts(held, 3, seed=1)
    assert all(held.fits(state) for state in found)
    assert held.drawn(random.Random(0)) is not None
    assert starts(space(Budget(0.01, 64), pe16x16), 3, seed=1) == []


@pytest.mark.parametrize(("scheme", "trace"), [("unstructured", "cdg"), ("structured", "scdg")])
def test_the_front_of_a_whole_grid_is_found(
    scheme: str, trace: str, trace_folder: Path, tmp_path: Path
) -> None:
    """Every machine of a reduced grid is replayed: the search misses no front point by 1 %."""
    axes = AXES | {"array.columns": (8, 16), "activation.run_ahead": (0, 1)}
    axes |= {"array.feed": ("broadcast",), "array.zero_skipping": ("none",)}
    axes |= {"partial_sums.entries": (2048, 4096), "index.window": (0, 64, 32)}
    axes |= {"index.decoders": ("private",), "index.indices_per_cycle": (1,)}
    axes |= {"index.lane_group": (8,)}
    setup = Setup(area_mm2=0.95, peak_bytes=64, schemes=[scheme], axes=axes, images=2, starts=2)
    traces = open_traces(trace_folder / f"small-{trace}.h5")
    (contest,) = contests_of(load_arch("pe16x16"), traces, setup)
    held = contest.space
    grid = itertools.product(*(range(len(values)) for values in held.axes.values()))
    states = [state for state in grid if held.fits(state)]
    points = [point for state in states if (point := contest.point(held.settings(state)))]
    folder = ResultsFolder(tmp_path)
    with workers_of(1) as here:
        run_points(points, [contest.trace], folder, here, skip_impossible=True)
        rows = contest.search(folder, here)
    swept = folder.read([point.key for point in points])
    swept = swept[swept["impossible"].isna()]
    costs = [(row.cycles_per_image, row.energy_uj_per_image) for row in swept.itertuples()]
    whole = front({(at,): cost for at, cost in enumerate(costs)}).values()
    found = [
        (row.cycles_per_image, row.energy_uj_per_image)
        for row in rows.itertuples()
        if row.machine == "front"
    ]
    assert len(states) > 60
    for cycles, energy in whole:
        assert any(other[0] <= 1.01 * cycles and other[1] <= 1.01 * energy for other in found)
