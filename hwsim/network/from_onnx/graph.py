"""A graph of an ONNX file: its operators in order, shapes by onnx's own inference, constants.

Only what is needed is read: of weights the shapes, of small integers the values.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference
from onnx.inliner import inline_local_functions
from onnx.reference import ReferenceEvaluator

from hwsim.errors import UserError, escaped, one_line
from hwsim.network.description import as_name

FOLDED = 1 << 14
"""Constants of more values are known by their shapes alone."""

SCOPES = "pkg.torch.onnx.name_scopes"
"""In a node's properties: the modules that torch's exporter was in."""

DOMAINS = ("", "ai.onnx")


class OnnxError(UserError):
    """A model that cannot be read, or that a network cannot express; one line naming the node."""


class Constant:
    """A tensor that does not hang on the network's input: its shape, and perhaps its values."""

    def __init__(self, shape: tuple[int, ...], values: np.ndarray | None = None) -> None:
        self.shape, self.values = shape, values


class Node:
    """One operator: names of its tensors, attributes as Python values."""

    def __init__(self, proto: Any) -> None:
        self.proto = proto
        self.operator: str = proto.op_type
        self.domain: str = proto.domain
        self.inputs: list[str] = list(proto.input)
        self.outputs: list[str] = list(proto.output)
        self.attributes: dict[str, Any] = {
            attribute.name: helper.get_attribute_value(attribute) for attribute in proto.attribute
        }

    @property
    def name(self) -> str:
        """As the file has it, or its first output's; room is left for ``.add`` and a number."""
        return as_name(escaped(self.proto.name or self.outputs[0]))

    @property
    def scope(self) -> str | None:
        """The path of the module that torch exported it from; None where nothing tells."""
        for each in self.proto.metadata_props:
            if each.key == SCOPES:
                return _scope_of(each.value)
        parts = self.name.strip("/").split("/")
        return _joined(parts[:-1]) if self.name.startswith("/") else None


def _scope_of(text: str) -> str | None:
    """Of ``['', 'layer1', 'layer1.0', 'conv2d']``: the last is the operator's own."""
    try:
        scopes = json.loads(text.replace("'", '"'))
    except json.JSONDecodeError:
        return None
    return str(scopes[-2]) if isinstance(scopes, list) and len(scopes) > 1 else None


def _joined(parts: list[str]) -> str:
    """layer1, layer1.0, conv1 of a path of scopes is layer1.0.conv1."""
    path: list[str] = []
    for part in parts:
        if path and part.startswith(f"{path[-1]}."):
            path.pop()
        path.append(part)
    return ".".join(path)


def _sizes(node: Node, shape: tuple[int, ...]) -> np.ndarray:
    """What Shape and Size give of a tensor."""
    sizes = np.array(shape, np.int64)
    if node.operator == "Size":
        return np.array(sizes.prod(), np.int64)
    return sizes[node.attributes.get("start", 0) : node.attributes.get("end", len(shape))]


