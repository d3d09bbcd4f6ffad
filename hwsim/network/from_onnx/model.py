"""Networks of ONNX models: each operator told to the builder that torch models are told to.

    network = read_onnx("resnet18.onnx")

Shapes are inferred by onnx. What changes one value at a time is no layer; an operator that is not
known is refused by its name and its node's, since it may multiply. It needs the extra ``onnx``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hwsim.errors import UserError
from hwsim.network.axes import of
from hwsim.network.builder import LayerListError, NetworkBuilder, Operand, Value
from hwsim.network.description import as_name
from hwsim.network.from_onnx.graph import DOMAINS, Graph, Node, OnnxError
from hwsim.network.from_onnx.tensors import Constant
from hwsim.network.network import Network


def read_onnx(path: str | Path, shape: Sequence[int] | None = None) -> Network:
    """The layers of an ONNX model, in its order.

    ``shape``: of the input, where the file leaves sizes open (the batch is 1 then). Raises
    OnnxError; ModuleNotFoundError without onnx.
    """
    path = Path(path)
    network = _read(path, shape, channels_last=False)
    graph_input = network.outside["input"]
    first = network.layers[0]
    if getattr(first, "operator", "") == "rearrange" and graph_input[1:] != (1, 1):
        # It only turns the input: then that is (N, ..., C), and needs no turning.
        turned = _read(path, shape, channels_last=True)
        if len(turned.layers) < len(network.layers):
            return turned
    return network


def _read(path: Path, shape: Sequence[int] | None, channels_last: bool) -> Network:
    from hwsim.network.from_onnx.operators import HANDLERS

    graph = Graph(path, None if shape is None else tuple(shape))
    reader = Reader(graph, channels_last)
    for node in graph.nodes:
        if node.domain not in DOMAINS:
            raise graph.error(node, f"of the domain {node.domain!r} is not known")
        if not reader.follows(node):
            # What a loop or a branch reads is not among its inputs: it may be the map.
            if node.has_graphs:
                raise graph.error(node, "is not known: what it runs may be more than layers have")
            graph.keep_constant(node)
            continue
        if node.operator not in HANDLERS:
            raise graph.error(node, "is not known: what it computes may be more than layers have")
        graph.require_valid(node)
        try:
            HANDLERS[node.operator](reader, node)
        except LayerListError as error:
            raise graph.error(node, str(error)) from None
        except UserError:
            raise
        # Attributes and shapes that onnx's rules allow one by one, and that do not go together.
        except (ArithmeticError, AssertionError, LookupError, ValueError):
            raise graph.error(node, "its attributes and the shapes it reads do not fit") from None
    outputs = [reader.values[name] for name in graph.outputs if name in reader.values]
    if not any(each.kind == "convolution" for each in reader.builder.nodes):
        raise OnnxError(f"{path}: has no layer with MACs")
    try:
        return reader.builder.build(as_name(path.stem), outputs)
    except UserError as error:
        raise OnnxError(f"{path}: {error}") from None


class Reader:
    """What the tensors of a graph are: values of a builder, or constants."""

    def __init__(self, graph: Graph, channels_last: bool) -> None:
        self.graph = graph
        self.builder = NetworkBuilder(graph.input_shape[0])
        self.channels_last = channels_last
        self.values: dict[str, Value] = {
            graph.input: self.builder.input(graph.input_shape, channels_last=channels_last)
        }
        self.embedded: dict[tuple[int, ...], Value] = {}

    def follows(self, node: Node) -> bool:
        """Whether it reads anything that hangs on the input."""
        return any(name in self.values for name in node.inputs)

    def operand(self, node: Node, place: int) -> Value | Constant | None:
        """An input, None where it is not given."""
        if place >= len(node.inputs) or not node.inputs[place]:
            return None
        name = node.inputs[place]
        found = self.values.get(name) or self.graph.constant(name)
        if found is None:
            raise self.graph.error(node, f"reads {name!r}, which nothing before it makes")
        return found

    def value(self, node: Node, place: int = 0) -> Value:
        found = self.operand(node, place)
        if not isinstance(found, Value):
            raise self.graph.error(node, "reads a constant where a map was expected")
        return found

    def shape_of(self, node: Node, place: int) -> tuple[int, ...]:
        """Of weights, which have to be constants."""
        found = self.operand(node, place)
        if not isinstance(found, Constant):
            raise self.graph.error(node, "its weights are computed; constants were expected")
        return found.shape

    def operands(self, node: Node) -> list[Operand]:
        """All inputs as the builder takes them: constants by their shapes."""
        found = (self.operand(node, place) for place in range(len(node.inputs)))
        return [each.shape if isinstance(each, Constant) else each for each in found if each]

    def put(self, node: Node, result: Operand | Value, place: int = 0) -> None:
        """An output, which must have the shape that onnx infers."""
        name = node.outputs[place]
        expected = self.graph.shapes.get(
            name, result.shape if isinstance(result, Value) else result
        )
        if not isinstance(result, Value):
            self.graph.constants[name] = Constant(tuple(result))
            return
        if result.shape != expected:
            raise self.graph.error(node, f"gives {expected}, followed as {result.shape}")
        self.values[name] = result

    def output_shape(self, node: Node) -> tuple[int, ...]:
        return next(self.graph.output_shapes(node))

    def layer_name(self, node: Node, kind: str, weights: int | None = None) -> str:
        """Of a layer with MACs: the module's, by its weights or its scope, or the node's own."""
        if weights is None:
            return node.name if node.scope is None else f"{node.scope}.{kind}".lstrip(".")
        stored = node.inputs[weights]
        if stored in self.graph.stored and stored.endswith(".weight"):
            return stored.removesuffix(".weight")
        return node.name if node.scope is None else node.scope or kind

    def name(self, node: Node) -> str:
        """Of what has no MACs."""
        return node.name if node.scope is None else node.scope

    def mixes_batch(self, x: Value, along: Sequence[int]) -> bool:
        return any(of("n", x.dims[d]) for d in along)
