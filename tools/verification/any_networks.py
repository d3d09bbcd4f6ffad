"""Networks of any layers: the kernel held to the oracle, now and then to the reference, too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from in_memory import in_memory_trace
from oracle.any_coverage import EVERYTHING, met, pairs
from oracle.any_draws import draw_any
from oracle.cases import Case

from hwsim.mapping.tiles import MappingError
from hwsim.run.simulate import simulate

from .cases import Value
from .compare import Outcome
from .naive import against_oracle, oracle_totals
from .replay import Replayed, difference, replay

ANY_CASES = 1_500
"""As many as meet every feature of a layer, and every two of them."""

REFERENCE_EVERY = 10
"""The reference counts the cases whose seed this divides."""


def run_any_seeds(seeds: Sequence[int]) -> list[Outcome]:
    """Several cases, in order."""
    return [run_any_seed(seed) for seed in seeds]


def run_any_seed(seed: int) -> Outcome:
    """Draw the case and compare; an exception of any model is a difference, too."""
    case = draw_any(seed)
    values: dict[str, Value] = {"layers": len(case.network.layers), "images": case.images}
    outcome = Outcome(seed, values, case.scheme, against_oracle=True, any_layers=True)
    try:
        _compare(case, outcome)
    except Exception as error:
        outcome.difference = f"{type(error).__name__}: {error}"
    return outcome


def _compare(case: Case, outcome: Outcome) -> None:
    trace = in_memory_trace(case)
    replayed = Replayed(case.arch, trace, case.scheme, case.batch)
    expected = oracle_totals(case)
    try:
        result = simulate(case.arch, trace, case.scheme, batch=case.batch)
    except MappingError:
        outcome.refused = True
        if expected:
            outcome.difference = "the kernel's side refuses what the oracle's maps"
        return
    totals = result.shapes, result.causes, result.counters
    if found := against_oracle(case, replayed, totals, expected):
        outcome.difference = f"kernel against oracle, {found}"
        return
    outcome.met = met(case, result.shapes)
    if outcome.seed % REFERENCE_EVERY == 0:
        runs = replay(replayed, "reference"), replay(replayed, "kernel")
        if found := difference(replayed, *runs, ("reference", "kernel")):
            outcome.difference = f"kernel against reference, {found}"


class AnyCoverage:
    """Counts cases by what their layers met; a refusal covers nothing."""

    def __init__(self) -> None:
        self.cases = self.refused = self.on_reference = 0
        self.met: Counter[str] = Counter()

    def add(self, outcome: Outcome) -> None:
        """One case on which the models agree."""
        self.cases += 1
        self.refused += outcome.refused
        self.on_reference += not outcome.refused and outcome.seed % REFERENCE_EVERY == 0
        self.met.update(outcome.met)

    def shortfalls(self) -> list[str]:
        """What the campaign was to cover and did not."""
        return [f"any layers, not covered: {name}" for name in sorted(self._wanted - set(self.met))]

    @property
    def _wanted(self) -> set[str]:
        return EVERYTHING | pairs()

    def report(self) -> list[str]:
        """The section of the page."""
        hit = len(pairs() & set(self.met))
        return [
            "## Networks of any layers",
            "",
            "Networks of two to six layers of any shape, groups, concatenations, products and map",
            "layers: the kernel has to equal the naive oracle in every cause and counter of every",
            f"layer, and where the seed is a multiple of {REFERENCE_EVERY} the reference in those",
            "of every tile.",
            "",
            "| | |",
            "|---|---|",
            f"| cases on kernel and oracle, all equal | {self.cases - self.refused:,} |",
            f"| of them also on the reference, all equal | {self.on_reference:,} |",
            f"| further cases, refused by both (they cover nothing) | {self.refused:,} |",
            f"| pairs of a convolution's features hit | {hit:,} of {len(pairs()):,} |",
            "",
            "| feature | cases |",
            "|---|---|",
            *(f"| {name} | {self.met[name]:,} |" for name in sorted(EVERYTHING)),
            "",
        ]
