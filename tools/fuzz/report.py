"""What became of the inputs, and the page that says so."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

from tools.fuzz.case import Kind
from tools.fuzz.trial import Trial
from tools.fuzz.verdict import LINE, NOT_DRAWN, RIGHT

SHOWN = 100
"""Characters of a command on the page."""


@dataclass
class Failure:
    """One fault: how often it was met, and the first input that met it."""

    example: Trial
    folder: str
    count: int = 0


@dataclass
class Found:
    """Trials of a campaign, counted by kind and outcome; failures by what and where."""

    seed: int
    workers: int
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    failures: dict[tuple[str, str, str], Failure] = field(default_factory=dict)
    slowest: float = 0.0

    def add(self, trial: Trial, folder: str | None) -> None:
        verdict = trial.verdict
        self.outcomes.setdefault(trial.kind, Counter())[verdict.what] += 1
        self.slowest = max(self.slowest, trial.seconds)
        if verdict.failed:
            group = trial.kind, verdict.what, verdict.where
            self.failures.setdefault(group, Failure(trial, folder or "")).count += 1

    @property
    def inputs(self) -> int:
        """All but what could not be drawn."""
        return sum(each.total() - each[NOT_DRAWN] for each in self.outcomes.values())

    @property
    def failed(self) -> dict[tuple[str, str, str], Failure]:
        """Failures of inputs."""
        return {group: each for group, each in self.failures.items() if group[1] != NOT_DRAWN}

    @property
    def undrawn(self) -> list[Failure]:
        """Seeds that gave no input: a fault of what draws."""
        return [each for group, each in self.failures.items() if group[1] == NOT_DRAWN]

    def line(self) -> str:
        failed = sum(failure.count for failure in self.failed.values())
        undrawn = sum(each.count for each in self.undrawn)
        told = f"{self.inputs:,} inputs, {failed:,} failures of {len(self.failed)} sorts"
        return told + f", {undrawn} not drawn" * (undrawn > 0)


def report(found: Found, kinds: Sequence[Kind], seconds: float) -> str:
    """The page: what is drawn, what became of it, the distinct failures."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("hwsim", "numpy", "h5py"))
    failed = sum(failure.count for failure in found.failed.values())
    lines = [
        "# Fuzzing",
        "",
        *INTRODUCTION.strip().split("\n"),
        "",
        "## Outcomes",
        "",
        f"{found.inputs:,} inputs of seed {found.seed} in {_duration(seconds)}, "
        f"{found.workers} processes on {os.cpu_count()} cores; the slowest took "
        f"{found.slowest:.1f} s. {failed:,} failures of {len(found.failed)} sorts. Python",
        f"{platform.python_version()}, {packages}.",
        "",
        *_table(found, kinds),
        "",
        *_undrawn(found),
        "## What is drawn",
        "",
        "| kind | drawn |",
        "|---|---|",
        *(f"| {kind.name} | {kind.drawn} |" for kind in kinds),
        "",
        "## Failures",
        "",
        *(_failures(found) or ["None."]),
        "",
    ]
    return "\n".join(lines)


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"


def _table(found: Found, kinds: Sequence[Kind]) -> list[str]:
    """Inputs by kind and outcome."""
    told = {what for each in found.outcomes.values() for what in each}
    sorts = sorted(told - {RIGHT, LINE, NOT_DRAWN})
    heads = ["kind", "inputs", RIGHT, LINE, *(sorts or ["failures"])]
    lines = [_row(heads), _row(["---"] * len(heads))]
    total: Counter[str] = Counter()
    for kind in kinds:
        counts = found.outcomes.get(kind.name, Counter())
        total += counts
        lines.append(_row([kind.name, *_numbers(counts, heads[2:])]))
    return [*lines, _row(["all", *_numbers(total, heads[2:])])]


def _numbers(counts: Counter[str], heads: Sequence[str]) -> list[str]:
    inputs = counts.total() - counts[NOT_DRAWN]
    return [f"{number:,}" for number in (inputs, *(counts[head] for head in heads))]


def _undrawn(found: Found) -> list[str]:
    """Seeds that gave no input are told, and end the campaign with status 1 like a failure."""
    lines = []
    for each in found.undrawn:
        why = f"{each.example.verdict.where}, {each.example.verdict.detail}"
        lines.append(f"- {each.count:,} not drawn, a fault of what draws: {_code(why)}")
    return [*lines, ""] if lines else []


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _failures(found: Found) -> list[str]:
    lines = []
    ordered = sorted(found.failed.items(), key=lambda each: (each[0][0], -each[1].count))
    for (kind, what, where), failure in ordered:
        example = failure.example
        command = " ".join(map(_quoted, example.argv))
        command = command if len(command) <= SHOWN else f"{command[:SHOWN]} ..."
        lines += [
            f"- {kind}, {failure.count:,} x **{what}**, `{_code(where)}`: "
            f"{_code(example.verdict.detail)}",
            f"    - {_code(example.change)}: `{_code(command)}`; `{failure.folder}`",
        ]
    return lines


def _quoted(argument: str) -> str:
    plain = argument and argument.isascii() and argument.isprintable() and " " not in argument
    return argument if plain else ascii(argument)


def _code(text: str) -> str:
    """Text that stays on a line and inside Markdown's code."""
    return ascii(text)[1:-1].replace("`", "'").replace("<", "(").replace("|", "/")


INTRODUCTION = """
Written by `make fuzz WRITE=--write`. Inputs of every kind that hwsim reads are drawn, most of them
wrong, and each is run in a process of its own with a limit on memory and time. Two outcomes are
good:

- **right result**: status 0, and what is printed equals what the sound input gives, wherever the
  change says nothing new. Where it does, the result equals that of a file with the same contents
  that hwsim wrote itself, or at least holds no number that no run can give.
- **one line**: status 2, nothing on standard output, and one line of clean UTF-8 on standard error.

All else is a failure: a traceback, a signal, more than ten seconds (a minute where torch runs),
more than 1 GiB beyond what a clean run takes, another status, several lines, more than 2,000
characters or control characters in a complaint, a warning, another result, a number that no run
can give, an input that is changed, a file that is left behind. Inputs are functions of seed, kind
and number; those that fail are kept in `.fuzz/`, each to be run again by itself:
`.venv/bin/python -m tools.fuzz --again FOLDER`. The base of every kind is small: a network of
three layers, two images.

The inputs are drawn from what formats and options say, and do not follow what code they reach.
Where [Atheris](https://github.com/google/atheris) is installed, which no extra of hwsim asks for,
`python -m tools.fuzz.guided READER` does that for the bytes of traces, machines, networks,
topologies and points, read in one process; it is not part of the numbers below.
"""
