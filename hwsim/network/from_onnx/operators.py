"""What each operator of ONNX makes of the map that a tensor shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from hwsim.network.builder import Operand, Value
from hwsim.network.from_onnx.einsum import einsum
from hwsim.network.from_onnx.graph import Node
from hwsim.network.from_onnx.model import Reader
from hwsim.network.from_onnx.tensors import Constant

Handler = Callable[[Reader, Node], None]


def _names(text: str) -> list[str]:
    return text.split()


UNCHANGED = _names("""
    Relu LeakyRelu Elu Selu Celu Gelu Sigmoid HardSigmoid HardSwish Tanh Softplus Softsign Mish
    Swish ThresholdedRelu Shrink Clip Exp Log Sqrt Abs Neg Reciprocal Erf Sign Floor Ceil Round Sin
    Cos Tan Asin Acos Atan Sinh Cosh Not IsNaN IsInf Cast CastLike Identity Dropout Softmax
    LogSoftmax Hardmax BatchNormalization InstanceNormalization GroupNormalization
    LayerNormalization RMSNormalization SimplifiedLayerNormalization MeanVarianceNormalization
    LpNormalization LRN Trilu QuantizeLinear DequantizeLinear Bernoulli BitwiseNot
""")
"""One value of the map gives one value."""

ADDED = _names("""
    Add Sub Sum Mean Max Min Equal Less LessOrEqual Greater GreaterOrEqual And Or Xor BitwiseAnd
    BitwiseOr BitwiseXor
""")

MULTIPLIED = _names("Mul Div Pow Mod PRelu")

REDUCED = _names("""
    ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum
    ReduceLogSumExp ReduceSumSquare
