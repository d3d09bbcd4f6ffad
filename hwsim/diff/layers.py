"""The rows of ``layers.parquet``: a run's figures layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from hwsim.counters import CAUSES, COUNTERS, DRAM_COUNTERS
from hwsim.diff.results import Figure, finite
from hwsim.energy.prices import COMPONENTS
from hwsim.errors import UserError, one_line
from hwsim.sweep.folder import MOST_BYTES, MOST_CELL_BYTES

NAMES = ("trace", "scheme", "batch", "layer")

SHAPE = (
    "gated",
    "array",
    "in_channels",
    "out_channels",
    "kernel_size",
    "stride",
    "out_height",
    "out_width",
)
"""Of a layer, as far as results tell it."""

INTEGERS = ("batch", *(f"{cause}_cycles" for cause in CAUSES), *COUNTERS, "sram_bytes")

Row = Mapping[str, Any]


class LayerRows:
    """Rows by run and layer."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._runs: dict[tuple[str, str, int], dict[str, Row]] = {}
        for row in rows:
            key = (row["trace"], row["scheme"], row["batch"])
            self._runs.setdefault(key, {})[row["layer"]] = row

    def of_run(self, trace: str, scheme: str, batch: int) -> dict[str, Row]:
        """By the layer's name; none of a run that the file lacks."""
        return self._runs.get((trace, scheme, batch), {})

    def of_trace(self, trace: str) -> dict[str, Row]:
        """Of its first run."""
        return next((rows for key, rows in self._runs.items() if key[0] == trace), {})


def read_layers(path: Path) -> LayerRows:
    """Raises UserError for a file that hwsim run has not written."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.stat().st_size > MOST_BYTES:
            raise _refusal(path, f"more than {MOST_BYTES:,} bytes")
        contents = path.read_bytes()
        file = pq.ParquetFile(pa.BufferReader(contents))
        if file.metadata.num_rows * len(contents) > MOST_CELL_BYTES:
            raise _refusal(path, f"{file.metadata.num_rows:,} rows, too many for its size")
        table = file.read(use_threads=False)
        table.validate(full=True)
        rows = table.to_pylist()
    # Whatever pyarrow makes of bytes that it did not write.
    except (pa.ArrowException, OSError, ValueError, LookupError, TypeError, MemoryError) as error:
        if isinstance(error, UserError):
            raise
        raise _refusal(path, one_line(error)) from None
    for name in NAMES:
        if name not in table.column_names:
            raise _refusal(path, f"no column {name!r}")
    for row in rows:
        _require_types(path, row)
    return LayerRows(rows)


def _require_types(path: Path, row: Row) -> None:
    for name in ("trace", "scheme", "layer"):
        if not isinstance(row[name], str):
            raise _refusal(path, f"{name}: expected text")
    for name in INTEGERS:
        if name in row and type(row[name]) is not int:
            raise _refusal(path, f"{name}: expected integers")


def _refusal(path: Path, why: str) -> UserError:
    return UserError(f"{path}: not what hwsim run --out writes ({why})")


def figures_of_layer(row: Mapping[str, Any], images: int) -> dict[str, dict[str, Figure]]:
    """Per image, of a row of ``layers.parquet``, whose figures are totals."""

    def share(column: str) -> Fraction | None:
        return Fraction(row[column], images) if column in row else None

    energy = {name: finite(row.get(f"{name}_pj")) for name in COMPONENTS}
    index = share("mask_bits_written")
    return {
        "cycles": {cause: share(f"{cause}_cycles") for cause in CAUSES},
        "energy": {name: None if pj is None else pj / images / 1e6 for name, pj in energy.items()},
        "traffic": {
            **{_dram(name): share(name) for name in DRAM_COUNTERS},
            "SRAM": share("sram_bytes"),
            "index memory, written": None if index is None else index / 8,
        },
        "counts": {name: share(name) for name in COUNTERS if name not in DRAM_COUNTERS},
        "derived": {name: finite(row.get(name)) for name in ("density", "utilisation")},
    }


def _dram(counter: str) -> str:
    return "DRAM, " + counter.removeprefix("dram_").removesuffix("_bytes")
