"""Trials of mutants, each in a process of its own; what came of them is kept in a journal."""

from __future__ import annotations

import hashlib
import json
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from .mutant import Key, Mutant

DIFFERENCE, EXCEPTION, TIMEOUT = "difference", "exception", "timeout"
NOT_COMPILED, SURVIVED = "not compiled", "survived"
VERDICTS = (DIFFERENCE, EXCEPTION, TIMEOUT, NOT_COMPILED, SURVIVED)

LONGEST = 900
"""Seconds after which a trial is ended from outside; those of a trial's parts are shorter."""


TOO_LONG = 3
"""Exit status of a trial that has ended itself so."""


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant, and what saw it."""

    how: str
    by: str = ""


Trial = Callable[[Mutant], Verdict]


@dataclass
class Process:
    """A trial under way."""

    mutant: Mutant
    pid: int
    started: float
    told: bytes = b""


def run_trials(
    mutants: Iterable[Mutant], trial: Trial, jobs: int
) -> Iterator[tuple[Mutant, Verdict]]:
    """Each mutant with its verdict, as they come."""
    waiting = iter(mutants)
    with selectors.DefaultSelector() as running:
        try:
            while True:
                while len(running.get_map()) < jobs and (mutant := next(waiting, None)):
                    pipe, process = _start(mutant, trial)
                    running.register(pipe, selectors.EVENT_READ, process)
                if not running.get_map():
                    return
                yield from _finished(running)
        finally:
            for key in running.get_map().values():
                _end(key.data.pid)


def _start(mutant: Mutant, trial: Trial) -> tuple[int, Process]:
    """Fork a process with a group of its own, in which the mutant is tried."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        with suppress(OSError):  # The one that comes first sets the group.
            os.setpgid(pid, pid)
        os.close(writing)
        return reading, Process(mutant, pid, time.monotonic())
    try:
        os.setpgid(0, 0)
        os.close(reading)
        _tell(writing, trial(mutant))
    except BaseException as error:
        _tell(writing, Verdict(EXCEPTION, f"the trial: {type(error).__name__}: {error}"))
    finally:
        os._exit(0)


def end_after(seconds: float) -> None:
    """In a trial: it ends after so much processor time from now on, wherever it is then."""
    signal.signal(signal.SIGPROF, lambda *_: os._exit(TOO_LONG))
    signal.setitimer(signal.ITIMER_PROF, seconds)


def _tell(pipe: int, verdict: Verdict) -> None:
    os.write(pipe, json.dumps(asdict(verdict)).encode())


def _finished(running: selectors.BaseSelector) -> Iterator[tuple[Mutant, Verdict]]:
    """Trials that have told their verdict or have run too long."""
    for key, _ in running.select(timeout=1):
        process: Process = key.data
        if part := os.read(key.fd, 65536):
            process.told += part
            continue
        status = os.waitstatus_to_exitcode(_forget(running, key))
        if process.told:
            verdict = Verdict(**json.loads(process.told))
        elif status == TOO_LONG:
            verdict = Verdict(TIMEOUT)
        else:
            verdict = Verdict(EXCEPTION, f"the process ended with {status}")
        yield process.mutant, verdict
    for key in list(running.get_map().values()):
        if time.monotonic() - key.data.started > LONGEST:
            _forget(running, key)
            yield key.data.mutant, Verdict(TIMEOUT, f"{LONGEST} s")


def _forget(running: selectors.BaseSelector, key: selectors.SelectorKey) -> int:
    """The status of a trial that has closed its pipe, or is ended now."""
    running.unregister(key.fd)
    os.close(key.fd)
    return _end(key.data.pid)


def _end(pid: int) -> int:
    """End what a trial has started, and itself if need be."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    return status if ended else os.waitpid(pid, 0)[1]


class Journal:
    """The verdicts of an interrupted campaign, valid for the sources that they were found with."""

    def __init__(self, folder: Path, name: str, sources: Iterable[Path]) -> None:
        digest = hashlib.sha256()
        for source in sorted(sources):
            digest.update(source.name.encode() + b"\0" + source.read_bytes())
        self._path = folder / f"{name}-{digest.hexdigest()[:16]}.jsonl"
        self._path.parent.mkdir(exist_ok=True)
        self.verdicts: dict[Key, Verdict] = {}
        self.seconds = 0.0
        if self._path.exists():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                entry = json.loads(line)
                self._keep(Key(*entry["key"]), Verdict(**entry["verdict"]), entry["seconds"])

    def add(self, key: Key, verdict: Verdict, seconds: float) -> None:
        """Keep a verdict and the seconds since the one before it."""
        self._keep(key, verdict, seconds)
        entry = {"key": [*asdict(key).values()], "verdict": asdict(verdict), "seconds": seconds}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def _keep(self, key: Key, verdict: Verdict, seconds: float) -> None:
        self.verdicts[key] = verdict
        self.seconds += seconds
