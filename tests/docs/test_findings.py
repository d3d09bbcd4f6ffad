"""Every figure of docs/evidence/findings.md is printed by its command, so that none goes stale.

``python tests/docs/test_findings.py`` runs all commands, or those named, and writes what they print
into the page; the sentences above them are for a person to read again.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from hwsim.model.kernel.jit import DISABLED

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "findings.md"
BLOCK = re.compile(
    r"^### (?P<name>\w+)\n\n[^\n]*\n\n```(?P<kind>sh|python)\n(?P<code>.*?)```\n"
    r"(?:\n```text\n(?P<printed>.*?)```\n)?",
    re.DOTALL | re.MULTILINE,
)
SLOW = ("F1", "F2", "F3", "F4", "F15", "F18", "F21")
"""Hundreds of points, or masks drawn by the million: ten seconds and more."""


class Block(NamedTuple):
    """A command or a script of the page, and what stands below it as printed."""

    name: str
    kind: str
    code: str
    printed: str | None


def blocks() -> list[Block]:
    return [Block(**found.groupdict()) for found in BLOCK.finditer(PAGE.read_text())]


def printed_by(block: Block) -> str:
    """What the block prints, without the line that counts points and those that name the folder."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        if block.kind == "python":
            exec(compile(block.code, f"docs/evidence/findings.md, {block.name}", "exec"), {})
        else:
            _command(block.code)
    lines = [line.rstrip() for line in out.getvalue().strip("\n").splitlines()]
    return "\n".join(line for line in lines if "findings" not in line).strip("\n") + "\n"


def _command(code: str) -> None:
    from hwsim.sweep import __main__ as sweep
    from hwsim.sweep import equal_area

    words = shlex.split(code)
    main = {"equal-area": equal_area.main, "sweep": sweep.main}[words[1]]
    assert (words[0], main([*words[2:], "--workers", "1"])) == ("hwsim", 0)


def parameters() -> Iterator[object]:
    for block in blocks():
        marks = [pytest.mark.slow] if block.name in SLOW else []
        yield pytest.param(block, id=block.name, marks=marks)


@pytest.mark.skipif(DISABLED, reason="thousands of images: hours without compiled kernels")
@pytest.mark.parametrize("block", list(parameters()))
def test_the_page_shows_what_its_commands_print(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = printed_by(block)
    assert block.printed is None or found == block.printed


def test_every_sentence_names_a_command_that_stands_below() -> None:
    text = PAGE.read_text()
    sentences = text[: text.index("## Commands")]
    named = set(re.findall(r"\bF\d+\b", sentences))
    assert named == {block.name for block in blocks()}
    for item in re.findall(r"^- (.*?)(?=^- |^$|\Z)", sentences, re.DOTALL | re.MULTILINE):
        assert re.search(r"\(#f\d+", item), item


def _write() -> None:
    text = PAGE.read_text()
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        wanted = set(sys.argv[1:])
        for block in blocks():
            if wanted and block.name not in wanted:
                continue
            found = printed_by(block)
            print(f"{block.name}\n{found}", flush=True)
            if block.printed is not None:
                text = text.replace(
                    f"{block.code}```\n\n```text\n{block.printed}```",
                    f"{block.code}```\n\n```text\n{found}```",
                )
        os.chdir(here)
    PAGE.write_text(text)


if __name__ == "__main__":
    _write()
