"""The tile of docs/model/worked_example.md: the page's code, command and picture are the program's.

``python tests/docs/test_worked_example.py`` draws the picture anew.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from hwsim.__main__ import main

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "model" / "worked_example.md"
PICTURE = ROOT / "docs" / "images" / "worked_tile.svg"


def block(kind: str) -> str:
    (found,) = re.findall(rf"```{kind}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return found


def run_code() -> None:
    """The page's files and code, in this folder."""
    Path("tile.yaml").write_text(block("yaml"))
    exec(compile(block("python"), str(PAGE), "exec"), {})


def draw() -> str:
    """The picture that the page's command leaves in this folder."""
    program, *arguments = shlex.split(block("sh"))
    assert program == "hwsim"
    assert main(arguments) == 0
    return Path(PICTURE.name).read_text()


def shown(svg: str) -> tuple[list[tuple[str, ...]], list[list[float]]]:
    """Words and where they are, and where paths go, to a tenth of a point: matplotlib's versions
    differ in how they write it."""
    words = re.findall(r'<text[^>]* x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)<', svg)
    paths = re.findall(r' d="([^"]*)"', svg.partition("<pattern")[0])
    return (
        [(f"{float(x):.1f}", f"{float(y):.1f}", word) for x, y, word in words],
        [[round(float(at), 1) for at in re.findall(r"-?[\d.]+", path)] for path in paths],
    )


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_tile_worked_out_by_hand_is_the_models(capsys: pytest.CaptureFixture[str]) -> None:
    run_code()
    assert capsys.readouterr().out == block("text")
    by_hand = dict(re.findall(r"^\| `(\w+)` \| .*?= (\d+) \|$", PAGE.read_text(), re.MULTILINE))
    assert by_hand == {"decode_stall": "4", "conditional": "8", "bank_stall": "2", "drain": "4"}


def test_the_picture_is_what_the_command_draws(capsys: pytest.CaptureFixture[str]) -> None:
    run_code()
    capsys.readouterr()
    assert shown(draw()) == shown(PICTURE.read_text())
    told = capsys.readouterr().out
    assert told.startswith("wrote worked_tile.svg: tile 0 of conv, unstructured on tile4x2, ")


if __name__ == "__main__":
    with TemporaryDirectory() as there:
        os.chdir(there)
        run_code()
        PICTURE.write_text(draw())
