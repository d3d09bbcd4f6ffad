"""The site builds without a warning; its pages name every command, option, counter and key."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from hwsim.__main__ import COMMANDS
from hwsim.arch.config import ArchConfig
from hwsim.counters import CAUSES, COUNTERS
from hwsim.energy.prices import COMPONENTS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if DOCS / "results" not in path.parents)

SCAFFOLD = re.compile(r"<!--|-->|@@|\bTODO\b|end of (accuracy|hardware|shapes|missing)\b")
"""Marks of the generators of pages; the marks themselves are comments, which no reader sees."""

MISSING = next((name for name in ("mkdocs", "material", "mkdocstrings") if not find_spec(name)), "")


class Text(HTMLParser):
    """What a reader sees of a page: no tags, comments, scripts, styles or code."""

    HIDDEN = ("script", "style", "pre", "code")

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.hidden += tag in self.HIDDEN

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in self.HIDDEN

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.seen.append(data)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if MISSING:
        pytest.skip(f"{MISSING} is not installed: pip install 'hwsim[docs]'")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_built(site: Path) -> None:
    for page in PAGES:
        at = page.relative_to(DOCS).with_suffix("")
        folder = at.parent if at.name == "index" else at
        assert (site / folder / "index.html").is_file(), page


def test_no_page_shows_its_generators_scaffold_or_markdown(site: Path) -> None:
    for page in site.rglob("*.html"):
        reader = Text()
        reader.feed(page.read_text(encoding="utf-8"))
        seen = "".join(reader.seen)
        for pattern in (SCAFFOLD, re.compile(r"\]\(|^\|.*\|.*\|$|\*\*\w", re.MULTILINE)):
            found = pattern.search(seen)
            assert not found, f"{page.relative_to(site)}: {found and found[0]!r}"


def test_the_site_asks_nothing_of_the_network(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r'<(?:script|link|img)[^>]*?(?:src|href)="(https?:[^"]*)"', page.read_text()
        )
        assert loaded == [], page.relative_to(site)


def test_every_option_of_every_command_is_on_its_page() -> None:
    text = (DOCS / "reference" / "commands.md").read_text()
    parts = dict(
        re.findall(r"^## hwsim ([\w-]+)\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    )
    assert list(parts) == list(COMMANDS)
    for name, command in COMMANDS.items():
        if command.module.startswith("hwsim.train"):
            pytest.importorskip("torch")
        options = set(_options(import_module(command.module).build_parser()))
        for option in options - {"-h", "--help"}:
            assert re.search(rf"{option}\b", parts[name]), f"hwsim {name} {option}"


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _options(inner)


def test_every_counter_cause_component_and_key_has_its_line() -> None:
    counters, energy, machine = (
        (DOCS / "model" / f"{name}.md").read_text() for name in ("counters", "energy", "machine")
    )
    for name in COUNTERS:
        assert f"`{name}`" in counters or name.endswith(("_writes", "_bytes")), name
    for name in CAUSES:
        assert f"`{name}`" in counters, name
    for name in COMPONENTS:
        assert f"`{name}`" in energy, name
    for key, part in ArchConfig.model_fields.items():
        if key not in ("name", "pricing"):
            inner = getattr(part.annotation, "model_fields", {})
            for name in inner or ("",):
                full = f"`{key}.{name}`" if name else f"`{key}`"
                assert full in machine or f"`{key}.*`" in machine, full


def test_readings_are_numbered_as_code_cites_them() -> None:
    text = (DOCS / "model" / "readings.md").read_text()
    numbers = re.findall(r'^(\d+)\. <a id="r(\d+)"></a>', text, re.MULTILINE)
    assert numbers == [(str(n), str(n)) for n in range(1, len(numbers) + 1)]
    for source in [*(ROOT / "hwsim").rglob("*.py"), *(ROOT / "tests" / "oracle").glob("*.py")]:
        for cited in re.findall(r"\breading (\d+)", source.read_text()):
            assert 0 < int(cited) <= len(numbers), source


CITED = re.compile(r"\bdocs/[\w/]+\.(?:md|csv)\b")
TEXT = (".py", ".md", ".yaml", ".yml", ".v", ".ipynb", ".toml", ".cff")


def test_every_page_that_code_or_text_cites_is_there() -> None:
    folders = ("hwsim", "tests", "tools", "studies", "benchmarks", "rtl", "notebooks", "docs")
    files = [path for name in folders for path in (ROOT / name).rglob("*")]
    files += [ROOT / name for name in ("Makefile", "README.md", "CONTRIBUTING.md", "mkdocs.yml")]
    files += [ROOT / "traces" / "README.md", *(ROOT / "arch_configs").glob("*.yaml")]
    for file in files:
        if ".cache" in file.parts:  # SCALE-Sim's environment, once `make bench` has installed it.
            continue
        if file.suffix in TEXT or file.name == "Makefile":
            for cited in CITED.findall(file.read_text(encoding="utf-8")):
                assert (ROOT / cited).is_file(), f"{file.relative_to(ROOT)}: {cited}"


@pytest.mark.parametrize(
    "file", ["README.md", "CONTRIBUTING.md", "traces/README.md", *(f"notebooks/{n}.ipynb" for n in (
        "01_quickstart", "02_energy_vs_sparsity", "03_design_space", "04_from_pytorch"))],
)  # fmt: skip
def test_relative_links_outside_the_site_lead_somewhere(file: str) -> None:
    path = ROOT / file
    for target in LINK.findall(path.read_text(encoding="utf-8")):
        to, _, anchor = target.partition("#")
        assert (path.parent / to).is_file(), target
        if anchor:
            assert anchor in _anchors((path.parent / to).read_text()), target


LINK = re.compile(r"\]\(([\w./-]+\.(?:md|ipynb|png|svg|yaml|csv)(?:#[\w-]+)?)\)")


def _anchors(markdown: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h).strip().lower().replace(" ", "-") for h in headings}
