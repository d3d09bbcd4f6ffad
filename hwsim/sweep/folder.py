"""A folder of results: Parquet part files, each written once and whole, read as their union."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hwsim.errors import UserError, one_line
from hwsim.files import write_whole

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class ResultsFolder:
    """Rows by ``key``. Any number of processes may write parts; none touches another's."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._read: dict[Path, pa.Table] = {}
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{self.path}: is a file; expected a folder for results")

    def write(self, part: bytes) -> None:
        """One more part file: to a temporary name, fsynced, renamed."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_whole(self.path / f"part-{uuid.uuid4().hex}.parquet", part)

    def keys(self) -> dict[str, str | None]:
        """What is there: why each row's point is impossible, None where it has figures."""
        found: dict[str, str | None] = {}
        for table in self._tables():
            columns = (table[name].to_pylist() for name in ("key", "impossible"))
            found.update(zip(*columns, strict=True))
        return found

    def read(self, keys: Sequence[str] | None = None) -> pd.DataFrame:
        """One row per key, in the order of ``keys``, or all rows there are; docs/guide/sweeps.md.

        A key in several parts has equal rows there.
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
        return rows.set_index("key").loc[list(dict.fromkeys(keys))].reset_index()

    def _tables(self) -> list[pa.Table]:
        """Every part file; each is read once, since none is written twice."""
        parts = sorted(self.path.glob("part-*.parquet"))
        for part in parts:
            if part not in self._read:
                self._read[part] = _read(part)
        return [self._read[part] for part in parts]


def _read(part: Path) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(part).read()
        table.select(["key", "impossible"])
        return table
    except (pa.ArrowException, OSError, KeyError) as error:
        raise UserError(f"{part}: not a whole part file of results ({one_line(error)})") from None
