"""Files that are whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hwsim.files import whole, write_whole


def test_what_is_written_has_the_name_and_can_be_read_by_all(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_whole(path, "µ")
    assert path.read_bytes() == b"\xc2\xb5"
    assert path.stat().st_mode & 0o777 == 0o644
    write_whole(path, b"\x00")
    assert path.read_bytes() == b"\x00"


def test_an_error_leaves_the_file_as_it_was_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"before")
    with pytest.raises(OSError, match="disk full"), whole(path) as temporary:  # noqa: PT012
        temporary.write_bytes(b"half")
        raise OSError("disk full")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [
        ("table.csv", b"before")
    ]


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_whole(pipe, "text")
    assert os.read(reader, 10) == b"text"
    os.close(reader)
    assert pipe.is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    link, file = tmp_path / "link", tmp_path / "folder" / "file"
    link.symlink_to(file)
    for text in ("new", "newer"):
        write_whole(link, text)
        assert link.is_symlink()
        assert file.read_text() == text
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["file"]
