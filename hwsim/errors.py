"""Errors that a user can mend: one line that names what is wrong and the nearest valid choice."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Iterable
from typing import Any, NoReturn


class UserError(ValueError):
    """Bad input. The message is one line; command lines print it and exit with status 2."""


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose complaints are one line, with the nearest option named."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})

    def error(self, message: str) -> NoReturn:
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown != message:
            options = [option for action in self._actions for option in action.option_strings]
            message += nearest(unknown.split()[0], options)
        print(f"{self.prog}: {one_line(message)}", file=sys.stderr)
        sys.exit(2)


def positive(text: str) -> int:
    """Type of an option that counts something."""
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a positive integer, found {text!r}")
    return value


def nearest(word: str, choices: Iterable[str]) -> str:
    """``; nearest valid: 'x'`` for the end of a message, or all choices where none is near."""
    choices = list(choices)
    near = difflib.get_close_matches(word, choices, n=1, cutoff=0.4)
    if near:
        return f"; nearest valid: {near[0]!r}"
    return f"; valid: {', '.join(choices) or 'none'}"


def one_line(text: object) -> str:
    """The text with every run of white space made one space."""
    return " ".join(str(text).split())
