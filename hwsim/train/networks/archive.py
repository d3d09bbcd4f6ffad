"""Zip archives of arrays (.npz) and tensors (.pt): what one holds is bounded by its own size.

NumPy and torch believe what an archive says of sizes, and torch checks no checksum. Here members
are stored and not compressed, together no larger than the file, and each has its CRC-32; an array
is as large as its header says.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from hwsim.errors import one_line

DAMAGED = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError,
    SyntaxError, TypeError, ValueError, pickle.UnpicklingError, struct.error, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip
"""What zipfile, NumPy, json and torch raise for bytes that they did not write."""


def require_whole(path: Path) -> None:
    """Raise one of DAMAGED where a member is compressed, changed or larger than the file.

    FileNotFoundError where there is none.
    """
    size = path.stat().st_size
    if not path.is_file():
        raise ValueError("not a file")
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("its members are compressed")
        if sum(member.file_size for member in members) > size:
            raise ValueError("its members are larger than the file")
        if damaged := archive.testzip():
            raise ValueError(f"{damaged} is damaged")


def arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz by name, none of objects. Raises one of DAMAGED."""
    require_whole(path)
    with zipfile.ZipFile(path) as archive:
        return {
            member.filename.removesuffix(".npy"): _array(archive.read(member))
            for member in archive.infolist()
        }


def _array(member: bytes) -> np.ndarray:
    stream = io.BytesIO(member)
    try:
        version = np.lib.format.read_magic(stream)
        of_version = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        shape, fortran, dtype = of_version[version](stream)
    # A header is Python: a tokeniser and a parser have errors of their own.
    except Exception as error:
        raise ValueError(f"no array ({one_line(error)[:60]})") from None
    data = member[stream.tell() :]
    if dtype.hasobject or any(side < 0 for side in shape):
        raise ValueError(f"an array of {dtype} {shape}")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"an array of {dtype} {shape} in {len(data):,} bytes")
    # A copy that torch may write to.
    flat = np.frombuffer(bytearray(data), dtype)
    return flat.reshape(shape, order="F" if fortran else "C")
