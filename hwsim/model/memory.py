"""What was worked out lately, up to so many bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Memory(Generic[Value]):
    """Values by key, ``most_bytes`` together at the most; the one used longest ago goes first."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._kept: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._bytes = 0

    def clear(self) -> None:
        self._kept.clear()
        self._bytes = 0

    def get(self, key: Hashable) -> Value | None:
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key][0]

    def keep(self, key: Hashable, value: Value, nbytes: int) -> None:
        """Unless it is larger than all that may be kept, or there already."""
        if nbytes > self.most_bytes or key in self._kept:
            return
        self._kept[key] = value, nbytes
        self._bytes += nbytes
        while self._bytes > self.most_bytes:
            self._bytes -= self._kept.popitem(last=False)[1][1]
