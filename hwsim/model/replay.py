"""A trace replayed on either model: batch by batch, in segments that are read and run at once."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from hwsim.arch.config import ArchConfig, Shape
from hwsim.arch.schemes import Scheme
from hwsim.counters import CAUSES, COUNTERS
from hwsim.mapping.channels import Gates
from hwsim.model import Engine
from hwsim.model.channel_plan import ChannelPlan, plan_channels
from hwsim.model.engines import ENGINES, run_channels, run_kernel
from hwsim.model.plan import LayerPlan, plan_network
from hwsim.model.totals import require_countable
from hwsim.model.transfers import (
    Moves,
    coded_moves,
    comes_prefetched,
    load_ahead,
    loads_before,
    tellers,
)
from hwsim.trace.active_channels import Channels, channels_of
from hwsim.trace.format.header import TraceHeader
from hwsim.trace.format.packing import count_ones, unpack_bits
from hwsim.trace.mask_trace import MaskTrace

SEGMENT_BYTES = 1 << 22, 1 << 24
"""Packed masks that are read and replayed at once, at least and at most; a few are in memory."""

Packed = Mapping[str, np.ndarray]
"""Packed masks of a segment's images by layer."""


class Bits(NamedTuple):
    """What a segment's layers use of a trace.

    ``moves``: of each batch, by the place of a layer, where maps in DRAM are coded.
    """

    masks: Packed
    inputs: Packed
    moves: Mapping[int, Sequence[Moves]]


@dataclass(frozen=True)
class Totals:
    """A replay: int64 ``causes`` (layers, CAUSES), ``counters`` (layers, COUNTERS) over all images.

    ``batch_cycles`` (batches,): each batch through the whole network. ``ones``: set mask bits per
    gated layer, None where no mask was read.
    """

    causes: np.ndarray
    counters: np.ndarray
    batch_cycles: np.ndarray
    ones: dict[str, int] | None


