"""The key of a sweep's row: whatever its figures come from is hashed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from hwsim.sweep.row_key import PACKAGE, hashed

NOT_FIGURES = {
    "hwsim/cli.py": "how commands end, progress",
    "hwsim/output.py": "how what is printed is kept",
    "hwsim/process.py": "what signals and closed streams do to a command",
    "hwsim/text_table.py": "how rows are printed",
}
"""Reached by imports, but no figure comes from it."""


def reached(root: str) -> set[Path]:
    """The sources of a module of the package and of all that it imports, wherever it does."""
    found: set[Path] = set()
    waiting = [root]
    while waiting:
        path = source_of(waiting.pop())
        if path and path not in found:
            found.add(path)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hwsim"):
                    waiting += [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
                elif isinstance(node, ast.Import):
                    waiting += [name.name for name in node.names if name.name.startswith("hwsim")]
    return found


def source_of(module: str) -> Path | None:
    path = PACKAGE.parent / module.replace(".", "/")
    file = path.with_suffix(".py")
    return file if file.exists() else None


@pytest.mark.parametrize("root", ["hwsim.run.simulate", "hwsim.run.results", "hwsim.sweep.rows"])
def test_whatever_figures_come_from_is_hashed(root: str) -> None:
    missing = reached(root) - set(hashed())
    assert {path.relative_to(PACKAGE.parent).as_posix() for path in missing} <= set(NOT_FIGURES)


def test_both_models_and_all_prices_are_hashed() -> None:
    names = {path.relative_to(PACKAGE).as_posix() for path in hashed()}
    assert {
        "model/kernel/gated_layers.py",
        "model/reference/machine.py",
        "mapping/tiles.py",
        "energy/tables/sram_22nm.csv",
        "trace/format/reader.py",
    } <= names
    assert len(names) == len(list(hashed()))
