"""The README cannot go stale silently: its commands run, its links lead somewhere, its numbers are
those of a run or of the page it names."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import re
import shlex
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from small_traces import write_small_trace

from hwsim.__main__ import COMMANDS
from hwsim.__main__ import main as call
from hwsim.model.kernel.jit import DISABLED
from hwsim.network import Network, save_network
from hwsim.run.__main__ import main as run
from tools.readme_figure import BATCH, FIGURE, drawn

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
GUIDE = ROOT / "docs" / "guide"
PAGES = (README, GUIDE / "examples.md", GUIDE / "python.md")

SMALL = {
    "run": ["--images", "1"],
    "sweep": ["--images", "1", "--workers", "1"],
    "timeline": [],
    "train": [
        "--steps", "1", "--stages", "1", "--width", "32", "--images", "1", "--device", "cpu",
        "--train-images", "32", "--knn-bank", "32", "--knn-queries", "8",
    ],
}  # fmt: skip
"""By command, what is appended to those of the README so that they take a second."""

uncompiled = pytest.mark.skipif(DISABLED, reason="real layers: minutes without compiled kernels")


def commands(page: Path) -> list[list[str]]:
    """The words of every command in the page's sh blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def by_words(page: Path) -> list[Any]:
    return [pytest.param(words, id=" ".join(words)) for words in commands(page)]


def check_target(words: list[str]) -> None:
    """``make TARGET NAME=VALUE``: the Makefile has the target and reads the names."""
    makefile = (ROOT / "Makefile").read_text()
    target, *assigned = words[1:]
    assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"
    for name in (each.partition("=")[0] for each in assigned):
        assert f"$({name})" in makefile, name


@pytest.fixture
def folder(tmp_path: Path, small_network: Network, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reader's folder: a trace, a network and a machine of his own."""
    write_small_trace(tmp_path / "mine.h5", small_network, "cdg", 1)
    save_network(small_network, tmp_path / "net.yaml")
    shutil.copy(ROOT / "arch_configs" / "pe16x16.yaml", tmp_path / "mine.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@uncompiled
@pytest.mark.parametrize("words", by_words(README))
def test_every_command_of_the_readme_runs(words: list[str], folder: Path) -> None:
    if words[0] == "make":
        check_target(words)
    elif words == [".", ".venv/bin/activate"]:
        assert "VENV   := .venv\n" in (ROOT / "Makefile").read_text()
    else:
        assert words[0] == "hwsim", f"nothing here checks {words}"
        if words[1] == "train":
            pytest.importorskip("torch")
        assert call([*words[1:], *SMALL[words[1]]]) == 0


@uncompiled
def test_the_literal_command_runs(folder: Path) -> None:
    (literal,) = re.findall(r"`python -m hwsim\.run (.*?)`", README.read_text())
    assert run([*shlex.split(literal), "--images", "1"]) == 0


@pytest.mark.parametrize("words", by_words(GUIDE / "examples.md"))
def test_every_command_of_the_guide_is_one(words: list[str]) -> None:
    """Its options are the command's. None is run: some take half a day."""
    if words[0] == "make":
        check_target(words)
        return
    if words[0] == "hwsim":
        module, options = COMMANDS[words[1]].module, words[2:]
    else:
        assert words[:2] == ["python", "-m"], f"nothing here checks {words}"
        module, options = words[2], words[3:]
    if ".train" in module or module.startswith("studies"):
        pytest.importorskip("torch")
    parts = importlib.import_module(module)
    if hasattr(parts, "__path__"):
        parts = importlib.import_module(f"{module}.__main__")
    if hasattr(parts, "build_parser"):
        parts.build_parser().parse_args(options)
    elif hasattr(parts, "parse"):
        parts.parse(options)
    else:
        assert module in ("studies.poster_table", "tools.readme_figure"), "no parser to ask"


class Shipped(NamedTuple):
    """``hwsim run`` on the shipped traces: what it prints, and its summary."""

    printed: str
    rows: list[dict[str, Any]]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    summary = tmp_path_factory.mktemp("readme") / "summary.json"
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert run(["--json", str(summary)]) == 0
    rows = json.loads(summary.read_text())["schemes"]
    return Shipped(out.getvalue(), [row for row in rows if row["batch"] == BATCH])


@uncompiled
def test_the_readme_shows_what_the_command_prints(shipped: Shipped) -> None:
    (excerpt,) = re.findall(r"^```text\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    printed = iter(line.rstrip() for line in shipped.printed.splitlines())
    for line in excerpt.splitlines():
        assert line in printed, line  # and after the lines before it


@uncompiled
def test_the_figure_is_that_of_the_run(shipped: Shipped) -> None:
    assert FIGURE.read_text() == drawn(shipped.rows), "python -m tools.readme_figure"


@uncompiled
def test_index_bits_save_what_the_readme_says(shipped: Shipped) -> None:
    scdg = {row["scheme"]: row for row in shipped.rows if row["method"] == "scdg"}
    alone, together = (scdg[scheme] for scheme in ("unstructured", "structured-8x"))
    assert alone["index_bits_per_image"] == 8 * together["index_bits_per_image"]
    bits = alone["energy_uj"]["index"] - together["energy_uj"]["index"]
    total = alone["energy_uj_per_image"] - together["energy_uj_per_image"]
    assert f"index bits save {bits:.2f} uJ of these {total:.0f}." in flat(README)
    assert len({row["dram_bytes_per_image"] for row in shipped.rows}) == 1


def test_the_diagram_has_the_five_words_that_the_readme_defines() -> None:
    diagram = ET.parse(ROOT / "docs" / "images" / "block_diagram.svg").getroot()
    drawn_words = {text.text for text in diagram.iter("{http://www.w3.org/2000/svg}text")}
    defined = re.findall(r"^\d\. \*\*(.*?)\*\*:", README.read_text(), re.MULTILINE)
    assert len(defined) == 5
    assert {word.lower() for word in defined} <= drawn_words


def flat(page: Path) -> str:
    return " ".join(page.read_text().split())


def evidence(page: str) -> str:
    return (ROOT / "docs" / "evidence" / f"{page}.md").read_text()


def numbers_of(heading: str) -> set[str]:
    """The numbers of a section of the README, links left out."""
    text = README.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    return numbers(re.sub(r"\]\(.*?\)", "]", text))


def numbers(text: str) -> set[str]:
    return set(re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?", text))


def test_numbers_of_findings_are_on_their_page() -> None:
    """In its sentences, or in the first table below them."""
    said = numbers(evidence("findings").split("\n### F2\n")[0])
    assert numbers_of("Three findings") - said == {"0.25"}  # which a run gives, above


def test_numbers_of_checks_are_on_their_pages() -> None:
    pages = evidence("verification") + evidence("mutations")
    assert numbers_of("How it is checked") <= numbers(pages)


def headings(page: Path) -> set[str]:
    """Their anchors, as they are made of headings."""
    found = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", name.lower()).replace(" ", "-") for name in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve()
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


@uncompiled
def test_the_examples_from_python_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for code in re.findall(r"```python\n(.*?)```", (GUIDE / "python.md").read_text(), re.DOTALL):
        exec(compile(code, "docs/guide/python.md", "exec"), {})
