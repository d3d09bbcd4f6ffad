"""Inputs that failed, kept so that each runs again alone."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from tools.fuzz.case import INPUTS, Case
from tools.fuzz.trial import Bench, Trial, copy_tree
from tools.fuzz.verdict import Verdict

CASE, RIGHT = "case.json", "right"


def save(bench: Bench, trial: Trial, kept: Path) -> Path:
    """Draw the input of a trial once more, into a folder of its own below ``kept``."""
    folder = kept / trial.seed.replace("/", "-")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    case = bench.draw(trial.seed, folder)
    if case.reference:
        right = folder / RIGHT
        shutil.rmtree(right, ignore_errors=True)
        copy_tree(case.reference / INPUTS, right / INPUTS)
    told = {"kind": trial.kind, "seed": trial.seed, **case.as_json(), "failure": trial.verdict.what}
    told |= {"where": trial.verdict.where, "detail": trial.verdict.detail}
    (folder / CASE).write_text(json.dumps(told, indent=2) + "\n")
    return folder


def kind_of(folder: Path) -> str:
    """The kind of a saved input."""
    return str(json.loads((folder / CASE).read_text())["kind"])


def again(bench: Bench, folder: Path) -> Verdict:
    """What becomes of a saved input now; the folder stays as it is."""
    right = folder / RIGHT if (folder / RIGHT).is_dir() else None
    case = Case.read(folder / CASE, right)
    with tempfile.TemporaryDirectory(dir=bench.scratch) as place:
        copy_tree(folder / INPUTS, Path(place) / INPUTS)
        return bench.try_case(case, Path(place))[0]
