"""The notebooks run, agree with their .py files, hold no logic, and name no machine."""

from __future__ import annotations

import ast
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"
NAMES = ("01_quickstart", "02_energy_vs_sparsity", "03_design_space", "04_from_pytorch")

CPU_SECONDS = 60
"""That a notebook may take of one core."""

MOST_BYTES = 2_000_000
"""Of all notebooks with their pictures: a clone pays for them."""

MACHINE = re.compile(r"(?<!\w)/(home|root|tmp|work|usr|Users|var|opt)/|[A-Z]:\\\\|0x[0-9a-f]{6}")
"""Paths and addresses, which are others on every machine."""

NOT_LOGIC = {
    # The reader's own network, and its own loop of training.
    "04_from_pytorch": ({"Gate", "GatedConvolution", "Net"}, 1)
}
"""By notebook: classes that it may define, and how many loops it may hold."""

by_notebook = pytest.mark.parametrize("name", NAMES)


def test_every_notebook_is_tested() -> None:
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(NAMES)


@by_notebook
def test_both_files_hold_the_same_cells(name: str) -> None:
    jupytext = pytest.importorskip("jupytext")
    source, shown = (jupytext.read(NOTEBOOKS / f"{name}.{kind}") for kind in ("py", "ipynb"))
    assert [(cell.cell_type, cell.source) for cell in shown.cells] == [
        (cell.cell_type, cell.source) for cell in source.cells
    ], "make notebooks brings them together"


@by_notebook
def test_every_cell_has_run_and_what_it_shows_is_kept(name: str) -> None:
    jupytext = pytest.importorskip("jupytext")
    cells = [c for c in jupytext.read(NOTEBOOKS / f"{name}.ipynb").cells if c.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    # Warnings and errors are streams or of their own kind.
    assert {output.output_type for output in outputs} <= {"execute_result", "display_data"}
    assert sum("image/png" in output.data for output in outputs) >= 2


@by_notebook
def test_no_logic(name: str) -> None:
    classes, loops = NOT_LOGIC.get(name, (set(), 0))
    tree = ast.parse((NOTEBOOKS / f"{name}.py").read_text())
    defined = {part.name for part in tree.body if isinstance(part, ast.ClassDef)}
    outside = [part for part in tree.body if not isinstance(part, ast.ClassDef)]
    statements = [part for top in outside for part in ast.walk(top)]
    functions = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    assert defined == classes
    assert not any(isinstance(part, functions | ast.If | ast.Try) for part in statements)
    assert sum(isinstance(part, ast.For | ast.While) for part in statements) == loops


def test_they_are_small_and_name_no_machine() -> None:
    texts = {path.name: path.read_text() for path in NOTEBOOKS.glob("*.ipynb")}
    assert sum(map(len, texts.values())) < MOST_BYTES
    for name, text in texts.items():
        readable = re.sub(r'"image/png": "[^"]*"', "", text)
        found = MACHINE.search(readable)
        assert not found, f"{name}: {found and found.group()}"


@pytest.mark.slow
@by_notebook
def test_it_runs_within_a_minute_and_writes_nothing_beside_itself(
    name: str, tmp_path: Path
) -> None:
    pytest.importorskip("nbmake")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "PYTHONDONTWRITEBYTECODE": "1",
        # Waiting threads would count as well.
        "OMP_NUM_THREADS": "1",
        "TMPDIR": str(tmp_path),
    }
    options = ["-p", "no:cacheprovider", "-q", "--nbmake", "--nbmake-timeout=600"]
    before = _state()
    begun = _children_seconds()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(NOTEBOOKS / f"{name}.ipynb")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert _children_seconds() - begun < CPU_SECONDS
    assert _state() == before


def _children_seconds() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _state() -> dict[Path, int]:
    """Every file of the folder, and when it was written."""
    return {path: path.stat().st_mtime_ns for path in NOTEBOOKS.rglob("*") if path.is_file()}
