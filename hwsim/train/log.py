"""log.csv: how a run went, one row per --log-every steps."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

from hwsim.errors import UserError, one_line
from hwsim.files import read_text, write_whole

STEP = re.compile("[0-9]{1,18}")


class LogError(UserError):
    """A log that cannot be gone on with; one line for the user."""


class Log:
    """One row per --log-every steps. Rows after a resumed checkpoint are cut off.

    ``measured``: the name of the accuracy that some rows have. Raises LogError for a log of other
    columns or with a damaged row; half a last row, as a kill leaves it, is cut off.
    """

    def __init__(self, path: Path, layers: list[str], step: int, measured: str) -> None:
        self.path = path
        self.fields = [
            "step", "epoch", "seconds", "progress", "resolution", "loss", "penalty", "views_per_s",
            measured, "density_target", *(f"density.{name}" for name in layers),
        ]  # fmt: skip
        kept = self._rows() if step and path.exists() else []
        write_whole(path, self._text([self.fields, *(row for row in kept if int(row[0]) <= step)]))

    def write(self, row: dict[str, Any]) -> None:
        with self.path.open("a", newline="") as handle:
            handle.write(self._text([[row.get(name) for name in self.fields]]))

    def _text(self, rows: list[list[Any]]) -> str:
        target = io.StringIO()
        csv.writer(target).writerows(rows)
        return target.getvalue()

    def _rows(self) -> list[list[str]]:
        """All whole rows but the first, which names the columns."""
        whole = read_text(self.path).rpartition("\n")[0]
        try:
            rows = list(csv.reader(whole.splitlines()))
        except csv.Error as error:
            raise self._refusal(f"not a log ({one_line(error)})") from None
        if rows and rows[0] != self.fields:
            raise self._refusal("a log of other columns")
        for number, row in enumerate(rows[1:], 2):
            if len(row) != len(self.fields) or not STEP.fullmatch(row[0]):
                raise self._refusal(f"line {number} is damaged")
        return rows[1:]

    def _refusal(self, why: str) -> LogError:
        return LogError(f"{self.path}: {why}; move it away and run the same again to go on")
