"""How commands end: output that is lost, errors of every kind, and what they say."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

import pytest

from hwsim.__main__ import main
from hwsim.cli import status_of
from hwsim.errors import UserError


@contextmanager
def on_a_full_disk() -> Iterator[None]:
    """Standard output."""
    with open("/dev/full", "w") as stream, redirect_stdout(stream):
        yield


def test_a_full_disk_behind_the_output_is_told_once_the_work_is_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    done = []

    def work() -> None:
        print("x" * 100_000)
        print("y", flush=True)
        done.append("written")

    with on_a_full_disk():
        assert status_of("hwsim run", work) == 2
    assert done == ["written"]
    assert capsys.readouterr().err == "hwsim run: standard output: No space left on device\n"


@pytest.mark.parametrize("arguments", [["--help"], ["energy", "--help"], ["energy"]])
def test_every_command_tells_that_its_output_is_lost(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with on_a_full_disk():
        assert main(arguments) == 2
    told = capsys.readouterr().err
    assert told.endswith("standard output: No space left on device\n")
    assert told.count("\n") == 1


def test_a_reader_that_goes_away_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = []

    def work() -> None:
        print("x" * 100_000)
        done.append("written")

    with open(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert status_of("hwsim run", work) == 0
    assert done == ["written"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "full"])
def test_a_refusal_that_nobody_can_be_told_is_one_all_the_same(
    closed: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And is not told on standard output instead."""

    def work() -> None:
        raise UserError("wrong")

    with open("/dev/full", "w") as stream:
        monkeypatch.setattr(sys, "stderr", None if closed else stream)
        assert status_of("hwsim run", work) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (UserError("a\nb \x1b[31m"), r"a b \x1b[31m"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (OSError(errno.EACCES, "Denied", "a\x1b\udcff"), r"a\x1b\udcff: Denied"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe", "pipe"), "pipe: Broken pipe"),
        (RecursionError("maximum"), "the input has too many parts inside each other"),
        (MemoryError(), "too little memory ()"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_an_error_is_one_line_that_names_no_other_file(
    error: Exception, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> None:
        raise error

    assert status_of("hwsim run", work) == 2
    assert capsys.readouterr().err == f"hwsim run: {told}\n"


def test_what_was_interrupted_says_no_more_than_that(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise KeyboardInterrupt

    assert status_of("hwsim run", work) == 130
    assert capsys.readouterr().err == "hwsim run: interrupted\n"


def test_streams_are_the_callers_again(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    status_of("hwsim run", lambda: print("told"))
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr().out == "told\n"
