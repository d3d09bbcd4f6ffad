"""How often each net of a simulation rises and falls, from a value change dump."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Toggles:
    """Rises and falls by the net's name; changes from or to x and z are none."""

    rises: Counter[str] = field(default_factory=Counter)
    falls: Counter[str] = field(default_factory=Counter)

    def of(self, net: str) -> int:
        return self.rises[net] + self.falls[net]


def count_toggles(lines: Iterable[str]) -> Toggles:
    """Toggles of all scalar nets in a dump; what changes within a time step counts once."""
    names: dict[str, list[str]] = {}
    was: dict[str, str] = {}
    now: dict[str, str] = {}
    ups: Counter[str] = Counter()
    downs: Counter[str] = Counter()

    def step_ends() -> None:
        for code, value in now.items():
            change = was.get(code, "x") + value
            if change == "01":
                ups[code] += 1
            elif change == "10":
                downs[code] += 1
        was.update(now)
        now.clear()

    for line in lines:
        first = line[:1]
        if first in "01xzXZ" and first:
            now[line[1:].rstrip()] = first
        elif first == "#":
            step_ends()
        elif line.startswith("$var"):
            _, _, width, code, name, *_ = line.split()
            if width == "1":
                names.setdefault(code, []).append(name)
    step_ends()
    return Toggles(_by_name(names, ups), _by_name(names, downs))


def _by_name(names: dict[str, list[str]], counted: Counter[str]) -> Counter[str]:
    """A code may stand for several names of one net."""
    return Counter({name: counted[code] for code, all_of in names.items() for name in all_of})
