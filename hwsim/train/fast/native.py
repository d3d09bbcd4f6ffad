"""fused.cpp, compiled once for this processor and torch, and loaded.

The library is built under a name of its own and then renamed into the user's cache, where nobody
else can write to that: a build that is killed leaves nothing that a later one would wait for or
trust.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import torch

from hwsim.errors import one_line
from hwsim.files import private_cache, whole

SOURCE = Path(__file__).with_name("fused.cpp")
COMPILE = (
    "-O3", "-march=native", "-mprefer-vector-width=512", "-fopenmp", "-fno-math-errno",
    "-fno-trapping-math",
)  # fmt: skip
LINK = ("-fopenmp",)

KEPT_MEMORY = {-3: 32 << 20, -1: (1 << 31) - 1, -2: 64 << 20}
"""M_MMAP_THRESHOLD, M_TRIM_THRESHOLD and M_TOP_PAD of mallopt, in bytes: mallopt(3)."""


def multiplies_bf16() -> bool:
    """Whether the processor has bf16 products, of AMX or AVX-512."""
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


@cache
def load() -> str | None:
    """Registers torch.ops.hwsim.normalised and its backward; the reason where that fails."""
    folder = private_cache("native")
    path = folder and folder / f"fused-{_key()}.so"
    try:
        # torch ends the process where a library is registered twice, from two places.
        if not hasattr(torch.ops.hwsim, "normalised"):
            if path and path.exists():
                torch.ops.load_library(str(path))
            else:
                _build(path)
    except (ImportError, OSError, RuntimeError) as error:
        return f"its C++ cannot be compiled here ({one_line(error)[:120]})"
    _keep_memory()
    return None


def _keep_memory() -> None:
    """Lets glibc keep freed maps of up to 32 MiB for the next ones, where it is glibc.

    It would give each back to the system and fault it in again, page by page: 7 % of a step.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    for parameter, value in KEPT_MEMORY.items():
        mallopt(parameter, value)


def _key() -> str:
    """Of everything that the machine code depends on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    processor = [line for line in lines if line.startswith(("model name", "flags"))][:2]
    text = [SOURCE.read_text(), *COMPILE, torch.__version__, platform.machine(), *processor]
    return hashlib.sha256("\n".join(text).encode()).hexdigest()[:16]


def _build(path: Path | None) -> None:
    """Compiles and loads the library, and keeps it as ``path``.

    Raises ImportError, OSError or RuntimeError.
    """
    from torch.utils import cpp_extension

    if not shutil.which(cpp_extension.get_cxx_compiler()):
        raise OSError("there is no C++ compiler")
    print("compiling the fast path, once on this machine", file=sys.stderr, flush=True)
    before = os.environ.get("PATH", "")
    # Where pip puts ninja, of an environment that need not be activated.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), before])
    try:
        with tempfile.TemporaryDirectory(prefix="hwsim-") as folder:
            built = cpp_extension.load(
                "fused", [str(SOURCE)], extra_cflags=list(COMPILE), extra_ldflags=list(LINK),
                build_directory=folder, is_python_module=False,
            )  # fmt: skip
            # Where the cache cannot be written, the next run compiles again.
            if path is None:
                return
            with suppress(OSError), whole(path) as temporary:
                shutil.copyfile(built or Path(folder, "fused.so"), temporary)
    finally:
        os.environ["PATH"] = before
