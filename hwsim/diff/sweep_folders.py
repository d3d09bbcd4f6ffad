"""Two folders of sweeps: rows of the same masks, scheme and varied keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hwsim.counters import CAUSES
from hwsim.diff.results import Figure, Results, Run, family, finite
from hwsim.diff.run_folders import DERIVED
from hwsim.energy.area import AREA_COMPONENTS
from hwsim.energy.prices import COMPONENTS
from hwsim.errors import UserError, escaped
from hwsim.sweep.folder import ResultsFolder
from hwsim.sweep.rows import ARCH_KEYS

ENVIRONMENT = ("hwsim", "model_sha256")


POINT = ("arch", "batch", "images", "threshold_shift", "channel_order", "order_sha256", *ARCH_KEYS)
"""What may vary between rows, beside masks and scheme."""

NEEDED = ("key", "impossible", "trace", "trace_sha256", "scheme", "method", "batch", "arch")

Row = Mapping[str, Any]


def of_sweeps(a: Path, b: Path) -> tuple[Results, Results]:
    """Both sides. A key that varies on one of them tells rows apart; one that does not is compared.

    Raises UserError for a folder without rows, damaged parts, and two rows of one point.
    """
    sides = _read(a), _read(b)
    varied = [
        name
        for name in POINT
        if any(len({_text(row.get(name)) for row in rows}) > 1 for rows in sides)
    ]
    methods = [{row["trace_sha256"]: row["method"] for row in rows} for rows in sides]
    by_name = any(len(set(each.values())) < len(each) for each in methods)
    found = [
        _results(path, rows, varied, "trace" if by_name else "method")
        for path, rows in zip((a, b), sides, strict=True)
    ]
    return found[0], found[1]


def _read(path: Path) -> list[Row]:
    frame = ResultsFolder(path).read()
    if frame.empty:
        raise UserError(f"{path}: no rows")
    for name in NEEDED:
        if name not in frame:
            raise UserError(
                f"{path}: rows without a column {name!r}; expected those of hwsim sweep"
            )
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _results(path: Path, rows: Sequence[Row], varied: Sequence[str], masks: str) -> Results:
    constant = [name for name in POINT if name not in varied]
    runs: dict[tuple[str, ...], Run] = {}
    for row in rows:
        run = _run(row, varied, masks)
        key = run.keys[0]
        assert isinstance(key, tuple)
        if key in runs:
            told = ", ".join(run.labels.values())
            raise UserError(
                f"{path}: two rows of one point ({escaped(told)}), of two versions of hwsim; "
                "delete the parts of one"
            )
        runs[key] = run
    return Results(
        {("name" if name == "arch" else name): rows[0].get(name) for name in constant},
        list(runs.values()),
        {
            name: ", ".join(sorted({_text(row.get(name))[:12] for row in rows}))
            for name in ENVIRONMENT
        },
    )


def _run(row: Row, varied: Sequence[str], masks: str) -> Run:
    labels = {"masks": _text(row[masks]), "scheme": _text(row["scheme"])}
    labels |= {name: _text(row.get(name)) for name in varied}
    key = (
        _text(row["trace_sha256"]),
        family(_text(row["scheme"])),
        *(_text(row.get(name)) for name in varied),
    )
    if row["impossible"] is not None:
        return Run(labels, (key,), {}, no_figures=str(row["impossible"]))
    no_price = row.get("no_price")
    return Run(
        labels, (key,), _figures(row), no_figures=None if no_price is None else str(no_price)
    )


def _figures(row: Row) -> dict[str, dict[str, Figure]]:
    index = finite(row.get("index_bits_per_image"))
    return {
        "cycles": {cause: finite(row.get(f"{cause}_cycles_per_image")) for cause in CAUSES},
        "energy": {name: finite(row.get(f"{name}_uj")) for name in COMPONENTS},
        "area": {name: finite(row.get(f"{name}_mm2")) for name in AREA_COMPONENTS},
        "traffic": {
            "DRAM": finite(row.get("dram_bytes_per_image")),
            "SRAM": finite(row.get("sram_bytes_per_image")),
            "index memory, written": None if index is None else index / 8,
        },
        "derived": {name: finite(row.get(name)) for name in DERIVED},
    }


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.12g}"
    return "-" if value is None else str(value)
