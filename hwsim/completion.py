"""``hwsim completion SHELL``: a script that completes commands and options, made by shtab."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from hwsim.cli import OneLineParser, run_command

SHELLS = ("bash", "zsh", "tcsh")


def build_parser() -> OneLineParser:
    parser = OneLineParser(
        prog="hwsim completion",
        description="print a completion script: hwsim completion bash > FILE; source FILE",
    )
    parser.add_argument("shell", choices=SHELLS)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), lambda options: print(script(options.shell)), arguments)


def script(shell: str) -> str:
    """The script. Raises ModuleNotFoundError without shtab; commands of missing extras are left
    without their options."""
    import shtab

    from hwsim.__main__ import COMMANDS

    whole = OneLineParser(prog="hwsim", description="see hwsim --help")
    commands = whole.add_subparsers()
    for name, command in COMMANDS.items():
        try:
            parser = import_module(command.module).build_parser()
        except ModuleNotFoundError:
            commands.add_parser(name, help=command.what)
            continue
        commands.add_parser(name, help=command.what, parents=[parser], add_help=False)
    return str(shtab.complete(whole, shell=shell))
