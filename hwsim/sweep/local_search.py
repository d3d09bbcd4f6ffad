"""Pareto local search: machines within a budget, each a step away from one on the front.

The front of cycles and energy begins with a few machines. All machines one step from a member,
the next smaller or larger value of one axis, are replayed; what no other beats stays. It ends when
every member has been looked around. A step in any axis but the rows of the array is taken with the
rows as they are, or as many as the budget then holds, and with the most that it holds. Channels of
a word and banks also step together, one up and one down: the budget holds their product. (Paquete,
Chiarandini and Stuetzle 2004, "Pareto local optimum sets in the biobjective travelling salesman
problem".)
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import CombinationError, dotted, with_keys
from hwsim.energy.area import area_mm2
from hwsim.energy.table import PriceError
from hwsim.sweep.axes import Settings

ROWS = "array.rows"
WORD, BANKS = "activation.word_channels", "activation.banks"

State = tuple[int, ...]
"""A machine of the space: the position of its value on each axis."""

Costs = tuple[float, float]
"""Cycles and energy of an image."""

ALIKE = 0.001
"""A share: axes that hardly matter would make long fronts of machines that cost the same."""

TRIES = 1000
"""Machines drawn for one start, at most: a space may hold few within the budget."""


@dataclass(frozen=True)
class Budget:
    """What no machine may exceed: area of the scheme's hardware, bytes its banks read a cycle."""

    area_mm2: float
    peak_bytes: int

    def holds(self, arch: ArchConfig, scheme: str, mask_group: int) -> bool:
        """False as well where no table prices the machine."""
        if arch.activation.banks * arch.activation.word_channels > self.peak_bytes:
            return False
        try:
            return area_mm2(arch, scheme, mask_group) <= self.area_mm2 * (1 + 1e-12)
        except PriceError:
            return False


@dataclass(frozen=True)
class Space:
    """Machines that one scheme may have: ``axes`` over ``base``, values in order, in a budget."""

    base: ArchConfig
    axes: Mapping[str, Sequence[Any]]
    scheme: str
    mask_group: int
    budget: Budget

    def settings(self, state: State) -> Settings:
        return {key: values[at] for (key, values), at in zip(self.axes.items(), state, strict=True)}

    def fits(self, state: State) -> bool:
        """Whether the keys make a machine, and the budget holds it."""
        try:
            arch = with_keys(self.base, self.settings(state))
        except CombinationError:
            return False
        return self.budget.holds(arch, self.scheme, self.mask_group)

    def nearest(self, settings: Settings) -> State:
        """The position of these values, or of the next ones below; the first where none is."""
        return tuple(
            _at_most(values, settings[key]) if key in settings else 0
            for key, values in self.axes.items()
        )

    def fitted(self, state: State) -> State | None:
        """The state with as many of its rows as the budget holds; None if none do."""
        if ROWS not in self.axes:
            return state if self.fits(state) else None
        at = list(self.axes).index(ROWS)
        for rows in range(state[at], -1, -1):
            smaller = (*state[:at], rows, *state[at + 1 :])
            if self.fits(smaller):
                return smaller
        return None

    def around(self, state: State) -> Iterator[State]:
        """Every machine one step away, in the order of the axes, the smaller value first."""
        for key in self.axes:
            for step in (-1, 1):
                moved = self._stepped(state, key, step)
                if moved is None:
                    continue
                if key != ROWS:
                    yield from self._with_rows(moved)
                elif self.fits(moved):
                    yield moved
        for step in (-1, 1):
            wider = self._stepped(state, WORD, step)
            traded = wider and self._stepped(wider, BANKS, -step)
            if traded:
                yield from self._with_rows(traded)

    def _stepped(self, state: State, key: str, step: int) -> State | None:
        """The state with the next value of an axis; None where there is none."""
        if key not in self.axes:
            return None
        position = list(self.axes).index(key)
        at = state[position] + step
        if not 0 <= at < len(self.axes[key]):
            return None
        return (*state[:position], at, *state[position + 1 :])

    def _with_rows(self, state: State) -> Iterable[State]:
        """The state, or with as many of its rows as fit, and the same with the most that fit."""
        tallest = state
        if ROWS in self.axes:
            at = list(self.axes).index(ROWS)
            tallest = (*state[:at], len(self.axes[ROWS]) - 1, *state[at + 1 :])
        return dict.fromkeys(filter(None, map(self.fitted, (state, tallest))))

    def drawn(self, generator: random.Random) -> State | None:
        """A machine at random, with as many of its rows as fit; None where tries find none."""
        for _ in range(min(TRIES, prod(map(len, self.axes.values())))):
            state = tuple(generator.randrange(len(values)) for values in self.axes.values())
            if (found := self.fitted(state)) is not None:
                return found
        return None


def _at_most(values: Sequence[Any], wanted: Any) -> int:
    if wanted in values:
        return list(values).index(wanted)
    if isinstance(wanted, int | float):
        below = [at for at, value in enumerate(values) if value <= wanted]
        return below[-1] if below else 0
    return 0


def starts(space: Space, number: int, seed: int) -> list[State]:
    """The base machine, fitted to the budget, and ``number`` machines drawn with ``seed``."""
    own = dict(dotted(space.base.model_dump(mode="json")))
    generator = random.Random(seed)
    found = [space.fitted(space.nearest(own))]
    found += [space.drawn(generator) for _ in range(number)]
    return list(dict.fromkeys(state for state in found if state is not None))


def local_search(
    begin: Iterable[State],
    around: Callable[[State], Iterable[State]],
    replay: Callable[[Sequence[State]], Sequence[Costs | None]],
) -> dict[State, Costs]:
    """The front that no step improves, of all states replayed on the way.

    Of members whose costs differ by less than ALIKE one is looked around.

    ``replay`` gives the costs of new states, in their order, None of what cannot run; it is asked
    for all that a round needs at once.
    """
    costs: dict[State, Costs | None] = {}
    looked: list[Costs] = []
    wanted = list(dict.fromkeys(begin))
    while wanted:
        costs |= zip(wanted, replay(wanted), strict=True)
        members = []
        for state, cost in front(costs).items():
            if not any(_nearly(cost, other) for other in looked):
                looked.append(cost)
                members.append(state)
        near = dict.fromkeys(state for member in members for state in around(member))
        wanted = [state for state in near if state not in costs]
    return front(costs)


def _nearly(cost: Costs, other: Costs) -> bool:
    return all(math.isclose(*pair, rel_tol=ALIKE) for pair in zip(cost, other, strict=True))


def front(costs: Mapping[State, Costs | None]) -> dict[State, Costs]:
    """States that no other beats, fewest cycles first; of equal ones the first."""
    known = [(cost, place, state) for place, (state, cost) in enumerate(costs.items()) if cost]
    found: dict[State, Costs] = {}
    least = float("inf")
    for cost, _, state in sorted(known):
        if cost[1] < least:
            found[state], least = cost, cost[1]
    return found
