"""Errors that a user can mend: one line that names what is wrong and the nearest valid choice."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Bad input. The message is one line; command lines print it and exit with status 2."""


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
