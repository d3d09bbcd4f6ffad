"""HDF5 files that anybody may have made: read in Python alone, a byte at a time if need be.

The library that writes traces, libhdf5, is not asked to read them: what a damaged or hostile file
does to it can end the process. Here pyfive finds the datasets, in Python, through a file that
counts what is read; the data themselves are read here, and nothing is allocated that the file's
size does not warrant.
"""

from __future__ import annotations

import os
import warnings
import weakref
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.errors import UserError, one_line
from hwsim.files import open_file
from hwsim.trace.format.header import TraceError
from hwsim.trace.format.layout import layer_of

READS = 20_000
"""Reads that finding all datasets may take; a file may take another one for each 2 KiB of it."""

FREE_BYTES, GROWTH = 1 << 26, 32
"""Data may be as large in memory: so many bytes, and so many times the file's size."""

GZIP, FLETCHER32 = 1, 3
"""Filters that a trace's chunks may have passed, by their numbers in HDF5."""

FLETCHER32_BYTES = 4


_VERSION = cache(metadata.version)
"""pyfive looks its own version up for each dataset, in a file: two thirds of its time."""


@contextmanager
def one_line_errors(path: Path, what: str = "damaged") -> Iterator[None]:
    """What reading a damaged file raises, and it may be anything, becomes a TraceError."""
    try:
        with warnings.catch_warnings():
            # What pyfive cannot read it says beside, and gives None.
            warnings.simplefilter("ignore")
            yield
    except TraceError:
        raise
    except Exception as error:
        raise TraceError(f"{path}: {what} ({one_line(error)[:200]})") from None


