"""log.csv: how a run went, one row per --log-every steps."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any


class Log:
    """One row per --log-every steps. Rows after a resumed checkpoint are cut off.

    ``measured``: the name of the accuracy that some rows have.
    """

    def __init__(self, path: Path, layers: list[str], step: int, measured: str) -> None:
        self.path = path
        self.fields = [
            "step", "epoch", "seconds", "progress", "resolution", "loss", "penalty", "views_per_s",
            measured, "density_target", *(f"density.{name}" for name in layers),
        ]  # fmt: skip
        kept: list[dict[str, str]] = []
        if step and path.exists():
            with path.open(newline="") as handle:
                kept = [row for row in csv.DictReader(handle) if int(row["step"]) <= step]
        with path.open("w", newline="") as handle:
            writer = csv.DictWriter(handle, self.fields)
            writer.writeheader()
            writer.writerows(kept)

    def write(self, row: dict[str, Any]) -> None:
        with self.path.open("a", newline="") as handle:
            csv.DictWriter(handle, self.fields).writerow(row)
