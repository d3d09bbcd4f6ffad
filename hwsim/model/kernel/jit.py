"""Numba's compiler with a cache that belongs to the sources it was made from.

Numba keys its cache on the file of the cached function alone; a changed callee or an imported
constant would go unnoticed. Here the cache folder is named after a hash of every source that
kernels are made of, in the user's cache. What is in it is executed: it is used where nobody else
can write to it, else a folder of this process, removed at its end. NUMBA_CACHE_DIR names another.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hwsim.files import private_cache

_ROOM = Path(__file__).parent
_SOURCES = (*sorted(_ROOM.rglob("*.py")), _ROOM.parents[1] / "counters.py")


def _cache_dir() -> Path:
    digest = hashlib.sha256()
    for source in _SOURCES:
        digest.update(source.read_bytes())
    # Numba's key leaves it out: code with and without checks would be taken for each other.
    digest.update(os.environ.get("NUMBA_BOUNDSCHECK", "").encode())
    if folder := private_cache(f"kernels-{digest.hexdigest()[:16]}"):
        return folder
    own = Path(tempfile.mkdtemp(prefix="hwsim-"))
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    return own


if "NUMBA_CACHE_DIR" not in os.environ:
    os.environ["NUMBA_CACHE_DIR"] = str(_cache_dir())

# Everything of Numba comes from here: it reads the cache directory when it is first imported.
import numba  # noqa: E402
from numba.extending import intrinsic as intrinsic  # noqa: E402

compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True, boundscheck=None)

inlined: Callable[..., Any] = numba.njit(cache=True, nogil=True, boundscheck=None, forceinline=True)
"""For functions of an inner loop: passing a machine and arrays to one costs as much as its work."""

copied: Callable[..., Any] = numba.njit(cache=True, nogil=True, boundscheck=None, inline="always")
"""For a few lines that several inner loops share: as if they stood there, arrays and all."""

DISABLED = bool(numba.config.DISABLE_JIT)
"""Whether functions run as plain Python."""