class Container:
    """An open file; its datasets know their chunks, and read them when they are asked."""

    def __init__(self, path: Path) -> None:
        """Raises TraceError where the path leads to no file, or to no HDF5 file."""
        self.path = path
        try:
            file = open_file(path)
        except UserError:
            raise TraceError(f"{path}: is no regular file; expected a trace") from None
        except (OSError, ValueError) as error:
            why = "no such file" if isinstance(error, FileNotFoundError) else one_line(error)
            raise TraceError(f"{path}: {why}") from None
        weakref.finalize(self, file.close)
        self._handle = file.fileno()
        self.size = os.fstat(self._handle).st_size
        self._stored_bytes = self._bytes = 0
        self._root = self._open()
        self._names = frozenset(self._root)

    def _open(self) -> Any:
        import pyfive

        pyfive.h5d.version = _VERSION
        with one_line_errors(self.path, "not a readable HDF5 file, perhaps truncated"):
            return pyfive.File(_CountedFile(self._handle, self.size))

    def has(self, name: str) -> bool:
        """Whether the file has a group or a dataset of that name."""
        return name in self._names

    def text(self, name: str) -> str | None:
        """An attribute of the file, None where there is none. Raises ValueError: it is no text."""
        found = self._root.attrs.get(name)
        return None if found is None else self.as_text(found)

    @staticmethod
    def as_text(value: Any) -> str:
        """An attribute's value as text. Raises ValueError where it is none."""
        if isinstance(value, bytes):
            return value.decode()
        if not isinstance(value, str):
            raise ValueError(f"an attribute of type {type(value).__name__}, expected text")
        return value

    def by_layer(self, kind: str, with_attributes: bool = False) -> dict[str, Stored]:
        """The datasets of a group, by the names of their layers; none where there is no group."""
        if not self.has(kind):
            return {}
        group = self._root[kind]
        return {
            layer_of(name): self._stored(f"{kind}/{name}", group[name], with_attributes)
            for name in group
        }

    def dataset(self, name: str) -> Stored:
        """Raises LookupError where there is none."""
        return self._stored(name, self._root[name])

    def attributes(self, name: str) -> dict[str, Any]:
        """Those of a group. Raises LookupError where there is none."""
        return dict(self._root[name].attrs)

    def _stored(self, name: str, data: Any, with_attributes: bool = False) -> Stored:
        """Raises ValueError where the data lie in another form than traces have."""
        import pyfive

        if not isinstance(data, pyfive.Dataset):
            raise ValueError(f"{name} is no dataset")
        shape, dtype = tuple(map(int, data.shape)), data.dtype
        if not isinstance(dtype, np.dtype) or dtype.kind not in "iu":
            raise ValueError(f"{name} has type {dtype}, expected integers")
        form = data.chunks
        whole_rows = shape and form and tuple(form[1:]) == shape[1:]
        if not whole_rows or not 1 <= form[0] <= shape[0]:
            raise ValueError(f"{name} is not stored in chunks of whole rows")
        filters = [found["filter_id"] for found in data.id.filter_pipeline or ()]
        if filters not in ([], [FLETCHER32], [GZIP], [GZIP, FLETCHER32]):
            raise ValueError(f"{name} has filters {filters}, expected gzip or none")
        rows = int(form[0])
        places = self._places(name, data.id, rows, shape)
        self._bytes += dtype.itemsize * int(np.prod(shape, dtype=object))
        if self._bytes > FREE_BYTES + GROWTH * self.size:
            raise ValueError(f"{name} has shape {shape}, in a file of {self.size:,} bytes")
        row_bytes = dtype.itemsize * int(np.prod(shape[1:], dtype=object))
        stored = Stored(self, shape, dtype, rows, places, filters, rows * row_bytes)
        if with_attributes:
            stored.attributes = dict(data.attrs)
        return stored

    def _places(
        self, name: str, chunks: Any, rows: int, shape: tuple[int, ...]
    ) -> list[tuple[int, int]]:
        """(offset, bytes) of each chunk; all are there, in the file, whole."""
        number = -(-shape[0] // rows)
        if chunks.get_num_chunks() != number:
            raise ValueError(f"{name} has {chunks.get_num_chunks()} chunks, expected {number}")
        places: dict[int, tuple[int, int]] = {}
        for position in range(number):
            found = chunks.get_chunk_info(position)
            first, *rest = found.chunk_offset
            offset, size = int(found.byte_offset), int(found.size)
            if first % rows or any(rest) or found.filter_mask or offset + size > self.size:
                raise ValueError(f"{name}: chunk {position} is damaged")
            places[int(first) // rows] = offset, size
            self._stored_bytes += size
        if sorted(places) != list(range(number)) or self._stored_bytes > self.size:
            raise ValueError(f"{name}: chunks are missing or overlap")
        return [places[position] for position in range(number)]

    def read(self, offset: int, size: int) -> bytes:
        """Raises OSError where the file has become shorter."""
        found = os.pread(self._handle, size, offset)
        if len(found) != size:
            raise OSError("the file ends too early")
        return found


class _CountedFile:
    """What pyfive reads from. Raises OSError where it reads without end."""

    closed = False

    def __init__(self, handle: int, size: int) -> None:
        self._handle, self._size, self._at = handle, size, 0
        self._reads = READS + size // 2048

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError("a place before the file's first byte")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        self._reads -= 1
        if not self._reads:
            raise OSError("its tables lead in circles")
        left = max(self._size - self._at, 0)
        wanted = left if size < 0 else min(size, left)
        found = os.pread(self._handle, wanted, min(self._at, self._size))
        self._at += len(found)
        return found

    def close(self) -> None:
        """Nothing: the container closes."""


FirstRead = Callable[[int, np.ndarray], None]
"""Told the first row of a chunk and its rows."""


class Stored:
    """A dataset of an open file: integers, the first axis in chunks; slices of it are arrays."""

    def __init__(
        self,
        container: Container,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        rows: int,
        places: list[tuple[int, int]],
        filters: list[int],
        chunk_bytes: int,
    ) -> None:
        self.shape, self.dtype, self.rows = shape, dtype, rows
        self.first_read: list[FirstRead] = []
        self.attributes: dict[str, Any] = {}
        self._container, self._places, self._filters = container, places, filters
        self._chunk_bytes = chunk_bytes
        self._seen = [False] * len(places)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, wanted: slice) -> np.ndarray:
        """Raises TraceError where a chunk is damaged, or is refused when it is first read."""
        start, stop, step = wanted.indices(self.shape[0])
        if step != 1:
            raise ValueError("expected neighbouring rows")
        found = np.empty((max(stop - start, 0), *self.shape[1:]), self.dtype)
        for chunk in range(start // self.rows, -(-stop // self.rows) if stop > start else 0):
            begins = chunk * self.rows
            rows = self._chunk(chunk)
            inside = slice(max(start - begins, 0), stop - begins)
            part = rows[inside]
            at = max(begins - start, 0)
            found[at : at + len(part)] = part
        return found

    def _chunk(self, chunk: int) -> np.ndarray:
        """The rows of a chunk, shown to ``first_read`` once; not to be written to."""
        whole = np.frombuffer(self._contents(*self._places[chunk]), self.dtype)
        begins = chunk * self.rows
        rows = whole.reshape(-1, *self.shape[1:])[: self.shape[0] - begins]
        if not self._seen[chunk]:
            for told in self.first_read:
                told(begins, rows)
            self._seen[chunk] = True
        return rows

    def _contents(self, offset: int, size: int) -> bytes:
        """A chunk's bytes with its filters undone. Raises OSError."""
        found = self._container.read(offset, size)
        if FLETCHER32 in self._filters:
            # The trace's own hashes are of the same data.
            found = found[:-FLETCHER32_BYTES]
        if GZIP in self._filters:
            unpacker = zlib.decompressobj()
            try:
                found = unpacker.decompress(found, self._chunk_bytes + 1)
            except zlib.error as error:
                raise OSError(f"gzip: {error}") from None
        if len(found) != self._chunk_bytes:
            raise OSError(f"a chunk of {len(found):,} bytes, expected {self._chunk_bytes:,}")
        return found
