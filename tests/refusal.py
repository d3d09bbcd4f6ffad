"""How a command refuses what it is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest


def refusal(
    capsys: pytest.CaptureFixture[str], main: Callable[[list[str]], int], arguments: Sequence[str]
) -> str:
    """The one line on stderr with which a command ends; status 2, and nothing on stdout.

    The status is what main returns, or that of the SystemExit by which a parser leaves. What was
    printed before does not count.
    """
    capsys.readouterr()
    try:
        status: object = main([*arguments])
    except SystemExit as left:
        status = left.code
    told = capsys.readouterr()
    assert (status, told.out, told.err.count("\n")) == (2, "", 1), told
    return told.err
