"""Rooms, floors and arrows of the package, measured over its imports.

    python tools/rooms.py [--list] [FOLDER]

A room is a folder of modules, or a module at the package's top; what a folder's folders hold are
rooms of their own. An arrow says that a module of one room imports from another room, however
often. A room is on the floor above the highest room that it imports from; rooms in a circle share
a floor.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("hwsim"))
    parser.add_argument("--list", action="store_true", help="every room, by floor")
    options = parser.parse_args()
    arrows = arrows_of(options.folder)
    floors = floors_of(arrows)
    number = sum(len(targets) for targets in arrows.values())
    sources = [path.read_text(encoding="utf-8") for path in options.folder.rglob("*.py")]
    lines = sum(bool(line.strip()) for source in sources for line in source.splitlines())
    print(f"{len(arrows)} rooms, {max(floors.values())} floors, {number} arrows")
    print(f"{lines:,} lines of Python, blank ones not counted")
    if options.list:
        for room in sorted(arrows, key=lambda room: (-floors[room], room)):
            print(f"{floors[room]:3}  {room} -> {', '.join(sorted(arrows[room])) or 'nothing'}")
    return 0


def arrows_of(package: Path) -> dict[str, set[str]]:
    """The rooms that each room imports from; what is imported inside functions counts as well."""
    arrows: dict[str, set[str]] = defaultdict(set)
    # The table of public names and the map of commands know every room.
    maps = {package / "__init__.py", package / "__main__.py"}
    for path in sorted(set(package.rglob("*.py")) - maps):
        room = room_of(path, package)
        arrows[room] |= set()
        for module in imported(path):
            found = source_of(module, package)
            if found and found not in maps and room_of(found, package) != room:
                arrows[room].add(room_of(found, package))
    return dict(arrows)


def room_of(path: Path, package: Path) -> str:
    inside = path.relative_to(package)
    return inside.parent.as_posix() if len(inside.parts) > 1 else inside.stem


def source_of(module: str, package: Path) -> Path | None:
    """The file of a dotted name of the package; None for a name inside a module, and for others."""
    parts = module.split(".")
    if parts[0] != package.name or len(parts) == 1:
        return None
    place = package.joinpath(*parts[1:])
    if place.with_suffix(".py").exists():
        return place.with_suffix(".py")
    return place / "__init__.py" if (place / "__init__.py").exists() else None


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            # From a room its modules; from a module its names, which are in the module.
            for name in node.names:
                yield f"{node.module}.{name.name}"
            yield node.module


def floors_of(arrows: Mapping[str, set[str]]) -> dict[str, int]:
    """1 for rooms that import nothing."""
    circles = {room: room for room in arrows}
    while True:
        merged = {
            room: {circles[target] for target in targets} - {circles[room]}
            for room, targets in arrows.items()
        }
        together: dict[str, set[str]] = defaultdict(set)
        for room, targets in merged.items():
            together[circles[room]] |= targets
        try:
            order = list(TopologicalSorter(together).static_order())
        except CycleError as error:
            circle = error.args[1]
            circles = {
                room: circle[0] if head in circle else head for room, head in circles.items()
            }
            continue
        floors: dict[str, int] = {}
        for head in order:
            floors[head] = 1 + max((floors[target] for target in together[head]), default=0)
        return {room: floors[head] for room, head in circles.items()}


if __name__ == "__main__":
    sys.exit(main())
