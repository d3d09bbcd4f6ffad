"""How a run tells where it is, and how it is asked to stop."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hwsim.train.trainer import Trainer

LINE_SECONDS = 60
"""Between two lines where standard error is no terminal."""


class Status:
    """A bar on a terminal, a line a minute elsewhere: epochs, views per second, hours left."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.started = trainer.step, trainer.seconds
        self.mark = time.perf_counter()

    def line(self) -> str:
        run = self.trainer
        return (
            f"{run.args.method}: epoch {run.epochs_done:.2f}, step {run.step}, "
            f"{100 * run.progress:.1f} % done, {run.resolution}x{run.resolution}, "
            f"{self.views_per_second:.0f} views/s, {self.hours_left:.1f} h left"
        )

    @property
    def views_per_second(self) -> float:
        """Since the command began or the resolution changed."""
        steps, seconds = self._since
        return self.trainer.views_per_step * steps / max(seconds, 1e-9)

    @property
    def _since(self) -> tuple[int, float]:
        return self.trainer.step - self.started[0], self.trainer.seconds - self.started[1]

    @property
    def hours_left(self) -> float:
        """At this speed per pixel."""
        steps, seconds = self._since
        return self.trainer.seconds_left(seconds / max(steps, 1)) / 3600

    def watch(self) -> Iterator[None]:
        """Yields before each step until the run is done."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        terminal = sys.stderr.isatty()
        columns = TextColumn("{task.description}"), BarColumn()
        with Progress(*columns, console=Console(stderr=True), disable=not terminal) as bar:
            task = bar.add_task(f"training {self.trainer.args.method}", total=1.0)
            while self.trainer.progress < 1:
                size = self.trainer.resolution
                yield
                if terminal:
                    bar.update(task, completed=self.trainer.progress, description=self.line())
                elif time.perf_counter() - self.mark > LINE_SECONDS:
                    print(self.line(), file=sys.stderr, flush=True)
                    self.mark = time.perf_counter()
                if self.trainer.resolution != size:
                    self.started = self.trainer.step, self.trainer.seconds


@contextmanager
def stoppable() -> Iterator[list[int]]:
    """SIGTERM and the first Ctrl-C inside go into the list yielded; the second Ctrl-C ends at once.

    A run looks at it between two steps, saves and ends.
    """
    asked: list[int] = []

    def ask(number: int, frame: Any) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield asked  # signals are the main thread's
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
