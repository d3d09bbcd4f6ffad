"""Run the notebooks and keep their outputs: make notebooks.

The .py files are the source. Only cells, outputs and the kernel's name go into the .ipynb: no
times, and nothing of the machine; pictures get a palette.
"""

from __future__ import annotations

import base64
import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # the studies are in no wheel

from studies.palette import with_palette  # noqa: E402

COLOURS = 256
"""Of a picture: maps of gates have many."""


def refresh(source: Path) -> None:
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells, 1):
        # Drawn at random otherwise, anew each time.
        cell["id"] = f"cell-{number}"
    client = NotebookClient(
        notebook, kernel_name="python3", record_timing=False, resources={"metadata": {"path": HERE}}
    )
    client.execute()
    for output in (each for cell in notebook.cells for each in cell.get("outputs", ())):
        if picture := output.get("data", {}).get("image/png"):
            small = with_palette(base64.b64decode(picture), COLOURS)
            output["data"]["image/png"] = base64.b64encode(small).decode()
    notebook.metadata.pop("language_info", None)
    nbformat.write(notebook, source.with_suffix(".ipynb"))


if __name__ == "__main__":
    names = sys.argv[1:] or sorted(path.name for path in HERE.glob("0*.py"))
    for name in names:
        print(name, flush=True)
        refresh(HERE / name)
