"""Numba's compiler with a cache that belongs to the sources it was made from.

Numba keys its cache on the file of the cached function alone; a changed callee or an imported
constant would go unnoticed. Here the cache folder is named after a hash of every source that
kernels are made of, under the user's cache directory, or a temporary one where that is read-only.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hwsim.files import user_cache

_ROOM = Path(__file__).parent
_SOURCES = (*sorted(_ROOM.rglob("*.py")), _ROOM.parents[1] / "counters.py")


def _cache_dir() -> Path:
    digest = hashlib.sha256()
    for source in _SOURCES:
        digest.update(source.read_bytes())
    # Numba's key leaves it out: code with and without checks would be taken for each other.
    digest.update(os.environ.get("NUMBA_BOUNDSCHECK", "").encode())
    folder = f"kernels-{digest.hexdigest()[:16]}"
    for root in (user_cache(), Path(tempfile.gettempdir()) / f"hwsim-{os.getuid()}"):
        try:
            (root / folder).mkdir(parents=True, exist_ok=True)
            if os.access(root / folder, os.W_OK):
                return root / folder
        except OSError:
            continue
    return Path(tempfile.mkdtemp(prefix="hwsim-"))


os.environ.setdefault("NUMBA_CACHE_DIR", str(_cache_dir()))

# Everything of Numba comes from here: it reads the cache directory when it is first imported.
import numba  # noqa: E402
from numba.core import cgutils as cgutils  # noqa: E402
from numba.extending import intrinsic as intrinsic  # noqa: E402

_OPTIONS = {"cache": True, "nogil": True, "boundscheck": None}

allocating: Callable[..., Any] = numba.njit(**_OPTIONS, _nrt=True)
"""For functions that make arrays."""

compiled: Callable[..., Any] = numba.njit(**_OPTIONS, _nrt=False)
"""For all others: they count no references to arrays. Counting is atomic, for every slice and every
choice between two arrays, and took half of the time of short lists."""

inlined: Callable[..., Any] = numba.njit(**_OPTIONS, _nrt=False, forceinline=True)
"""For functions of an inner loop: passing a machine and arrays to one costs as much as its work."""

copied: Callable[..., Any] = numba.njit(**_OPTIONS, _nrt=False, inline="always")
"""For a few lines that several inner loops share: as if they stood there, arrays and all."""

DISABLED = bool(numba.config.DISABLE_JIT)
"""Whether functions run as plain Python."""
