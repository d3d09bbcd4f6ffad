"""Rows of a sweep as text: what differs between them, and the figures that were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hwsim.errors import UserError, nearest
from hwsim.rows import SCHEMA

if TYPE_CHECKING:
    import pandas as pd


def require_columns(columns: Sequence[str]) -> None:
    """Raise UserError for a column that no row has."""
    for name in columns:
        if name not in SCHEMA.names:
            raise UserError(f"--show {name!r}: no such column{nearest(name, SCHEMA.names)}")


def listing(rows: pd.DataFrame, columns: Sequence[str], varied: Sequence[str]) -> str:
    """One line a row: method, scheme, those of ``varied`` that differ, and ``columns``.

    Numbers with three digits; from 1,000 on as whole numbers. A missing value is ``-``. Rows of
    masks that their scheme does not follow (``dense``) stand once, and a trace's name only where
    the method does not tell.
    """
    differing = [name for name in varied if rows[name].nunique() > 1]
    if "trace" in differing and rows.groupby("method")["trace"].nunique().max() == 1:
        differing.remove("trace")
    names = list(dict.fromkeys(["method", "scheme", *differing, *columns]))
    cells = rows[names].copy()
    cells.loc[
        cells["scheme"] == "dense", [name for name in ("method", "trace") if name in names]
    ] = "-"
    texts = cells.map(_text).drop_duplicates()
    widths = [max(len(name), *map(len, texts[name])) for name in names]
    lines = [names, *texts.to_numpy().tolist()]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _text(value: Any) -> str:
    if value is None or value != value:
        return "-"
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}"
