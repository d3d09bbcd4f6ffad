"""The command ``hwsim``: a map of what there is, and the way to each part.

A subcommand's module is imported only when it is called.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module, metadata
from typing import NamedTuple

from hwsim.cli import status_of
from hwsim.errors import UserError, nearest


class Command(NamedTuple):
    """Where a subcommand lives, and what it does in a line."""

    module: str
    what: str


COMMANDS = {
    "run": Command("hwsim.run.__main__", "replay masks on a machine and compare schemes"),
    "report": Command("hwsim.report.__main__", "one page of HTML to send: charts, tables"),
    "energy": Command("hwsim.energy.__main__", "prices of every counter, areas"),
    "sweep": Command("hwsim.sweep.__main__", "replay masks on many machines"),
    "search": Command("hwsim.sweep.search", "find the machines that trade energy, time, area best"),
    "equal-area": Command("hwsim.sweep.equal_area", "compare each scheme's best machines"),
    "diff": Command("hwsim.diff.__main__", "what changed between two machines, runs or sweeps"),
    "timeline": Command("hwsim.timeline.__main__", "one layer, cycle by cycle, for Perfetto"),
    "trace": Command("hwsim.trace.__main__", "inspect, verify, measure and draw mask traces"),
    "network": Command("hwsim.run.network", "show, check and derive layer lists"),
    "import": Command("hwsim.network.scalesim", "a SCALE-Sim topology as a network file"),
    "train": Command("hwsim.train.__main__", "train or fine-tune a gated network"),
    "record": Command("hwsim.train.record.__main__", "record masks from a trained network"),
    "evaluate": Command("hwsim.train.evaluate.__main__", "accuracy, density, int8 of a network"),
    "completion": Command("hwsim.completion", "completion of these commands for a shell"),
}
"""In the order of the map: machines first, then masks, then networks and their training."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the subcommand; 2, with one line, where there is none of that name."""
    asked = list(sys.argv[1:] if arguments is None else arguments)
    if not asked or asked[0] in ("-h", "--help"):
        return status_of("hwsim", lambda: print(map_of_commands()))
    if asked[0] == "--version":
        return status_of("hwsim", lambda: print(f"hwsim {metadata.version('hwsim')}"))
    statuses: list[int] = []
    # An extra may be missing where the subcommand's module is imported.
    program = f"hwsim {asked[0]}" if asked[0] in COMMANDS else "hwsim"
    failed = status_of(program, lambda: statuses.append(_call(asked[0], asked[1:])))
    return failed or statuses[0]


def _call(name: str, arguments: Sequence[str]) -> int:
    if name not in COMMANDS:
        what = "option" if name.startswith("-") else "command"
        raise UserError(
            f"unknown {what} {name!r}{nearest(name, [*COMMANDS, '--help', '--version'])}"
        )
    status: int = import_module(COMMANDS[name].module).main(arguments)
    return status


def map_of_commands() -> str:
    """What ``hwsim --help`` prints."""
    lines = [
        f"  {name:{max(map(len, COMMANDS))}}  {command.what}" for name, command in COMMANDS.items()
    ]
    return "\n".join(
        [
            "usage: hwsim COMMAND [OPTIONS]",
            "",
            "How much of a gated network's saving survives on a sparse accelerator.",
            "",
            *lines,
            "",
            "hwsim run            the shipped masks on the shipped machine pe16x16",
            "hwsim COMMAND --help options of a command",
            "hwsim --version",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
