"""What random runs under ``channels`` met: together they must leave nothing out."""

from __future__ import annotations

from itertools import pairwise

from hwsim.arch.config import ArchConfig
from hwsim.network import Network

from .channel_tiles import FBS, Active, Gates, SelectingPlan, activity
from .channels import can_prefetch, plan_one
from .placement import place

EVERYWHERE = {
    *(f"weights {kind}" for kind in ("all", "two", "one")),
    *(f"input {kind}" for kind in ("on chip", "whole", "tiled")),
    *(f"{order} outer" for order in ("weights", "pixels")),
    *(f"feed {feed}" for feed in ("broadcast", "systolic")),
    *(f"bank conflicts {kind}" for kind in ("exact", "bandwidth", "none")),
    "several pixel tiles of several images", "ragged channel tile", "short word", "stride",
    "pooled", "no kept input", "residual on chip", "residual from DRAM", "output stored",
    "prefetched", "not prefetched",
}  # fmt: skip

OF_FBS = {
    "input of inactive channels", "channels that only pass", "nothing to compute or pass",
    "pass before another image's tile", "selects without a gate", "adds without a gate",
    "reads a sum without a gate", "only what it adds is inactive",
    "images of different tiles", "some columns there, two", "some columns there, one",
}  # fmt: skip


def situations(arch: ArchConfig, network: Network, gates: Gates, images: int) -> set[str]:
    """Of one batch of the trace's first images."""
    active = [activity(network, gates, image) for image in range(images)]
    shape = (arch.array.rows, arch.array.columns)
    plans = []
    for layer, placement in zip(network.layers, place(network, arch, images), strict=True):
        plans += plan_one(network, layer, arch, shape, gates, active, range(images), placement)
    seen = {f"feed {arch.array.feed}", f"bank conflicts {arch.activation.bank_conflicts}"}
    for this, following in zip(plans, [*plans[1:], None], strict=True):
        if isinstance(this, SelectingPlan):
            seen |= of_plan(this)
            seen |= of_edges(this, network, active)
            present = [len(tensors[this.layer.input]) for tensors in active]
            if min(present) < this.layer.in_channels:
                seen.add("input of inactive channels")
        if following is not None:
            seen.add("prefetched" if can_prefetch(this, following, arch) else "not prefetched")
    return seen


def of_edges(this: SelectingPlan, network: Network, active: list[Active]) -> set[str]:
    """Inactive channels that come to layers without a gate, through sums and additions."""
    layer, made = this.layer, network.by_name
    if layer.gated:
        return set()
    short = {
        tensor
        for tensor in (layer.input, layer.residual)
        if tensor in made
        and min(len(tensors[tensor]) for tensors in active) < made[tensor].out_channels
    }
    met = set()
    if layer.input in short and made[layer.input].residual is not None:
        met.add("reads a sum without a gate")
    if short == {layer.residual}:
        met.add("only what it adds is inactive")
    return met


def of_plan(this: SelectingPlan) -> set[str]:
    """What the layer's visits meet."""
    layer, there, visits = this.layer, this.placement, this.tiles
    columns, extent = this.arch.array.columns, layer.in_channels // layer.groups
    source = "tiled" if not there.input_resident else "whole"
    met = {f"weights {this.weights}", f"input {'on chip' if there.input_on_chip else source}"}
    facts = {
        "ragged channel tile": any(0 < len(visit.channels) < columns for visit in visits),
        "short word": extent % this.arch.activation.word_channels != 0,
        "stride": layer.stride > 1,
        "pooled": layer.pool > 1,
        "no kept input": any(visit.passes and not visit.reads for visit in visits),
        "residual on chip": layer.residual is not None and there.residual_on_chip,
        "residual from DRAM": layer.residual is not None and not there.residual_on_chip,
        "output stored": there.output_stored,
        "channels that only pass": any(v.channels and not v.passes for v in visits),
        "nothing to compute or pass": any(not visit.channels for visit in visits),
        "selects without a gate": not layer.gated,
        "adds without a gate": not layer.gated and layer.residual is not None,
    }
    met |= {name for name, holds in facts.items() if holds}
    tiles = [(visit.image, tuple(visit.pixels), tuple(visit.channels)) for visit in visits]
    images = {image for image, _, _ in tiles}
    per_image = [{tile for tile in tiles if tile[0] == image} for image in images]
    if len(images) > 1 and len({pixels for _, pixels, _ in tiles}) > len(images):
        met.add("several pixel tiles of several images")
    if len({len(of_image) for of_image in per_image}) > 1:
        met.add("images of different tiles")
    for one, other in pairwise(visits):
        if one.channels and other.channels and one.channels != other.channels:
            same = one.image == other.image and one.pixels == other.pixels
            several = len({pixels for _, pixels, _ in tiles}) > 1
            if several:
                met.add("pixels outer" if same else "weights outer")
        if other.passes and one.image != other.image and not one.passes:
            met.add("pass before another image's tile")
        if other.passes and 0 < other.weight_bytes < layer.steps * len(other.channels):
            met.add(f"some columns there, {this.weights}")
    return met


def wanted(granularity: str) -> set[str]:
    return EVERYWHERE | (OF_FBS if granularity == FBS else set())
