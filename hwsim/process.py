"""The process of a command, from its first import on: Ctrl-C, SIGTERM, closed standard streams.

As little as can be is loaded here: a signal that comes before :func:`begin` ends in Python's own
traceback.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager

TYPE_CHECKING = False  # typing takes as long to load as all else here
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import Any

SAID = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
"""What a command that such a signal ended says; its exit status is 128 and the signal's number."""

AGAIN_SECONDS = 0.02
"""Until a signal that came in the middle of an import is looked at again."""


class Terminated(KeyboardInterrupt):
    """SIGTERM: as Slurm, `timeout` and `docker stop` end a process."""


def stop(number: int) -> KeyboardInterrupt:
    """The exception that stands for SIGINT or SIGTERM."""
    return Terminated() if number == signal.SIGTERM else KeyboardInterrupt()


def stopped_by(stop: KeyboardInterrupt) -> signal.Signals:
    return signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT


def begin() -> None:
    """Called by the package's first lines; does nothing where the process is no command of ours.

    Until a command catches what :func:`raised` raises, while its modules are imported, and again
    once its work is done, a signal is one line and the end: there is nothing to tidy up.
    """
    program = _program()
    if program is None:
        return
    open_streams()

    for number in SAID:
        if _is_ours(number):
            signal.signal(number, _End(program))


class _End:
    """Handler of a signal: a line, and the end of the process."""

    def __init__(self, program: str) -> None:
        self.program = program

    def __call__(self, number: int, frame: FrameType | None) -> None:
        os.write(2, f"{self.program}: {SAID[signal.Signals(number)]}\n".encode())
        os._exit(128 + number)


def _program() -> str | None:
    """``hwsim run`` of the script hwsim and of ``python -m hwsim.run``; None of anything else.

    Known from what Python was called with: a worker of multiprocessing carries the arguments of
    its parent, and a script that imports the package decides itself what signals do.
    """
    at = len(sys.orig_argv) - len(sys.argv)
    if at < 0 or not sys.argv:
        return None
    called, script = sys.orig_argv[at], sys.argv[0]
    if script == "-m":
        parts = called.removeprefix("-m").split(".")
        if parts[0] != "hwsim":
            return None
        command = parts[-1].replace("_", "-") if len(parts) > 1 else None
    elif script == called and os.path.basename(script) == "hwsim":
        command = None
    else:
        return None
    command = command or next((word for word in sys.argv[1:2] if word[:1] != "-"), None)
    return f"hwsim {command}" if command else "hwsim"


def open_streams() -> None:
    """Standard streams that were closed (``>&-``) lead nowhere.

    Otherwise the next file that is opened would get their number, and what is printed; and
    workers would not start.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def _is_ours(number: int) -> bool:
    """False where the signal is ignored (nohup, a job in the background) or another's."""
    handler = signal.getsignal(number)
    return handler in (signal.default_int_handler, signal.SIG_DFL) or isinstance(handler, _End)


_asked: list[int] = []
"""Signals that came inside :func:`raised`."""

_held: list[bool] = []
"""Not empty inside :func:`held`."""


def _ask(number: int, frame: FrameType | None) -> None:
    """Handler of both signals, and of the alarm that brings the first of them again."""
    if number != signal.SIGALRM:
        _asked.append(number)
    first = number == signal.SIGALRM or len(_asked) == 1
    if first and (_held or _importing(frame)):
        _again()
        return
    _calm()
    raise stop(_asked[0])


def _again() -> None:
    signal.signal(signal.SIGALRM, _ask)
    signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)


def _calm() -> None:
    """No signal comes again; an alarm of somebody else's stays."""
    if signal.getsignal(signal.SIGALRM) is _ask:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


@contextmanager
def raised() -> Iterator[None]:
    """Inside, SIGINT and SIGTERM are raised in the main thread as :func:`stop` has them.

    Not in the middle of an import, which may swallow it or be left half done: as soon as that is
    over. Nor is it lost where Python cannot raise, as in a finaliser: it is raised again. A second
    signal is raised wherever it comes.
    """
    import threading

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():  # signals are its own
        before = {number: signal.getsignal(number) for number in SAID if _is_ours(number)}
    if not before:
        yield
        return
    hook = sys.unraisablehook

    def unraisable(of: Any) -> None:
        if _asked and issubclass(of.exc_type, KeyboardInterrupt):
            _again()
        else:
            hook(of)

    _asked.clear()
    try:
        for number in before:
            signal.signal(number, _ask)
        sys.unraisablehook = unraisable
        yield
        if signal.getsignal(signal.SIGALRM) is _ask:  # it came in the work's last import
            raise stop(_asked[0])
    except Exception as error:
        # Compiled code may make another exception of it: NumPy's comparisons a TypeError.
        if _asked:
            raise stop(_asked[0]) from error
        raise
    finally:
        _calm()
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


@contextmanager
def held() -> Iterator[None]:
    """Inside, both signals wait; processes that are started there hold them until :func:`release`.

    Ctrl-C on a terminal goes to all processes of a command, to those as well that have only begun.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SAID)
    # Another thread may take the signal: the handler runs in this one all the same.
    _held.append(True)
    try:
        yield
    finally:
        _held.pop()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def release() -> None:
    """In a process that was started inside :func:`held`, once it has said what signals do."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SAID)
