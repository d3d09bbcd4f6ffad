"""Files that are whole or not there; folders that come with the package, and the user's cache."""

from __future__ import annotations

import io
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from hwsim.errors import UserError, one_line


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` to write to; synced and renamed where nothing went wrong.

    On an error nothing stays behind, and what ``path`` held before stays. A device or a pipe is
    written to, never replaced; so is what a symbolic link leads to.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file() and not path.is_dir():
        with tempfile.TemporaryDirectory() as folder:
            aside = Path(folder) / "aside"
            yield aside
            with path.open("wb") as device:
                device.write(aside.read_bytes())
        return
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_whole(path: Path, contents: str | bytes) -> None:
    """Text goes in as UTF-8."""
    with whole(path) as temporary:
        temporary.write_bytes(contents.encode() if isinstance(contents, str) else contents)


MOST_TEXT = 16 << 20
"""Bytes of a text that is read: a network of a hundred layers takes some 20 KiB."""


def read_text(path: Path) -> str:
    """A file of UTF-8, with a byte-order mark or without. Raises UserError, one line."""
    try:
        with _open_file(path) as file:
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


def _open_file(path: Path) -> BinaryIO:
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
