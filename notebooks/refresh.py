"""Run the notebooks and keep their outputs: make notebooks.

The .py files are the source. Only cells, outputs and the kernel's name go into the .ipynb: no
times, and nothing of the machine.
"""

from __future__ import annotations

import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent


def refresh(source: Path) -> None:
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells, 1):
        # Drawn at random otherwise, anew each time.
        cell["id"] = f"cell-{number}"
    client = NotebookClient(
        notebook, kernel_name="python3", record_timing=False, resources={"metadata": {"path": HERE}}
    )
    client.execute()
    notebook.metadata.pop("language_info", None)
    nbformat.write(notebook, source.with_suffix(".ipynb"))


if __name__ == "__main__":
    names = sys.argv[1:] or sorted(path.name for path in HERE.glob("0*.py"))
    for name in names:
        print(name, flush=True)
        refresh(HERE / name)
