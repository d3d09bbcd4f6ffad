"""One input: files in a folder, a command that reads them, and what its result has to equal."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

INPUTS = "in"
"""The folder of a case that holds what is read; commands run in the folder above it."""

PYTHON = "python"
"""First word of a command that is a script of calls of the Python interface, not of hwsim."""


@dataclass(frozen=True)
class Case:
    """A command, run in a folder whose ``in`` holds its files.

    ``change``: what was drawn, in words. ``reference``: a folder in which the same command gives
    the right result; None where any result that makes sense is right. ``outputs``: names that the
    command may add to its folder, ``*`` any. ``skipped``: lines at the start of the output that
    need not be equal. ``refused``: that there is no right result. ``changes``: files and folders
    that the command may write to. ``sort``: what changes are alike, for the list of faults.
    """

    change: str
    argv: tuple[str, ...]
    reference: Path | None = None
    outputs: tuple[str, ...] = ()
    skipped: int = 0
    refused: bool = False
    changes: tuple[str, ...] = ()
    sort: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain data, without the place of the reference."""
        return {
            "change": self.change,
            "argv": list(self.argv),
            "outputs": list(self.outputs),
            "skipped": self.skipped,
            "refused": self.refused,
            "changes": list(self.changes),
            "sort": self.sort,
        }

    @classmethod
    def read(cls, path: Path, reference: Path | None) -> Case:
        """What :meth:`as_json` gave, of a file that holds more than that."""
        data = json.loads(path.read_text())
        lists: dict[str, Any] = {name: tuple(data[name]) for name in ("argv", "outputs", "changes")}
        told: dict[str, Any] = {
            name: data[name] for name in ("change", "skipped", "refused", "sort")
        }
        return cls(reference=reference, **told, **lists)


Prepare = Callable[[Path], None]
Draw = Callable[[Random, Path, Path], Case]


@dataclass(frozen=True)
class Kind:
    """One kind of input.

    ``prepare`` fills a folder with sound inputs, once. ``draw`` makes a case of them: it is given a
    generator of random numbers, that folder and the case's own, whose ``in`` it fills. ``share`` of
    the campaign's time; ``seconds`` after which a run hangs; ``drawn``: for the report;
    ``imports``: what ``prepare`` imports for all runs.
    """

    name: str
    share: float
    drawn: str
    prepare: Prepare
    draw: Draw
    seconds: float = 10.0
    imports: tuple[str, ...] = ()
