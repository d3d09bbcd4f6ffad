"""What a builder has been told, and the layers of it: additions and pooling in output stages.

An addition is the ``residual`` of the later convolution, or of the earlier, whose sum without it
nobody reads; pooling by a whole factor is the ``pool`` of the convolution whose map nobody reads
unpooled. What is left is a MapLayer; what nobody reads and has no MACs is nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hwsim.errors import UserError
from hwsim.network.axes import Shape
from hwsim.network.layers import INPUT, ConvLayer, Layer
from hwsim.network.map_layer import MapLayer
from hwsim.network.network import Network


class LayerListError(UserError):
    """A model that a Network cannot express, or whose forward pass does not reveal it."""


@dataclass(eq=False)
class Node:
    """A map (C, H, W) and what makes it; ``order`` is that of the forward pass.

    ``kind``: "input", "convolution", "concatenation" (no layer), or a MapLayer's operator.
    """

    kind: str
    name: str
    shape: Shape
    order: int
    inputs: tuple[Node, ...] = ()
    residual: Node | None = None
    aside: Node | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    """Of a convolution: its own. Of pooling: ``strides``; of it and of resizing: ``sides``, those
    of the map as it is read. Of zero padding: ``zeros``, its sides. Of a rearrangement: ``sums``
    where taps are added; ``values`` that were written into it. Of a multiplication: ``outer``
    where each side lacks dimensions of the other."""

    @property
    def sources(self) -> Iterator[Node]:
        yield from self.inputs
        yield from (node for node in (self.residual, self.aside) if node is not None)


class _Assembly:
    """From nodes to layers, once."""

    def __init__(self, nodes: Sequence[Node], outputs: Iterable[Node]) -> None:
        self.outputs = set(_stored(outputs))
        needed = {node for node in nodes if node.kind == "convolution"} | self.outputs
        for node in reversed(nodes):
            if node in needed:
                _unpad(node)
                needed.update(node.sources)
        self.nodes = [node for node in nodes if node in needed]
        self.fused: dict[Node, Node] = {}
        """Additions and pooling that a convolution's output stage does, and that convolution."""
        self.ready: dict[Node, int] = {}
        self._count_readers()
        for node in self.nodes:
            self._shorten(node)
        self._count_readers()
        for node in self.nodes:
            if node.kind == "add":
                self._fuse_addition(node)
            elif node.kind == "pool":
                self._fuse_pooling(node)
        self.layers: list[Layer] = []
        self.tensors: dict[Node, str] = {}
        self.names: set[str] = {INPUT}

    def _count_readers(self) -> None:
        self.readers = Counter(source for node in self.nodes for source in node.sources)
        self.readers.update(self.outputs)

    def _shorten(self, node: Node) -> None:
        """Values that are moved twice, with nobody reading between, are moved once.

        So are parts of one map that are put together again.
        """
        if node.kind == "concatenation":
            sources = {s for part in node.inputs for s in part.inputs}
            moved = all(p.kind == "rearrange" and self.readers[p] == 1 for p in node.inputs)
            if moved and len(sources) == 1:
                self.nodes = [n for n in self.nodes if n not in node.inputs]
                node.kind, node.inputs = "rearrange", tuple(sources)
        while node.kind == "rearrange" and len(node.inputs) == 1:
            (source,) = node.inputs
            if source.kind != "rearrange" or self.readers[source] > 1:
                return
            node.inputs = source.inputs
            self.nodes = [n for n in self.nodes if n is not source]

    def _made_by(self, node: Node) -> Node:
        return self.fused.get(node, node)

    def _ready(self, node: Node) -> int:
        """When all convolutions that a map needs have run."""
        maker = self._made_by(node)
        if maker.kind in (INPUT, "convolution"):
            return maker.order
        if maker not in self.ready:
            self.ready[maker] = max(self._ready(source) for source in maker.sources)
        return self.ready[maker]

    def _fuse_addition(self, node: Node) -> None:
        first, second = sorted(node.sources, key=lambda n: -self._made_by(n).order)
        for maker, other in ((first, second), (second, first)):
            if (
                maker.kind == "convolution"
                and maker.residual is None
                and self.readers[maker] == 1
                and other.kind != "concatenation"
                and self._ready(other) < maker.order
            ):
                maker.residual = other
                self.fused[node] = maker
                return

    def _fuse_pooling(self, node: Node) -> None:
        (source,) = node.inputs
        maker = self._made_by(source)
        pool = pool_factor(maker.shape, node.shape, node.fields.get("strides"))
        # What was added may lie otherwise: then only pooling of all pixels is the same.
        lies = source.shape == maker.shape or node.shape[1:] == (1, 1)
        if (
            pool is not None
            and lies
            and node.fields.get("sides", source.shape[1:]) == source.shape[1:]
            and maker.kind == "convolution"
            and "pool" not in maker.fields
            and self.readers[source] == 1
        ):
            maker.fields |= pool
            self.fused[node] = maker

    def emit(self) -> tuple[Layer, ...]:
        for node in self.nodes:
            if node.kind not in (INPUT, "concatenation") and node not in self.fused:
                self._tensor(node)
        return tuple(self.layers)

    def _tensor(self, node: Node) -> str:
        """The name of the tensor, whose layer and what it needs are made where they were not."""
        maker = self._made_by(node)
        if maker.kind == INPUT:
            return INPUT
        if maker not in self.tensors:
            self._make(maker)
        return self.tensors[maker]

    def _make(self, node: Node) -> None:
        inputs, residual = node.inputs, node.residual
        if node.kind == "concatenation":
            # Read as a whole by what takes one tensor: it has to be one.
            inputs = (node,)
        elif (
            residual is not None
            and residual.kind == "concatenation"
            and inputs[0].kind != "concatenation"
        ):
            inputs, residual = (residual,), inputs[0]
        fields: dict[str, Any] = {"input": tuple(self._inputs(inputs))}
        channels, height, width = _together(inputs)
        if residual is not None:
            fields["residual"] = self._tensor(residual)
        aside = node.aside and self._tensor(node.aside)
        layer: Layer
        if node.kind == "convolution":
            fields |= node.fields
            name = unused(node.name, self.names)
            layer = ConvLayer(name=name, in_channels=channels, weights_from=aside, **fields)
        else:
            height, width = node.fields.get("sides", (height, width))
            fields |= {"in_channels": channels, "in_height": height, "in_width": width}
            out = dict(zip(("out_channels", "out_height", "out_width"), node.shape, strict=True))
            operator = "rearrange" if node.kind == "concatenation" else node.kind
            name = unused(node.name, self.names)
            layer = MapLayer(name=name, operator=operator, scale=aside, **fields, **out)
        self.layers.append(layer)
        self.tensors[node] = name

    def _inputs(self, nodes: Iterable[Node]) -> Iterator[str]:
        for node in nodes:
            if node.kind == "concatenation":
                yield from self._inputs(node.inputs)
            else:
                yield self._tensor(node)


