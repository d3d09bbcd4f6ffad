"""Files that are whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hwsim import files
from hwsim.errors import UserError
from hwsim.files import read_text, whole, write_whole


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


def test_a_text_is_read_whatever_begins_it_and_ends_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n\xc2\xb5")
    assert read_text(path) == "a\nb\nc\nµ"


def test_what_is_no_text_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "bytes").write_bytes(b"a\xff")
    for path, told in {
        tmp_path / "none": "none: no such file",
        tmp_path: "expected a file, and not a folder, a pipe or a device",
        tmp_path / "pipe": "expected a file, and not a folder, a pipe or a device",
        tmp_path / "bytes": "bytes: cannot be read .*utf-8",
        tmp_path / ("x" * 300): "cannot be read .*too long",
        tmp_path / "a\0b": "cannot be read .*null",
    }.items():
        with pytest.raises(UserError, match=told) as refused:
            read_text(path)
        assert "\n" not in str(refused.value)
    monkeypatch.setattr(files, "MOST_TEXT", 1)
    with pytest.raises(UserError, match="more than 0 MiB"):
        read_text(tmp_path / "bytes")
