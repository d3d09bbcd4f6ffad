"""What a command prints, which can be lost without losing its work."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO


class Output:
    """A stream of text; what it cannot take is gone, and everything else goes on.

    Characters that its encoding lacks are escaped. After the first error, of a full disk or a
    reader that went away, all further text leads nowhere.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._error: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except UnicodeEncodeError:
            encoding = self._stream.encoding
            self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        except OSError as error:
            self._lose(error)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        self._error = self._error or error
        # What is still buffered is written once more as Python ends, with a complaint of its own.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def lost(self) -> str | None:
        """Why something of it was lost; None where nothing was that anybody waits for."""
        self.flush()
        if self._error is None or self._error.errno == errno.EPIPE:
            return None
        return self._error.strerror or str(self._error)


@contextmanager
def kept() -> Iterator[Output]:
    """Inside, standard output, which is yielded, and standard error cannot fail.

    Both are open: :func:`hwsim.process.open_streams` sees to those that the shell closed.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = output, errors = Output(before[0]), Output(before[1])
    try:
        yield output
    finally:
        errors.flush()
        sys.stdout, sys.stderr = before
