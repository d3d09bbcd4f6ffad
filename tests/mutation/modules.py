"""Which sources make up a model, found by what they import."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

from hwsim.timing import Engine

PACKAGE = Path(__file__).parents[2] / "hwsim"

INPUTS = ("counts", "jit", "residency", "schemes")
"""With what they import: what models are given, and share."""


@cache
def modules_of(model: Engine) -> tuple[str, ...]:
    """The model's modules, each behind those that it imports.

    What it imports beside its inputs; the kernel's are also all others that Numba compiles, but for
    the model of masks of channels, which no reference mirrors.
    """
    imported = _imports()
    own = reached(model) - reached(*INPUTS)
    if model == "kernel":
        compiled = {name for name in imported if "jit" in imported[name]}
        own |= compiled - (reached("channels") - reached(model))
    return tuple(name for name in TopologicalSorter(imported).static_order() if name in own)


def reached(*roots: str) -> set[str]:
    """These modules of the simulator and what they import."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        if (name := waiting.pop()) not in found:
            found.add(name)
            waiting += _imports()[name]
    return found


@cache
def _imports() -> dict[str, set[str]]:
    names = {path.stem for path in PACKAGE.glob("*.py")}
    return {name: _imported(name) & names for name in sorted(names)}


def _imported(name: str) -> set[str]:
    """What a module imports at its top, by the last part of the name."""
    found = set()
    for node in ast.parse((PACKAGE / f"{name}.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module == "hwsim":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hwsim."):
            found.add(str(node.module).removeprefix("hwsim."))
    return found
