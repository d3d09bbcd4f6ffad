"""A tile of a trace as the RTL's inputs: what the timeline of one image shows, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from layer_run import LayerRun
from oracle.layout import pointer_layout
from rtl.layers import build_of
from rtl.simulator import Case
from rtl.tiles import ADDRESS_BITS, MOST_TAPS, passes_of, tile_case

from hwsim.arch.config import ArchConfig
from hwsim.errors import UserError
from hwsim.mapping.tiles import Tiles
from hwsim.model.segment import segments
from hwsim.network import ConvLayer
from hwsim.run.simulate import checked, chosen_shapes
from hwsim.trace.mask_trace import MaskTrace

MOST_GROUPS, MOST_BEATS = 16, 1 << 10
"""Of the RTL's ports, as it is built here."""


@dataclass(frozen=True)
class Played:
    """The RTL's parameters, the tile's inputs, and the cause of the steps of each pass."""

    parameters: dict[str, int]
    case: Case
    causes: list[str]
    lane_groups: int


def tile_of(
    arch: ArchConfig, trace: MaskTrace, scheme: str, name: str, image: int, tile: int
) -> Played:
    """The tile of this number in a batch of one image. Raises UserError where the RTL lacks it."""
    layer = trace.network.by_name[name]
    _require_rtl(arch, trace, layer, scheme)
    assert isinstance(layer, ConvLayer)
    chosen, _ = checked(arch, trace, scheme, 1)
    shapes = chosen_shapes(arch, trace, scheme, batch=1)
    plans = next(segments(arch, trace, chosen, 1, shapes, at_once=1)).plans
    (plan,) = [plan for plan in plans if plan.mapping.layer.name == name]
    channels, pixels = _place(plan.tiles, tile, layer.out_width)
    masks = trace.masks(name, image, image + 1) if layer.gated and plan.mapping.gating else None
    layout = pointer_layout(trace.network, layer, arch, 1)
    if layout.words * layout.pitch >= 1 << ADDRESS_BITS:
        words = layout.words * layout.pitch
        raise UserError(f"layer {name}: its input has {words:,} words; the RTL's addresses end at "
                        f"{(1 << ADDRESS_BITS) - 1:,}")  # fmt: skip
    group = trace.mask_group
    case = tile_case(layer, arch, chosen.name, masks, group, channels, pixels, layout)
    run = LayerRun(arch, layer, chosen.name, group, 1, masks)
    lane_groups = int(case["tile"]["lane_groups"], 16).bit_length()
    return Played(build_of(run), case, passes_of(layer, chosen.name), lane_groups)


def _place(tiles: Tiles, tile: int, width: int) -> tuple[range, list[tuple[int, int, int]]]:
    """Output channels, and pixels (image, row, column)."""
    if tile >= len(tiles):
        raise UserError(f"--tile {tile}: there are {len(tiles)}, 0 to {len(tiles) - 1}")
    channel, pixel = int(tiles.channel_start[tile]), int(tiles.pixel_start[tile])
    numbers = range(pixel, pixel + int(tiles.pixels[tile]))
    channels = range(channel, channel + int(tiles.width[tile]))
    return channels, [(0, *divmod(number, width)) for number in numbers]


def _require_rtl(arch: ArchConfig, trace: MaskTrace, layer: object, scheme: str) -> None:
    """docs/model/rtl.md says what is not in it."""
    lacks = [
        (not isinstance(layer, ConvLayer), "map layers"),
        (arch.array.feed != "broadcast", "a systolic feed"),
        (arch.activation.bank_conflicts != "exact", "idealised banks"),
        (arch.index.format != "bitmap", f"{arch.index.format} lists"),
        (bool(arch.array.reshape), "array.reshape"),
        (arch.array.zero_skipping != "none" or "-skip" in scheme, "skipping zeros without data"),
        (trace.header.gate_norm == "instance", "instance gates"),
    ]
    if isinstance(layer, ConvLayer):
        beats = layer.in_channels // layer.groups // arch.activation.word_channels
        lacks += [
            (layer.conv_groups > 1, "convolutions of several groups"),
            (layer.kernel[0] != layer.kernel[1] or layer.kernel[0] ** 2 > MOST_TAPS,
             f"kernels of more than {MOST_TAPS} taps, or of two sizes"),
            (len(set(layer.strides)) > 1 or layer.dilations != (1, 1), "uneven strides, dilation"),
            (layer.groups > MOST_GROUPS, f"more than {MOST_GROUPS} gating groups"),
            (beats >= MOST_BEATS, f"{MOST_BEATS} words of a group and more"),
        ]  # fmt: skip
    for is_so, what in lacks:
        if is_so:
            raise UserError(f"the RTL that is played here has not: {what} (docs/model/rtl.md)")
