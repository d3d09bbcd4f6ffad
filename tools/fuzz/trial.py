"""One input drawn, run and judged."""

from __future__ import annotations

import os
import resource
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random

from tools.fuzz.case import INPUTS, Case, Kind
from tools.fuzz.runner import STACK, STDERR, STDOUT, Ended, run
from tools.fuzz.verdict import NOT_DRAWN, SHOWN, Verdict, changed, digest_of, judge

OWN = {STDOUT, STDERR, STACK, "tmp"}
"""Names that the runner itself puts into a run's folder."""


@dataclass(frozen=True)
class Trial:
    """An input by kind and seed, what was drawn and what became of it."""

    kind: str
    seed: str
    change: str
    argv: tuple[str, ...]
    verdict: Verdict
    seconds: float


class Bench:
    """Where inputs of a kind are tried: ``base`` holds its sound inputs, ``scratch`` is emptied."""

    def __init__(self, kind: Kind, base: Path, scratch: Path) -> None:
        self.kind, self.base, self.scratch = kind, base, scratch
        self.resident = int(Path("/proc/self/statm").read_text().split()[1])
        self.resident *= resource.getpagesize()
        self._clean: dict[tuple[Path, tuple[str, ...]], Ended] = {}

    def draw(self, seed: str, folder: Path) -> Case:
        """The case of a seed, in an empty folder."""
        (folder / INPUTS).mkdir(exist_ok=True)
        return self.kind.draw(Random(seed), self.base, folder)

    def try_seed(self, seed: str) -> Trial:
        """Draw, run, judge; nothing stays behind."""
        folder = Path(tempfile.mkdtemp(dir=self.scratch))
        try:
            try:
                case = self.draw(seed, folder)
            except Exception as error:
                # A fault of what draws; the campaign goes on, and says so.
                verdict = Verdict(NOT_DRAWN, type(error).__name__, f"{seed}: {error}"[:SHOWN])
                return Trial(self.kind.name, seed, "", (), verdict, 0.0)
            verdict, seconds = self.try_case(case, folder)
            return Trial(self.kind.name, seed, case.change, case.argv, verdict, seconds)
        finally:
            shutil.rmtree(folder)

    def try_case(self, case: Case, folder: Path) -> tuple[Verdict, float]:
        """What becomes of a case that lies in ``folder``, and the seconds of its run."""
        before = {name: digest_of(folder / name) for name in _names(folder)}
        ended = run(case.argv, folder, self.kind.seconds)
        clean = self._right(case) if case.reference and ended.status == 0 else None
        verdict = judge(case, ended, clean, self.resident)
        if not verdict.failed and (lost := next(changed(case, before, folder), "")):
            verdict = Verdict("input changed", case.argv[0], lost)
        if not verdict.failed and (more := _appeared(case, folder, before)):
            verdict = Verdict("left behind", case.argv[0], more)
        return verdict, ended.seconds

    def _right(self, case: Case) -> Ended:
        """The run of the same command on the reference; one below ``base`` is run once."""
        assert case.reference is not None
        if (known := (case.reference, case.argv)) in self._clean:
            return self._clean[known]
        folder = Path(tempfile.mkdtemp(dir=self.scratch))
        try:
            copy_tree(case.reference / INPUTS, folder / INPUTS)
            ended = run(case.argv, folder, self.kind.seconds)
        finally:
            shutil.rmtree(folder)
        if case.reference.is_relative_to(self.base):
            self._clean[known] = ended
        return ended


WRITE_TO = ("--out", "--json")
"""Options that are followed by where to write."""


def _names(folder: Path) -> Iterator[str]:
    """What lies below a folder, relative to it; links are not followed."""
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield os.path.relpath(os.path.join(path, name), folder)


def _appeared(case: Case, folder: Path, before: dict[str, bytes]) -> str:
    """A name that is new and not asked for; a temporary file that is left."""
    # A word that is left out gives an option another one's place.
    own = (os.path.normpath(word) for option, word in pairwise(case.argv) if option in WRITE_TO)
    wanted = {*case.outputs, *own}
    for name in _names(folder):
        asked = any(each in ("*", name) or name.startswith(f"{each}/") for each in wanted)
        if name not in before and name not in OWN and not asked:
            return name
    return ""


def copy_tree(source: Path, target: Path) -> None:
    """Files, folders, links as links, pipes as pipes of the same name."""
    target.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        copy, mode = target / path.name, path.lstat().st_mode
        if stat.S_ISLNK(mode):
            copy.symlink_to(os.readlink(path))
        elif stat.S_ISDIR(mode):
            copy_tree(path, copy)
        elif stat.S_ISFIFO(mode):
            os.mkfifo(copy)
        else:
            shutil.copyfile(path, copy)
