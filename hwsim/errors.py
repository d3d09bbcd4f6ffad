"""Errors that a user can mend: one line that names what is wrong and the nearest valid choice."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST_NAMED = 24
"""Choices that a message lists at the most."""


class UserError(ValueError):
    """Bad input. The message is one line; command lines print it and exit with status 2."""


def nearest(word: str, choices: Iterable[str]) -> str:
    """``; nearest valid: 'x'`` for the end of a message, or the choices where none is near.

    Of many choices (modules of a large model) the first are named.
    """
    choices = [choice for choice in choices if choice]
    near = difflib.get_close_matches(word, choices, n=1, cutoff=0.4)
    if near:
        return f"; nearest valid: {near[0]!r}"
    listed = ", ".join(choices[:MOST_NAMED]) or "none"
    more = f", ... ({len(choices)} in all)" if len(choices) > MOST_NAMED else ""
    return f"; valid: {listed}{more}"


def one_line(text: object) -> str:
    """The text with every run of white space made one space."""
    return " ".join(str(text).split())
