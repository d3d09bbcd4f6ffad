"""What every command does alike: how it ends, and where its tables go."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from hwsim.errors import UserError, one_line

if TYPE_CHECKING:
    from rich.console import Console

PIPED_COLUMNS = 132
"""Width of a table that goes to a file or another program."""


def status_of(program: str, work: Callable[[], None], interrupted: str = "interrupted") -> int:
    """Does the work: 0, or 2 and one line for bad input, or 130 where it was interrupted.

    A reader that goes away (`| head`) has seen enough: nothing is said, the status is 0.
    """
    try:
        work()
        sys.stdout.flush()
    except UserError as error:
        print(f"{program}: {one_line(error)}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # A later flush must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        print(f"{program}: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{program}: {interrupted}", file=sys.stderr)
        return 130
    return 0


def console(piped_columns: int = PIPED_COLUMNS) -> Console:
    """Standard output for tables; leaves a reader that has gone to :func:`status_of`."""
    from rich.console import Console

    class Pipe(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Pipe(width=None if sys.stdout.isatty() else piped_columns, highlight=False)
