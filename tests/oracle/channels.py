"""A whole run under ``channels``, on one clock (docs/model/channels.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from hwsim.arch.config import ArchConfig, Shape
from hwsim.counters import CAUSES, COUNTERS
from hwsim.network import ConvLayer, Network

from .beats import Beat
from .channel_tiles import (
    Active,
    Gates,
    SelectingPlan,
    Visit,
    activity,
    beats_of,
    input_pixels,
    list_words,
    plan_selecting,
    pooled_pixels,
    predictors,
    selects,
    words_with,
)
from .cycles import base_pass
from .layout import conv_layout
from .network import batches, both_fit, dma_cycles, run_layer, table
from .placement import Placement, place
from .residency import LayerPlan, plan_layer

Plan = LayerPlan | SelectingPlan


def run(
    network: Network,
    arch: ArchConfig,
    granularity: str,
    masks: Mapping[str, np.ndarray],
    batch: int,
    images: int,
    squeeze: int = 16,
    shapes: Sequence[Shape] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Totals over all images and batches; raises DoesNotFit.

    ``masks``: gated layer -> bool (images, out_channels) or (images, heads, in_channels).
    ``shapes``: of the array in each layer; None: its own. Returns causes (layers, CAUSES) and
    counters (layers, COUNTERS), int64; predictors stand in their layers' rows.
    """
    arch = without_run_ahead(arch)
    gates = Gates(granularity, squeeze, masks)
    active = [activity(network, gates, image) for image in range(images)]
    own = [(arch.array.rows, arch.array.columns)] * len(network.layers)
    plans: list[tuple[str, range, Plan]] = []
    for numbers in batches(images, batch):
        placements = place(network, arch, len(numbers))
        for layer, shape, placement in zip(network.layers, shapes or own, placements, strict=True):
            planned = plan_one(network, layer, arch, shape, gates, active, numbers, placement)
            plans += [(layer.name, numbers, this) for this in planned]
    causes = {layer.name: Counter[str]() for layer in network.layers}
    counts = {layer.name: Counter[str]() for layer in network.layers}
    prefetched = False
    for at, (name, numbers, this) in enumerate(plans):
        following = plans[at + 1][2] if at + 1 < len(plans) else None
        prefetches = following is not None and can_prefetch(this, following, arch)
        ahead = following.tiles[0].weight_bytes if following and prefetches else 0
        if isinstance(this, SelectingPlan):
            play(this, gates, active, numbers, prefetched, ahead, causes[name], counts[name])
        else:
            run_layer(this, "dense", None, 1, prefetched, ahead, causes[name], counts[name])
        prefetched = prefetches
    return table(causes, network, CAUSES), table(counts, network, COUNTERS)


def without_run_ahead(arch: ArchConfig) -> ArchConfig:
    """The machine as the scheme uses it: its lines have two entries, whatever Q is."""
    activation = arch.activation.model_copy(update={"run_ahead": 0})
    return arch.model_copy(update={"activation": activation})


def plan_one(
    network: Network,
    layer: ConvLayer,
    arch: ArchConfig,
    shape: Shape,
    gates: Gates,
    active: list[Active],
    numbers: range,
    placement: Placement,
) -> list[Plan]:
    """A layer of a batch, behind its predictors."""
    if not selects(network, gates, layer):
        return [plan_layer(layer, arch, shape, "dense", len(numbers), placement, "batch")]
    planned: list[Plan] = []
    for small in predictors(layer, gates) if layer.gated else []:
        there = Placement(
            input_resident=True, input_on_chip=True, residual_on_chip=False, output_stored=False,
            layout=conv_layout(small, arch),
        )  # fmt: skip
        planned.append(plan_layer(small, arch, shape, "dense", len(numbers), there, "batch"))
    return [*planned, plan_selecting(layer, arch, shape, gates, active, numbers, placement)]


def can_prefetch(this: Plan, following: Plan, arch: ArchConfig) -> bool:
    """Whether the next layer's first tile is known, and fits beside this layer's weights."""
    if isinstance(following, SelectingPlan) and not following.known_before:
        return False
    return both_fit(this, following, arch)  # type: ignore[arg-type]


