"""What random runs of any layers meet: of all together, these must leave nothing out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from hwsim.arch.config import Shape
from hwsim.network import AnyLayer, ConvLayer, MapLayer, Network

from .cases import Case
from .coded_maps import left_dense
from .layout import words_by_block
from .network import batches
from .residency import LayerPlan, compares, cuts_rows, plan, uses_masks
from .schemes import hardware
from .skipping import kind_of

SHAPES = (
    "rectangular kernel",
    "stride",
    "rectangular stride",
    "dilation",
    "rectangular dilation",
    "padding of four sides",
    "pooled, pixels left over",
    "pooled, the last ones smaller",
    "rectangular pool",
    "groups",
    "depthwise",
    "gated",
    "groups, gated",
    "gates that zero",
    "concatenated",
    "another shape read",
)
"""Of convolutions; every two of them in one layer, but for pairs that exclude each other."""

WAYS = (
    "whole input", "input on chip", "tiled input", "cut rows",
    "weights all", "weights two",
    *(f"{masks} masks" for masks in ("none", "gated", "sparse", "lockstep")),
    "instance gates", "word skipping", "free-rows skipping", "run-ahead", "window", "systolic feed",
    "another shape of the array", "coded maps", "several images", "zero gating",
)  # fmt: skip
"""How a convolution runs; every one beside every one of SHAPES."""

EXCLUSIVE = frozenset(
    frozenset(pair)
    for pair in (
        ("pooled, pixels left over", "pooled, the last ones smaller"),
        ("gated", "gates that zero"),
        ("groups, gated", "gates that zero"),
        ("gates that zero", "instance gates"),
        *(("depthwise", gates) for gates in ("gated", "groups, gated", "instance gates")),
        ("depthwise", "weights two"),
    )
)
"""One channel cannot be cut into gating groups, and its taps take little room."""

WEIGHTS = {"weights one", "weights parts"}
"""Rare beside others."""

WORDS = {"words of several groups", "words of a group", "blocks of a gated group"}

TENSORS = {
    *(f"concatenated input, {place}" for place in ("on chip", "in part", "loaded", "tiled")),
    "a tensor of several layouts",
    "another shape added",
    *(f"product, {what}" for what in (
        "one head", "heads", "several images", "several tiles of an image", "several channel tiles",
        "of its own input", "weights all", "weights two", "weights one", "skips",
    )),
    *(f"left dense, {by}" for by in ("made", "concatenated", "shape", "map", "aside")),
}  # fmt: skip

MAPS = {
    *(f"map: {operator}" for operator in ("pool", "add", "resize", "rearrange")),
    *(f"map: multiply by {what}" for what in ("residual", "scale")),
    *(f"map input {place}" for place in ("on chip", "loaded", "in part", "too large")),
    *(f"map's residual {place}" for place in ("on chip", "in DRAM")),
    *(f"scale {place}" for place in ("on chip", "in DRAM")),
    "map of another shape of the array", "map, concatenated", "map, several tiles",
    "map behind the last batch's layer", "prefetched during a map",
}  # fmt: skip


EVERYTHING = {*SHAPES, *WAYS} | WEIGHTS | WORDS | TENSORS | MAPS


def pairs() -> set[str]:
    """Every two of SHAPES, and every one of WAYS beside every one of them."""
    together = [*combinations(SHAPES, 2), *((shape, way) for shape in SHAPES for way in WAYS)]
    return {
        f"{one} + {other}" for one, other in together if frozenset((one, other)) not in EXCLUSIVE
    }


def shapes_of(network: Network, layer: ConvLayer) -> Iterator[str]:
    """Which of SHAPES a convolution has."""
    if layer.kernel[0] != layer.kernel[1]:
        yield "rectangular kernel"
    yield from unequal("stride", layer.strides, layer.kernel)
    yield from unequal("dilation", layer.dilations, layer.kernel)
    if isinstance(layer.padding, tuple) and len(layer.padding) == 4:
        yield "padding of four sides"
    pool = (layer.pool, layer.pool) if isinstance(layer.pool, int) else layer.pool
    if layer.out_height % pool[0] or layer.out_width % pool[1]:
        yield f"pooled, {'the last ones smaller' if layer.ceil_mode else 'pixels left over'}"
    if pool[0] != pool[1]:
        yield "rectangular pool"
    if layer.conv_groups > 1:
        yield "groups"
        if layer.conv_groups == layer.in_channels:
            yield "depthwise"
        if layer.groups > 1:
            yield "groups, gated"
    if layer.gated:
        yield "gates that zero" if layer.groups == 1 else "gated"
    if len(layer.inputs) > 1:
        yield "concatenated"
    if in_another_shape(network, layer):
        yield "another shape read"


def unequal(name: str, extents: tuple[int, int], kernel: tuple[int, int]) -> Iterator[str]:
    """A stride or dilation that more than one tap makes felt, and one of each direction."""
    if any(extent > 1 and taps > 1 for extent, taps in zip(extents, kernel, strict=True)):
        yield name
        if extents[0] != extents[1]:
            yield f"rectangular {name}"


def in_another_shape(network: Network, layer: AnyLayer) -> bool:
    """Whether a tensor is read with another height and width than it is made with."""
    shape = layer.in_height, layer.in_width
    return any(network.shapes[tensor][1:] != shape for tensor in layer.inputs)


def ways_of(case: Case, this: LayerPlan) -> Iterator[str]:
    """Which of WAYS a convolution runs in."""
    layer, arch, there = this.layer, case.arch, this.placement
    tiled = "cut rows" if is_cut(this) else "tiled input"
    yield "whole input" if there.input_resident else tiled
    if there.input_on_chip:
        yield "input on chip"
    yield f"weights {this.weights}"
    masks = uses_masks(layer, case.scheme)
    yield f"{hardware(case.scheme).masks if masks else 'none'} masks"
    if masks and case.gate_norm == "instance" and compares(layer, case.scheme):
        yield "instance gates"
    if layer.name in case.inputs and kind_of(case.scheme, arch) != "none":
        yield f"{kind_of(case.scheme, arch)} skipping"
    if masks and arch.index.window and hardware(case.scheme).masks in ("sparse", "lockstep"):
        yield "window"
    seen = {
        "run-ahead": arch.activation.run_ahead > 0 and arch.activation.bank_conflicts == "exact",
        "systolic feed": arch.array.feed == "systolic",
        "another shape of the array": this.arch.array.columns != arch.array.columns,
        "coded maps": arch.activation.dram_format == "run-length",
        "several images": len({image for part in this.tiles for image, _, _ in part.pixels}) > 1,
        "zero gating": arch.array.zero_gating and layer.gated,
    }
    yield from (name for name, met in seen.items() if met)


def is_cut(this: LayerPlan) -> bool:
    return cuts_rows(this.layer, this.placement, [part.pixels for part in this.tiles])


def words_of(case: Case, layer: ConvLayer) -> Iterator[str]:
    """How groups of a convolution lie in words."""
    blocks = words_by_block(layer, case.arch)
    if layer.conv_groups > 1 and layer.groups > 1:
        yield "blocks of a gated group"
    elif layer.conv_groups > 1:
        planes = {plane for words in blocks for plane, _ in words}
        yield "words of several groups" if len(planes) < len(blocks) else "words of a group"


def tensors_of(case: Case, this: LayerPlan) -> Iterator[str]:
    """Which kinds of reading a layer has beside a plain one."""
    layer, there = this.layer, this.placement
    shape = layer.out_height, layer.out_width
    if layer.residual is not None and case.network.shapes[layer.residual][1:] != shape:
        yield "another shape added"
    if len(layer.inputs) > 1 and isinstance(layer, ConvLayer):
        yield f"concatenated input, {place_of(this)}"
    if isinstance(layer, ConvLayer) and layer.weights_from is not None:
        images = [part.pixels[0][0] for part in this.tiles]
        first = [part for part in this.tiles if part.channels == this.tiles[0].channels]
        seen = {
            "one head": layer.conv_groups == 1,
            "heads": layer.conv_groups > 1,
            "several images": len(set(images)) > 1,
            "several tiles of an image": len(first) > len(set(images)),
            "several channel tiles": len({part.channels for part in this.tiles}) > 1,
            "of its own input": layer.weights_from in layer.inputs,
            f"weights {this.weights}": True,
            "skips": layer.name in case.inputs and kind_of(case.scheme, case.arch) != "none",
        }
        yield from (f"product, {name}" for name, met in seen.items() if met)
    if there.layout is not None and there.layout.wq > own_width(layer):
        yield "a tensor of several layouts"


def own_width(layer: AnyLayer) -> int:
    assert isinstance(layer, ConvLayer)
    return layer.out_width + (layer.kernel[1] - 1) * layer.dilations[1] // layer.strides[1]


def place_of(this: LayerPlan) -> str:
    """Where an input is before its layer runs."""
    there = this.placement
    if not there.input_resident:
        return "tiled" if isinstance(this.layer, ConvLayer) else "too large"
    if there.input_on_chip:
        return "on chip"
    assert there.loaded_channels is not None
    return "in part" if there.loaded_channels < this.layer.in_channels else "loaded"


def map_of(case: Case, this: LayerPlan) -> Iterator[str]:
    """What a map layer does, and from where."""
    layer, there = this.layer, this.placement
    assert isinstance(layer, MapLayer)
    by = f" by {'scale' if layer.scale else 'residual'}" if layer.operator == "multiply" else ""
    yield f"map: {layer.operator}{by}"
    yield f"map input {place_of(this)}"
    if layer.residual is not None:
        yield f"map's residual {'on chip' if there.residual_on_chip else 'in DRAM'}"
    if there.scale is not None:
        yield f"scale {'on chip' if there.scale.on_chip else 'in DRAM'}"
    if this.arch.array.columns != case.arch.array.columns:
        yield "map of another shape of the array"
    if len(layer.inputs) > 1:
        yield "map, concatenated"
    if len({part.pixels[0] for part in this.tiles}) > 1:
        yield "map, several tiles"


def codes_of(case: Case, plans: Sequence[LayerPlan], maker: LayerPlan) -> Iterator[str]:
    """Why a map of which zeros are known is left dense."""
    readers = [this.layer for this in plans if maker.layer.name in this.layer.reads]
    known = [layer for layer in readers if layer.name in case.inputs]
    if case.arch.activation.dram_format == "dense" or not known or not left_dense(maker, plans):
        return
    shape = maker.layer.pooled_height, maker.layer.pooled_width
    reasons = {
        "made": isinstance(maker.layer, MapLayer),
        "concatenated": any(len(layer.inputs) > 1 for layer in readers),
        "shape": any((layer.in_height, layer.in_width) != shape for layer in known),
        "map": any(isinstance(layer, MapLayer) for layer in readers),
        "aside": any(layer.aside == maker.layer.name for layer in readers),
    }
    yield from (f"left dense, {reason}" for reason, met in reasons.items() if met)


def met(case: Case, shapes: Sequence[Shape]) -> set[str]:
    """What the layers of a case's first batch meet."""
    numbers = batches(case.images, case.batch)[0]
    plans = plan(case.network, case.arch, case.scheme, len(numbers), case.gate_norm, shapes)
    found: set[str] = set()
    for at, this in enumerate(plans):
        found |= {*tensors_of(case, this), *codes_of(case, plans, this)}
        if isinstance(this.layer, MapLayer):
            found |= set(map_of(case, this))
            if at + 1 < len(plans) and plans[at + 1].ahead_bytes:
                found.add("prefetched during a map")
            if at + 1 == len(plans) and len(numbers) < case.images:
                found.add("map behind the last batch's layer")
            continue
        own = set(shapes_of(case.network, this.layer))
        ways = set(ways_of(case, this))
        found |= set(words_of(case, this.layer)) | own | ways
        together = [*combinations(SHAPES, 2), *((one, way) for one in SHAPES for way in WAYS)]
        found |= {f"{a} + {b}" for a, b in together if a in own and b in own | ways}
    return found
