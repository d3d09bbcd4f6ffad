"""A whole run: batches of layers of tiles on one clock (docs/model/pipeline.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from hwsim.arch.config import ArchConfig, Shape
from hwsim.counters import CAUSES, COUNTERS
from hwsim.network import MapLayer, Network

from .coded_maps import coded
from .cycles import tile as tile_cycles
from .maps import read_once
from .maps import tile as map_tile
from .residency import LayerPlan, Tile, plan
from .shapes import held_shapes
from .skipping import move_zeros


def run(
    network: Network,
    arch: ArchConfig,
    scheme: str,
    masks: Mapping[str, np.ndarray],
    mask_group: int,
    batch: int,
    images: int,
    zero_operand_macs: Mapping[str, np.ndarray] | None = None,
    gate_norm: str = "batch",
    shapes: Sequence[Shape] | None = None,
    zero_operand_macs_conditional: Mapping[str, np.ndarray] | None = None,
    inputs: Mapping[str, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Totals over all images and batches; raises DoesNotFit.

    ``masks``: gated layer -> bool (images, out_channels / mask_group, out_height, out_width).
    ``zero_operand_macs``, ``zero_operand_macs_conditional``: gated layer -> int (images,), for
    zeros gated or skipped.
    ``gate_norm``: "batch" or "instance". ``shapes``: of the array in each layer; None: the chosen.
    ``inputs``: layer -> bool (images, in_channels, in_height, in_width), where an input is not
    zero, of the layers of which that is known.
    Returns causes (layers, CAUSES) and counters (layers, COUNTERS), int64.
    """
    shapes = shapes or chosen_shapes(
        network, arch, scheme, masks, mask_group, batch, images, gate_norm, inputs
    )
    causes, counts = run_shaped(
        shapes, network, arch, scheme, masks, mask_group, batch, images, gate_norm, inputs
    )
    move_zeros(
        network, arch, scheme, images, zero_operand_macs or {}, zero_operand_macs_conditional or {},
        inputs or {}, counts,
    )  # fmt: skip
    return table(causes, network, CAUSES), table(counts, network, COUNTERS)


def chosen_shapes(
    network: Network,
    arch: ArchConfig,
    scheme: str,
    masks: Mapping[str, np.ndarray],
    mask_group: int,
    batch: int,
    images: int,
    gate_norm: str = "batch",
    inputs: Mapping[str, np.ndarray] | None = None,
) -> list[Shape]:
    """The shape each layer takes: of those it can hold, the one in whose run it is fastest."""
    own, *others = arch.array.shapes
    if not others:
        return [own] * len(network.layers)
    sizes = {len(numbers) for numbers in batches(images, batch)}
    held = held_shapes(network, arch, scheme, mask_group, sizes, gate_norm)
    cycles: dict[Shape, dict[str, int]] = {}
    for shape in arch.array.shapes:
        shapes = [shape if shape in held[layer.name] else own for layer in network.layers]
        causes, _ = run_shaped(
            shapes, network, arch, scheme, masks, mask_group, batch, images, gate_norm, inputs
        )
        cycles[shape] = {name: sum(spent.values()) for name, spent in causes.items()}
    # The first of the fastest: the array's own, then those of the list in its order.
    return [
        min(held[layer.name], key=lambda shape, name=layer.name: cycles[shape][name])
        for layer in network.layers
    ]


def batches(images: int, batch: int) -> list[range]:
    """The numbers of the images that run together; the last batch may have fewer."""
    return [range(first, min(first + batch, images)) for first in range(0, images, batch)]


def run_shaped(
    shapes: Sequence[Shape],
    network: Network,
    arch: ArchConfig,
    scheme: str,
    masks: Mapping[str, np.ndarray],
    mask_group: int,
    batch: int,
    images: int,
    gate_norm: str,
    inputs: Mapping[str, np.ndarray] | None = None,
) -> tuple[dict[str, Counter[str]], dict[str, Counter[str]]]:
    """Causes and counters of every layer, in these shapes; raises DoesNotFit."""
    plans: list[tuple[range, LayerPlan]] = []  # (images, layer), one behind the other
    for numbers in batches(images, batch):
        planned = plan(network, arch, scheme, len(numbers), gate_norm, shapes)
        if arch.activation.dram_format == "run-length":
            planned = coded(planned, inputs or {}, numbers)
        plans += [(numbers, this) for this in planned]

    causes = {layer.name: Counter[str]() for layer in network.layers}
    counts = {layer.name: Counter[str]() for layer in network.layers}
    prefetched = False
    for at, (numbers, this) in enumerate(plans):
        name = this.layer.name
        following = plans[at + 1][1] if at + 1 < len(plans) else None
        prefetches = following is not None and both_fit(this, following, arch)
        next_bytes = following.ahead_bytes if following and prefetches else 0
        mask, bits = (
            known[name][numbers.start : numbers.stop] if name in known else None
            for known in (masks, inputs or {})
        )
        run_layer(
            this, scheme, mask, mask_group, prefetched, next_bytes, causes[name], counts[name], bits
        )
        prefetched = prefetches
    return causes, counts


