"""What a layer's visits move over the DMA, in bytes (docs/model/pipeline.md).

Of dense maps shapes alone decide it; of coded ones the zeros of a batch's images do, too
(docs/model/dram_format.md).
"""

from __future__ import annotations

from collections.abc import Mapping as Named
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from hwsim.counters import COUNTERS, C
from hwsim.mapping.coded_maps import CodedMap
from hwsim.mapping.tiles import Mapping, Tiles, Tiling
from hwsim.network import MapLayer, Network


class Moves(NamedTuple):
    """Bytes that a layer's visits move over the DMA, int64 (visits,) unless said.

    ``before`` and ``after`` each; ``prefetched``: before the first where its weights are there
    already, an integer; ``exposed``: weights before a visit that nothing hides. ``counts`` int64
    (COUNTERS,): of the whole layer, those that no model counts. ``longest``: no visit moves more.
    """

    before: np.ndarray
    prefetched: int
    after: np.ndarray
    exposed: np.ndarray
    counts: np.ndarray
    longest: int


def moves_of(mapping: Mapping, tiles: Tiles) -> Moves:
    """Of a layer whose visits move these bytes; remembered: callers do not write to the arrays."""
    return _remembered(*_all_of(mapping), tiles)


def _all_of(mapping: Mapping) -> tuple[Tiling, int, int]:
    """All of a mapping that moves hang on, beside its tiles."""
    return mapping.tiling, mapping.arch.activation.word_channels, mapping.aside_words


def _moves(tiling: Tiling, word: int, aside_words: int, tiles: Tiles) -> Moves:
    hidden_weights = tiles.weight_bytes.copy()
    exposed = np.zeros_like(hidden_weights)
    if tiling.weights in ("one", "parts"):
        exposed[1:] = hidden_weights[1:]
        hidden_weights[1:] = 0
    rows = tiles.input_bytes + tiles.residual_bytes + tiles.psum_load_bytes
    before, after = rows + hidden_weights, tiles.output_bytes + tiles.psum_store_bytes
    return Moves(
        before=before,
        prefetched=int(rows[0]),
        after=after,
        exposed=exposed,
        longest=sum(int(array.max()) for array in (before, after, exposed)),
        counts=_counts(tiling, word, aside_words, tiles),
    )


_remembered = lru_cache(maxsize=2048)(_moves)


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
                _moves(*_all_of(mapping), replace(tiles, **dict(zip(moved, batch, strict=True))))
                for batch in batches
            ]
    return found


def _counts(tiling: Tiling, word: int, aside_words: int, tiles: Tiles) -> np.ndarray:
    """Counters that no model counts, summed over tiles: int64 (len(COUNTERS),)."""
    counts = np.zeros(len(COUNTERS), np.int64)
    layer = tiling.layer
    words = -(-tiles.width // word)
    counts[C["activation_word_writes"]] = (words * tiles.pooled_pixels).sum()
    if tiling.residual is not None:
        counts[C["residual_word_reads"]] = (words * tiles.emptied_pixels).sum()
    if isinstance(layer, MapLayer):
        pixels = tiling.images * layer.in_height * layer.in_width
        counts[C["activation_word_reads"]] = -(-layer.in_channels // word) * pixels
        counts[C["residual_word_reads"]] += tiling.images * aside_words
    counts[C["dram_input_bytes"]] = tiles.input_bytes.sum()
    counts[C["dram_weight_bytes"]] = tiles.weight_bytes.sum()
    counts[C["dram_residual_bytes"]] = tiles.residual_bytes.sum()
    counts[C["dram_output_bytes"]] = tiles.output_bytes.sum()
    counts[C["dram_psum_bytes"]] = (tiles.psum_load_bytes + tiles.psum_store_bytes).sum()
    return counts
