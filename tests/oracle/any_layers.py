"""Random layers of any shape, and small networks of them (docs/model/layers.md)."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import NamedTuple

from hwsim.errors import UserError
from hwsim.network import INPUT, AnyLayer, ConvLayer, MapLayer, Network

Map = tuple[int, int, int]
"""(channels, height, width) of a tensor."""


class Sizes(NamedTuple):
    """What a network's layers are drawn from; ``macs``, ``pixels``: the most of a layer and image.

    Cases are played cycle by cycle.
    """

    channels: tuple[int, ...]
    outputs: int
    maps: tuple[tuple[range, range], ...]  # heights, widths
    macs: int
    pixels: int = 320


SMALL = Sizes(
    channels=(1, 2, 2, 3, 4, 4, 6, 8, 8, 12, 16, 24),
    outputs=32,
    maps=(*[(range(1, 10), range(1, 10))] * 3, (range(1, 4), range(12, 33))),
    macs=12_000,
)
"""Maps up to 9 x 9, or wide ones, to be cut in rows."""

HEAVY = Sizes((8, 16, 32, 48, 64, 96), outputs=64, maps=((range(1, 3),) * 2,), macs=120_000)
"""Few pixels, and weights that do not fit."""


def divisors(number: int) -> list[int]:
    return [size for size in range(1, number + 1) if number % size == 0]


def draw_extent(rng: Random, choices: list[int]) -> int | tuple[int, int]:
    """The same of both directions, or one each."""
    if rng.random() < 0.5:
        return rng.choice(choices)
    return rng.choice(choices), rng.choice(choices)


def draw_padding(rng: Random) -> int | tuple[int, ...]:
    """Of all sides, of height and width, or of four sides."""
    sides = [0, 0, 1, 1, 2]
    if rng.random() < 0.6:
        return rng.choice(sides)
    return tuple(rng.choice(sides) for _ in range(rng.choice([2, 4])))


def draw_wide(rng: Random) -> int | tuple[int, ...]:
    """Padding in which a kernel finds room beside a small map."""
    return rng.choice([2, 2, (2, 3), (1, 3, 3, 2)])


def seen_as(rng: Random, height: int, width: int) -> tuple[int, int]:
    """Height and width of a map as its reader sees it: now and then another shape."""
    if rng.random() < 0.8:
        return height, width
    pixels = height * width
    other = rng.choice(divisors(pixels))
    return other, pixels // other


def draw_source(rng: Random, made: Mapping[str, Map]) -> dict[str, object]:
    """What a layer reads: a tensor, the latest most often, or several of as many pixels."""
    first = rng.choice([*made, *[list(made)[-1]] * 3])
    _, height, width = made[first]
    names = [first]
    alike = [name for name, (_, h, w) in made.items() if h * w == height * width and name != first]
    if alike and rng.random() < 0.4:
        names += rng.sample(alike, min(len(alike), rng.choice([1, 1, 2])))
    shape = seen_as(rng, height, width) if len(made) > 1 else (height, width)
    return {
        "input": tuple(names),
        "in_channels": sum(made[name][0] for name in names),
        "in_height": shape[0],
        "in_width": shape[1],
    }


def draw_residual(rng: Random, made: Mapping[str, Map], layer: AnyLayer) -> str | None:
    """A tensor of the output's channels and pixels, in this shape or another, or none."""
    pixels = layer.out_height * layer.out_width
    fitting = [
        name for name, (c, h, w) in made.items() if c == layer.out_channels and h * w == pixels
    ]
    return rng.choice([*fitting, *fitting, None])


