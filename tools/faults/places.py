"""Where results are written so that the disk can fill or become read-only."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def small_disk(folder: Path, kib: int) -> Iterator[Path]:
    """A tmpfs of so many KiB, mounted below the folder. Raises OSError where it may not be."""
    at = folder / "disk"
    at.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={kib}k", "none", str(at))
    try:
        yield at
    finally:
        # Lazily: whoever still has a file open there does not keep it in our way.
        subprocess.run(["umount", "-l", str(at)], check=True, capture_output=True)


def grow(disk: Path) -> None:
    """Room enough, and writable."""
    _mount("-o", "remount,rw,size=65536k", str(disk))


def make_read_only(disk: Path) -> None:
    """Raises OSError where a file is open for writing there."""
    _mount("-o", "remount,ro", str(disk))


def fill(disk: Path) -> None:
    """A file that takes all the room that is left."""
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(1024))


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise OSError(done.stderr.strip())


def may_mount() -> bool:
    """Whether this process may mount a tmpfs: as root, with the capability."""
    if os.geteuid():
        return False
    with tempfile.TemporaryDirectory() as folder:
        try:
            with small_disk(Path(folder), 16):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False
