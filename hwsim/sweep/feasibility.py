"""Why a machine cannot run a point: no room for a layer, or, where one is asked for, no price."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from hwsim.arch.config import ArchConfig
from hwsim.arch.schemes import Gating, Scheme, parse_scheme
from hwsim.energy.area import area
from hwsim.energy.hardware import hardware_of
from hwsim.energy.prices import prices
from hwsim.energy.table import EnergyTable, PriceError
from hwsim.mapping.channels import Gates, channel_shapes_held, map_channels
from hwsim.mapping.residency import map_network, shapes_held
from hwsim.mapping.tiles import MappingError
from hwsim.model.replay import batch_sizes
from hwsim.network import Network
from hwsim.sweep.points import Point
from hwsim.trace.mask_trace import MaskTrace


def why_impossible(point: Point, traces: Sequence[MaskTrace], priced: bool = False) -> str | None:
    """What the point's machine cannot hold or, if ``priced``, no table can price; None if it runs.

    ``traces``: the point's is among them.
    With ``array.reshape`` every shape has to have a price; only the array's own has to have room.
    """
    if point.masks is None or point.scheme is None:
        return point.impossible
    arch = point.arch
    trace = next(trace for trace in traces if str(trace.path) == point.masks.path)
    chosen, images = parse_scheme(point.scheme, arch), point.masks.images
    batch = min(arch.batch, images)
    core = arch.core
    try:
        for size in batch_sizes(images, batch):
            # The dense machine is the yardstick of every row.
            gatings: set[Gating] = {"off", chosen.gating(trace.header.gate_norm)}
            for gating in gatings:
                _require_room(core, trace, size, gating)
            if chosen.kind == "channels":
                _require_channels_room(core, trace, size)
        for shape in arch.array.shapes if priced else ():
            _require_prices(arch.shaped(shape), chosen, trace.mask_group)
    except (MappingError, PriceError) as error:
        return str(error)
    return None


def _require_room(core: ArchConfig, trace: MaskTrace, size: int, gating: Gating) -> None:
    """Raises MappingError. Asking whether all layers fit is far less work than placing them."""
    if not _all_held(trace.network, core, size, gating):
        map_network(trace.network, core, size, gating)


@lru_cache(maxsize=64)
def _all_held(network: Network, core: ArchConfig, size: int, gating: Gating) -> bool:
    return all(shapes_held(network, core, size, gating, core.array.shapes[0]))


def _require_channels_room(core: ArchConfig, trace: MaskTrace, size: int) -> None:
    gates, own = Gates.of(trace.header), core.array.shapes[0]
    if not all(channel_shapes_held(trace.network, core, gates, size, own)):
        map_channels(trace.network, core, gates, size, (own,) * len(trace.network.layers))


def _require_prices(arch: ArchConfig, scheme: Scheme, mask_group: int) -> None:
    """Raises PriceError."""
    hardware = hardware_of(scheme.name, arch, mask_group)
    table = EnergyTable.load(arch.pricing.table)
    area(arch, hardware, table)
    prices(arch, hardware, table)
