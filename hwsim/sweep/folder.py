"""A folder of results: Parquet part files, each written once and whole, read as their union.

A part is named after the SHA-256 of its bytes, which is checked as it is read: what was changed,
renamed or cut since is refused before Parquet sees it.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.errors import UserError, one_line
from hwsim.files import write_whole

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

NAME = re.compile(r"part-([0-9a-f]{64})\.parquet")

MOST_BYTES, MOST_CELL_BYTES = 1 << 24, 1 << 30
"""Of a part's file, and of that times its rows: all that repeated values can become. A part of a
sweep has some 40 kB and 60 rows."""

PARTS = "part-*.parquet"
"""All parts of a folder."""

NAMES_ONLY = ("trace",)
"""Columns that the key says nothing of: equal masks may be in two files."""

NEARLY = 1e-9
"""Rows of one key are equal up to this share: another processor may add in another order."""


class ResultsFolder:
    """Rows by ``key``. Any number of processes may write parts; none touches another's."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._read: dict[Path, pa.Table] = {}
        self._schema: pa.Schema | None = None
        self._first: dict[str, tuple[Path, int]] = {}
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{self.path}: is a file; expected a folder for results")

    def write(self, part: bytes) -> None:
        """One more part file: to a temporary name, fsynced, renamed."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_whole(self.path / f"part-{hashlib.sha256(part).hexdigest()}.parquet", part)

    def keys(self) -> dict[str, str | None]:
        """What is there: why each row's point is impossible, None where it has figures.

        Raises UserError, as :meth:`read` does.
        """
        found: dict[str, str | None] = {}
        for table in self._tables():
            columns = (table[name].to_pylist() for name in ("key", "impossible"))
            found.update(zip(*columns, strict=True))
        return found

    def read(self, keys: Sequence[str] | None = None) -> pd.DataFrame:
        """One row per key, in the order of ``keys``, or all rows there are; docs/guide/sweeps.md.

        A key in several parts has equal rows there. Raises UserError for a part that is damaged,
        no part of results, or at odds with another, and for a key that no part has.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        tables = self._tables()
        if keys is not None:
            wanted = pa.array(list(keys), pa.string())
            tables = [table.filter(pc.is_in(table["key"], wanted)) for table in tables]
        if not tables:
            tables = [pa.table({"key": pa.array([], pa.string())})]
        # Parts of another version may have other columns: a row has none of those it lacks.
        rows = pa.concat_tables(tables, promote_options="permissive").to_pandas()
        rows = rows.drop_duplicates("key", ignore_index=True)
        if keys is None:
            return rows.sort_values("key", ignore_index=True)
        if missing := [key for key in keys if key not in self._first]:
            raise UserError(f"{self.path}: no row of key {missing[0]!r}")
        return rows.set_index("key").loc[list(dict.fromkeys(keys))].reset_index()

    def _tables(self) -> list[pa.Table]:
        """Every part file; each is read once, since none is written twice."""
        parts = sorted(self.path.glob(PARTS))
        for part in parts:
            if part not in self._read:
                table = _read(part, self._schema)
                self._require_agreement(part, table)
                self._read[part] = table
        return [self._read[part] for part in parts]

    def _require_agreement(self, part: Path, table: pa.Table) -> None:
        """Raise UserError where the part's columns or rows are at odds with those read before."""
        import pyarrow as pa

        if self._schema is None:
            self._schema = table.schema
        elif not table.schema.equals(self._schema):
            both = [self._schema, table.schema]
            try:
                self._schema = pa.unify_schemas(both, promote_options="permissive")
            except pa.ArrowException as error:
                raise _refusal(part, f"columns unlike other parts': {one_line(error)}") from None
        for row, key in enumerate(table["key"].to_pylist()):
            if key not in self._first:
                self._first[key] = part, row
                continue
            other, at = self._first[key]
            earlier = table if other == part else self._read[other]
            column = _difference(earlier.slice(at, 1), table.slice(row, 1))
            if column:
                raise UserError(
                    f"{part}: another {column} than in {other.name}, of one key ({key}); delete "
                    "both: their points are replayed"
                )


def _read(part: Path, known: pa.Schema | None) -> pa.Table:
    """The rows of a part whose bytes are those that it is named after; ``known``: of others."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    named = NAME.fullmatch(part.name)
    if not named:
        raise _refusal(part, "no SHA-256 in its name, as those of earlier versions")
    try:
        if not part.is_file():
            raise _refusal(part, "not a file")
        if part.stat().st_size > MOST_BYTES:
            raise _refusal(part, f"more than {MOST_BYTES:,} bytes, which no part has")
        contents = part.read_bytes()
        if hashlib.sha256(contents).hexdigest() != named[1]:
            raise _refusal(part, "its bytes are not those that it is named after")
        file = pq.ParquetFile(pa.BufferReader(contents))
        if file.metadata.num_rows * len(contents) > MOST_CELL_BYTES:
            raise _refusal(part, f"{file.metadata.num_rows:,} rows, more than a part has")
        if known is None or not file.schema_arrow.equals(known):
            _require_columns(part, file.schema_arrow)
        table = file.read(use_threads=False)  # a thread a column takes longer to begin
        table.validate(full=True)
    # Whatever pyarrow makes of bytes that it did not write.
    except (pa.ArrowException, OSError, ValueError, LookupError, TypeError, MemoryError) as error:
        if isinstance(error, UserError):
            raise
        raise _refusal(part, f"not a part file of results ({one_line(error)})") from None
    if table["key"].null_count:
        raise _refusal(part, "a row without a key")
    return table


def _require_columns(part: Path, schema: pa.Schema) -> None:
    if len(set(schema.names)) < len(schema.names):
        raise _refusal(part, "a column twice")
    found = dict(zip(schema.names, map(str, schema.types), strict=True))
    for name, types in (("key", ("string",)), ("impossible", ("string", "null"))):
        if found.get(name) not in types:
            raise _refusal(part, f"column {name!r} is {found.get(name, 'missing')}")
    for name, kind in found.items():
        if kind not in ("string", "bool", "int64", "double", "null"):
            raise _refusal(part, f"column {name!r} is {kind}")


def _refusal(part: Path, why: str) -> UserError:
    return UserError(f"{part}: {one_line(why)}; delete it or move it away: its points are replayed")


def _difference(one: pa.Table, other: pa.Table) -> str | None:
    """The first column in which two rows of one key differ.

    None where one is impossible: what a search refuses for want of a price, a sweep replays.
    """
    (a,), (b,) = one.to_pylist(), other.to_pylist()
    if a["impossible"] is not None or b["impossible"] is not None:
        return None
    names = (name for name in {**a, **b} if name not in NAMES_ONLY)
    return next((name for name in names if not _alike(a.get(name), b.get(name))), None)


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=NEARLY) or (one != one and other != other)
    return bool(one == other)
