"""Files that are whole or not there; folders that come with the package, and the user's cache."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from hwsim.errors import UserError, one_line


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` to write to; synced and renamed where nothing went wrong.

    On an error nothing stays behind, and what ``path`` held before stays. A device or a pipe is
    written to, never replaced; so is what a symbolic link leads to. A new file has the mode that
    the umask leaves, another keeps its own. Every OSError names ``path``, unless it is of another
    file; UserError where a pipe's reader is gone.
    """
    target = Path(os.path.realpath(path))
    # A short name of its own: a longer one than the target's may be longer than names can be.
    temporary = target.parent / f".hwsim-{os.urandom(8).hex()}"
    with _named(path, temporary):
        mode = target.stat().st_mode if target.exists() else None
        if mode is not None and stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if mode is not None and not stat.S_ISREG(mode):
            with tempfile.TemporaryDirectory() as folder:
                aside = Path(folder) / "aside"
                yield aside
                _write_through(aside.read_bytes(), target, path)
            return
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        try:
            yield temporary
            _sync(temporary)
            if mode is not None:
                temporary.chmod(stat.S_IMODE(mode))
            temporary.replace(target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


@contextmanager
def _named(path: Path, temporary: Path) -> Iterator[None]:
    """An OSError inside that names no file, or the temporary one, names ``path``."""
    try:
        yield
    except OSError as error:
        if error.filename not in (None, "", str(temporary)):
            raise
        number, reason = error.errno or errno.EIO, error.strerror or one_line(error)
        raise OSError(number, reason, str(path)) from error


def _write_through(contents: bytes, target: Path, path: Path) -> None:
    try:
        with target.open("wb", buffering=0) as device:
            left = memoryview(contents)
            while left:
                left = left[device.write(left) :]
    except BrokenPipeError:
        # As an OSError it would be taken for standard output, whose reader may go away unpunished.
        raise UserError(f"{path}: is a pipe whose reader is gone") from None


def _sync(path: Path) -> None:
    with path.open("rb") as written:
        os.fsync(written.fileno())


def require_place(option: str, target: str | Path, given: Mapping[str, Any]) -> None:
    """Raise UserError, before long work, where no file of that name can be written.

    Nor where another option names it: what a command reads it does not replace. ``given``: all
    options by name.
    """
    path = Path(target)
    told = f"{option} {target}"
    if path.is_dir():
        raise UserError(f"{told}: is a folder; expected a file name")
    if not path.parent.is_dir():
        raise UserError(f"{told}: no such folder: {path.parent}")
    for name, value in given.items():
        if name == option.removeprefix("--"):
            continue
        for other in value if isinstance(value, list | tuple) else [value]:
            if isinstance(other, str | Path) and _same_file(path, other):
                raise UserError(f"{told}: is read by this command; expected another file")


def _same_file(path: Path, other: str | Path) -> bool:
    try:
        return path.samefile(other)
    except (OSError, ValueError):  # Not there, or no name of a file at all.
        return False


def write_whole(path: Path, contents: str | bytes) -> None:
    """Text goes in as UTF-8."""
    with whole(path) as temporary:
        temporary.write_bytes(contents.encode() if isinstance(contents, str) else contents)


def write_together(
    folder: Path, files: Mapping[str, str | bytes], manifest: str, says: Mapping[str, Any]
) -> None:
    """Files that belong together, and the JSON file ``manifest`` that names each.

    ``manifest`` holds ``says`` and ``files``: the SHA-256 of every file by its name. It is removed
    before the first file gets its name and written after the last: with a manifest the files that
    it names are those of one run, without one they may be of two. All contents are on the disk
    before that: one that fills leaves the earlier files and their manifest as they were. Files
    that an earlier manifest names, unchanged since, and this one does not, are removed.
    """
    contents = {
        name: text.encode() if isinstance(text, str) else text for name, text in files.items()
    }
    hashes = {name: hashlib.sha256(each).hexdigest() for name, each in contents.items()}
    sealed = {**says, "files": hashes}
    contents = {manifest: (json.dumps(sealed, indent=2) + "\n").encode()} | contents
    earlier = _of_manifest(folder / manifest)
    # They get their names as the stack is left: the last first, the manifest at the end.
    with ExitStack() as stack:
        for name, each in contents.items():
            temporary = stack.enter_context(whole(folder / name))
            with _named(folder / name, temporary):
                temporary.write_bytes(each)
                _sync(temporary)
        (folder / manifest).unlink(missing_ok=True)
        for name in earlier.keys() - hashes.keys():
            if _sha256(folder / name) == earlier[name]:
                (folder / name).unlink()


def _of_manifest(path: Path) -> dict[str, str]:
    """The files that it names in its own folder, and their hashes; none where it is no manifest."""
    if not path.is_file():
        return {}
    try:
        files = json.loads(path.read_bytes())["files"]
        return {name: str(sha256) for name, sha256 in files.items() if Path(name).name == name}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}