""")

MOVED = _names("DepthToSpace SpaceToDepth GatherND GatherElements")


def unchanged(reader: Reader, node: Node) -> None:
    reader.put(node, reader.value(node))


def together(kind: str) -> Handler:
    def handle(reader: Reader, node: Node) -> None:
        found: Operand = ()
        for operand in reader.operands(node):
            found = reader.builder.combined(kind, reader.name(node), found, operand)
        reader.put(node, found)

    return handle


def where(reader: Reader, node: Node) -> None:
    """One of two values; a condition only scales them."""
    builder, name = reader.builder, reader.name(node)
    condition, first, second = reader.operands(node)
    found = builder.add(name, first, second)
    reader.put(node, builder.multiply(name, found, condition))


def convolution(reader: Reader, node: Node) -> None:
    x, weights = reader.value(node), reader.shape_of(node, 1)
    if len(weights) not in (3, 4):
        raise reader.graph.error(
            node, f"is of {len(weights) - 2} directions; of 1 and 2 it is known"
        )
    kernel = weights[2:]
    of_node = node.attributes
    reads = (len(x.shape), x.shape[1]), (len(weights), weights[1] * of_node.get("group", 1))
    if reads[0] != reads[1]:
        raise reader.graph.error(node, f"reads {x.shape} with weights of shape {weights}")
    strides = of_node.get("strides", [1] * len(kernel))
    dilations = of_node.get("dilations", [1] * len(kernel))
    found = reader.builder.convolution(
        reader.layer_name(node, f"conv{len(kernel)}d", 1), x, weights[0], kernel,
        stride=strides, dilation=dilations,
        padding=_padding(node, x.shape[2:], kernel, strides, dilations),
        conv_groups=of_node.get("group", 1),
    )  # fmt: skip
    reader.put(node, found)


def _padding(
    node: Node,
    sizes: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> list[int]:
    """Begins, then ends: (top, left, bottom, right), or (begin, end)."""
    auto = node.attributes.get("auto_pad", b"NOTSET").decode()
    if auto == "VALID" or (auto == "NOTSET" and "pads" not in node.attributes):
        return [0] * 2 * len(kernel)
    if auto == "NOTSET":
        return list(node.attributes["pads"])
    begins, ends = [], []
    for size, taps, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
        all_sides = max(0, (-(-size // stride) - 1) * stride + (taps - 1) * dilation + 1 - size)
        less, more = all_sides // 2, all_sides - all_sides // 2
        begins.append(less if auto == "SAME_UPPER" else more)
        ends.append(more if auto == "SAME_UPPER" else less)
    return begins + ends


def transposed(reader: Reader, node: Node) -> None:
    x, weights = reader.value(node), reader.shape_of(node, 1)
    if len(weights) not in (3, 4):
        raise reader.graph.error(
            node, f"is of {len(weights) - 2} directions; of 1 and 2 it is known"
        )
    groups = node.attributes.get("group", 1)
    found = reader.builder.transposed(
        reader.layer_name(node, f"conv{len(weights) - 2}d", 1), x, weights[1] * groups, weights[2:],
        reader.output_shape(node), groups,
    )  # fmt: skip
    reader.put(node, found)


def gemm(reader: Reader, node: Node) -> None:
    """A matrix product and what is added to it."""
    builder = reader.builder
    sides: list[Value | Constant] = []
    for place, attribute in ((0, "transA"), (1, "transB")):
        side = reader.operand(node, place)
        assert side is not None  # onnx has checked it
        if node.attributes.get(attribute, 0):
            side = _turned(reader, side)
        sides.append(side)
    found = _product(reader, node, *sides)
    added = reader.operand(node, 2)
    if isinstance(added, Value):
        found_or_shape = builder.add(reader.name(node), found, added)
        return reader.put(node, found_or_shape)
    return reader.put(node, found)


def matmul(reader: Reader, node: Node) -> None:
    a, b = reader.operand(node, 0), reader.operand(node, 1)
    assert a is not None
    assert b is not None
    reader.put(node, _product(reader, node, a, b))


def _turned(reader: Reader, x: Value | Constant) -> Value | Constant:
    """With the last two dimensions exchanged."""
    rank = len(x.shape)
    order = (*range(rank - 2), rank - 1, rank - 2)
    if isinstance(x, Value):
        return reader.builder.permute(x, order)
    return Constant(tuple(x.shape[d] for d in order))


def _product(reader: Reader, node: Node, a: Value | Constant, b: Value | Constant) -> Value:
    """a (..., M, K) times b (..., K, L), of which at least one is a value."""
    if min(len(a.shape), len(b.shape)) < 2:
        raise reader.graph.error(node, "multiplies by a vector; matrices were expected")
    if isinstance(a, Value) and isinstance(b, Value):
        if a.shape[:-2] != b.shape[:-2]:
            raise reader.graph.error(
                node, f"multiplies tensors of shapes {a.shape} and {b.shape}, which broadcast"
            )
        return reader.builder.product(reader.layer_name(node, "matmul"), a, b)
    if isinstance(a, Value):
        own = prod(b.shape[:-2]) > 1
        return reader.builder.linear(
            reader.layer_name(node, "linear", 1), a, b.shape[-1], grouped=own
        )
    turned_b, turned_a = _turned(reader, b), _turned(reader, a)
    found = _turned(reader, _product(reader, node, turned_b, turned_a))
    assert isinstance(found, Value)
    return found


def pooled(reader: Reader, node: Node) -> None:
    """As a forward pass tells it: to one pixel it is a reduction."""
    x, shape = reader.value(node), reader.output_shape(node)
    if len(shape) not in (3, 4):
        raise reader.graph.error(node, f"pools a tensor of shape {x.shape}; maps were expected")
    if all(size == 1 for size in shape[2:]):
        along = range(2, len(shape))
        return reader.put(node, reader.builder.reduce(reader.name(node), x, along, keepdims=True))
    kernel = node.attributes.get("kernel_shape", [1])
    strides = node.attributes.get("strides", [1] * len(kernel))
    if shape == x.shape and prod(kernel) == prod(strides) == 1:
        return reader.put(node, x)
    return reader.put(node, reader.builder.pool(reader.name(node), x, shape, strides))


def reduced(reader: Reader, node: Node) -> None:
    x = reader.value(node)
    along = reader.graph.integers(node, 1, "axes")
    if not along:
        if node.attributes.get("noop_with_empty_axes", 0):
            return reader.put(node, x)
        along = list(range(len(x.shape)))
    keeps = bool(node.attributes.get("keepdims", 1))
    return reader.put(node, reader.builder.reduce(reader.name(node), x, along, keeps))


def reshaped(reader: Reader, node: Node) -> None:
    x = reader.value(node)
    reader.put(node, reader.builder.reshape(reader.name(node), x, reader.output_shape(node)))


def permuted(reader: Reader, node: Node) -> None:
    x = reader.value(node)
    order = node.attributes.get("perm", list(range(len(x.shape)))[::-1])
    reader.put(node, reader.builder.permute(x, order))


def expanded(reader: Reader, node: Node) -> None:
    reader.put(node, reader.builder.expand(reader.value(node), reader.output_shape(node)))


def concatenated(reader: Reader, node: Node) -> None:
    parts = [part for part in reader.operands(node) if isinstance(part, Value) or 0 not in part]
    joined = reader.builder.concatenate(reader.name(node), parts, node.attributes.get("axis", 1))
    reader.put(node, joined)


def padded(reader: Reader, node: Node) -> None:
    x = reader.value(node)
    given = reader.graph.integers(node, 1, "pads") or []
    axes = reader.graph.integers(node, 3) or list(range(len(x.shape)))
    before, after = [0] * len(x.shape), [0] * len(x.shape)
    for place, axis in enumerate(axes):
        before[axis], after[axis] = given[place], given[place + len(axes)]
    constant = node.attributes.get("mode", b"constant") == b"constant"
    value = reader.operand(node, 2)
    filled = isinstance(value, Constant) and value.values is not None and np.any(value.values)
    zeros = constant and not filled and not node.attributes.get("value", 0.0)
    reader.put(node, reader.builder.pad(reader.name(node), x, before, after, zeros))


def sliced(reader: Reader, node: Node) -> None:
    """Parts along the dimensions that become smaller, or run backwards."""
    x, shape = reader.value(node), reader.output_shape(node)
    steps = reader.graph.integers(node, 4) or []
    axes = reader.graph.integers(node, 3, "axes") or list(range(len(steps)))
    turned = {axis % len(shape) for axis, step in zip(axes, steps, strict=False) if step < 0}
    sizes = {d: n for d, n in enumerate(shape) if n != x.shape[d] or d in turned}
    reader.put(node, reader.builder.part(reader.name(node), x, sizes) if sizes else x)


def split(reader: Reader, node: Node) -> None:
    x = reader.value(node)
    along = node.attributes.get("axis", 0) % len(x.shape)
    for place, shape in enumerate(reader.graph.output_shapes(node)):
        sizes = {along: shape[along]}
        part = x if shape == x.shape else reader.builder.part(reader.name(node), x, sizes)
        reader.put(node, part, place)


def gathered(reader: Reader, node: Node) -> None:
    """Places along a dimension; or rows of a table by the input's numbers: what is read first."""
    data, indices = reader.operand(node, 0), reader.operand(node, 1)
    shape = reader.output_shape(node)
    if isinstance(data, Constant):
        if not isinstance(indices, Value) or indices.node.kind != "input":
            raise reader.graph.error(node, "picks from a table by what a layer computes")
        if shape not in reader.embedded:
            reader.embedded[shape] = reader.builder.input(shape, channels_last=True)
        return reader.put(node, reader.embedded[shape])
    if isinstance(indices, Value):
        raise reader.graph.error(node, "picks what a layer decides")
    assert data is not None
    assert indices is not None
    along = node.attributes.get("axis", 0) % len(data.shape)
    count = prod(indices.shape)
    same = data.shape[along] == count == 1
    part = data if same else reader.builder.part(reader.name(node), data, {along: count})
    return reader.put(node, reader.builder.reshape(reader.name(node), part, shape))