def both_fit(this: LayerPlan, following: LayerPlan, arch: ArchConfig) -> bool:
    """Whether the next layer's first channel tile fits beside this layer's weights (reading 10)."""
    together = this.held_weight_bytes + following.first_weight_bytes
    return together <= arch.weight.buffer_kib * 1024


def run_layer(
    this: LayerPlan,
    scheme: str,
    mask: np.ndarray | None,
    mask_group: int,
    prefetched: bool,
    next_layer_bytes: int,
    causes: Counter[str],
    counts: Counter[str],
    inputs: np.ndarray | None = None,
) -> None:
    """Add one layer of one batch: load_0, every visit beside output stage and DMA, the rest.

    ``prefetched``: the first tile's weights came during the layer before; ``next_layer_bytes``:
    what this layer's last tile loads for the next one.
    """
    arch = this.arch
    exposed = this.weights in ("one", "parts")
    first = this.tiles[0]
    load_bytes = loaded_bytes(first)
    load_bytes += first.weight_bytes - (this.ahead_bytes if prefetched else 0)
    causes["dram_stall"] += dma_cycles(load_bytes, arch)
    if isinstance(this.layer, MapLayer):
        read_once(this, counts)

    pixels_before = store_before = 0
    for k, tile in enumerate(this.tiles):
        if isinstance(this.layer, MapLayer):
            computed, counted = map_tile(this.layer, arch, tile.channels, tile.pixels)
        else:
            assert this.placement.layout is not None
            computed, counted = tile_cycles(
                this.layer, arch, scheme, mask, mask_group, tile.channels, tile.pixels,
                this.placement.layout, tile.visit, inputs,
            )  # fmt: skip
        causes.update(computed)
        counts.update(counted)
        count_dram(tile, counts)

        after = this.tiles[k + 1] if k + 1 < len(this.tiles) else None
        load_bytes = next_layer_bytes
        if after is not None:
            load_bytes = loaded_bytes(after)
            if not exposed:
                load_bytes += after.weight_bytes
        dma = dma_cycles(store_before, arch) + dma_cycles(load_bytes, arch)
        busy = sum(computed.values())
        causes["output_stall"] += max(0, pixels_before - busy)
        causes["dram_stall"] += max(0, dma - max(busy, pixels_before))
        if after is not None and exposed:
            causes["dram_stall"] += dma_cycles(after.weight_bytes, arch)
        pixels_before = len(tile.pixels) if tile.visit.rest else 0
        store_before = tile.output_bytes + tile.stored_psum_bytes

    causes["output_stall"] += pixels_before
    causes["dram_stall"] += max(0, dma_cycles(store_before, arch) - pixels_before)


def loaded_bytes(tile: Tile) -> int:
    """What one transfer brings before a visit, but for its weights."""
    return tile.input_bytes + tile.residual_bytes + tile.scale_bytes + tile.reloaded_psum_bytes


def count_dram(tile: Tile, counts: Counter[str]) -> None:
    """Real bytes of a visit, whenever they are moved."""
    counts["dram_input_bytes"] += tile.input_bytes
    counts["dram_weight_bytes"] += tile.weight_bytes
    counts["dram_residual_bytes"] += tile.residual_bytes + tile.scale_bytes
    counts["dram_output_bytes"] += tile.output_bytes
    counts["dram_psum_bytes"] += tile.stored_psum_bytes + tile.reloaded_psum_bytes


def dma_cycles(transfer_bytes: int, arch: ArchConfig) -> int:
    """Cycles of one transfer: bytes / (bandwidth * efficiency / clock), rounded up."""
    bytes_per_100_seconds = arch.dram.bytes_per_s * arch.dram.efficiency_percent
    clocks_per_100_seconds = arch.clock_mhz * 1_000_000 * 100
    cycles, rest = divmod(transfer_bytes * clocks_per_100_seconds, bytes_per_100_seconds)
    return cycles + 1 if rest else cycles


def table(
    rows: Mapping[str, Counter[str]], network: Network, columns: tuple[str, ...]
) -> np.ndarray:
    """Layers in execution order, columns in the order of hwsim.counters; int64."""
    for row in rows.values():
        assert set(row) <= set(columns), f"unknown column among {sorted(row)}"
    return np.array(
        [[rows[layer.name][column] for column in columns] for layer in network.layers],
        dtype=np.int64,
    )