def unused(name: str, taken: set[str]) -> str:
    """The name, numbered where it is taken; it is from now on."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}.{number}"
    taken.add(found)
    return found


def _unpad(node: Node) -> None:
    """A convolution of a map that zeros were put around pads by itself."""
    if node.kind != "convolution" or "zeros" not in node.inputs[0].fields:
        return
    padded = node.inputs[0]
    if padded.shape[1:] != (node.fields["in_height"], node.fields["in_width"]):
        return  # read in another shape, whose edges are not the map's
    pad = padded.fields["zeros"]
    edges = node.fields["padding"]
    node.fields["padding"] = tuple(a + b for a, b in zip(edges, pad, strict=True))
    node.fields["in_height"] -= pad[0] + pad[2]
    node.fields["in_width"] -= pad[1] + pad[3]
    node.inputs = padded.inputs
    _unpad(node)


def _stored(outputs: Iterable[Node]) -> Iterator[Node]:
    """What is stored of what a model returns: the maps themselves, in whatever order."""
    for node in outputs:
        if node.kind == "concatenation" or (node.kind == "rearrange" and not node.fields):
            yield from _stored(node.inputs)
        else:
            yield node


def _together(nodes: Sequence[Node]) -> Shape:
    """The shape of maps one after the other along their channels."""
    return sum(node.shape[0] for node in nodes), *nodes[0].shape[1:]


def pool_factor(
    shape: Shape, pooled: Shape, strides: Sequence[int] | None
) -> dict[str, Any] | None:
    """``pool`` and ``ceil_mode`` that take a map to another, or None: a map's own layer does it.

    ``strides``: of both directions, or None where only extents that divide each other tell them.
    """
    if shape[0] != pooled[0] or shape == pooled:
        return None
    factors = []
    for direction, (before, after) in enumerate(zip(shape[1:], pooled[1:], strict=True)):
        # A window as large as the map may have any stride.
        factor = strides[direction] if strides and after > 1 else before // after
        if not strides and before % after:
            return None
        factors.append(factor)
    for ceil_mode in (False, True):
        found = [
            -(-b // f) if ceil_mode else b // f for b, f in zip(shape[1:], factors, strict=True)
        ]
        if tuple(found) == pooled[1:]:
            return {"pool": tuple(factors), "ceil_mode": ceil_mode}
    return None


def assembled(name: str, nodes: Sequence[Node], outputs: Iterable[Node]) -> Network:
    """The network of these nodes, which are in the order of the forward pass."""
    copies: dict[Node, Node] = {}
    for node in nodes:
        # What is fused is written into nodes; those that were told stay as they are.
        copies[node] = replace(
            node,
            inputs=tuple(copies[source] for source in node.inputs),
            residual=copies.get(node.residual) if node.residual else None,
            aside=copies.get(node.aside) if node.aside else None,
            fields=dict(node.fields),
        )
    told = [copies[output] for output in outputs]
    return Network(name=name, layers=_Assembly(list(copies.values()), told).emit())


def macs_of(node: Node) -> int:
    """Dense MACs per image of a convolution that has been told."""
    fields = {"in_channels": _together(node.inputs)[0], **node.fields}
    return ConvLayer(name=node.name, **fields).macs
