"""What the campaign kept of its runs, as data frames."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from .claims import kind_of
from .replay import HARDWARE
from .runs import KEPT, PATHS, Run, runs_of

METHOD_SCHEMES = {
    "dense": ("dense",),
    "cdg": ("unstructured", "lockstep"),
    "scdg": ("structured", "unstructured"),
    "cgnet": ("unstructured", "lockstep"),
    "broadcast": ("unstructured", "lockstep"),
    "fbs": ("channels",),
    "dgc": ("channels",),
}
"""How each method's masks are replayed in the tables; lane groups as wide as the machine's."""

ACCURACIES = ("knn_percent", "linear_percent")

OF_MASKS = ("ideal_speedup_network", "share_realised", "index_bits_per_image")
"""What says nothing of a dense machine."""


@cache
def kept_runs(group: str) -> list[Run]:
    """The group's runs of which figures were kept."""
    return [r for r in runs_of() if r.group == group and (KEPT / r.name / "figures.json").exists()]


def runs_with_paths() -> list[Run]:
    """The runs of which it was measured what base and conditional paths carry."""
    return [run for run in runs_of() if (KEPT / run.name / PATHS / "paths.csv").exists()]


def path_figures_of(run: Run) -> pd.DataFrame:
    return pd.read_csv(KEPT / run.name / PATHS / "paths.csv")


def path_maps_of(name: str) -> dict[str, Any]:
    """Maps of the run of that name, as :func:`studies.paths.figure.path_maps` takes them."""
    with np.load(KEPT / name / PATHS / "paths.npz") as maps:
        return dict(maps)


@cache
def figures_of(run: Run) -> dict[str, Any]:
    return dict(json.loads((KEPT / run.name / "figures.json").read_text()))


def learning(group: str) -> pd.DataFrame:
    """log.csv of every run: method, seed, epochs (passes over the images), loss, knn_percent.

    Epochs of the weights that a run started from count: its curve begins where theirs ended.
    """
    parts = []
    for run in kept_runs(group):
        log = pd.read_csv(KEPT / run.name / "log.csv")
        figures = figures_of(run)
        before = figures["epochs_total"] - figures["epochs"]
        epochs = before + log["step"] * figures["epochs"] / figures["steps"]
        parts.append(log.assign(method=run.method, seed=run.seed, epochs=epochs))
    return pd.concat(parts, ignore_index=True)


@cache
def hardware() -> pd.DataFrame:
    """hardware.csv, each network's accuracies beside its rows."""
    rows = pd.read_csv(HARDWARE)
    runs = {run.name: run for run in runs_of()}
    accuracies = {key: [figures_of(runs[name])[key] for name in rows["run"]] for key in ACCURACIES}
    return rows.assign(**accuracies)


def points(group: str) -> pd.DataFrame:
    """Rows of the methods' own schemes, each layer in its best shape, at the larger batch."""
    rows = hardware()
    rows = rows[(rows["group"] == group) & (rows["array"] == "best shape")]
    rows = rows[rows["batch"] == rows["batch"].max()]
    dense = dense_rows(rows[rows["scheme"] == "dense"], group).assign(method="dense")
    kinds = rows["scheme"].map(kind_of)
    own = pd.Series([k in METHOD_SCHEMES[m] for k, m in zip(kinds, rows["method"], strict=True)])
    found = pd.concat([dense, rows[own.to_numpy()].sort_values(["method", "scheme", "seed"])])
    # Structured masks take equal cycles on V = 1, and their points would hide each other.
    found = found.drop_duplicates(["method", "seed", "cycles_per_image", "knn_percent"])
    return found.dropna(subset=[*ACCURACIES])


def dense_rows(found: pd.DataFrame, group: str) -> pd.DataFrame:
    """The dense machine's row, once, with the accuracy of the dense networks."""
    assert found["cycles_per_image"].nunique() == 1
    runs = [figures_of(run) for run in kept_runs(group) if run.method == "dense"]
    once = found.head(1).drop(columns=[*ACCURACIES])
    nothing = [dict.fromkeys(ACCURACIES, float("nan"))]
    rows = once.merge(pd.DataFrame(runs or nothing)[[*ACCURACIES]], how="cross")
    return rows.assign(**dict.fromkeys(OF_MASKS, float("nan")))