@dataclass(frozen=True)
class Segment:
    """Consecutive batches of equal size; ``follows``, ``followed``: others run before, after."""

    start: int
    batches: int
    images: int
    header: TraceHeader
    plans: tuple[LayerPlan | ChannelPlan, ...]
    follows: bool
    followed: bool

    @property
    def selects(self) -> bool:
        """Whether masks are of channels, and used: each layer's hang on those before it."""
        return any(isinstance(plan, ChannelPlan) for plan in self.plans)

    def read(self, trace: MaskTrace) -> Bits:
        """The masks and input bits that the segment's layers use."""
        names = [plan.name for plan in self.plans if plan.mapping.gating]
        if self.selects:
            names = [layer.name for layer in trace.network.gated_layers]
        skip = [plan.name for plan in self.plans if isinstance(plan, LayerPlan) and plan.skips]
        start, stop = self.start, self.start + self.images
        return Bits(
            {name: trace.packed(name, start, stop) for name in names},
            {
                name: trace.packed_inputs(name, start, stop)
                for name in skip
                if trace.has_inputs(name)
            },
            self._coded_moves(trace),
        )

    def _coded_moves(self, trace: MaskTrace) -> dict[int, list[Moves]]:
        """What layers move whose maps are coded in DRAM."""
        if self.plans[0].mapping.arch.activation.dram_format == "dense":
            return {}
        planned = [(plan.mapping, plan.tiles) for plan in self.plans if isinstance(plan, LayerPlan)]
        known = [layer.name for layer in trace.network.layers if trace.has_inputs(layer.name)]
        stored = {mapping.layer.name for mapping, _ in planned if mapping.stored}
        nonzero = {
            tensor: trace.inputs(layer, self.start, self.start + self.images)
            for tensor, layer in tellers(trace.network, known).items()
            if tensor in stored
        }
        return coded_moves(planned, nonzero)

    def channels(self, packed: Packed) -> dict[str, Channels]:
        """The channels of each layer that selects."""
        if not self.selects:
            return {}
        network = self.header.network
        shapes = {layer.name: self.header.mask_shape(layer) for layer in network.gated_layers}
        masks = {name: unpack_bits(packed[name], shape) for name, shape in shapes.items()}
        return channels_of(network, self.header.granularity, masks, self.images)

    def prefetched(self, position: int) -> np.ndarray:
        """Whether a layer's first weights are there before its first visit: bool (batches,)."""
        there = np.full(self.batches, comes_prefetched(self.plans, position, True))
        there[0] = comes_prefetched(self.plans, position, self.follows)
        return there

    def loads_ahead(self, position: int) -> np.ndarray:
        """DMA cycles for a layer's successor during its last visit: int64 (batches,)."""
        ahead = np.full(self.batches, load_ahead(self.plans, position, True), np.int64)
        ahead[-1] = load_ahead(self.plans, position, self.followed)
        return ahead

    def run_layer(
        self,
        position: int,
        engine: Engine,
        bits: Bits,
        found: Mapping[str, Channels],
        *,
        by_tile: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Cycles and counters of a layer, a row per batch; ``by_tile``: one batch, by visit."""
        plan, ahead = self.plans[position], self.loads_ahead(position)
        there = self.prefetched(position)
        if isinstance(plan, ChannelPlan):
            return run_channels(plan, found[plan.name], there, ahead, by_tile=by_tile)
        packed = bits.masks.get(plan.name) if plan.mapping.gating else None
        inputs = bits.inputs.get(plan.name)
        run = ENGINES[engine]
        if engine == "kernel" and not by_tile:
            run = partial(run_kernel, by_tile=False)
        if position not in bits.moves:
            return run(plan, packed, loads_before(plan.moves, there), ahead, inputs)
        runs = []
        for batch, moves in enumerate(bits.moves[position]):
            one = slice(batch, batch + 1)
            images = slice(batch * plan.mapping.images, (batch + 1) * plan.mapping.images)
            own = [None if of_all is None else of_all[images] for of_all in (packed, inputs)]
            first = loads_before(moves, there[one])
            runs.append(run(plan, own[0], first, ahead[one], own[1], moves))
        cycles, counts = zip(*runs, strict=True)
        return np.concatenate(cycles), np.concatenate(counts)


def batch_sizes(images: int, batch: int) -> set[int]:
    """Sizes of the batches in which ``images`` run: ``batch``, and that of a smaller last one."""
    return {batch, images % batch or batch}


def segments(
    arch: ArchConfig,
    trace: MaskTrace,
    scheme: Scheme,
    batch: int,
    shapes: tuple[Shape, ...],
    at_once: int,
) -> Iterator[Segment]:
    """All images in order, up to ``at_once`` a segment, whole batches; a last one is smaller."""
    most = max(1, at_once // batch) * batch
    whole = trace.images - trace.images % batch
    edges = sorted({*range(0, whole, most), whole, trace.images} - {0})
    plans: dict[int, tuple[LayerPlan | ChannelPlan, ...]] = {}
    start = 0
    for end in edges:
        size = min(batch, end - start)
        if size not in plans:
            plans[size] = _plans(arch, trace.header, scheme, size, shapes)
            require_countable(plans[size], max(1, trace.images // size))
        images = end - start
        around = start > 0, end < trace.images
        yield Segment(start, images // size, images, trace.header, plans[size], *around)
        start = end


def _plans(
    arch: ArchConfig, header: TraceHeader, scheme: Scheme, images: int, shapes: tuple[Shape, ...]
) -> tuple[LayerPlan | ChannelPlan, ...]:
    if scheme.kind == "channels":
        return plan_channels(arch, header.network, scheme, Gates.of(header), images, shapes)
    gating = scheme.gating(header.gate_norm)
    return plan_network(arch, header.network, scheme, header.mask_group, gating, images, shapes)


def replay(
    arch: ArchConfig,
    trace: MaskTrace,
    scheme: Scheme,
    batch: int,
    shapes: tuple[Shape, ...],
    *,
    engine: Engine = "kernel",
    threads: int | None = None,
    on_images: Callable[[int], None] | None = None,
) -> Totals:
    """Every batch of the trace, in segments: one is read while others are computed."""
    threads = threads or os.cpu_count() or 1
    at_once = batch
    if engine == "kernel":
        per_image = max(1, trace.header.bits // 8)
        least, most = (limit // per_image for limit in SEGMENT_BYTES)
        at_once = max(least, min(most, -(-trace.images // threads)))
    causes = np.zeros((len(trace.network.layers), len(CAUSES)), np.int64)
    counters = np.zeros((len(trace.network.layers), len(COUNTERS)), np.int64)
    batch_cycles: list[np.ndarray] = []
    ones: dict[str, int] = {}

    def add(segment: Segment, run: Totals) -> None:
        causes[:] += run.causes
        counters[:] += run.counters
        batch_cycles.append(run.batch_cycles)
        for name, found in (run.ones or {}).items():
            ones[name] = ones.get(name, 0) + found
        if on_images:
            on_images(segment.images)

    work = segments(arch, trace, scheme, batch, shapes, at_once)
    # Nothing to overlap; and a reference in a thread could not be interrupted.
    if at_once >= trace.images or engine == "reference":
        for segment in work:
            add(segment, _run(engine, segment, segment.read(trace)))
        return Totals(causes, counters, np.concatenate(batch_cycles), ones or None)
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(threads) as workers:
        running: deque[tuple[Segment, Future[Totals]]] = deque()
        for segment in work:
            reading = reader.submit(segment.read, trace)
            running.append((segment, workers.submit(_run_when_read, engine, segment, reading)))
            if len(running) > threads:
                done, result = running.popleft()
                add(done, result.result())
        for done, result in running:
            add(done, result.result())
    return Totals(causes, counters, np.concatenate(batch_cycles), ones or None)


def _run_when_read(engine: Engine, segment: Segment, reading: Future[Bits]) -> Totals:
    return _run(engine, segment, reading.result())


def _run(engine: Engine, segment: Segment, bits: Bits) -> Totals:
    """A segment, layer by layer."""
    layers = len(segment.header.network.layers)
    causes = np.zeros((layers, len(CAUSES)), np.int64)
    counters = np.zeros((layers, len(COUNTERS)), np.int64)
    batch_cycles = np.zeros(segment.batches, np.int64)
    found = segment.channels(bits.masks)
    for position, plan in enumerate(segment.plans):
        cycles, counts = segment.run_layer(position, engine, bits, found, by_tile=False)
        batch_cycles += cycles.sum(axis=1) if len(cycles) == segment.batches else cycles.sum()
        causes[plan.row] += cycles.sum(axis=0)
        counters[plan.row] += counts.sum(axis=0)
        if isinstance(plan, LayerPlan):
            moved = segment.batches * plan.moves.counts
            if position in bits.moves:
                moved = np.sum([moves.counts for moves in bits.moves[position]], axis=0)
            counters[plan.row] += moved
    ones = {name: count_ones(packed) for name, packed in bits.masks.items()}
    return Totals(causes, counters, batch_cycles, ones or None)