def tiled(reader: Reader, node: Node) -> None:
    x, shape = reader.value(node), reader.output_shape(node)
    sizes = {d: size for d, size in enumerate(shape) if size != x.shape[d]}
    reader.put(node, reader.builder.part(reader.name(node), x, sizes) if sizes else x)


def moved(reader: Reader, node: Node) -> None:
    x, shape = reader.value(node), reader.output_shape(node)
    reader.put(node, reader.builder.rearrange(reader.name(node), x, shape))


def resized(reader: Reader, node: Node) -> None:
    x, shape = reader.value(node), reader.output_shape(node)
    same = shape == x.shape
    reader.put(node, x if same else reader.builder.resize(reader.name(node), x, shape))


def constants_like(reader: Reader, node: Node) -> None:
    """Of a tensor only the shape is read."""
    reader.graph.constants[node.outputs[0]] = Constant(reader.output_shape(node))


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(UNCHANGED, unchanged),
    **dict.fromkeys(ADDED, together("add")),
    **dict.fromkeys(MULTIPLIED, together("multiply")),
    **dict.fromkeys(REDUCED, reduced),
    **dict.fromkeys(MOVED, moved),
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool"), pooled),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"), pooled),
    **dict.fromkeys(("Flatten", "Reshape", "Squeeze", "Unsqueeze"), reshaped),
    **dict.fromkeys(("Resize", "Upsample"), resized),
    **dict.fromkeys(("EyeLike", "RandomNormalLike", "RandomUniformLike"), constants_like),
    "Where": where,
    "Einsum": einsum,
    "Conv": convolution,
    "ConvTranspose": transposed,
    "Gemm": gemm,
    "MatMul": matmul,
    "Transpose": permuted,
    "Expand": expanded,
    "Concat": concatenated,
    "Pad": padded,
    "Slice": sliced,
    "Split": split,
    "Gather": gathered,
    "Tile": tiled,
}