def _sha256(path: Path) -> str | None:
    """None where it is not a plain file that can be read."""
    if path.is_symlink() or not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


@contextmanager
def made(folder: Path) -> Iterator[None]:
    """The folder, made where it is missing; on an error what was made and is empty goes again.

    Raises UserError where it is a file, OSError where it cannot be made.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; expected a folder")
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with suppress(OSError):  # One that is not empty stays, and so do those above it.
            for each in missing:
                each.rmdir()
        raise


MOST_TEXT = 16 << 20
"""Bytes of a text that is read: a network of a hundred layers takes some 20 KiB."""


def read_text(path: Path) -> str:
    """A file of UTF-8, with a byte-order mark or without. Raises UserError, one line."""
    try:
        with open_file(path) as file:
            read = file.read(MOST_TEXT + 1)
        text = read[:MOST_TEXT].decode("utf-8-sig") if len(read) <= MOST_TEXT else None
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UserError:
        raise
    except (OSError, ValueError) as error:  # not UTF-8, or a name that no file has
        raise UserError(f"{path}: cannot be read ({one_line(error)})") from None
    if text is None:
        raise UserError(f"{path}: more than {MOST_TEXT >> 20} MiB; no text is so large")
    # As Python reads a text: whatever ends its lines, they end alike.
    return io.StringIO(text, newline=None).read()


def open_file(path: Path) -> BinaryIO:
    """A pipe or a device might never end, or never begin: UserError."""
    # Without O_NONBLOCK a pipe that nobody writes to is waited for when it is opened.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    raise UserError(f"{path}: expected a file, and not a folder, a pipe or a device")


_PACKAGE = Path(__file__).resolve().parent


def asset_dir(name: str) -> Path:
    """Folder ``arch_configs`` or ``traces``.

    In a checkout (and an editable install) the folder is beside the package; in a wheel it was
    put into ``hwsim/_assets``. The installed copy wins, because it belongs to the code that asks.
    """
    installed = _PACKAGE / "_assets" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def user_cache() -> Path:
    """``hwsim`` in $XDG_CACHE_HOME, or in ~/.cache; what is there can be deleted at any time."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hwsim"


def private_cache(name: str) -> Path | None:
    """A folder for what will be executed, which nobody but the user can write to.

    In :func:`user_cache`, or where that cannot be written or is not the user's own, in the
    temporary folder; None where neither is safe.
    """
    return _private(lambda: user_cache() / name) or _private(
        lambda: Path(tempfile.gettempdir()) / f"hwsim-{os.getuid()}-{name}"
    )


def _private(named: Callable[[], Path]) -> Path | None:
    # A user without a home is a RuntimeError.
    with suppress(OSError, RuntimeError):
        folder = named()
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        if _own(folder) and os.access(folder, os.W_OK):
            return folder
    return None


def _own(folder: Path) -> bool:
    """Whether it is the user's, no link, closed to others, and nobody else can put another there.

    Above it are the user's folder, the system's, or one whose entries belong to who made them.
    """
    found, above = folder.lstat(), folder.parent.stat()
    mine = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    kept = above.st_uid in (0, os.getuid()) and (
        not above.st_mode & stat.S_IWOTH or above.st_mode & stat.S_ISVTX
    )
    return bool(mine and kept and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
