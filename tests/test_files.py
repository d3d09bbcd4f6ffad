"""Files that are whole or not there, alone and together; folders whose contents are executed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hwsim import files
from hwsim.errors import UserError
from hwsim.files import made, private_cache, whole, write_together, write_whole


@pytest.fixture
def umask() -> Iterator[None]:
    """027: others get nothing."""
    before = os.umask(0o027)
    yield
    os.umask(before)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.usefixtures("umask")
def test_a_new_file_has_the_mode_of_the_umask_and_an_old_one_its_own(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_whole(path, "µ")
    assert path.read_bytes() == b"\xc2\xb5"
    assert path.stat().st_mode & 0o777 == 0o640
    path.chmod(0o604)
    write_whole(path, b"\x00")
    assert path.read_bytes() == b"\x00"
    assert path.stat().st_mode & 0o777 == 0o604


def test_an_error_leaves_the_file_as_it_was_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"before")
    with pytest.raises(OSError, match="disk full"), whole(path) as temporary:  # noqa: PT012
        temporary.write_bytes(b"half")
        raise OSError("disk full")
    assert contents(tmp_path) == {"table.csv": b"before"}


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    with pytest.raises(OSError, match="No space") as raised, whole(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(path))
    with pytest.raises(FileNotFoundError) as other, whole(path):
        (tmp_path / "another").read_bytes()
    assert other.value.filename == str(tmp_path / "another")
    for target, number in (
        (tmp_path, errno.EISDIR),
        (tmp_path / "missing" / "table.csv", errno.ENOENT),
        (tmp_path / ("n" * 256), errno.ENAMETOOLONG),
    ):
        with pytest.raises(OSError, match=os.strerror(number)) as refused:
            write_whole(target, "text")
        assert (refused.value.errno, refused.value.filename) == (number, str(target))


def test_a_folder_that_vanishes_meanwhile_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(FileNotFoundError) as raised, whole(folder / "table.csv") as temporary:  # noqa: PT012
        temporary.unlink()
        folder.rmdir()
    assert raised.value.filename == str(folder / "table.csv")


def test_a_name_may_be_as_long_as_names_can_be(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    write_whole(path, "text")
    assert contents(tmp_path) == {path.name: b"text"}


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_whole(pipe, "text")
    assert os.read(reader, 10) == b"text"
    os.close(reader)
    assert pipe.is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_pipe_whose_reader_goes_away_is_told(tmp_path: Path) -> None:
    """Not as standard output's, which is no error."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def read_a_byte() -> None:
        with pipe.open("rb", buffering=0) as reader:
            reader.read(1)

    reading = threading.Thread(target=read_a_byte)
    reading.start()
    with pytest.raises(UserError, match="pipe: is a pipe whose reader is gone"):
        write_whole(pipe, bytes(1 << 20))  # more than a pipe holds
    reading.join()


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_one(there: bool, tmp_path: Path) -> None:
    """Dangling or not."""
    (tmp_path / "folder").mkdir()
    link, file = tmp_path / "link", tmp_path / "folder" / "file"
    link.symlink_to(file)
    if there:
        file.write_text("old")
    for text in ("new", "newer"):
        write_whole(link, text)
        assert link.is_symlink()
        assert file.read_text() == text
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["file"]


def test_a_manifest_names_what_belongs_together(tmp_path: Path) -> None:
    write_together(tmp_path, {"a.csv": "1", "b.png": b"\x01"}, "of.json", {"run": 1})
    assert contents(tmp_path).keys() == {"a.csv", "b.png", "of.json"}
    assert json.loads((tmp_path / "of.json").read_text()) == {
        "run": 1,
        "files": {"a.csv": hashlib.sha256(b"1").hexdigest(),
                  "b.png": hashlib.sha256(b"\x01").hexdigest()},
    }  # fmt: skip


def test_what_only_the_run_before_had_goes_unless_it_was_changed(tmp_path: Path) -> None:
    before = {"a.csv": "1", "b.csv": "1", "c.csv": "1"}
    write_together(tmp_path, before, "of.json", {"run": 1})
    (tmp_path / "c.csv").write_text("mine")
    (tmp_path / "notes").write_text("mine")
    write_together(tmp_path, {"a.csv": "2"}, "of.json", {"run": 2})
    found = contents(tmp_path)
    assert json.loads(found.pop("of.json"))["run"] == 2
    assert found == {"a.csv": b"2", "c.csv": b"mine", "notes": b"mine"}


