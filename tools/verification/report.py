"""What the cases of a campaign covered, and the page that says so."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from itertools import combinations, product
from statistics import median

from .any_networks import AnyCoverage
from .cases import PARAMETERS, Value, impossible
from .compare import ORACLE_EVERY, Outcome

Option = tuple[str, Value]

LEAST_CHANNEL_TILES, LEAST_ROUNDS = 2, 3


class Coverage:
    """Counts cases by value, by pair of values and by what they met; a refusal covers nothing."""

    def __init__(self, least: int, parameters: Mapping[str, Sequence[Value]] = PARAMETERS) -> None:
        self.least, self.parameters = least, parameters
        self.cases = self.refused = self.against_oracle = self.tiles = 0
        self.options: Counter[Option] = Counter()
        self.pairs: Counter[tuple[Option, Option]] = Counter()
        self.met: Counter[str] = Counter()
        self.channel_tiles: list[int] = []
        self.rounds: list[int] = []
        self.longest: list[int] = []

    def add(self, outcome: Outcome) -> None:
        """One case on which the models agree."""
        self.cases += 1
        if outcome.refused:
            self.refused += 1
            return
        self.against_oracle += outcome.against_oracle
        self.tiles += outcome.tiles
        known = self.parameters
        options = [(name, outcome.values[name]) for name in known if name in outcome.values]
        self.options.update(options)
        self.pairs.update(combinations(options, 2))
        self.met.update(outcome.met)
        if not outcome.scheme.startswith("dense"):
            self.channel_tiles.append(outcome.channel_tiles)
            self.rounds.append(outcome.rounds)
            self.longest.append(outcome.longest)

    @property
    def compared(self) -> int:
        return self.cases - self.refused

    def unmet(self) -> tuple[int, list[str], dict[str, list[str]]]:
        """How many pairs there are, those possible but not hit, and the impossible by reason."""
        number, missing, excluded = 0, [], {}
        for (one, ones), (other, others) in combinations(self.parameters.items(), 2):
            for a, b in product(ones, others):
                pair, text = ((one, a), (other, b)), f"{one} {a} with {other} {b}"
                number += 1
                if reason := impossible(dict(pair)):
                    assert pair not in self.pairs, f"{text}: not impossible after all"
                    excluded.setdefault(reason, []).append(text)
                elif pair not in self.pairs:
                    missing.append(text)
        return number, missing, excluded

    def shortfalls(self) -> list[str]:
        """What the campaign was to cover and did not."""
        _, missing, _ = self.unmet()
        found = [f"not covered: {pair}" for pair in missing]
        if self.compared < self.least:
            found.append(f"{self.compared:,} cases compared, fewer than {self.least:,}")
        sizes = [("channel tiles", self.channel_tiles, LEAST_CHANNEL_TILES)]
        sizes += [("conditional rounds", self.rounds, LEAST_ROUNDS)]
        for name, counts, least in sizes:
            if not counts or median(counts) < least:
                found.append(f"median of {name} below {least}")
        return found


def report(
    reference: Coverage, rtl: Coverage, networks: AnyCoverage, seed: int, jobs: int, seconds: float
) -> str:
    """The page: what was run, what was equal, what was covered."""
    minutes, rest = divmod(round(seconds), 60)
    lines = [
        "# Verification",
        "",
        "Written by `make verify WRITE=--write`: random machines, networks and masks, each case a",
        "function of one seed. The first difference ends the run.",
        "",
        "| | |",
        "|---|---|",
        f"| run time | {minutes} min {rest} s in {jobs} processes |",
        f"| versions | {_versions()} |",
        "",
        "## Kernel against reference and oracle",
        "",
        "The kernel has to equal the reference in every cause and counter of every tile (output",
        "and DRAM stalls: of every layer and batch). Where the seed is a multiple of "
        f"{ORACLE_EVERY}, it also",
        "has to equal the naive oracle of the tests in every cause and counter of every layer, "
        "and to",
        "refuse what that refuses.",
        "",
        "| | |",
        "|---|---|",
        f"| cases on kernel and reference, all equal | {reference.compared:,} |",
        f"| of them also on the oracle, all equal | {reference.against_oracle:,} |",
        "| further cases, refused because a buffer cannot hold a layer (they cover nothing) |"
        f" {reference.refused:,} |",
        f"| seeds | {seed} to {seed + reference.cases - 1} |",
        *_sizes(reference),
        "",
        "Channel tiles are counted in the case's gated layer; rounds are summed over its tiles and",
        "batches. Cases of `dense` and `dense-zero-gated` are left out of both medians.",
        "",
        *_covered(reference),
        "### Situations met",
        "",
        "| situation | cases |",
        "|---|---|",
        *(f"| {name} | {cases:,} |" for name, cases in sorted(reference.met.items())),
        "",
        *_not_covered(reference),
        *networks.report(),
        "## Kernel and oracle against the RTL",
        "",
        "Every tile of a random layer, played on the clock of the RTL's `counted_tile_pass`, has",
        "to equal kernel and oracle in every cause of its passes and every counter of the RTL.",
        "What is not in it (docs/model/rtl.md) is no parameter here.",
        "",
        "| | |",
        "|---|---|",
        f"| cases on kernel, oracle and RTL, all equal | {rtl.compared:,} |",
        f"| tiles | {rtl.tiles:,} |",
        *_sizes(rtl),
        "",
        *_covered(rtl),
        *_not_covered(rtl),
    ]
    return "\n".join(lines)


def _versions() -> str:
    packages = [f"Python {platform.python_version()}"]
    for name in ("hwsim", "numpy", "numba", "simpy", "cocotb"):
        with suppress(PackageNotFoundError):
            packages.append(f"{name} {version(name)}")
    return ", ".join(packages)


def _sizes(coverage: Coverage) -> list[str]:
    """Rows: how large the cases are, how many pairs they hit."""
    number, missing, excluded = coverage.unmet()
    possible = number - sum(map(len, excluded.values()))
    return [
        f"| gated cases: median of channel tiles | {_median(coverage.channel_tiles)} |",
        f"| gated cases: median of conditional rounds | {_median(coverage.rounds)} |",
        f"| the same, of a case's longest tile | {_median(coverage.longest)} |",
        f"| pairs of values hit | {possible - len(missing):,} of {possible:,} possible |",
        f"| fewest cases of a pair that was hit | {min(coverage.pairs.values(), default=0)} |",
    ]


def _covered(coverage: Coverage) -> list[str]:
    return [
        "### Cases by value",
        "",
        "A value counts where the scheme makes use of it, V as the scheme sees it.",
        "",
        "| parameter | cases |",
        "|---|---|",
        *(_row(coverage, name) for name in coverage.parameters),
        "",
    ]


def _not_covered(coverage: Coverage) -> list[str]:
    _, missing, excluded = coverage.unmet()
    return [
        "### Pairs that no case can hit",
        "",
        *(
            f"- {reason}: {len(pairs)} pair{'s' * (len(pairs) > 1)}"
            for reason, pairs in excluded.items()
        ),
        "",
        "### Possible pairs that were not hit",
        "",
        *([f"- {pair}" for pair in missing] or ["None."]),
        "",
    ]


def _median(counts: list[int]) -> str:
    return f"{median(counts):g}" if counts else "none"


def _row(coverage: Coverage, name: str) -> str:
    values = coverage.parameters[name]
    found = (f"{value}: {coverage.options[name, value]:,}" for value in values)
    return f"| {name} | {', '.join(found)} |"
