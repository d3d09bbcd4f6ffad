"""A mutant: one change at one place of a source, named by what stays when lines move."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Key:
    """What an explanation refers to: file, function or module, the stripped line, the change."""

    file: str
    scope: str
    line: str
    change: str


@dataclass(frozen=True)
class Mutant:
    """The changed source, and where the change stands in the original."""

    key: Key
    row: int
    column: int
    source: str

    def __str__(self) -> str:
        at = f"{self.key.file}:{self.row}:{self.column + 1}"
        return f"{at} in {self.key.scope}: {self.key.change}   | {self.key.line}"


def numbered(mutants: Iterable[Mutant]) -> Iterator[Mutant]:
    """Where a change has the key of one before it, its number is added: `0 -> 1 (2)`."""
    seen: Counter[Key] = Counter()
    for mutant in mutants:
        seen[mutant.key] += 1
        if (number := seen[mutant.key]) > 1:
            change = f"{mutant.key.change} ({number})"
            mutant = replace(mutant, key=replace(mutant.key, change=change))
        yield mutant
