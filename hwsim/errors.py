"""Errors that a user can mend: one line that names what is wrong and the nearest valid choice."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST_NAMED = 24
"""Choices that a message lists at the most."""


MOST_SHOWN = 200
"""Characters of a name or a value that are shown."""

LONGEST_LINE = 2_000
"""Characters of a message, whatever it names."""


class UserError(ValueError):
    """Bad input. The message is one line; command lines print it and exit with status 2."""


def escaped(text: object, most: int = MOST_SHOWN) -> str:
    """The text as it may stand in a line, on a terminal or in a cell: at most ``most`` characters.

    What cannot be printed (control characters, ANSI escapes, marks that turn the direction of
    writing, bytes that are no UTF-8) is escaped as Python does, and the middle of what is too long
    left out. A text without any of that stays as it is.
    """
    found = _shortened(str(text), most)
    if found.isprintable():
        return found
    return _shortened("".join(map(_printable, found)), most)


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def _shortened(text: str, most: int) -> str:
    """Its beginning and its end: names often differ in the one, messages say why in the other."""
    if len(text) <= most:
        return text
    end = most // 3
    return f"{text[: most - end - 3]}...{text[-end:]}"


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
    """The text with every run of white space made one space, as :func:`escaped` leaves it."""
    return escaped(" ".join(str(text).split()), LONGEST_LINE)
