"""Results folders from anywhere: what is not as a sweep wrote it is refused by its name."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from refusal import refusal

from hwsim.errors import UserError
from hwsim.sweep import folder
from hwsim.sweep.__main__ import main
from hwsim.sweep.folder import ResultsFolder

ROW = {"key": "a", "impossible": None, "trace": "x", "speedup": 2.0, "banks": 8}


def parquet(table: pa.Table, **options: Any) -> bytes:
    target = io.BytesIO()
    pq.write_table(table, target, **options)
    return target.getvalue()


def part(*rows: dict[str, Any]) -> bytes:
    return parquet(pa.Table.from_pylist([ROW | row for row in rows]))


def named(contents: bytes) -> str:
    return f"part-{hashlib.sha256(contents).hexdigest()}.parquet"


def refused(path: Path) -> str:
    """The line with which keys and rows are refused; it names the part, and what to do."""
    lines = []
    for ask in (ResultsFolder.keys, ResultsFolder.read):
        with pytest.raises(UserError) as raised:
            ask(ResultsFolder(path))
        lines.append(str(raised.value))
    assert lines[0] == lines[1]
    assert "\n" not in lines[0]
    assert str(path / "part-") in lines[0]
    assert "points are replayed" in lines[0]
    return lines[0]


def test_a_part_is_named_after_its_bytes(tmp_path: Path) -> None:
    contents = part({}, {"key": "b"})
    for _twice in range(2):
        ResultsFolder(tmp_path).write(contents)
    (path,) = tmp_path.iterdir()
    assert (path.name, path.read_bytes()) == (named(contents), contents)
    assert ResultsFolder(tmp_path).keys() == {"a": None, "b": None}


def test_any_flipped_bit_is_refused(tmp_path: Path) -> None:
    contents = part({})
    path = tmp_path / named(contents)
    for place in range(0, len(contents), 97):
        changed = bytearray(contents)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        assert "not those that it is named after" in refused(tmp_path)
    path.write_bytes(contents[:-1])
    assert "not those that it is named after" in refused(tmp_path)


@pytest.mark.parametrize("name", ["part-x.parquet", f"part-{'0' * 32}.parquet"])
def test_a_part_without_a_hash_is_refused(name: str, tmp_path: Path) -> None:
    """As those of earlier versions."""
    (tmp_path / name).write_bytes(part({}))
    assert "no SHA-256 in its name" in refused(tmp_path)


def test_a_renamed_part_is_refused(tmp_path: Path) -> None:
    (tmp_path / named(b"")).write_bytes(part({}))
    assert "not those that it is named after" in refused(tmp_path)


def of(**columns: Any) -> pa.Table:
    return pa.table({"key": ["a"], "impossible": [None], **columns})


FOREIGN: dict[str, tuple[Any, str]] = {
    "no Parquet": (b"PAR1", "not a part file of results"),
    "another table": (parquet(pa.table({"x": [1]})), "column 'key' is missing"),
    "keys that are numbers": (parquet(pa.table({"key": [1]})), "column 'key' is int64"),
    "a row without a key": (part({}, {"key": None}), "a row without a key"),
    "lists": (parquet(of(lists=[[1]])), "column 'lists' is list<element: int64>"),
    "dates": (parquet(of(on=pa.array([1], pa.date32()))), "column 'on' is date32[day]"),
    "a column twice": (
        parquet(pa.Table.from_arrays([pa.array(["a"])] * 2, ["key", "key"])),
        "a column twice",
    ),
    "text that is none": (
        parquet(of(x=pa.array([b"\xff"], pa.binary()).view(pa.string()))),
        "not a part file of results (",
    ),
    "many rows": (
        parquet(pa.table({"key": pa.nulls(1 << 20, pa.string()), "impossible": pa.nulls(1 << 20)})),
        "1,048,576 rows, more than a part has",
    ),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_a_part_of_something_else_is_refused(case: str, tmp_path: Path) -> None:
    contents, words = FOREIGN[case]
    (tmp_path / named(contents)).write_bytes(contents)
    assert words in refused(tmp_path)


def test_what_is_no_file_or_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / named(b"")
    os.mkfifo(path)
    assert "not a file" in refused(tmp_path)
    path.unlink()
    path.write_bytes(part({}))
    monkeypatch.setattr(folder, "MOST_BYTES", 100)
    assert "more than 100 bytes" in refused(tmp_path)


@pytest.mark.parametrize(
    ("other", "column"),
    [
        ({"speedup": 2.000001}, "speedup"),
        ({"speedup": None}, "speedup"),
        ({"banks": 16}, "banks"),
        ({"trace": "y", "speedup": 2.0 + 1e-12}, None),
        ({"impossible": "no price", "speedup": None}, None),
    ],
)
def test_rows_of_one_key_are_equal(
    other: dict[str, Any], column: str | None, tmp_path: Path
) -> None:
    """But for the trace's name, the last bits, and what a search calls impossible."""
    for contents in (part({}, {"key": "b"}), part(other)):
        ResultsFolder(tmp_path).write(contents)
    if column:
        assert f"another {column} than in part-" in refused(tmp_path)
    else:
        assert list(ResultsFolder(tmp_path).read()["key"]) == ["a", "b"]


def test_columns_at_odds_are_refused(tmp_path: Path) -> None:
    for contents in (part({}), part({"key": "b", "banks": "eight"})):
        ResultsFolder(tmp_path).write(contents)
    assert "columns unlike other parts'" in refused(tmp_path)


def test_a_key_that_no_part_has_is_named(tmp_path: Path) -> None:
    ResultsFolder(tmp_path).write(part({}))
    with pytest.raises(UserError, match="no row of key 'b'"):
        ResultsFolder(tmp_path).read(["a", "b"])


def test_the_command_says_it_in_one_line(
    trace_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what was deleted is replayed."""
    asked = ["--trace", str(trace_folder / "small-scdg.h5"), "--images", "1", "--workers", "1"]
    asked += ["--scheme", "dense", "--out", str(tmp_path)]
    assert main(asked) == 0
    (path,) = tmp_path.iterdir()
    before = path.read_bytes()
    path.write_bytes(before[:-4] + b"PAR2")
    assert f"{path}: its bytes are not those" in refusal(capsys, main, asked)
    path.unlink()
    assert main(asked) == 0
    assert path.read_bytes() == before
