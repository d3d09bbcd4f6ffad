"""What a layer's visits move over the DMA, and its neighbours' loads (docs/model/pipeline.md).

Of dense maps shapes alone decide it; of coded ones the zeros of a batch's images do, too
(docs/model/dram_format.md).
"""

from __future__ import annotations

from collections.abc import Mapping as Named
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

import numpy as np

from hwsim.counters import COUNTERS, C
from hwsim.mapping.coded_maps import CodedMap
from hwsim.mapping.tiles import Mapping, Tiles, dma_cycles
from hwsim.network import MapLayer, Network


class Moves(NamedTuple):
    """DMA cycles of a layer's visits, int64 (visits,) unless said.

    ``loads`` before and ``stores`` after each; ``prefetched_load``: the first load where its
    weights are there already, an integer; ``exposed``: weight loads before a visit that nothing
    hides. ``counts`` int64 (COUNTERS,): of the whole layer, those that no model counts.
    """

    loads: np.ndarray
    prefetched_load: int
    stores: np.ndarray
    exposed: np.ndarray
    counts: np.ndarray


def moves_of(mapping: Mapping, tiles: Tiles) -> Moves:
    """Of a layer whose visits move these bytes."""
    arch = mapping.arch
    hidden_weights = tiles.weight_bytes.copy()
    exposed = np.zeros_like(hidden_weights)
    if mapping.weights in ("one", "parts"):
        exposed[1:] = dma_cycles(hidden_weights[1:], arch)
        hidden_weights[1:] = 0
    rows = tiles.input_bytes + tiles.residual_bytes + tiles.psum_load_bytes
    return Moves(
        loads=dma_cycles(rows + hidden_weights, arch),
        prefetched_load=int(dma_cycles(rows[:1], arch)[0]),
        stores=dma_cycles(tiles.output_bytes + tiles.psum_store_bytes, arch),
        exposed=exposed,
        counts=_counts(mapping, tiles),
    )


def tellers(network: Network, known: Sequence[str]) -> dict[str, str]:
    """Of each map that a layer with input bits reads, the one whose bits tell its zeros.

    ``known``: names of layers with input bits.
    """
    found: dict[str, str] = {}
    for layer in network.layers:
        if layer.name in known and isinstance(layer.input, str):
            found.setdefault(layer.input, layer.name)
    return {tensor: name for tensor, name in found.items() if not _stays_dense(network, tensor)}


def _stays_dense(network: Network, tensor: str) -> bool:
    """Whether a reader could not take a map's rows from its code, or its maker not code them."""
    if any(layer.name == tensor and isinstance(layer, MapLayer) for layer in network.layers):
        return True
    for layer in network.layers:
        if tensor not in layer.reads:
            continue
        read = (layer.in_height, layer.in_width), (layer.out_height, layer.out_width)
        shapes = {read[0]} if tensor in layer.inputs else set()
        shapes |= {read[1]} if tensor == layer.residual else set()
        if (
            isinstance(layer, MapLayer)
            or tensor == layer.aside
            or (tensor in layer.inputs and len(layer.inputs) > 1)
            or shapes != {network.shapes[tensor][1:]}
        ):
            return True
    return False


def coded_moves(
    planned: Sequence[tuple[Mapping, Tiles]], nonzero: Named[str, np.ndarray]
) -> dict[int, list[Moves]]:
    """Moves of each batch, by the place of those layers that move a coded map.

    ``planned``: all layers of a batch; ``nonzero``: maps by name, bool (images of all batches, C,
    H, W).
    """
    maps = {
        mapping.layer.name: CodedMap.of(mapping, nonzero[mapping.layer.name])
        for mapping, _ in planned
        if mapping.stored and mapping.layer.name in nonzero
    }
    found = {}
    for position, (mapping, tiles) in enumerate(planned):
        layer, moved = mapping.layer, dict[str, np.ndarray]()
        if isinstance(layer.input, str) and layer.input in maps:
            moved["input_bytes"] = maps[layer.input].loaded(mapping, tiles)
        if layer.residual in maps:
            moved["residual_bytes"] = maps[layer.residual].added(mapping, tiles)
        if layer.name in maps:
            moved["output_bytes"] = maps[layer.name].stored(tiles)
        if moved:
            batches = zip(*moved.values(), strict=True)
            found[position] = [
                moves_of(mapping, replace(tiles, **dict(zip(moved, batch, strict=True))))
                for batch in batches
            ]
    return found


def _counts(mapping: Mapping, tiles: Tiles) -> np.ndarray:
    """Counters that no model counts, summed over tiles: int64 (len(COUNTERS),)."""
    counts = np.zeros(len(COUNTERS), np.int64)
    word, layer = mapping.arch.activation.word_channels, mapping.layer
    words = -(-tiles.width // word)
    counts[C["activation_word_writes"]] = (words * tiles.pooled_pixels).sum()
    if mapping.residual is not None:
        counts[C["residual_word_reads"]] = (words * tiles.emptied_pixels).sum()
    if isinstance(layer, MapLayer):
        pixels = mapping.images * layer.in_height * layer.in_width
        counts[C["activation_word_reads"]] = -(-layer.in_channels // word) * pixels
        counts[C["residual_word_reads"]] += mapping.images * mapping.aside_words
    counts[C["dram_input_bytes"]] = tiles.input_bytes.sum()
    counts[C["dram_weight_bytes"]] = tiles.weight_bytes.sum()
    counts[C["dram_residual_bytes"]] = tiles.residual_bytes.sum()
    counts[C["dram_output_bytes"]] = tiles.output_bytes.sum()
    counts[C["dram_psum_bytes"]] = (tiles.psum_load_bytes + tiles.psum_store_bytes).sum()
    return counts


class Loads(Protocol):
    """What of a planned layer its neighbours' loads depend on."""

    @property
    def mapping(self) -> Mapping: ...

    @property
    def first_weights_cycles(self) -> int: ...


def comes_prefetched(plans: Sequence[Loads], position: int, follows: bool) -> bool:
    """Whether a layer's first weights are there; ``follows``: its batch follows another one."""
    if position == 0 and not follows:
        return False
    return plans[position - 1].mapping.prefetches


def loads_before(moves: Moves, prefetched: np.ndarray) -> np.ndarray:
    """DMA cycles before a layer's first visit: int64 (batches,), as ``prefetched`` is bool."""
    return np.where(prefetched, moves.prefetched_load, moves.loads[0])


def load_ahead(plans: Sequence[Loads], position: int, followed: bool) -> int:
    """DMA cycles of what a layer's last visit loads for the next layer, or for the next batch."""
    last = position + 1 == len(plans)
    if not plans[position].mapping.prefetches or (last and not followed):
        return 0
    return plans[0 if last else position + 1].first_weights_cycles
