"""A command whose extra is missing says so in one line, and how to install it."""

from __future__ import annotations

import subprocess
import sys

import pytest

WITHOUT = """
import sys
sys.modules[{library!r}] = None  # importing it raises ModuleNotFoundError
from hwsim.__main__ import main
sys.exit(main({arguments!r}))
"""


@pytest.mark.parametrize(
    ("arguments", "library", "extra"),
    [
        (["train", "--method", "cdg", "--data", "tiny", "--out", "out"], "torch", "train"),
        (["train", "--help"], "torch", "train"),
        (["record", "--weights", "w.npz", "--data", "tiny", "--out", "out.h5"], "torch", "train"),
        (["evaluate", "--weights", "w.npz", "--data", "tiny"], "torch", "train"),
        (["network", "show", "model.onnx"], "onnx", "onnx"),
        (["network", "derive", "package.module:model", "--input", "1x3x8x8"], "torch", "train"),
        (["report", "--out", "report.html"], "plotly", "report"),
        (["report", "--out", "report.html"], "jinja2", "report"),
        (["search", "--vary", "array.rows=8,16", "--trials", "1", "--out", "out"], "optuna", "dse"),
    ],
)
def test_a_missing_extra_is_one_line(
    arguments: list[str], library: str, extra: str, tmp_path
) -> None:
    code = WITHOUT.format(library=library, arguments=arguments)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done
    assert done.stderr.startswith(f"hwsim {arguments[0]}: ")
    assert done.stderr.lower().endswith(
        f"needs {library}: pip install 'hwsim[{extra}]' (in a checkout: make setup)\n"
    )
