"""What is done to a command, by name of the fault."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from tools.faults import places
from tools.faults.running import Ended, Process
from tools.faults.subjects import ROOT, Subject


@dataclass(frozen=True)
class Trial:
    """One fault: at a ``moment`` in seconds; ``share``, of [0, 1), decides all else it is about.

    ``writing``: a signal comes just after a name has appeared in the folder or beside it, in its
    place. ``earlier``: results of another run are in the folder.
    """

    number: int
    subject: Subject
    fault: str
    moment: float
    share: float
    earlier: bool
    writing: bool = False

    def __str__(self) -> str:
        beside = ", over an earlier run's" if self.earlier else ""
        at = "while it writes" if self.writing else f"at {self.moment:.3f} s"
        return f"{self.subject.name}, {self.fault} {at}{beside}"


@dataclass(frozen=True)
class Place:
    """Folder ``out`` of results; the disk of its own that it is on, if any; what bounds a file."""

    out: Path
    disk: Path | None = None
    file_bytes: int | None = None


WRITING_SECONDS = 0.06
"""After a name has appeared: about as long as the files of a run take to be written."""

NUMBERS = {"kill -9": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT}
REDIRECTIONS = {"stdout closed": "exec >&-", "stderr closed": "exec 2>&-"}


@contextmanager
def place(trial: Trial, folder: Path, earlier: int, size: int, mounts: bool) -> Iterator[Place]:
    """Where the trial's results go; the disk is as large as part of what is written there.

    ``earlier`` and ``size``: bytes of the results that are there, and of those to come.
    """
    if trial.fault == "full disk" and not mounts:
        yield Place(folder / "out", file_bytes=512 * int(1 + trial.share * size / 1024))
        return
    # Less than what is needed, in blocks of 4 KiB; one at least, as 0 is no limit.
    blocks = max(1, earlier // 4096 + int(trial.share * size / 4096))
    kib = 4 * blocks if trial.fault == "full disk" else 65536
    needs_disk = trial.fault in ("full disk", "read-only disk", "stdout on a full disk")
    with places.small_disk(folder, kib) if needs_disk else nullcontext() as disk:
        if disk and "stdout" not in trial.fault:
            yield Place(disk / "out", disk)
        else:
            yield Place(folder / "out", disk)


def disturb(trial: Trial, where: Place) -> list[Ended]:
    """The command under the fault: how it ended; of several writers, how each did."""
    return FAULTS.get(trial.fault, _signalled)(trial, where)


def names(folder: Path) -> set[str]:
    """What is in a folder and beside it."""
    found: set[str] = set()
    for each in (folder, folder.parent):
        with suppress(OSError):
            found.update(entry.path for entry in os.scandir(each))
    return found - {str(folder)}


def _signalled(trial: Trial, where: Place) -> list[Ended]:
    before = names(where.out)
    process = Process(trial.subject.command(where.out))
    if trial.writing:
        running = process.until(lambda: names(where.out) != before)
        time.sleep(WRITING_SECONDS * trial.share)
    else:
        running = process.at(trial.moment)
    if running:
        process.send(NUMBERS[trial.fault], group=trial.number % 2 == 0)
    return [process.ended(early=not running)]


def _full(trial: Trial, where: Place) -> list[Ended]:
    limit = f"ulimit -f {where.file_bytes // 512}" if where.file_bytes else ""
    return [Process(trial.subject.command(where.out), limit).ended()]


def _read_only(trial: Trial, where: Place) -> list[Ended]:
    """From the beginning, or from a moment on at which no file is open."""
    assert where.disk
    if trial.share < 0.5:
        places.make_read_only(where.disk)
        return [Process(trial.subject.command(where.out)).ended()]
    process = Process(trial.subject.command(where.out))
    running = process.at(trial.moment) and process.until(lambda: _done(_now_read_only, where))
    return [process.ended(early=not running)]


def _now_read_only(where: Place) -> None:
    assert where.disk
    places.make_read_only(where.disk)


def _done(action: Callable[[Place], None], where: Place) -> bool:
    with suppress(OSError):
        action(where)
        return True
    return False


def _removed(trial: Trial, where: Place) -> list[Ended]:
    process = Process(trial.subject.command(where.out))
    running = process.at(trial.moment)
    if running:
        shutil.rmtree(where.out, ignore_errors=True)
    return [process.ended(early=not running)]


def _made_a_file(trial: Trial, where: Place) -> list[Ended]:
    def swap(where: Place) -> None:
        shutil.rmtree(where.out, ignore_errors=True)
        where.out.write_text("a file\n")

    process = Process(trial.subject.command(where.out))
    running = process.at(trial.moment) and process.until(lambda: _done(swap, where))
    return [process.ended(early=not running)]


def _redirected(trial: Trial, where: Place) -> list[Ended]:
    """The stream of the name, or all three of them."""
    closed = REDIRECTIONS[trial.fault] if trial.share < 0.7 else "exec >&- 2>&- <&-"
    return [Process(trial.subject.command(where.out), closed).ended()]


def _reader_gone(trial: Trial, where: Place) -> list[Ended]:
    """At once, or after a line."""
    process = Process(trial.subject.command(where.out))
    assert process.popen.stdout
    if trial.share < 0.5:
        process.popen.stdout.readline()
    process.popen.stdout.close()
    process.popen.stdout = None
    return [process.ended()]


def _printed_on_full(trial: Trial, where: Place) -> list[Ended]:
    assert where.disk
    printed = where.disk / "printed"
    printed.touch()
    places.fill(where.disk)
    return [Process(trial.subject.command(where.out), out=printed).ended()]


def _writers(trial: Trial, where: Place) -> list[Ended]:
    """Two or four at once; of some one is killed."""
    number = 2 if trial.share < 0.6 else 4
    processes = [Process(trial.subject.command(where.out)) for _ in range(number)]
    if trial.share * 10 % 1 < 0.3 and processes[0].at(trial.moment):
        processes[0].send(signal.SIGKILL, group=False)
    return [process.ended() for process in processes]


def _worker_killed(trial: Trial, where: Place) -> list[Ended]:
    process = Process(trial.subject.command(where.out))
    running = process.at(trial.moment) and process.until(lambda: bool(process.children()))
    if running:
        with suppress(ProcessLookupError, IndexError):
            os.kill(process.children()[0], signal.SIGKILL)
    return [process.ended(early=not running)]


def _dask_worker_killed(trial: Trial, where: Place) -> list[Ended]:
    """Another takes over what it had begun."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-m", "tools.faults.cluster"], cwd=ROOT, text=True,
        stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, start_new_session=True,
    ) as cluster:  # fmt: skip
        assert cluster.stdout
        assert cluster.stdin
        address, workers = json.loads(cluster.stdout.readline())
        process = Process([*trial.subject.command(where.out), "--scheduler", address])
        running = process.until(lambda: any(where.out.glob("part-*")))
        if running:
            os.kill(workers[0], signal.SIGKILL)
        found = process.ended(early=not running)
        cluster.stdin.close()
        time.sleep(0)
    return [found]


FAULTS: dict[str, Callable[[Trial, Place], list[Ended]]] = {
    "full disk": _full,
    "read-only disk": _read_only,
    "folder removed": _removed,
    "folder made a file": _made_a_file,
    "stdout closed": _redirected,
    "stderr closed": _redirected,
    "reader gone": _reader_gone,
    "stdout on a full disk": _printed_on_full,
    "several writers": _writers,
    "worker killed": _worker_killed,
    "Dask worker killed": _dask_worker_killed,
}
"""Signals are all sent alike."""