def draw_gates(
    rng: Random, channels: int, mask_group: int, sizes: Sizes = SMALL
) -> dict[str, object]:
    """Groups of a convolution, gating groups and the outputs that they divide."""
    few = [size for size in divisors(channels) if size <= sizes.outputs]
    groups = rng.choice([1, 1, 1, rng.choice(few), few[-1]])
    gating = rng.choice([g for g in (1, 1, 2, 3, 4) if (channels // groups) % g == 0])
    gated = gating > 1 or rng.random() < 0.3
    blocks = groups * gating
    wanted = blocks * mask_group if gated else blocks
    if wanted > sizes.outputs:
        gating, gated, wanted = 1, False, groups
    outputs = [n for n in (wanted, *sizes.channels, channels) if n % wanted == 0]
    return {
        "conv_groups": groups,
        "groups": gating,
        "gated": gated,
        "out_channels": rng.choice(outputs),
    }


def draw_conv(
    rng: Random, name: str, made: Mapping[str, Map], mask_group: int, sizes: Sizes = SMALL
) -> ConvLayer:
    """A convolution with whatever a network file can say of one."""
    source = draw_source(rng, made)
    gates = draw_gates(rng, int(str(source["in_channels"])), mask_group, sizes)
    while True:
        keys = {
            "kernel_size": draw_extent(rng, [1, 1, 2, 3, 3, 4]),
            "stride": draw_extent(rng, [1, 1, 2, 3]),
            "dilation": draw_extent(rng, [1, 1, 2, 3]),
            "padding": draw_padding(rng),
            "pool": draw_extent(rng, [1, 1, 1, 2, 3]),
            "ceil_mode": rng.random() < 0.5,
        }
        if rng.random() < 0.25:
            keys = {"kernel_size": 1}
        if sizes is HEAVY and rng.random() < 0.4:  # a kernel that reads all of a small map
            keys |= {"kernel_size": draw_extent(rng, [3, 4, 5]), "padding": draw_wide(rng)}
            halves = rng.choice([1, 2 - int(str(source["in_channels"])) % 2])
            gates = {"out_channels": rng.choice(sizes.channels), "conv_groups": halves}
        try:
            layer = ConvLayer(name=name, **source, **gates, **keys)
        except UserError as error:
            if "larger than" not in str(error):  # a kernel than its map, a pool than its output
                raise
            continue
        return layer.model_copy(update={"residual": draw_residual(rng, made, layer)})


def draw_product(
    rng: Random, name: str, made: Mapping[str, Map], sizes: Sizes = SMALL
) -> ConvLayer | None:
    """A product of two activations, with heads where channels can be cut; None: none fits."""
    source = draw_source(rng, made)
    channels = int(str(source["in_channels"]))
    heads = rng.choice([1, rng.choice(divisors(channels))])
    each = channels // heads
    choices = []
    for other, (c, h, w) in made.items():
        outputs, rest = divmod(c * h * w, each)
        if rest == 0 and outputs % heads == 0 and outputs <= 2 * sizes.outputs:
            choices.append((other, outputs))
    if not choices:
        return None
    other, outputs = rng.choice(choices)
    layer = ConvLayer(
        name=name, **source, kernel_size=1, out_channels=outputs, conv_groups=heads,
        weights_from=other,
    )  # fmt: skip
    return layer.model_copy(update={"residual": draw_residual(rng, made, layer)})


def draw_map(rng: Random, name: str, made: Mapping[str, Map], sizes: Sizes = SMALL) -> MapLayer:
    """A layer without a convolution, of any operator that the tensors made allow."""
    source = draw_source(rng, made)
    channels, height, width = (
        int(str(source[f"in_{key}"])) for key in ("channels", "height", "width")
    )
    fitting = [n for n, (c, h, w) in made.items() if c == channels and h * w == height * width]
    kinds = ["pool", "pool", "resize", "rearrange", "multiply", *(["add"] * 2 if fitting else [])]
    kind = rng.choice(kinds)
    out = [channels, height, width]
    keys: dict[str, object] = {}
    if kind == "pool":
        out[1:] = rng.choice([(1, 1), (rng.randint(1, height), rng.randint(1, width))])
    elif kind == "resize":
        out[1:] = height * rng.choice([1, 2]) + rng.choice([0, 1]), width * rng.choice([1, 2])
    elif kind == "rearrange":
        out = [rng.choice(sizes.channels), rng.randint(1, height + 1), rng.randint(1, width + 1)]
    elif kind == "add" or (fitting and rng.random() < 0.4):
        keys["residual"] = rng.choice(fitting)
    else:
        keys["scale"] = rng.choice(list(made))
    shape = dict(zip(("out_channels", "out_height", "out_width"), out, strict=True))
    layer = MapLayer(name=name, operator=kind, **source, **keys, **shape)
    if kind in ("add", "multiply"):
        return layer
    return layer.model_copy(
        update={"residual": rng.choice([None, draw_residual(rng, made, layer)])}
    )


def draw_any_layer(
    rng: Random, name: str, made: Mapping[str, Map], mask_group: int, sizes: Sizes
) -> AnyLayer | None:
    """A convolution most often, a map layer or a product; None: no product fits."""
    kind = rng.choice(["conv", "conv", "conv", "conv", "map", "map", "product"])
    if kind == "map":
        return draw_map(rng, name, made, sizes)
    if kind == "product":
        return draw_product(rng, name, made, sizes)
    return draw_conv(rng, name, made, mask_group, sizes)


def draw_network(rng: Random, mask_group: int, sizes: Sizes) -> Network:
    """Two to six layers on any tensors made before."""
    heights, widths = rng.choice(sizes.maps)
    made: dict[str, Map] = {
        INPUT: (rng.choice(sizes.channels), rng.choice(heights), rng.choice(widths))
    }
    wanted = rng.randint(2, 6)
    layers: list[AnyLayer] = []
    while len(layers) < wanted:
        layer = draw_any_layer(rng, f"layer{len(layers)}", made, mask_group, sizes)
        if layer is None or layer.macs > sizes.macs or layer.out_pixels > sizes.pixels:
            continue
        layers.append(layer)
        made[layer.name] = (layer.out_channels, layer.pooled_height, layer.pooled_width)
    return Network(name="any", layers=tuple(layers))
