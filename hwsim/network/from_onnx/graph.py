"""A graph of an ONNX file: its operators in order, shapes by onnx's own inference, constants.

Only what is needed is read: of weights the shapes, of small integers the values.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import checker, helper, numpy_helper, shape_inference
from onnx.inliner import inline_local_functions
from onnx.reference import ReferenceEvaluator

from hwsim.errors import UserError, escaped, one_line
from hwsim.files import open_file
from hwsim.network.description import as_name
from hwsim.network.from_onnx.tensors import (
    FOLDED,
    Constant,
    is_beside,
    read,
    require_sound,
    stored_in,
)

SCOPES = "pkg.torch.onnx.name_scopes"
"""In a node's properties: the modules that torch's exporter was in."""

DOMAINS = ("", "ai.onnx")

MOST_MODEL = (1 << 31) - 1
"""Bytes of a model's file: protobuf has no larger ones."""

COMPUTED = """
    Constant Identity Cast CastLike Gather GatherElements GatherND Slice Concat Split Reshape
    Flatten Squeeze Unsqueeze Transpose Expand Tile Range ConstantOfShape EyeLike NonZero Where Clip
    Add Sub Mul Div Mod Pow Neg Abs Sign Sqrt Reciprocal Exp Log Floor Ceil Round Min Max Sum Mean
    Equal Less LessOrEqual Greater GreaterOrEqual And Or Xor Not CumSum ReduceProd ReduceSum
    ReduceMax ReduceMin ReduceMean ArgMax ArgMin ScatterElements ScatterND
""".split()  # noqa: SIM905
"""Operators by which models compute shapes. Each takes about as long as its tensors are large;
others may take any time, and of what they make a shape is enough."""


class OnnxError(UserError):
    """A model that cannot be read, or that a network cannot express; one line naming the node."""


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
        return as_name(escaped(self.proto.name or "".join(self.outputs[:1])))

    @property
    def has_graphs(self) -> bool:
        """Whether it runs operators of its own: a loop, a branch."""
        kinds = onnx.AttributeProto
        return any(each.type in (kinds.GRAPH, kinds.GRAPHS) for each in self.proto.attribute)

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
        for tensor in stored_in(graph):
            try:
                require_sound(tensor)
            except ValueError as error:
                raise self._tensor_error(tensor.name, error) from None
        self._rules = checker.C.CheckerContext()
        self._rules.ir_version = onnx.IR_VERSION
        self._rules.opset_imports = {each.domain: each.version for each in model.opset_import}
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

    def require_valid(self, node: Node) -> None:
        """Raise OnnxError where onnx's rules for the operator do not allow this one."""
        try:
            checker.check_node(node.proto, self._rules, checker.C.LexicalScopeContext())
        except checker.ValidationError as error:
            raise self.error(node, one_line(str(error).partition("==>")[0])) from None
        except UnicodeDecodeError:  # of the complaint, which repeats what it is about
            raise self.error(node, "is not as onnx has it: text that is no UTF-8") from None

    def _tensor_error(self, name: str, error: Exception) -> OnnxError:
        return OnnxError(f"{self.path}: tensor {escaped(name)}: {one_line(error)}")

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
        if node.operator in ("Shape", "Size") and shapes.keys() & node.inputs[:1]:
            self.require_valid(node)
            return [_sizes(node, shapes[node.inputs[0]])]
        if node.operator not in COMPUTED or node.domain not in DOMAINS:
            return None
        # How many values are not zero only they can tell; there are no more than they.
        if node.operator != "NonZero" and any(
            name not in shapes or prod(shapes[name]) > FOLDED for name in node.outputs if name
        ):
            return None
        if any(is_beside(each.t) for each in node.proto.attribute):
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
            try:
                self.constants[name] = read(self.stored[name])
            except (ValueError, TypeError, LookupError) as error:
                raise self._tensor_error(name, error) from None
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
            raise self.error(
                node, f"its input {node.inputs[place]!r} is computed, too large, or in another file"
            )
        return [int(value) for value in np.ravel(found.values)]

    def output_shapes(self, node: Node) -> Iterator[tuple[int, ...]]:
        for name in node.outputs:
            if name and name not in self.shapes:
                raise self.error(node, f"onnx cannot tell the shape of {name!r}")
            if name:
                yield self.shapes[name]


def _loaded(path: Path) -> Any:
    """The model with its functions inlined; weights in other files are left there."""
    try:
        with open_file(path) as file:
            # Asked for so many bytes, Python makes room for them first.
            size = os.fstat(file.fileno()).st_size
            contents = file.read(size) if size <= MOST_MODEL else None
    except FileNotFoundError:
        raise OnnxError(f"{path}: no such file") from None
    except UserError as error:
        raise OnnxError(str(error)) from None
    if contents is None:
        raise OnnxError(f"{path}: more than 2 GiB; of a model so large the weights lie beside it")
    try:
        model = onnx.load_model_from_string(contents)
        model = inline_local_functions(model) if model.functions else model
    except Exception as error:
        raise OnnxError(f"{path}: not an ONNX model ({one_line(error)})") from None
    if not model.graph.node:
        raise OnnxError(f"{path}: not an ONNX model, or one without operators")
    return model
