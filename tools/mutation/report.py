"""What became of the mutants, and the page that says so."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

from .held import CASES, FULL, WIDE_CASES, WINDOWED_CASES
from .mutant import Key, Mutant
from .trials import NOT_COMPILED, SURVIVED, VERDICTS, Verdict


@dataclass
class Results:
    """Verdicts of a campaign, beside the explanations of those that survive."""

    reasons: Mapping[Key, str]
    verdicts: dict[Key, Verdict] = field(default_factory=dict)
    mutants: dict[Key, Mutant] = field(default_factory=dict)

    def add(self, mutant: Mutant, verdict: Verdict) -> None:
        self.mutants[mutant.key] = mutant
        self.verdicts[mutant.key] = verdict

    @property
    def survivors(self) -> list[Mutant]:
        """In the order of the sources."""
        survived = [m for key, m in self.mutants.items() if self.verdicts[key].how == SURVIVED]
        return sorted(survived, key=lambda m: (m.key.file, m.row, m.column))

    @property
    def unexplained(self) -> list[Mutant]:
        return [mutant for mutant in self.survivors if mutant.key not in self.reasons]

    def by_file(self) -> dict[str, Counter[str]]:
        """Verdicts of each file, in the order in which files were tried."""
        found: dict[str, Counter[str]] = {}
        for key in self.mutants:
            found.setdefault(key.file, Counter())[self.verdicts[key].how] += 1
        return found


def summary(results: Results) -> list[str]:
    """The table of files."""
    heads = ("file", "mutants", "difference", "exception", "timeout", "not compiled", "equivalent")
    lines = [_row(heads), _row("---" for _ in heads)]
    total: Counter[str] = Counter()
    for file, found in results.by_file().items():
        lines.append(_row([f"`{file}`", *_numbers(found)]))
        total += found
    return [*lines, _row(["all", *_numbers(total)])]


def _numbers(found: Counter[str]) -> list[str]:
    return [f"{number:,}" for number in (found.total(), *(found[how] for how in VERDICTS))]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def report(results: Results, jobs: int, seconds: float) -> str:
    """The page: what was changed, what saw it, and why the rest cannot be seen."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("hwsim", "numpy", "simpy"))
    found = sum(results.by_file().values(), Counter())
    tried = found.total() - found[NOT_COMPILED]
    held = CASES + WIDE_CASES + WINDOWED_CASES + FULL
    lines = [
        "# Mutations",
        "",
        *INTRODUCTION.strip().replace("CASES", f"{held:,}").split("\n"),
        "",
        f"{found.total():,} mutants, {tried - found[SURVIVED]:,} of {tried:,} that compile are",
        f"seen, {found[SURVIVED]} survive and are explained below. {round(seconds / 60)} min of",
        f"trials in {jobs} processes; Python {platform.python_version()}, {packages}.",
        "",
        *summary(results),
        "",
        "## Survivors",
        "",
        "Each is equivalent to the original, for the reason above its lines; they are kept in",
        "`tools/mutation/explained.yaml`.",
        *_explained(results),
        "",
    ]
    return "\n".join(lines)


def _explained(results: Results) -> list[str]:
    by_reason: dict[str, list[Mutant]] = {}
    for mutant in results.survivors:
        reason = results.reasons.get(mutant.key, "NOT EXPLAINED")
        by_reason.setdefault(reason, []).append(mutant)
    lines = []
    for reason, mutants in by_reason.items():
        lines += ["", reason, ""]
        lines += [f"- `{m.key.file}`, `{m.key.scope}`: `{m.key.change}`" for m in mutants]
    return lines


INTRODUCTION = """
Written by `make mutate WRITE=--write`. Every operator, comparison, integer constant and condition
of kernel and reference is changed, one at a time and mechanically: `+` to `-`, `//` to `*`, `>>` to
`<<`, `&` to `|`, `<` to `<=`, `==` to `!=`, a constant by one up and down, `min` to `max`, `any` to
`all`, `and` to `or`; a `not`, a sign or a complement is left out, a condition negated. Text,
annotations and flags given by keyword are left alone.

A mutant of the kernel (run without Numba's compiler) has to differ from what the reference counts,
one of the reference from what the kernel counts: CASES seeded cases that take every value of every
option, compared as `make verify` compares; then tests of what no case of two models shows. Where a
case ends in an exception, or takes seconds for what takes milliseconds, the mutant is seen as well.

A mutant of the RTL has to fail a bench on Icarus Verilog: hand-worked and random lists in the
decoder and beats in the arbiter, tiles of random layers counted by the oracle and the kernel, gated
convolutions against NumPy's sums in the kernel's cycles.
"""
