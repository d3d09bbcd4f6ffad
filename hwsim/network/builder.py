"""From a stream of operators to a Network, whatever tells them: a forward pass, or a file.

    builder = NetworkBuilder(images=1)
    x = builder.input((1, 3, 32, 32))
    y = builder.convolution("stem", x, 16, 3, padding=1)
    y = builder.reduce("mean", y, (2, 3))
    network = builder.build("mine", [builder.linear("fc", y, 10)])

Values are opaque and immutable, and have the full ``shape`` of their tensor, batch included. What
changes one value at a time (activations, normalisation, bias, dropout, softmax) is no call.
Constants (weights, embeddings, masks) are given by their shape, a tuple, where one may stand.
``name`` is that of the layer with MACs; a map layer's has its operator behind it ("block.add"), and
repetitions are numbered. docs/guide/networks.md says what becomes a layer. Raises LayerListError.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

from hwsim.network import axes
from hwsim.network.axes import Atom
from hwsim.network.graph import LayerListError as LayerListError
from hwsim.network.graph import Node, assembled
from hwsim.network.layers import INPUT
from hwsim.network.network import Network
from hwsim.network.values import Extents, Values, called, four_sides, kind_of, two_sides
from hwsim.network.values import Operand as Operand
from hwsim.network.values import Value as Value


class NetworkBuilder(Values):
    """Told every operator once, in the order of execution; ``images``: the batch's length."""

    def __init__(self, images: int = 1) -> None:
        super().__init__(images)

    def input(self, shape: Sequence[int], *, channels_last: bool = False) -> Value:
        """The network's input: (N, C), (N, C, L), (N, C, H, W), or (N, ..., C)."""
        pixels = "p" * (len(shape) - 2)
        kinds = f"n{pixels}c" if channels_last else f"nc{pixels}"
        return self.fresh(INPUT, INPUT, self.dims_of(shape, kinds))

    def convolution(
        self,
        name: str,
        x: Value,
        out_channels: int,
        kernel_size: Extents,
        *,
        stride: Extents = 1,
        padding: Extents = 0,
        dilation: Extents = 1,
        conv_groups: int = 1,
        gated: bool = False,
        groups: int = 1,
    ) -> Value:
        """x: (N, C, H, W), or (N, C, L), whose positions are rows of one pixel.

        ``padding``: also (top, left, bottom, right), of 1-D maps (begin, end). ``groups``: gating
        groups.
        """
        x = self.as_map(name, x)
        line = len(x.shape) == 3
        size = (*x.shape[2:], 1)[:2]
        kernel, strides, dilations = (
            two_sides(extents, 1, line) for extents in (kernel_size, stride, dilation)
        )
        edges = four_sides(padding, line)
        if min(*kernel, *strides, *dilations) < 1:
            raise LayerListError(f"layer {name}: kernel, stride and dilation are from 1 on")
        fields = {
            "out_channels": out_channels, "in_height": size[0], "in_width": size[1],
            "kernel_size": kernel, "stride": strides, "padding": edges, "dilation": dilations,
            "conv_groups": conv_groups, "gated": gated, "groups": groups,
        }  # fmt: skip
        out = [
            (size[d] + edges[d] + edges[d + 2] - (kernel[d] - 1) * dilations[d] - 1) // strides[d]
            + 1
            for d in (0, 1)
        ]
        if min(out) < 1:
            raise LayerListError(f"layer {name}: the kernel is larger than the padded input")
        shape = (self.images, out_channels, *out[: len(x.shape) - 2])
        return self.fresh(
            "convolution", name, self.dims_of(shape, "ncpp"), (x.node,),
            shape=(out_channels, out[0], out[1]), fields=fields,
        )  # fmt: skip

    def transposed(
        self,
        name: str,
        x: Value,
        out_channels: int,
        kernel_size: Extents,
        shape: Sequence[int],
        conv_groups: int = 1,
    ) -> Value:
        """A transposed convolution to a tensor of this shape: a 1x1 one, then values are moved.

        The 1x1 convolution has a channel for each tap of each output channel, and so the same MACs.
        Where taps overlap (a stride below the kernel's size) their sums are not charged.
        """
        taps = prod(two_sides(kernel_size, 1, len(x.shape) == 3))
        spread = self.convolution(name, x, out_channels * taps, 1, conv_groups=conv_groups)
        return self.fresh(
            "rearrange", called(name, "rearrange"), self.dims_of(shape, "ncpp"), (spread.node,),
            fields={"sums": True},
        )  # fmt: skip

    def linear(
        self,
        name: str,
        x: Value,
        out_features: int,
        *,
        grouped: bool = False,
        gated: bool = False,
        groups: int = 1,
    ) -> Value:
        """Contracts x's last dimension with a constant; x of any rank.

        Of a flattened map it is a convolution as large as the map, else a 1x1 one. ``grouped``: x
        is (..., M, K), and each of the dimensions before has weights of its own, but for images.
        ``groups``: gating groups.
        """
        if grouped:
            return self._heads(name, x, out_features)
        *rows, last = x.dims
        self.refuse_batch(name, last, "contracts")
        channels, pixels = self.wholes(x.node)
        flattened = last in (axes.merged(channels + pixels), axes.merged(pixels + channels))
        images_only = not axes.of("cpr", axes.flat(rows))
        kernel = (1, 1)
        if flattened and images_only:
            kernel = x.node.shape[1:]
        elif axes.of("cr", axes.flat(rows)) or last != channels:
            x = self.settle(name, x, "p" * len(rows) + "c")
        height, width = x.node.shape[1:]
        sides = (height - kernel[0] + 1, width - kernel[1] + 1)
        fields = {
            "out_channels": out_features, "in_height": x.node.shape[1],
            "in_width": x.node.shape[2], "kernel_size": kernel, "padding": (0, 0, 0, 0),
            "gated": gated, "groups": groups,
        }  # fmt: skip
        return self.fresh(
            "convolution", name, (*x.dims[:-1], axes.whole("c", out_features)), (x.node,),
            shape=(out_features, *sides), fields=fields,
        )  # fmt: skip

    def product(self, name: str, a: Value, b: Value) -> Value:
        """The matrix product (..., M, K) x (..., K, L) of two values, other dimensions equal.

        A 1x1 convolution over M pixels whose weights the other value brings; the other
        dimensions but for images are its groups. Where only b lies as such a map, they change
        places.
        """
        for x in (a, b):
            self.refuse_batch(name, axes.flat(x.dims[-2:]), "mixes")
        rank = len(a.dims)
        turn = (*range(rank - 2), rank - 1, rank - 2)
        turned = self.permute(b, turn)
        if not self._has_heads(a) and self._has_heads(turned):
            return self.permute(self._heads(name, turned, a.shape[-2], a), turn)
        return self._heads(name, a, b.shape[-1], b)

    def _has_heads(self, x: Value) -> bool:
        """Whether channels are (other dimensions, K) and pixels M, as they lie."""
        *others, rows, last = x.dims
        channels, pixels = self.wholes(x.node)
        return (
            axes.merged([*axes.of("cpr", axes.flat(others)), *last]) == channels
            and not axes.of("cr", rows)
            and axes.extent(rows) == axes.extent(pixels)
        )

    def _heads(self, name: str, x: Value, out: int, weights: Value | None = None) -> Value:
        kinds = "c" * (len(x.dims) - 2) + "pc"
        if not self._has_heads(x):
            x = self.settle(name, x, kinds)
        if weights is not None and axes.of("r", axes.flat(weights.dims)):
            weights = self.settle(name, weights, kinds)
        *others, rows, _ = x.dims
        heads = axes.extent(axes.of("c", axes.flat(others)))
        height, width = x.node.shape[1:]
        fields = {
            "out_channels": heads * out, "in_height": height, "in_width": width,
            "kernel_size": (1, 1), "padding": (0, 0, 0, 0), "conv_groups": heads,
        }  # fmt: skip
        *others, last = axes.ordered((*others, (Atom("c", 1, out),)))
        return self.fresh(
            "convolution", name, (*others, rows, last), (x.node,),
            aside=weights and weights.node, shape=(heads * out, height, width), fields=fields,
        )  # fmt: skip

    def add(self, name: str, a: Operand, b: Operand) -> Operand:
        """Any operator on two values, element by element, but a product; shapes broadcast.

        It is none with a constant, and of a value with itself, with a function of it or with
        its own statistics (:meth:`reduce`): a bias, an activation, a normalisation.
        """
        return self.combined("add", name, a, b)

    def multiply(self, name: str, a: Operand, b: Operand) -> Operand:
        """The product of two values, element by element; otherwise as :meth:`add`."""
        return self.combined("multiply", name, a, b)

    def pool(
        self, name: str, x: Value, shape: Sequence[int], stride: Extents | None = None
    ) -> Value:
        """Pooling of a map to a tensor of this shape; ``stride`` None: of extents that divide."""
        if len(x.dims) == 4 and not x.dims[2] and x.node.shape[2] == 1 < x.node.shape[1]:
            # A 1-D map, for which torch has only 2-D pooling.
            step = stride if stride is None or isinstance(stride, int) else stride[-1]
            line_shape = (*shape[:2], shape[3])
            x = self.reshape(name, x, (*x.shape[:2], x.shape[3]))
            return self.reshape(name, self.pool(name, x, line_shape, step), shape)
        x = self.as_map(name, x)
        line = len(x.shape) == 3
        fields: dict[str, Any] = {"sides": (*x.shape[2:], 1)[:2]}
        if stride is not None:
            fields["strides"] = two_sides(stride, 1, line)
        dims = self.dims_of(shape, "ncpp")
        return self.fresh("pool", called(name, "pool"), dims, (x.node,), fields=fields)

    def reduce(self, name: str, x: Value, along: Sequence[int], keepdims: bool = False) -> Value:
        """A mean, sum, largest value, norm ... over some dimensions; none given: over all."""
        rank = len(x.dims)
        gone = {d % rank for d in along} or set(range(rank))
        removed = axes.flat(x.dims[d] for d in sorted(gone))
        self.refuse_batch(name, removed, "reduces")
        kept = tuple(() if d in gone else group for d, group in enumerate(x.dims))
        node: Node = x.node
        if axes.of("cp", removed):
            if axes.of("r", axes.flat(kept)) or "outer" in node.fields:
                raise LayerListError(
                    f"layer {name}: reduces what was multiplied or spread in more dimensions than "
                    "each of its parts has: a product that torch does not count; a product of "
                    "matrices was expected"
                )
            dims = axes.ordered(kept)
            shape = axes.map_shape(dims)
            if not axes.of("p", removed):
                shape = (shape[0], *node.shape[1:])
            found = self.fresh(
                "pool", called(name, "pool"), dims, (node,), shape=shape, fields={"statistic": True}
            )
            node, kept = found.node, dims
        return Value(node, tuple(g for d, g in enumerate(kept) if keepdims or d not in gone))

    def smooth(self, name: str, x: Value) -> Value:
        """Pooling over windows that may have channels in them, to a tensor of the same shape.

        As :meth:`reduce` it gives statistics: local response normalisation is none of its layers.
        """
        shape, fields = x.node.shape, {"statistic": True}
        return self.fresh(
            "pool", called(name, "pool"), x.dims, (x.node,), shape=shape, fields=fields
        )

    def resize(self, name: str, x: Value, shape: Sequence[int]) -> Value:
        """Interpolation of a map to a tensor of this shape."""
        x = self.as_map(name, x)
        fields = {"sides": (*x.shape[2:], 1)[:2]}
        dims = self.dims_of(shape, "ncpp")
        return self.fresh("resize", called(name, "resize"), dims, (x.node,), fields=fields)

    def reshape(self, name: str, x: Value, shape: Sequence[int]) -> Value:
        """Without a layer where dimensions are only regrouped."""
        if prod(shape) != prod(x.shape):
            raise LayerListError(
                f"layer {name}: a tensor of shape {x.shape} becomes {tuple(shape)}"
            )
        dims = axes.regrouped(x.dims, shape)
        return self.rearrange(name, x, shape) if dims is None else Value(x.node, dims)

    def permute(self, x: Value, order: Sequence[int]) -> Value:
        """Dimensions in another order; no layer."""
        return Value(x.node, tuple(x.dims[d] for d in order))

    def part(self, name: str, x: Value, sizes: dict[int, int]) -> Value:
        """Other values along some dimensions: {dimension: its new size}.

        Slices, selections, gathering, flips, rolls, repetition, padding with other values.
        """
        dims = list(x.dims)
        moved = False
        for d, size in sizes.items():
            group = dims[d]
            if group and all(atom.axis == "r" for atom in group):
                dims[d] = axes.merged([Atom("r", 0, size)])
                continue
            self.refuse_batch(name, group, "takes parts of")
            dims[d] = (Atom(kind_of(group, x.dims, d), 0, size),)
            moved = True
        if not moved:
            return Value(x.node, tuple(dims))
        return self.fresh(
            "rearrange", called(name, "rearrange"), axes.ordered(tuple(dims)), (x.node,)
        )

    def pad(
        self, name: str, x: Value, before: Sequence[int], after: Sequence[int], zeros: bool
    ) -> Value:
        """Padding of each dimension; zeros around a map are the padding of its convolutions."""
        sides = list(zip(before, after, strict=True))
        sizes = {d: x.shape[d] + sum(side) for d, side in enumerate(sides) if any(side)}
        found = self.part(name, x, sizes)
        around = zeros and len(sides) in (3, 4) and min(sizes, default=0) >= 2
        if around and min(*before, *after) >= 0 and self.is_map(x):
            (top, bottom), (left, right) = (*sides[2:], (0, 0))[:2]
            found.node.fields["zeros"] = (top, left, bottom, right)
        return found

    def concatenate(self, name: str, parts: Sequence[Operand], along: int) -> Operand:
        """One after the other along a dimension; maps along their channels are no layer."""
        values = [part for part in parts if isinstance(part, Value)]
        shapes = [part.shape if isinstance(part, Value) else part for part in parts]
        along %= len(shapes[0])
        size = sum(shape[along] for shape in shapes)
        if not values:
            return (*shapes[0][:along], size, *shapes[0][along + 1 :])
        joined = values[0] if len(values) == 1 else self.joined(name, values, along)
        return joined if joined.shape[along] == size else self.part(name, joined, {along: size})

    def rearrange(self, name: str, x: Value, shape: Sequence[int]) -> Value:
        """Values moved in a way that only the result tells: a tensor (N, ...) of this shape."""
        if not shape or shape[0] != self.images:
            raise LayerListError(
                f"layer {name}: a tensor of shape {tuple(shape)} mixes the {self.images} images"
            )
        pixels = "p" * (len(shape) - 2)
        last = bool(pixels) and bool(axes.of("c", x.dims[-1]))
        dims = self.dims_of(shape, f"n{pixels}c" if last else f"nc{pixels}")
        return self.fresh("rearrange", called(name, "rearrange"), dims, (x.node,))

    def build(self, name: str, outputs: Iterable[Value]) -> Network:
        """The network; ``outputs`` are read, too."""
        return assembled(name, self.nodes, [output.node for output in outputs])
