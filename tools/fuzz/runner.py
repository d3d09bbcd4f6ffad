"""One command in a forked process of its own, with its time and memory bounded."""

from __future__ import annotations

import faulthandler
import io
import os
import resource
import runpy
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tools.fuzz.case import PYTHON

MEMORY = 1 << 30
"""Bytes that a run may take beyond what a clean one does."""

FILE_BYTES = 256 << 20
"""Largest file that a run may write."""

IDLE = 0.05
"""Processor seconds in five: with less a process waits for what does not come."""

MOST_READ = 4 << 20
"""Of what a run prints so many bytes are looked at."""

STDOUT, STDERR, STACK = ".stdout", ".stderr", ".stack"
"""Files in the folder of a run that hold what it printed, and where it was when it was stopped."""


@dataclass(frozen=True)
class Ended:
    """How a run ended: its status, or the signal (negative); ``hung``: it was stopped."""

    status: int
    stdout: bytes
    stderr: bytes
    stack: str
    seconds: float
    resident: int
    hung: bool = False


def run(argv: Sequence[str], folder: Path, seconds: float) -> Ended:
    """Run in ``folder``; the process and all that it started are gone afterwards."""
    for name in (STDOUT, STDERR, STACK):
        (folder / name).write_bytes(b"")
    started = time.monotonic()
    child = os.fork()
    if not child:
        _child(argv, folder, seconds)
    hung = not _ends(child, seconds)
    if hung:
        # The child's handler writes the stack, in the middle of C code as well.
        os.kill(child, signal.SIGUSR1)
        time.sleep(0.2)
    _kill(child)
    _, state, used = os.wait4(child, 0)
    read = {name: _head(folder / name) for name in (STDOUT, STDERR, STACK)}
    return Ended(
        os.waitstatus_to_exitcode(state),
        read[STDOUT],
        read[STDERR],
        read[STACK].decode(errors="replace"),
        time.monotonic() - started,
        used.ru_maxrss * 1024,
        hung,
    )


def _ends(child: int, seconds: float) -> bool:
    """Wait for the process; False where it has had its time, or waits for nothing.

    On a busy machine a process gets less than its time: it is given up to six times as long while
    its processor time grows.
    """
    handle = os.pidfd_open(child)
    started, used = time.monotonic(), [0.0]
    try:
        while not select.select([handle], [], [], 1.0)[0]:
            used.append(_processor_seconds(child))
            waited = time.monotonic() - started
            idle = used[-1] - used[max(0, len(used) - 6)] < IDLE
            if waited > seconds and (idle or used[-1] > seconds / 2 or waited > 6 * seconds):
                return False
    finally:
        os.close(handle)
    return True


def _processor_seconds(child: int) -> float:
    fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _kill(child: int) -> None:
    """The process, unless it has ended, and those of its group."""
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:
        # It may not have made its group yet.
        os.kill(child, signal.SIGKILL)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MOST_READ)


def _child(argv: Sequence[str], folder: Path, seconds: float) -> NoReturn:
    """What runs after the fork; it never returns to its caller's code."""
    status = 1
    try:
        os.setpgid(0, 0)
        os.chdir(folder)
        _redirect()
        _limit(seconds)
        status = _execute(argv)
    except SystemExit as error:
        status = _code(error)
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)


def _redirect() -> None:
    """Standard streams as of a new process, in files; temporary files below the folder."""
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    for name, number in ((STDOUT, 1), (STDERR, 2)):
        os.dup2(os.open(name, os.O_WRONLY | os.O_APPEND), number)
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), "utf-8", write_through=True)
    sys.stderr = io.TextIOWrapper(
        io.FileIO(2, "w", closefd=False), "utf-8", "backslashreplace", write_through=True
    )
    stack = open(STACK, "a")  # noqa: SIM115 - open as long as the process
    faulthandler.enable(stack)
    faulthandler.register(signal.SIGUSR1, stack)
    os.mkdir("tmp")
    os.environ["TMPDIR"] = tempfile.tempdir = str(Path("tmp").resolve())
    os.environ["COLUMNS"] = "100"


def _limit(seconds: float) -> None:
    """Address space, files and processor time; a core dump is never written."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    # Address space is taken in large pieces, for stacks and arenas: half as much on top.
    space = pages * resource.getpagesize() + MEMORY + MEMORY // 2
    resource.setrlimit(resource.RLIMIT_AS, (space, space))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What a large parent's pages take after the fork is not the input's.
    processor = 10 + 2 * int(seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (processor, processor))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _execute(argv: Sequence[str]) -> int:
    if argv and argv[0] == PYTHON:
        from hwsim.cli import status_of

        return status_of(PYTHON, lambda: runpy.run_path(argv[1]))
    from hwsim.__main__ import main

    return main(argv)


def _code(error: SystemExit) -> int:
    if error.code is None:
        return 0
    return error.code & 0xFF if isinstance(error.code, int) else 1
