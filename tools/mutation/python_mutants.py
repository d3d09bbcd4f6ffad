"""Mutants of a Python source: operators, comparisons, constants and conditions, one at a time.

Annotations, text and flags given by keyword (``strict=True``) are left alone. The changed source is
written by ``ast.unparse``.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from typing import Any

from .mutant import Key, Mutant, numbered

OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
}
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
MOVED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
"""Their mutants are no negations; of the other comparisons they are."""

OTHER_FUNCTION = {
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "minimum": "maximum",
    "maximum": "minimum",
}
"""Also methods, as NumPy's."""


@dataclass(frozen=True)
class Place:
    """A node that is executed, its function, what puts another in its place."""

    node: ast.AST
    scope: str
    is_condition: bool
    put: Callable[[ast.AST], None]


def python_mutants(file: str, source: str) -> list[Mutant]:
    """Every mutant of ``source``, in the order of the lines."""
    tree = ast.parse(source)
    lines = source.splitlines()
    found = []
    for place in _below(tree, "module"):
        node = place.node
        for changed in _changes(place):
            text = f"{ast.unparse(node)} -> {ast.unparse(changed)}"
            key = Key(file, place.scope, lines[node.lineno - 1].strip(), text)
            place.put(changed)
            found.append(Mutant(key, node.lineno, node.col_offset, ast.unparse(tree)))
            place.put(node)
    found.sort(key=lambda mutant: (mutant.row, mutant.column))
    return list(numbered(found))


def _below(node: ast.AST, scope: str) -> Iterator[Place]:
    """Every place below ``node``."""
    for name, held in ast.iter_fields(node):
        if name in ("annotation", "returns"):
            continue
        for at, child in enumerate(held if isinstance(held, list) else [held]):
            if not isinstance(child, ast.AST):
                continue
            inner = scope
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                inner = child.name if scope == "module" else f"{scope}.{child.name}"
            elif isinstance(child, ast.expr | ast.stmt) and not _is_flag(node):
                is_condition = name == "test" and not isinstance(node, ast.Assert)
                put = _putting(held, at) if isinstance(held, list) else _setting(node, name)
                yield Place(child, scope, is_condition or name == "ifs", put)
            yield from _below(child, inner)


def _is_flag(node: ast.AST) -> bool:
    """A keyword argument with True or False: what it switches is a check, no timing."""
    return isinstance(node, ast.keyword) and type(getattr(node.value, "value", None)) is bool


def _putting(held: list[Any], at: int) -> Callable[[ast.AST], None]:
    return lambda child: held.__setitem__(at, child)


def _setting(parent: ast.AST, name: str) -> Callable[[ast.AST], None]:
    return lambda child: setattr(parent, name, child)


def _changes(place: Place) -> Iterator[ast.AST]:
    """What can stand in a node's place; nothing below it is changed."""
    node = place.node
    match node:
        case ast.BinOp() | ast.AugAssign():
            yield _with(node, op=OPERATORS[type(node.op)]())
        case ast.Compare():
            for at, operator in enumerate(node.ops):
                other = COMPARISONS[type(operator)]()
                yield _with(node, ops=[*node.ops[:at], other, *node.ops[at + 1 :]])
        case ast.BoolOp():
            yield _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        case ast.UnaryOp(operand=operand):
            yield operand
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
            yield ast.Constant(value - 1)
        case ast.Name(id=name) if name in OTHER_FUNCTION:
            yield _with(node, id=OTHER_FUNCTION[name])
        case ast.Attribute(attr=name) if name in OTHER_FUNCTION:
            yield _with(node, attr=OTHER_FUNCTION[name])
    is_negated_above = isinstance(node, ast.Compare) and not isinstance(node.ops[0], MOVED)
    if place.is_condition and not is_negated_above and not isinstance(node, ast.UnaryOp):
        yield ast.UnaryOp(ast.Not(), node)


def _with(node: ast.AST, **fields: Any) -> ast.AST:
    changed = copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed
