"""Mutants of a Verilog source: operators, comparisons, numbers and conditions, one at a time.

A tokeniser, no parser. Left alone: a module's head (parameters and ports), the widths and depths of
declarations, the counts of replications, and the parameters of instances.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .mutant import Key, Mutant, numbered

TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
      | (?P<number>\d+'s?[bdho][0-9a-fA-F]+|\d+)
      | (?P<name>[A-Za-z_$][\w$]*)
      | (?P<sign>@\*|\#\(|<<|>>|<=|>=|==|!=|&&|\|\||\+:|-:|.)""",
    re.VERBOSE | re.DOTALL,
)
BINARY = {
    "+": "-", "-": "+", "*": "+", "/": "*", "%": "/", "<<": ">>", ">>": "<<", "&": "|", "|": "&",
    "^": "|", "&&": "||", "||": "&&", "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=",
    "!=": "==",
}  # fmt: skip
UNARY = {"!": "", "~": "", "-": "", "&": "|", "|": "&"}
SIGNS = {*BINARY, *UNARY}
OPENING, CLOSING = ("(", "[", "{", "#("), (")", "]", "}")
DECLARATIONS = ("wire", "reg", "integer", "genvar", "localparam")
BASES = {"b": 2, "d": 10, "h": 16, "o": 8}


@dataclass(frozen=True)
class Token:
    """A word of the source; ``depth``: of brackets; ``fixed``: to be left alone."""

    kind: str
    text: str
    start: int
    depth: int
    scope: str
    fixed: bool

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def verilog_mutants(file: str, source: str) -> list[Mutant]:
    """Every mutant of ``source``, in the order of the lines."""
    lines = source.splitlines()
    tokens = list(_tokens(source))
    widths = _counts(tokens)
    found = []
    for at, token in enumerate(tokens):
        if token.fixed or at in widths:
            continue
        for start, end, by, told in _changes(source, tokens, at):
            row = source.count("\n", 0, start)
            column = start - (source.rfind("\n", 0, start) + 1)
            key = Key(file, token.scope, lines[row].strip(), told)
            found.append(Mutant(key, row + 1, column, source[:start] + by + source[end:]))
    found.sort(key=lambda mutant: (mutant.row, mutant.column))
    return list(numbered(found))


def _tokens(source: str) -> Iterator[Token]:
    """Words and signs, without what stands between them."""
    depth, scope, in_head, declares, fixed_below = 0, "source", False, False, None
    naming = False
    for match in TOKEN.finditer(source):
        kind, text = str(match.lastgroup), match.group()
        if kind == "space":
            continue
        if naming:
            scope, in_head, naming = text, True, False
        naming = text == "module"
        declares = (declares or text in DECLARATIONS) and text not in ("=", ";")
        if text in CLOSING:
            depth -= 1
            if fixed_below == depth:
                fixed_below = None
        fixed = in_head or fixed_below is not None
        yield Token(kind, text, match.start(), depth, scope, fixed)
        if text in OPENING:
            if fixed_below is None and (text == "#(" or (text == "[" and declares)):
                fixed_below = depth
            depth += 1
        in_head = in_head and text != ";"


def _counts(tokens: list[Token]) -> set[int]:
    """Numbers of the tokens in the count of a replication, `{4 * N{1'b0}}`: a width."""
    found: set[int] = set()
    for at, token in enumerate(tokens):
        if at and token.text == "{" and _is_operand(tokens[at - 1]):
            first = at
            while tokens[first - 1].depth >= token.depth:
                first -= 1
            found |= {*range(first, at)}
    return found


def _is_operand(token: Token) -> bool:
    return token.kind in ("number", "name") or token.text in CLOSING


Change = tuple[int, int, str, str]
"""Between which places to put what, and how it is told."""


def _changes(source: str, tokens: list[Token], at: int) -> Iterator[Change]:
    """The changes that ``tokens[at]`` stands for."""
    token = tokens[at]
    if token.kind == "number":
        for number in _numbers(token.text):
            yield token.start, token.end, number, f"{token.text} -> {number}"
    elif token.text == "if":
        yield from _negated(source, tokens[at + 2 : _behind(tokens, at + 1)])
    elif token.text == "?":
        yield from _negated(source, tokens[_condition(tokens, at) : at])
    elif token.text in SIGNS and not _assigns(tokens, at):
        left = f"{tokens[at - 1].text} " if _is_operand(tokens[at - 1]) else ""
        other = (BINARY if left else UNARY).get(token.text)
        right = f" {tokens[at + 1].text}" if left else tokens[at + 1].text
        if other is not None:
            told = f"{left}{token.text}{right} -> {left}{other}{right}"
            yield token.start, token.end, other, told


def _numbers(text: str) -> list[str]:
    """One more and one less; a number of few bits wraps, and what is below 0 has a sign."""
    size, _, rest = text.rpartition("'")
    if not size:
        return [str(int(text) + 1), str(int(text) - 1)]
    base, digits = re.fullmatch(r"(s?[bdho])(\w+)", rest).groups()  # type: ignore[union-attr]
    value, radix, top = int(digits, BASES[base[-1]]), base[-1], 1 << int(size)
    near = {(value + 1) % top, (value - 1) % top}
    form = {"b": "b", "d": "d", "h": "x", "o": "o"}[radix]
    return [f"{size}'{base}{number:{form}}" for number in sorted(near)]


def _negated(source: str, condition: list[Token]) -> Iterator[Change]:
    """A negated condition, where no other mutant is its negation."""
    signs = [token.text for token in condition if token.text in SIGNS]
    compares = {"==", "!="} & {*signs} and not {*signs} & {"&&", "||", "<", ">", "<=", ">="}
    if not compares and signs != ["!"]:
        start, end = condition[0].start, condition[-1].end
        text = " ".join(source[start:end].split())
        yield start, end, f"!({text})", f"{text} -> !({text})"


def _behind(tokens: list[Token], at: int) -> int:
    """The bracket that closes the one at ``at``."""
    depth = tokens[at].depth
    return next(n for n in range(at + 1, len(tokens)) if tokens[n].depth == depth)


def _condition(tokens: list[Token], at: int) -> int:
    """Where the condition of the ``?`` at ``at`` begins."""
    depth = tokens[at].depth
    for number in range(at - 1, 0, -1):
        token = tokens[number]
        starts = token.text in ("=", ",", ":", "?", ";") or _assigns(tokens, number)
        if token.depth < depth or (token.depth == depth and starts):
            return number + 1
    raise ValueError("a condition without a beginning")


def _assigns(tokens: list[Token], at: int) -> bool:
    """Whether a ``<=`` is an assignment: the statement's first, in no brackets."""
    if tokens[at].text != "<=" or tokens[at].depth:
        return False
    for token in reversed(tokens[:at]):
        if token.text in (";", "begin", "end", "else") or (token.text == ")" and not token.depth):
            return True
        if token.text in ("<=", "="):
            return False
    raise ValueError("a statement without a beginning")