class Graph:
    """The operators and constants of a file; ``shape``: of its input. Raises OnnxError."""

    def __init__(self, path: Path, shape: tuple[int, ...] | None) -> None:
        self.path = path
        model = _loaded(path)
        graph = model.graph
        self.stored = {tensor.name: tensor for tensor in graph.initializer}
        inputs = [each for each in graph.input if each.name not in self.stored]
        if len(inputs) != 1:
            names = ", ".join(each.name for each in inputs) or "none"
            raise OnnxError(f"{path}: has {len(inputs)} inputs ({names}); one was expected")
        (self.input,) = (each.name for each in inputs)
        self.input_shape = self._fix_input(inputs[0], shape)
        self.outputs = [each.name for each in graph.output]
        self.constants: dict[str, Constant] = {}
        self.shapes = self._shapes(model)
        self.nodes = [Node(proto) for proto in graph.node]

    def error(self, node: Node, why: str) -> OnnxError:
        return OnnxError(f"{self.path}: {node.operator} {node.name!r}: {why}")

    def _fix_input(self, given: Any, shape: tuple[int, ...] | None) -> tuple[int, ...]:
        """Sizes that the file leaves open: of the batch 1, of others those of ``shape``."""
        dims = given.type.tensor_type.shape.dim
        sizes = [dim.dim_value if dim.HasField("dim_value") else 0 for dim in dims]
        sizes[:1] = [size or 1 for size in sizes[:1]]
        if shape is not None:
            fits = len(shape) == len(sizes) and all(
                own in (0, size) for own, size in list(zip(sizes, shape, strict=True))[1:]
            )
            if not fits:
                own = "x".join(str(size or "?") for size in sizes)
                raise OnnxError(
                    f"{self.path}: input {given.name} has the shape {own}, not "
                    + "x".join(map(str, shape))
                )
            sizes = list(shape)
        if not sizes or not all(sizes):
            raise OnnxError(
                f"{self.path}: input {given.name} leaves sizes open; --input 1x3x224x224 gives them"
            )
        for dim, size in zip(dims, sizes, strict=True):
            dim.dim_value = size
        return tuple(sizes)

    def _shapes(self, model: Any) -> dict[str, tuple[int, ...]]:
        """Of every tensor whose sizes are all known, by onnx's inference for this input.

        What is computed of constants and shapes becomes a constant, and shapes are inferred again.
        """
        graph = model.graph
        # What was inferred for another batch does not bind.
        del graph.value_info[:]
        for each in graph.output:
            each.type.tensor_type.ClearField("shape")
        while True:
            try:
                inferred = shape_inference.infer_shapes(model, data_prop=True).graph
            except Exception as error:
                raise OnnxError(f"{self.path}: shapes do not fit ({one_line(error)})") from None
            found = {self.input: self.input_shape}
            for each in [*inferred.value_info, *inferred.output]:
                kind = each.type.tensor_type
                dims = kind.shape.dim
                if kind.HasField("shape") and all(dim.HasField("dim_value") for dim in dims):
                    found[each.name] = tuple(dim.dim_value for dim in dims)
            if not self._fold(graph, found):
                return found

    def _fold(self, graph: Any, shapes: dict[str, tuple[int, ...]]) -> bool:
        """Whether operators of known values became constants."""
        left = []
        for proto in graph.node:
            node = Node(proto)
            values = self._values(node, shapes)
            if values is None:
                left.append(proto)
                continue
            for name, value in zip(node.outputs, values, strict=False):
                self.stored[name] = numpy_helper.from_array(np.asarray(value), name)
                graph.initializer.append(self.stored[name])
        folded = len(left) < len(graph.node)
        if folded:
            del graph.node[:]
            graph.node.extend(left)
        return folded

    def _values(self, node: Node, shapes: dict[str, tuple[int, ...]]) -> list[Any] | None:
        """What the operator gives, where that is a few known values."""
        if node.operator in ("Shape", "Size") and node.inputs[0] in shapes:
            return [_sizes(node, shapes[node.inputs[0]])]
        if any(prod(shapes.get(name, ())) > FOLDED for name in node.outputs):
            return None
        given = [self.constant(name) for name in node.inputs if name]
        if any(each is None or each.values is None for each in given):
            return None
        feeds = {name: self.constant(name) for name in node.inputs if name}
        try:
            run = ReferenceEvaluator(node.proto).run
            return list(run(None, {name: each.values for name, each in feeds.items() if each}))
        except Exception:  # An operator that onnx cannot compute by itself.
            return None

    def constant(self, name: str) -> Constant | None:
        """A stored tensor, or one computed of such; None of what hangs on the input."""
        if name not in self.constants and name in self.stored:
            tensor = self.stored[name]
            shape = tuple(tensor.dims)
            values = None
            if prod(shape) <= FOLDED:
                try:
                    values = numpy_helper.to_array(tensor, str(self.path.parent))
                except (OSError, ValueError, onnx.checker.ValidationError):
                    values = None  # Weights in a file that is not there: their shape tells all.
            self.constants[name] = Constant(shape, values)
        return self.constants.get(name)

    def keep_constant(self, node: Node) -> None:
        """An operator of constants that are too many to compute: of the outputs only shapes."""
        for name, shape in zip(node.outputs, self.output_shapes(node), strict=False):
            self.constants[name] = Constant(shape)

    def integers(self, node: Node, place: int, attribute: str | None = None) -> list[int] | None:
        """The integers of an input (or, of old files, of an attribute); None where not given."""
        if attribute in node.attributes:
            return [int(value) for value in node.attributes[attribute]]
        if place >= len(node.inputs) or not node.inputs[place]:
            return None
        found = self.constant(node.inputs[place])
        if found is None or found.values is None:
            raise self.error(node, f"its input {node.inputs[place]!r} is computed, or too large")
        return [int(value) for value in np.ravel(found.values)]

    def output_shapes(self, node: Node) -> Iterator[tuple[int, ...]]:
        for name in node.outputs:
            if name and name not in self.shapes:
                raise self.error(node, f"onnx cannot tell the shape of {name!r}")
            if name:
                yield self.shapes[name]


def _loaded(path: Path) -> Any:
    """The model with its functions inlined; weights in other files are left there."""
    if not path.is_file():
        raise OnnxError(f"{path}: no such file")
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:
        raise OnnxError(f"{path}: not an ONNX model ({one_line(error)})") from None
    if not model.graph.node:
        raise OnnxError(f"{path}: not an ONNX model, or one without operators")
    return inline_local_functions(model) if model.functions else model
