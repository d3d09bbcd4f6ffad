"""What every command has in common: its parser, shared options, how it ends, its progress."""

from __future__ import annotations

import argparse
import difflib
import gc
import math
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from hwsim import process
from hwsim.errors import UserError, nearest, one_line
from hwsim.output import kept

EXTRAS = {
    "torch": "train",
    "PIL": "train",
    "optuna": "dse",
    "distributed": "cluster",
    "shtab": "completion",
    "onnx": "onnx",
}
"""The extra of the package that brings a library which not every command needs."""

T = TypeVar("T")

LINE_SECONDS = 60
"""Between two lines of progress where standard error is no terminal."""

Advance = Callable[[int], None]
"""Told how many more of the total are done."""


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose complaints are one line, with the nearest option named."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})

    def error(self, message: str) -> NoReturn:
        unknown = message.removeprefix("unrecognized arguments: ")
        choice = re.match(r"(argument .*?): invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if unknown != message:
            message += _nearest_option(unknown.split()[0], _options(self))
        elif choice:
            where, given, valid = choice.groups()
            many = "; separate several with blanks" if "," in given else ""
            choices = [each.strip(" '") for each in valid.split(",")]
            message = f"{where}: unknown {given!r}{many}{nearest(given, choices)}"
        print(f"{self.prog}: {one_line(message)}", file=sys.stderr)
        sys.exit(2)


def _options(parser: argparse.ArgumentParser) -> set[str]:
    """Those of the parser and of its subcommands."""
    found: set[str] = set()
    for action in parser._actions:
        found.update(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            found.update(*(_options(each) for each in action.choices.values()))
    return found


def _nearest_option(given: str, options: set[str]) -> str:
    """The end of a complaint: an option that is spelt nearly so, or where to look."""
    if given in options:
        return ": of another action"
    near = difflib.get_close_matches(given, sorted(options), n=1, cutoff=0.6)
    return f"; nearest valid: {near[0]!r}" if near else "; --help lists the options"


def finite(text: str) -> float:
    """Type of an option that is a number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a finite number, found {text!r}")
    return value


def positive(text: str) -> int:
    """Type of an option that counts something."""
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a positive integer, found {text!r}")
    return value


def add_machine(parser: argparse.ArgumentParser) -> None:
    """--arch and --set; :func:`hwsim.arch.load.arch_of` reads them."""
    add = parser.add_argument
    add("--arch", default="pe16x16", metavar="FILE",
        help="machine: a YAML file or a shipped name (default: pe16x16)")  # fmt: skip
    add("--set", action="append", default=[], metavar="KEY=VALUE",
        help="change one key of the machine, such as index.lane_group=4")  # fmt: skip


def add_traces(parser: argparse.ArgumentParser) -> None:
    """--trace, of files and folders."""
    parser.add_argument(
        "--trace", nargs="*", default=[], metavar="PATH",
        help="trace files or folders (default: the shipped traces)",
    )  # fmt: skip


def add_images(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--images", type=positive, metavar="N", help="only the first N images of each trace"
    )


def add_axes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--vary", action="append", default=[], metavar="KEY=1,2,4",
        help="all combinations are run; KEY=LOW..HIGH to draw from",
    )  # fmt: skip


def add_masks(parser: argparse.ArgumentParser) -> None:
    """--trace, --images, --batch and channel orders."""
    add = parser.add_argument
    add_traces(parser)
    add_images(parser)
    add("--batch", nargs="+", type=positive, metavar="N", help="default: the machine's")
    add("--channel-order", nargs="+", metavar="NAME",
        help="natural (default), density: channels sorted inside each gating group")  # fmt: skip
    add("--order-from", nargs="+", default=[], metavar="PATH",
        help="traces to measure densities on (default: images that are not replayed)")  # fmt: skip


GOES_ON = "interrupted; run the same again to go on"
"""Said where a folder keeps what is done."""


def add_results(parser: argparse.ArgumentParser) -> None:
    """--out and --workers, of commands whose results are rows in a folder."""
    add = parser.add_argument
    add("--workers", type=positive, metavar="N", help="processes (default: one per core)")
    add("--out", type=Path, required=True, metavar="DIR",
        help="folder of results; rows that are there are not computed again")  # fmt: skip


def run_command(
    parser: argparse.ArgumentParser,
    work: Callable[[argparse.Namespace], object],
    arguments: Sequence[str] | None,
    interrupted: str = "interrupted",
) -> int:
    """A command from its arguments to its exit status."""
    # Commands make many objects and few cycles of them: looking for those takes a tenth of a start.
    gc.set_threshold(200_000)
    return status_of(parser.prog, lambda: work(parser.parse_args(arguments)), interrupted)


def status_of(program: str, work: Callable[[], object], interrupted: str = "interrupted") -> int:
    """Does the work: 0; 2 and one line for bad input; 130 interrupted, 143 terminated by SIGTERM.

    Output that is lost (a full disk) is told at the end, and the status 2: the work is done all the
    same. A reader that goes away (`| head`) has seen enough: nothing is said, the status is 0.
    """
    process.open_streams()
    with kept() as output:
        try:
            status = _status_of(program, work, interrupted)
        except SystemExit as left:  # of a parser
            if not output.lost():
                raise
            status = int(left.code or 0)
        if why := output.lost():
            print(f"{program}: standard output: {why}", file=sys.stderr)
            return status or 2
        return status


def _status_of(program: str, work: Callable[[], object], interrupted: str) -> int:
    try:
        with process.raised():
            work()
    except UserError as error:
        print(f"{program}: {one_line(error)}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in EXTRAS:
            raise
        install = f"pip install 'hwsim[{EXTRAS[library]}]' (in a checkout: make setup)"
        print(f"{program}: needs {library}: {install}", file=sys.stderr)
        return 2
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        print(f"{program}: {one_line(f'{where}{error.strerror or error}')}", file=sys.stderr)
        return 2
    except MemoryError as error:
        print(f"{program}: too little memory ({one_line(error)})", file=sys.stderr)
        return 2
    except RecursionError:
        print(f"{program}: the input has too many parts inside each other", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        number = process.stopped_by(stop)
        said = interrupted.replace("interrupted", process.SAID[number], 1)
        print(f"{program}: {said}", file=sys.stderr)
        return 128 + number
    return 0


@contextmanager
def progress(what: str, total: int) -> Iterator[Advance]:
    """A bar over ``total`` on standard error; where that is no terminal, a line a minute."""
    if not sys.stderr.isatty():
        yield _lines(what, total)
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)


def watched(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """The items, with :func:`progress` over them."""
    with progress(what, total) as advance:
        for item in items:
            yield item
            advance(1)


def _lines(what: str, total: int) -> Advance:
    started = last = time.monotonic()
    done = 0

    def advance(more: int) -> None:
        nonlocal done, last
        done += more
        if (now := time.monotonic()) - last >= LINE_SECONDS:
            last, spent = now, now - started
            left = spent / done * (total - done)
            print(
                f"{what}: {done:,} of {total:,} in {spent / 60:.0f} min, "
                f"about {left / 60:.0f} min left",
                file=sys.stderr, flush=True,
            )  # fmt: skip

    return advance
