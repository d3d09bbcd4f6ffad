"""Replay a trace on a machine: layer by layer, tile -> cycles -> counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hwsim import kernel, lists
from hwsim.arch import ArchConfig, Shape
from hwsim.counts import CAUSES, COUNTERS, C
from hwsim.formats import tile_words, words_of
from hwsim.residency import map_network, shapes_held
from hwsim.results import SimResult
from hwsim.schemes import Scheme, SchemeError, lanes_align, parse_scheme, schemes_for
from hwsim.tiling import Mapping, Tiles, dma_cycles, pixel_addresses, tile_layer
from hwsim.timing import Engine
from hwsim.trace import MaskTrace


@dataclass(frozen=True)
class _Layer:
    """What of a layer's run does not depend on its masks."""

    scheme: Scheme
    mapping: Mapping
    tiles: Tiles
    arrays: kernel.TileArrays
    loads: np.ndarray
    in_bank: np.ndarray
    static_counts: np.ndarray
    load_cycles: np.ndarray
    prefetched_load_cycles: int
    store_cycles: np.ndarray
    exposed_cycles: np.ndarray
    first_weights_cycles: int


def simulate(
    arch: ArchConfig,
    trace: MaskTrace,
    scheme: str,
    *,
    batch: int | None = None,
    engine: Engine = "kernel",
    on_batch: Callable[[int], None] | None = None,
) -> SimResult:
    """Replay all images of ``trace`` under ``scheme``, ``batch`` (the machine's) at a time.

    A trace of fewer images is one batch of so many.

    ``engine`` chooses the model: the kernel, or the reference, thousands of times slower, which
    returns the same integers. ``on_batch`` is called with the images of each finished batch, of
    every run where ``array.reshape`` asks for several (see :func:`runs_needed`).
    Raises SchemeError where the masks do not fit the scheme, MappingError where the machine cannot
    hold a layer.
    """
    chosen = parse_scheme(scheme, arch)
    require_usable(chosen, arch, trace)
    batch = min(batch or arch.batch, trace.images)
    shapes = _choose_shapes(arch, trace, chosen, batch, engine, on_batch)
    causes, counters = _replay(arch, trace, chosen, batch, engine, shapes, on_batch)
    if chosen.zero_gated:
        _gate_zero_operands(trace, counters)
    return SimResult(
        arch=arch, header=trace.header, trace_name=trace.name, trace_sha256=trace.sha256,
        scheme=chosen, batch=batch, causes=causes, counters=counters, mask_ones=trace.ones(),
        engine=engine, shapes=shapes,
    )  # fmt: skip


def runs_needed(arch: ArchConfig) -> int:
    """How often :func:`simulate` replays a trace: once, or for every shape and the chosen ones."""
    return len(arch.array.shapes) + 1 if arch.array.reshape else 1


def _choose_shapes(
    arch: ArchConfig,
    trace: MaskTrace,
    scheme: Scheme,
    batch: int,
    engine: Engine,
    on_batch: Callable[[int], None] | None,
) -> tuple[Shape, ...]:
    """Each layer's shape: that in whose run, everywhere it fits, the layer took least cycles."""
    layers = trace.network.layers
    own = arch.array.shapes[0]
    if not arch.array.reshape:
        return (own,) * len(layers)
    spent = np.full((len(arch.array.shapes), len(layers)), np.iinfo(np.int64).max)
    for number, shape in enumerate(arch.array.shapes):
        held = _shape_held(arch, trace, scheme, batch, shape)
        shapes = tuple(shape if fits else own for fits in held)
        causes, _ = _replay(arch, trace, scheme, batch, engine, shapes, on_batch)
        spent[number, held] = causes.sum(axis=1)[held]
    return tuple(arch.array.shapes[number] for number in spent.argmin(axis=0))


