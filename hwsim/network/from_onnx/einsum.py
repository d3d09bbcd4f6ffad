"""Einsum: of two tensors that share letters which are summed, a matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from hwsim.network.builder import Value
from hwsim.network.from_onnx.graph import Node
from hwsim.network.from_onnx.model import Reader
from hwsim.network.from_onnx.tensors import Constant


class Letters(NamedTuple):
    """Of both tensors and the result; of both and not the result; of one tensor and the result."""

    shared: str
    summed: str
    rows: str
    columns: str


def einsum(reader: Reader, node: Node) -> None:
    terms, result = _terms(reader, node)
    operands = [reader.operand(node, place) for place in (0, 1)]
    if isinstance(operands[0], Constant):
        operands, terms = operands[::-1], terms[::-1]
    x, other = operands
    assert isinstance(x, Value)  # an operator of constants alone is folded
    assert other is not None
    letters = _letters(reader, node, terms, result)
    sizes = dict(zip("".join(terms), (*x.shape, *other.shape), strict=True))
    found = _product(reader, node, x, other, terms, letters, sizes)
    order = letters.shared + letters.rows + letters.columns
    whole = reader.builder.reshape(reader.name(node), found, [sizes[each] for each in order])
    reader.put(node, reader.builder.permute(whole, [order.index(each) for each in result]))


def _terms(reader: Reader, node: Node) -> tuple[list[str], str]:
    """The letters of each tensor, and of the result."""
    equation = node.attributes["equation"].decode().replace(" ", "")
    given, arrow, result = equation.partition("->")
    terms = given.split(",")
    plain = all(len(set(term)) == len(term) and term.isalpha() for term in (*terms, result))
    if not arrow or len(terms) != 2 or not plain:
        raise reader.graph.error(
            node, f"{equation!r} is not known; two tensors, each letter once, were expected"
        )
    return terms, result


def _letters(reader: Reader, node: Node, terms: Sequence[str], result: str) -> Letters:
    first, second = terms
    both = [each for each in first if each in second]
    letters = Letters(
        "".join(each for each in both if each in result),
        "".join(each for each in both if each not in result),
        "".join(each for each in first if each not in second),
        "".join(each for each in second if each not in first),
    )
    if not letters.summed or set(letters.shared + letters.rows + letters.columns) != set(result):
        raise reader.graph.error(
            node, "is no matrix product: nothing is summed, or one tensor alone"
        )
    return letters


def _product(
    reader: Reader,
    node: Node,
    x: Value,
    other: Value | Constant,
    terms: Sequence[str],
    letters: Letters,
    sizes: dict[str, int],
) -> Value:
    """(shared..., rows, columns), or with rows each by itself."""
    builder, name = reader.builder, reader.name(node)

    def turned(value: Value, term: str, order: str, *last: str) -> Value:
        """``order`` letter by letter, then each of ``last`` as one dimension."""
        moved = builder.permute(value, [term.index(each) for each in order + "".join(last)])
        ends = [prod(sizes[each] for each in group) for group in last]
        return builder.reshape(name, moved, [*(sizes[each] for each in order), *ends])

    columns = prod(sizes[each] for each in letters.columns)
    if isinstance(other, Value):
        a = turned(x, terms[0], letters.shared, letters.rows, letters.summed)
        b = turned(other, terms[1], letters.shared, letters.summed, letters.columns)
        return builder.product(reader.layer_name(node, "matmul"), a, b)
    layer = reader.layer_name(node, "linear", node.inputs.index(_stored(reader, node)))
    if letters.shared:
        a = turned(x, terms[0], letters.shared, letters.rows, letters.summed)
        return builder.linear(layer, a, columns, grouped=True)
    return builder.linear(layer, turned(x, terms[0], letters.rows, letters.summed), columns)


def _stored(reader: Reader, node: Node) -> str:
    """The input that is a constant."""
    return next(name for name in node.inputs if name not in reader.values)
