"""What the machine makes of the runs' own traces, and what their masks are like.

`hardware.csv` has a row per run, scheme, batch and array; `masks.csv` one per run and gated layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

import hwsim
from hwsim.files import write_whole
from hwsim.trace.statistics import mask_statistics

from .runs import GROUPS, Run, only_file

_KEPT = Path(__file__).parents[2] / "docs" / "results"
HARDWARE, MASKS = (_KEPT / name for name in ("hardware.csv", "masks.csv"))
ARCH = "pe16x16-baseline"

ARRAYS = {"16x16": {}, "best shape": {"array.reshape": [[64, 4], [32, 8], [8, 32], [4, 64]]}}
"""The array as it is, and every layer on the fastest of five shapes: a narrow network's gating
groups are narrower than 16 columns, dense 1x1 layers wider."""


def replay_runs(runs: Sequence[Run], out: Path) -> None:
    """Rows of these runs into hardware.csv and masks.csv, in place of what they had there."""
    hardware, masks = [], []
    for run in runs:
        trace = hwsim.MaskTrace.open(only_file(out / run.name, "*.h5"))
        hardware.append(hardware_rows(run, trace))
        if run.method != "dense" and not trace.header.of_channels:
            masks.append(mask_rows(run, trace))
    for path, parts in ((HARDWARE, hardware), (MASKS, masks)):
        if parts:
            merge(path, pd.concat(parts))


def hardware_rows(run: Run, trace: hwsim.MaskTrace) -> pd.DataFrame:
    """Every scheme that fits, both batches and arrays; of a dense network zero gating alone."""
    schemes = ["dense-zero-gated"] if run.method == "dense" else None
    parts = []
    for array, shapes in ARRAYS.items():
        arch = hwsim.load_arch(ARCH, {**GROUPS[run.group].machine, **shapes})
        rows = hwsim.compare(arch, [trace], schemes).to_frame()
        rows = rows.assign(run=run.name, group=run.group, seed=run.seed, array=array)
        parts.append(rows.assign(trace_sha256=trace.sha256))
    return pd.concat(parts)


def mask_rows(run: Run, trace: hwsim.MaskTrace) -> pd.DataFrame:
    """Of element masks, in lane groups as wide as the machine's."""
    lanes = GROUPS[run.group].machine.get("index.lane_group", 8)
    rows = mask_statistics(trace, lanes)
    return rows.assign(run=run.name, group=run.group, seed=run.seed, lanes=lanes)


def merge(path: Path, found: pd.DataFrame) -> None:
    """Writes ``found`` into the file; a run in it replaces its earlier rows, other runs stay."""
    if path.exists():
        before = pd.read_csv(path)
        found = pd.concat([before[~before["run"].isin(found["run"])], found])
    found = found.sort_values("run", kind="stable")
    write_whole(path, found.to_csv(index=False, lineterminator="\n"))
