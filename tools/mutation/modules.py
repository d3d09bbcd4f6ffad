"""Which sources make up a model, found by what they import."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

from hwsim.model import Engine

PACKAGE = Path(__file__).parents[2] / "hwsim"

ROOTS: dict[Engine, str] = {
    "kernel": "hwsim.model.kernel.gated_layers",
    "reference": "hwsim.model.reference.machine",
}

JIT = "hwsim.model.kernel.jit"

INPUTS = ("hwsim.counters", JIT, "hwsim.mapping.residency", "hwsim.arch.schemes")
"""With what they import: what models are given, and share."""


@cache
def modules_of(model: Engine) -> tuple[str, ...]:
    """The model's modules by dotted name, each behind those that it imports.

    What it imports beside its inputs; the kernel's are also all others that Numba compiles, but for
    the model of masks of channels, which no reference mirrors.
    """
    imported = imports()
    own = reached(ROOTS[model]) - reached(*INPUTS)
    if model == "kernel":
        compiled = {name for name in imported if JIT in imported[name]}
        own |= compiled - (reached("hwsim.model.kernel.channels.layers") - reached(ROOTS[model]))
    return tuple(name for name in TopologicalSorter(imported).static_order() if name in own)


def reached(*roots: str) -> set[str]:
    """These modules and what they import."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        if (name := waiting.pop()) not in found:
            found.add(name)
            waiting += imports()[name]
    return found


def path_of(module: str) -> Path:
    """The source of a module."""
    return PACKAGE.parent / f"{module.replace('.', '/')}.py"


@cache
def imports() -> dict[str, set[str]]:
    """For each module of the package those that it imports at its top; rooms are not counted."""
    sources = [path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"]
    names = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in sources}
    return {name: _imported(name) & names for name in sorted(names)}


def _imported(name: str) -> set[str]:
    found = set()
    for node in ast.parse(path_of(name).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hwsim"):
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found