def play(
    this: SelectingPlan,
    gates: Gates,
    active: list[Active],
    numbers: range,
    prefetched: bool,
    next_layer_bytes: int,
    causes: Counter[str],
    counts: Counter[str],
) -> None:
    """One layer of one batch: load_0, every visit beside output stage and DMA, the rest."""
    arch, layer = this.arch, this.layer
    first = this.tiles[0]
    added = [active[number].get(layer.residual or "", set()) for number in numbers]
    load_bytes = brought(this, first, added) + (0 if prefetched else first.weight_bytes)
    causes["dram_stall"] += dma_cycles(load_bytes, arch)
    pixels_before = store_before = 0
    for k, visit in enumerate(this.tiles):
        computed: Counter[str] = Counter()
        compute(this, visit, added[visit.image], computed, counts)
        causes.update(computed)
        if visit.begins:
            choose(this, gates, active[numbers[visit.image]], counts)
        after = this.tiles[k + 1] if k + 1 < len(this.tiles) else None
        load_bytes = next_layer_bytes
        if after is not None:
            hidden = 0 if this.weights == "one" else after.weight_bytes
            load_bytes = brought(this, after, added) + hidden
            if this.weights == "one":
                causes["dram_stall"] += dma_cycles(after.weight_bytes, arch)
        dma = dma_cycles(store_before, arch) + dma_cycles(load_bytes, arch)
        busy = sum(computed.values())
        causes["output_stall"] += max(0, pixels_before - busy)
        causes["dram_stall"] += max(0, dma - max(busy, pixels_before))
        pixels_before = len(visit.pixels) if visit.channels else 0
        store_before = left(this, visit)
        count_bytes(this, visit, added, counts)
    causes["output_stall"] += pixels_before
    causes["dram_stall"] += max(0, dma_cycles(store_before, arch) - pixels_before)


def residual_bytes(this: SelectingPlan, visit: Visit, added: list[set[int]]) -> int:
    """A byte for each pixel and channel that is added and not on chip."""
    if this.layer.residual is None or this.placement.residual_on_chip:
        return 0
    return len(visit.pixels) * len(added[visit.image] & set(visit.channels))


def brought(this: SelectingPlan, visit: Visit, added: list[set[int]]) -> int:
    """What one transfer brings before a visit, but for its weights."""
    return visit.input_bytes + residual_bytes(this, visit, added)


def left(this: SelectingPlan, visit: Visit) -> int:
    """What a visit leaves to be stored."""
    if not this.placement.output_stored:
        return 0
    return len(visit.channels) * pooled_pixels(this.layer, visit.pixels)


def count_bytes(
    this: SelectingPlan, visit: Visit, added: list[set[int]], counts: Counter[str]
) -> None:
    counts["dram_input_bytes"] += visit.input_bytes
    counts["dram_weight_bytes"] += visit.weight_bytes
    counts["dram_residual_bytes"] += residual_bytes(this, visit, added)
    counts["dram_output_bytes"] += left(this, visit)


def compute(
    this: SelectingPlan, visit: Visit, added: set[int], causes: Counter[str], counts: Counter[str]
) -> None:
    """The pass over kept channels, and the output stage behind it."""
    arch, layer = this.arch, this.layer
    if visit.passes:
        addresses = [this.placement.layout.address(pixel) for pixel in visit.pixels]
        one_list = [range(len(visit.channels))]
        # Offsets do not matter without run-ahead: they turn the banks of a round, all alike.
        beats = [Beat(steps) for steps in beats_of(layer, arch, visit.reads)]
        base_pass(addresses, len(visit.channels), one_list, beats, arch, causes, counts)
        counts["psum_output_reads"] += len(visit.pixels)
        counts["index_words_read"] += list_words(arch, layer.in_channels)
    tile = set(visit.channels)
    counts["output_ops"] += len(tile) * len(visit.pixels)
    counts["activation_word_writes"] += words_with(arch, tile) * pooled_pixels(layer, visit.pixels)
    if layer.residual is not None:
        counts["residual_word_reads"] += words_with(arch, tile & added) * len(visit.pixels)


def choose(this: SelectingPlan, gates: Gates, active: Active, counts: Counter[str]) -> None:
    """An image's decisions: means, saliences compared, bits written, the output list read."""
    layer = this.layer
    if not layer.gated:
        return
    decisions = gates.masks[layer.name][0].size
    counts["mask_bits_written"] += decisions
    counts["comparator_ops"] += decisions
    counts["adder_ops"] += len(active[layer.input]) * input_pixels(layer)
    if not this.known_before:
        counts["index_words_read"] += list_words(this.arch, layer.out_channels)
