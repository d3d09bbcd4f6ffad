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
from hwsim.errors import UserError, escaped, nearest, one_line, shown
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


class _Store(argparse._StoreAction):
    """Where an option of several values is given again, its values are added to those before."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        before: Any = getattr(namespace, self.dest, None)
        if self.nargs in ("+", "*") and option_string and before is not self.default:
            values = [*before, *values]
        setattr(namespace, self.dest, values)


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose complaints are one line, with the nearest option named."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})
        self.register("action", None, _Store)
        self.register("action", "store", _Store)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Of the arguments that can mean something: none is empty or all blanks, or holds NUL."""
        given = list(sys.argv[1:] if args is None else args)
        for before, argument in zip(["", *given], given, strict=False):
            where = f"argument {escaped(before)}: " if before.startswith("-") else ""
            if not argument.strip():
                self.error(f"{where}an empty argument")
            if "\0" in argument:
                self.error(f"{where}{shown(argument)} holds NUL, which no argument can")
        return super().parse_known_args(given, namespace)

    def error(self, message: str) -> NoReturn:
        unknown = message.removeprefix("unrecognized arguments: ")
        choice = re.match(r"(argument .*?): invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if unknown != message:
            message += _nearest_option(unknown.split()[0], _options(self))
        elif choice:
            where, given, valid = choice.groups()
            many = "; separate several with blanks" if "," in given else ""
            choices = [each.strip(" '") for each in valid.split(",")]
            message = f"{where}: unknown {shown(given)}{many}{nearest(given, choices)}"
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


MOST_IMAGES = 1 << 20
"""That a command takes or draws: each has its place in tables of batches."""

MOST_WORKERS = 1 << 10
"""Processes, or threads."""

MOST_SEED = (1 << 32) - 1


def finite(text: str) -> float:
    """Type of an option that is a number."""
    return number()(text)


def number(
    least: float = -1e9, most: float = 1e9, *, above: bool = False
) -> Callable[[str], float]:
    """Type of an option that is a number from ``least``, or with ``above`` beyond it."""

    def read(text: str) -> float:
        try:
            value = float(text) if text.isascii() else math.nan
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise argparse.ArgumentTypeError(f"expected a finite number, found {shown(text)}")
        if not least <= value <= most or (above and value == least):
            first = "above" if above else "from"
            raise argparse.ArgumentTypeError(
                f"expected a number {first} {least:g} to {most:g}, found {shown(text)}"
            )
        return value

    return read


share = number(0, 1)
"""Type of an option from 0 to 1."""


def integer(least: int, most: int) -> Callable[[str], int]:
    """Type of an option that is an integer, in decimal digits, from ``least`` to ``most``."""

    def read(text: str) -> int:
        digits = re.fullmatch("[0-9]{1,18}", text)
        if not digits or not least <= int(text) <= most:
            kind = "a positive integer up to" if least == 1 else f"an integer from {least:,} to"
            raise argparse.ArgumentTypeError(f"expected {kind} {most:,}, found {shown(text)}")
        return int(text)

    return read


def positive(text: str) -> int:
    """Type of an option that counts something."""
    return integer(1, 1 << 31)(text)


images = integer(1, MOST_IMAGES)
"""Type of --images."""

cores = integer(1, MOST_WORKERS)
"""Type of --workers and --threads."""

seed = integer(0, MOST_SEED)
"""Type of --seed."""


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


DEFAULT_TRACE = "resnet18-cifar10-scdg.h5"
"""Of commands that take one trace."""


def add_trace(parser: argparse.ArgumentParser) -> None:
    """--trace, of one file; :func:`hwsim.trace.files.find_one` finds it."""
    parser.add_argument(
        "--trace", default=DEFAULT_TRACE, metavar="FILE",
        help=f"one trace (default: the shipped {DEFAULT_TRACE})",
    )  # fmt: skip


def add_images(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--images", type=images, metavar="N", help="only the first N images of each trace"
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
    add("--workers", type=cores, metavar="N", help="processes (default: one per core)")
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
