"""Errors that a user can mend: one line that names what is wrong and the nearest valid choice."""

from __future__ import annotations

import difflib
import reprlib
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


def shown(value: object) -> str:
    """What was found, in quotes where it is text: a line of at most MOST_SHOWN characters.

    Control characters are escaped; a few references may stand for millions of values.
    """
    try:
        text = _SHORT.repr(value)
    except ValueError:  # Python writes no integers of so many digits.
        return "a number of thousands of digits"
    return cut(text, MOST_SHOWN)


def cut(text: str, most: int) -> str:
    """The text, or so many characters of it that end in dots."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


MOST_SHOWN = 80

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = MOST_SHOWN - 10