def _shape_held(
    arch: ArchConfig, trace: MaskTrace, scheme: Scheme, batch: int, shape: Shape
) -> np.ndarray:
    """bool (layers,): whether every batch of a layer fits in this shape, and its lane groups do."""
    network, gating = trace.network, scheme.kind != "dense"
    instance = trace.header.gate_norm == "instance"
    held = np.array(
        [
            not (layer.gated and scheme.kind == "sparse" and not scheme.lockstep)
            or lanes_align(layer, shape[1], scheme.lane_group, trace.mask_group)
            for layer in network.layers
        ]
    )
    if shape != arch.array.shapes[0]:
        for images in {batch, trace.images % batch or batch}:
            held &= shapes_held(network, arch, images, gating, instance, shape)
    return held


def _replay(
    arch: ArchConfig,
    trace: MaskTrace,
    scheme: Scheme,
    batch: int,
    engine: Engine,
    shapes: tuple[Shape, ...],
    on_batch: Callable[[int], None] | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Causes and counters by layer with these shapes: int64 (layers, ...)."""
    causes = np.zeros((len(trace.network.layers), len(CAUSES)), np.int64)
    counters = np.zeros((len(trace.network.layers), len(COUNTERS)), np.int64)
    plans: dict[int, list[_Layer]] = {}
    for start in range(0, trace.images, batch):
        images = min(batch, trace.images - start)
        # A first layer's weights are prefetched by the last layer of the batch before it.
        following = min(batch, trace.images - start - images)
        for size in {images, following} - {0, *plans}:
            plans[size] = _plan(arch, trace, scheme, size, shapes)
        _run_batch(
            trace,
            ENGINES[engine],
            start,
            plans[images],
            plans.get(following),
            start > 0,
            causes,
            counters,
        )
        if on_batch:
            on_batch(images)
    return causes, counters


def require_usable(scheme: Scheme, arch: ArchConfig, trace: MaskTrace) -> None:
    """Raise SchemeError unless the trace's masks can run under the scheme."""
    usable = usable_schemes(arch, trace)
    if scheme.name not in usable:
        raise SchemeError(
            f"{trace.path or trace.name}: scheme {scheme.name!r} cannot use these masks "
            f"({trace.mask_group} channels per bit) on {arch.name}; valid: {', '.join(usable)}"
        )


def usable_schemes(arch: ArchConfig, trace: MaskTrace) -> list[str]:
    """The schemes that fit the trace's masks, and that it has the counts for."""
    names = schemes_for(arch, trace.mask_group, trace.network.layers)
    if not trace.counts_zero_operands:
        names.remove("dense-zero-gated")
    return names


def _plan(
    arch: ArchConfig, trace: MaskTrace, scheme: Scheme, images: int, shapes: tuple[Shape, ...]
) -> list[_Layer]:
    gating = scheme.kind != "dense"
    instance = trace.header.gate_norm == "instance"
    mappings = map_network(trace.network, arch, images, gating, instance, shapes)
    return [_prepare(parse_scheme(scheme.name, m.arch), m) for m in mappings]


def _prepare(scheme: Scheme, mapping: Mapping) -> _Layer:
    arch, tiles = mapping.arch, tile_layer(mapping)
    machine = _machine(arch, scheme)
    banks = pixel_addresses(mapping) % arch.activation.banks
    sparse = scheme.kind == "sparse" and mapping.gating
    hidden_weights = tiles.weight_bytes.copy()
    exposed = np.zeros_like(hidden_weights)
    if mapping.weights == "one":
        exposed[1:] = dma_cycles(hidden_weights[1:], arch)
        hidden_weights[1:] = 0
    rows = tiles.input_bytes + tiles.residual_bytes + tiles.psum_load_bytes
    return _Layer(
        scheme=scheme,
        mapping=mapping,
        tiles=tiles,
        arrays=_tile_arrays(mapping, tiles),
        loads=kernel.consecutive_loads(machine, banks, *mapping.pixel_cuts),
        in_bank=kernel.bank_masks(
            banks, *mapping.pixel_cuts, arch.activation.banks, words_of(mapping.pixels)
        )
        if sparse
        else np.zeros((1, 1, 1), np.uint64),
        static_counts=_static_counts(arch, mapping, tiles),
        load_cycles=dma_cycles(rows + hidden_weights, arch),
        prefetched_load_cycles=int(dma_cycles(rows[:1], arch)[0]),
        store_cycles=dma_cycles(tiles.output_bytes + tiles.psum_store_bytes, arch),
        exposed_cycles=exposed,
        first_weights_cycles=int(dma_cycles(tiles.weight_bytes[:1], arch)[0]),
    )


def _tile_arrays(mapping: Mapping, tiles: Tiles) -> kernel.TileArrays:
    flags = (
        tiles.first,
        tiles.finishes,
        tiles.finishes & mapping.instance,
        tiles.psum_load_bytes > 0,
        tiles.psum_store_bytes > 0,
    )
    return kernel.TileArrays(
        tiles.channel_start,
        tiles.width,
        tiles.pixels,
        tiles.pixel_tile,
        *(flag.astype(np.int64) for flag in flags),
    )


def _static_counts(arch: ArchConfig, mapping: Mapping, tiles: Tiles) -> np.ndarray:
    """Counters that shapes alone decide, summed over tiles: int64 (len(COUNTERS),)."""
    counts = np.zeros(len(COUNTERS), np.int64)
    words = -(-tiles.width // arch.activation.word_channels)
    counts[C["activation_word_writes"]] = (words * tiles.pooled_pixels).sum()
    if mapping.residual is not None:
        counts[C["residual_word_reads"]] = (words * tiles.emptied_pixels).sum()
    counts[C["dram_input_bytes"]] = tiles.input_bytes.sum()
    counts[C["dram_weight_bytes"]] = tiles.weight_bytes.sum()
    counts[C["dram_residual_bytes"]] = tiles.residual_bytes.sum()
    counts[C["dram_output_bytes"]] = tiles.output_bytes.sum()
    counts[C["dram_psum_bytes"]] = (tiles.psum_load_bytes + tiles.psum_store_bytes).sum()
    return counts


def _run_batch(
    trace: MaskTrace,
    run_layer: _RunLayer,
    start: int,
    layers: list[_Layer],
    following: list[_Layer] | None,
    follows: bool,
    causes: np.ndarray,
    counters: np.ndarray,
) -> None:
    """One batch through the network; adds to ``causes`` and ``counters``, (layers, ...)."""
    prefetched = follows and layers[-1].mapping.prefetches
    for position, layer in enumerate(layers):
        last = position + 1 == len(layers)
        successor = (following[0] if following else None) if last else layers[position + 1]
        prefetched_next = 0
        if successor is not None and layer.mapping.prefetches:
            prefetched_next = successor.first_weights_cycles
        loads = np.append(layer.load_cycles, prefetched_next)
        if prefetched:
            loads[0] = layer.prefetched_load_cycles
        cycles, counts = run_layer(trace, start, layer, loads)
        causes[position] += cycles.sum(axis=0)
        counters[position] += counts.sum(axis=0) + layer.static_counts
        prefetched = prefetched_next > 0


def _kernel_layer(
    trace: MaskTrace, start: int, layer: _Layer, loads: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The kernel's run of a layer; the stalls between tiles stand together at the last one."""
    cycles = np.zeros((len(layer.tiles), len(CAUSES)), np.int64)
    counts = np.zeros((len(layer.tiles), len(COUNTERS)), np.int64)
    _run_tiles(trace, start, layer, cycles, counts)
    stalls = kernel.layer_stalls(
        cycles.sum(axis=1),
        layer.tiles.emptied_pixels,
        loads,
        layer.store_cycles,
        layer.exposed_cycles,
    )
    cycles[-1, [kernel.OUTPUT_STALL, kernel.DRAM_STALL]] = stalls
    return cycles, counts


def _reference_layer(
    trace: MaskTrace, start: int, layer: _Layer, loads: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The reference's run of a layer; SimPy is loaded only where it is used."""
    from hwsim import reference

    mapping, masks = layer.mapping, None
    if mapping.gating:
        bits = trace.masks(mapping.layer.name, start, start + mapping.images)
        masks = bits.swapaxes(0, 1).reshape(bits.shape[1], mapping.total_pixels)
    return reference.run_layer(
        mapping.arch,
        layer.scheme,
        mapping,
        layer.tiles,
        masks,
        trace.mask_group,
        loads,
        layer.store_cycles,
        layer.exposed_cycles,
    )


_RunLayer = Callable[[MaskTrace, int, _Layer, np.ndarray], tuple[np.ndarray, np.ndarray]]
ENGINES: dict[Engine, _RunLayer] = {"kernel": _kernel_layer, "reference": _reference_layer}
"""Each model's run of one layer and batch: cycles by cause (tiles, CAUSES), counters (tiles, ...).

The batch starts at image ``start``; ``loads`` are the DMA cycles before each tile and, last, those
of the next layer.
"""


def _run_tiles(
    trace: MaskTrace, start: int, layer: _Layer, cycles: np.ndarray, counts: np.ndarray
) -> None:
    mapping, scheme = layer.mapping, layer.scheme
    arch, conv = mapping.arch, mapping.layer
    machine = _machine(arch, scheme)
    if not mapping.gating:
        beats = _beats(mapping, arch, conv.groups)
        kernel.dense_tiles(machine, beats, layer.arrays, layer.loads, cycles, counts)
        return
    base, conditional = _beats(mapping, arch, 1), _beats(mapping, arch, conv.groups - 1)
    lists = trace.header.lists(conv)
    packed = trace.packed(conv.name, start, start + mapping.images)
    masks = tile_words(packed, lists, conv.out_pixels, mapping.pixels, mapping.instance)
    common = (machine, base, conditional, layer.arrays, layer.loads, masks, trace.mask_group)
    if scheme.kind == "gated":
        kernel.gated_tiles(*common, cycles, counts)
    else:
        kernel.sparse_tiles(*common, layer.in_bank, cycles, counts)


def _machine(arch: ArchConfig, scheme: Scheme) -> kernel.Machine:
    return kernel.Machine(
        rows=arch.array.rows,
        banks=arch.activation.banks,
        lane_group=scheme.lane_group,
        lockstep=int(scheme.lockstep),
        word_bits=arch.index.word_bits,
        indices_per_cycle=arch.index.indices_per_cycle,
        columns=arch.array.columns,
        systolic=int(arch.array.feed == "systolic"),
        conflicts=kernel.CONFLICTS[arch.activation.bank_conflicts],
        shared=int(arch.index.decoders == "shared"),
        format=lists.FORMATS[arch.index.format],
        symbol_bits=arch.symbol_bits,
    )


def _beats(mapping: Mapping, arch: ArchConfig, groups: int) -> kernel.Beats:
    """A pass over ``groups`` input groups; each starts on a word (docs/timing.md, "Passes")."""
    layer, word = mapping.layer, arch.activation.word_channels
    taps = layer.kernel_size**2
    full, short_steps = divmod(layer.in_channels // layer.groups, word)
    return kernel.Beats(groups * taps * full, word, groups * taps * (short_steps > 0), short_steps)


def _gate_zero_operands(trace: MaskTrace, counters: np.ndarray) -> None:
    for position, layer in enumerate(trace.network.layers):
        if layer.gated:
            zeros = int(trace.zero_operand_macs(layer.name).sum())
            counters[position, C["macs_base"]] -= zeros
            counters[position, C["macs_gated_off"]] += zeros
