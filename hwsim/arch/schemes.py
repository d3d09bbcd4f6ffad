"""Schemes: which machine runs a network, and how it uses the masks (docs/model/schemes.md).

A scheme is a name on the command line and a :class:`Scheme` everywhere else. ``structured-Vx`` and
``lockstep-V`` exist for the V of the machine, ``index.lane_group``; ``unstructured`` is V = 1.
``channels`` is for masks of whole channels, all others but the dense ones for masks per pixel.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from hwsim.arch.config import ArchConfig
from hwsim.errors import UserError, nearest
from hwsim.network import AnyLayer

Gating = Literal["off", "batch", "instance"]
"""What a run does with gated layers: runs them densely, or gates them, normalised by batch or by
instance."""

Kind = Literal["dense", "clock-gated", "sparse", "channels"]

Skipping = Literal["none", "word", "free-rows"]
"""Of steps without operands (docs/model/zero_skipping.md)."""

SKIP, BOUND = "-skip", "-skip-bound"
SUFFIXES: dict[str, Skipping] = {SKIP: "word", BOUND: "free-rows"}
"""Of a scheme on the machine with such ``array.zero_skipping``."""

_ALWAYS = ("dense", "dense-zero-gated", "clock-gated", "unstructured")

FAMILIES = ("structured", "lockstep")
"""Schemes without their V: on each machine its lane group's, ``unstructured`` where V = 1."""

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
    skipping: Skipping = "none"

    def gating(self, gate_norm: Literal["batch", "instance"]) -> Gating:
        """What runs under the scheme do with gated layers whose gates are normalised so."""
        return "off" if self.kind == "dense" else gate_norm

    def lanes(self, columns: int) -> int:
        """Columns that share a pixel list and a partial-sum word, on an array of ``columns``."""
        return min(self.lane_group, columns) if self.kind == "sparse" else columns

    def lane_groups(self, width: int) -> int:
        """J, the lane groups of ``width`` columns."""
        return -(-width // self.lane_group)


def scheme_names(arch: ArchConfig) -> list[str]:
    """Every scheme of this machine, in the order in which tables show them."""
    lane_group = arch.index.lane_group
    if lane_group == 1:
        return [*_ALWAYS, "channels"]
    return [*_ALWAYS, f"structured-{lane_group}x", f"lockstep-{lane_group}", "channels"]


def skipping_schemes(arch: ArchConfig) -> list[str]:
    """Schemes with one of SUFFIXES."""
    return with_suffixes(scheme_names(arch), arch)


def with_suffixes(names: Iterable[str], arch: ArchConfig) -> list[str]:
    """The machine's schemes of these names with each of SUFFIXES, where they exist with one.

    None do where the machine itself skips zeros.
    """
    if arch.array.zero_skipping != "none" or arch.array.feed == "systolic":
        return []
    plain = (name for name in names if name not in ("dense-zero-gated", "channels"))
    return [name + suffix for name in plain for suffix in SUFFIXES]


def _split(name: str) -> tuple[str, str]:
    """A scheme's name without its suffix, and the suffix."""
    suffix = next((suffix for suffix in SUFFIXES if name.endswith(suffix)), "")
    return name.removesuffix(suffix), suffix


def of_machine(name: str, arch: ArchConfig) -> str:
    """The scheme's name on this machine: one of FAMILIES takes its lane group."""
    lane_group = arch.index.lane_group
    family, suffix = _split(name)
    if family not in FAMILIES:
        return name
    if lane_group == 1:
        return "unstructured" + suffix
    return (
        f"structured-{lane_group}x" if family == "structured" else f"lockstep-{lane_group}"
    ) + suffix


def parse_scheme(name: str, arch: ArchConfig) -> Scheme:
    """The scheme called ``name`` on this machine; SchemeError names the nearest valid one."""
    name = of_machine(name, arch)
    plain, suffix = _split(name)
    if suffix and name in skipping_schemes(arch):
        return replace(parse_scheme(plain, arch), name=name, skipping=SUFFIXES[suffix])
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
        skipping = "none" if name == "channels" else arch.array.zero_skipping
        return replace(schemes[name], skipping=skipping)
    if "," in name:
        raise SchemeError(f"scheme {name!r}: separate several with blanks")
    raise SchemeError(
        f"scheme {name!r}: unknown on {arch.name} (index.lane_group = {lane_group})"
        + nearest(name, [*valid, *FAMILIES, *skipping_schemes(arch)])
    )


def schemes_for(arch: ArchConfig, mask_group: int, layers: Iterable[AnyLayer] = ()) -> list[str]:
    """The schemes that fit masks per pixel, of one bit per ``mask_group`` channels."""
    if arch.index.lane_group == 1:
        return list(_ALWAYS)
    return [*_ALWAYS, lane_group_scheme(arch, mask_group, layers)]


def lane_group_scheme(arch: ArchConfig, mask_group: int, layers: Iterable[AnyLayer] = ()) -> str:
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


@lru_cache(maxsize=1024)
def lanes_align(layer: AnyLayer, columns: int, lane_group: int, mask_group: int) -> bool:
    """Whether every lane group of the layer's channel tiles lies inside one mask group.

    Channel tiles start anew in every gating group and lane groups in every tile, so a tile width
    that is no multiple of V can shift them across the borders of the mask groups.
    """
    for start, width in layer.channel_tiles(columns, gated=True):
        for first in range(start, start + width, lane_group):
            last = min(first + lane_group, start + width) - 1
            if first // mask_group != last // mask_group:
                return False
    return True