@pytest.mark.parametrize(
    "manifest",
    [b"", b"[]", b'{"files": 3}', b'{"files": {"..": null, "../x": "", "": ""}}', b"[" * 99_999],
)
def test_any_earlier_manifest_can_be_written_over(manifest: bytes, tmp_path: Path) -> None:
    (tmp_path / "of.json").write_bytes(manifest)
    write_together(tmp_path, {"a.csv": "1"}, "of.json", {})
    assert contents(tmp_path).keys() == {"a.csv", "of.json"}


@pytest.mark.parametrize("fails", [1, 2, 3])
def test_a_disk_that_fills_leaves_the_run_before(
    fails: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_together(tmp_path, {"a.csv": "1", "b.csv": "1"}, "of.json", {"run": 1})
    before, synced = contents(tmp_path), []

    def full(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) == fails:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space") as raised:
        write_together(tmp_path, {"a.csv": "2", "b.csv": "2"}, "of.json", {"run": 2})
    name = ("of.json", "a.csv", "b.csv")[fails - 1]
    assert raised.value.filename == str(tmp_path / name)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("renames", [0, 1, 2, 3])
def test_a_run_that_ends_between_two_names_has_no_manifest(
    renames: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one, every file is of its run."""
    write_together(tmp_path, {"a.csv": "1", "b.csv": "1"}, "of.json", {"run": 1})
    replace, done = os.replace, []

    def interrupted(source: Path, target: Path) -> None:
        if len(done) == renames:
            raise KeyboardInterrupt
        done.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", interrupted)
    with suppress(KeyboardInterrupt):
        write_together(tmp_path, {"a.csv": "2", "b.csv": "2"}, "of.json", {"run": 2})
    found = contents(tmp_path)
    assert found.keys() - {"of.json"} == {"a.csv", "b.csv"}
    assert ("of.json" in found) == (renames == 3)
    assert list(found.values()).count(b"2") == min(renames, 2)


def test_a_folder_that_was_made_for_nothing_goes_again(tmp_path: Path) -> None:
    with pytest.raises(KeyError), made(tmp_path / "x" / "y"):
        raise KeyError
    assert not list(tmp_path.iterdir())
    (tmp_path / "x").mkdir()
    with pytest.raises(KeyError), made(tmp_path / "x" / "y" / "z"):  # noqa: PT012
        (tmp_path / "x" / "y" / "mine").write_text("kept")
        raise KeyError
    assert [path.name for path in (tmp_path / "x").rglob("*")] == ["y", "mine"]
    with made(tmp_path / "z"):
        pass
    assert (tmp_path / "z").is_dir()
    with pytest.raises(UserError, match="mine: is a file"), made(tmp_path / "x" / "y" / "mine"):
        pass


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The two places of private_cache("code")."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(files.tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path / "cache/hwsim/code", tmp_path / f"tmp/hwsim-{os.getuid()}-code"


@pytest.mark.usefixtures("umask")
def test_what_is_executed_lies_in_the_user_s_own_folder(caches: tuple[Path, Path]) -> None:
    first, _ = caches
    for _again in range(2):
        assert private_cache("code") == first
        assert first.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("how", ["writable by all", "writable by a group", "a link", "another's"])
def test_a_folder_that_others_can_write_to_is_not_trusted(
    how: str, caches: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = caches
    for folder in caches:
        assert private_cache("code") == folder
        if how == "a link":
            (elsewhere := tmp_path / f"of-{folder.name}").mkdir(mode=0o700)
            folder.rmdir()
            folder.symlink_to(elsewhere)
        elif how == "another's":
            if os.getuid():
                pytest.skip("needs root, who may give folders away")
            os.chown(folder, 12345, -1)
        else:
            folder.chmod(0o777 if how == "writable by all" else 0o770)
    assert private_cache("code") is None
    assert (first.exists(), second.exists()) == (True, True)


def test_a_folder_in_one_that_others_can_empty_is_not_trusted(caches: tuple[Path, Path]) -> None:
    first, second = caches
    first.parent.mkdir(parents=True)
    first.parent.chmod(0o777)
    assert private_cache("code") == second
    second.parent.chmod(0o777)
    assert private_cache("code") is None
    second.parent.chmod(0o1777)  # as /tmp is: entries are their makers'
    assert private_cache("code") == second
