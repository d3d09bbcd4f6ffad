"""Schemes: which machine runs a network, and how it uses the masks (docs/model/schemes.md).

A scheme is a name on the command line and a :class:`Scheme` everywhere else. ``structured-Vx`` and
``lockstep-V`` exist for the V of the machine, ``index.lane_group``; ``unstructured`` is V = 1.
``channels`` is for masks of whole channels, all others but the dense ones for masks per pixel.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from hwsim.arch.config import ArchConfig
from hwsim.errors import UserError, nearest
from hwsim.workload import ConvLayer

Kind = Literal["dense", "clock-gated", "sparse", "channels"]

_ALWAYS = ("dense", "dense-zero-gated", "clock-gated", "unstructured")

OF_CHANNELS = ("dense", "dense-zero-gated", "channels")
"""The schemes that fit masks of whole channels."""


class SchemeError(UserError):
    """A scheme that does not exist on this machine; the message is one line for the user."""


@dataclass(frozen=True)
class Scheme:
    """How masks meet hardware.

    ``lane_group`` is the number of array columns that share one pixel list: V on sparse hardware,
    all columns of the array on the other machines, which follow one list.
    """

    name: str
    kind: Kind
    lane_group: int
    lockstep: bool = False
    zero_gated: bool = False

    def lane_groups(self, width: int) -> int:
        """J, the lane groups of ``width`` columns."""
        return -(-width // self.lane_group)


def scheme_names(arch: ArchConfig) -> list[str]:
    """Every scheme of this machine, in the order in which tables show them."""
    lane_group = arch.index.lane_group
    if lane_group == 1:
        return [*_ALWAYS, "channels"]
    return [*_ALWAYS, f"structured-{lane_group}x", f"lockstep-{lane_group}", "channels"]


def parse_scheme(name: str, arch: ArchConfig) -> Scheme:
    """The scheme called ``name`` on this machine; SchemeError names the nearest valid one."""
    columns, lane_group = arch.array.columns, arch.index.lane_group
    schemes = {
        "dense": Scheme("dense", "dense", columns),
        "dense-zero-gated": Scheme("dense-zero-gated", "dense", columns, zero_gated=True),
        "clock-gated": Scheme("clock-gated", "clock-gated", columns),
        "channels": Scheme("channels", "channels", columns),
        "unstructured": Scheme("unstructured", "sparse", 1),
        f"structured-{lane_group}x": Scheme(f"structured-{lane_group}x", "sparse", lane_group),
        f"lockstep-{lane_group}": Scheme(
            f"lockstep-{lane_group}", "sparse", lane_group, lockstep=True
        ),
    }
    valid = scheme_names(arch)
    if name in valid:
        return schemes[name]
    raise SchemeError(
        f"scheme {name!r}: unknown on {arch.name} (index.lane_group = {lane_group})"
        + nearest(name, valid)
    )


def schemes_for(arch: ArchConfig, mask_group: int, layers: Iterable[ConvLayer] = ()) -> list[str]:
    """The schemes that fit masks per pixel, of one bit per ``mask_group`` channels."""
    if arch.index.lane_group == 1:
        return list(_ALWAYS)
    return [*_ALWAYS, lane_group_scheme(arch, mask_group, layers)]


def lane_group_scheme(arch: ArchConfig, mask_group: int, layers: Iterable[ConvLayer] = ()) -> str:
    """Structured or in lockstep: how masks run on hardware of the machine's lane group V > 1.

    A mask is structured if V divides ``mask_group`` and no lane group of any gated layer in
    ``layers`` spans two mask groups.
    """
    lane_group = arch.index.lane_group
    structured = mask_group % lane_group == 0 and all(
        lanes_align(layer, arch.array.columns, lane_group, mask_group)
        for layer in layers
        if layer.gated
    )
    return f"structured-{lane_group}x" if structured else f"lockstep-{lane_group}"


def lanes_align(layer: ConvLayer, columns: int, lane_group: int, mask_group: int) -> bool:
    """Whether every lane group of the layer's channel tiles lies inside one mask group.

    Channel tiles start anew in every gating group and lane groups in every tile, so a tile width
    that is no multiple of V can shift them across the borders of the mask groups.
    """
    group_channels = layer.out_channels // layer.groups
    for group_start in range(0, layer.out_channels, group_channels):
        group_end = group_start + group_channels
        for tile_start in range(group_start, group_end, columns):
            tile_end = min(tile_start + columns, group_end)
            for first in range(tile_start, tile_end, lane_group):
                last = min(first + lane_group, tile_end) - 1
                if first // mask_group != last // mask_group:
                    return False
    return True
