"""Processes of a trial: begun in a session of their own, disturbed at a moment, waited for."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tools.faults.subjects import ROOT

MOST_SECONDS = 120
"""A command that was disturbed and has not ended by then hangs."""


@dataclass(frozen=True)
class Ended:
    """Status as Python gives it, what was printed; ``early``: ended before it was disturbed."""

    status: int
    printed: str
    said: str
    early: bool = False
    hangs: bool = False
    killed: bool = False


class Process:
    """A command, perhaps behind a redirection of the shell (``>&-``)."""

    def __init__(self, command: Sequence[str], redirection: str = "", out: Path | None = None):
        if redirection:
            # The shell is replaced by the command: signals reach that.
            command = ["/bin/sh", "-c", f'{redirection}; exec "$@"', "sh", *command]
        self.started = time.monotonic()
        self.killed = False
        self._files = [] if out is None else [out.open("wb")]
        self.popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._files[0] if self._files else subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )

    def at(self, moment: float) -> bool:
        """Wait until so many seconds after the start; False where the command has ended by then."""
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(max(0.0, self.started + moment - time.monotonic()))
        return self.popen.poll() is None

    def until(self, happened: Callable[[], bool]) -> bool:
        """Wait for something; False where the command ends first."""
        while self.popen.poll() is None:
            if happened():
                return True
            time.sleep(0.0005)
        return False

    def send(self, number: signal.Signals, group: bool) -> None:
        self.killed = number == signal.SIGKILL
        with suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.popen.pid, number)

    def children(self) -> list[int]:
        """Its workers: processes of multiprocessing, the tracker of its resources left out."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError, ValueError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.popen.pid and b"spawn_main" in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
        return sorted(found)

    def ended(self, early: bool = False) -> Ended:
        """Wait for it and for all that it started."""
        try:
            printed, said = self.popen.communicate(timeout=MOST_SECONDS)
            # Whoever holds none of its streams may still be there.
            hangs = not _gone(self.popen.pid, MOST_SECONDS)
        except subprocess.TimeoutExpired:
            hangs = True
        if hangs:
            with suppress(ProcessLookupError):
                os.killpg(self.popen.pid, signal.SIGKILL)
            printed, said = self.popen.communicate()
        for file in self._files:
            file.close()
        texts = [(text or b"").decode(errors="replace") for text in (printed, said)]
        return Ended(self.popen.returncode, texts[0], texts[1], early, hangs, self.killed)


def _gone(group: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False
