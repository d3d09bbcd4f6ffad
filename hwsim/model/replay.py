"""A trace replayed on either model: batch by batch, in segments that are read and run at once."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from hwsim.arch.config import ArchConfig, Shape
from hwsim.arch.schemes import Scheme
from hwsim.counters import CAUSES, COUNTERS
from hwsim.model import Engine
from hwsim.model.engines import LayerRun, run_kernel
from hwsim.model.memory import Memory
from hwsim.model.plan import LayerPlan
from hwsim.model.segment import Bits, Segment, segments
from hwsim.model.stalls import BETWEEN, Bytes, stalls_of, transfers_of
from hwsim.trace.format.packing import count_ones
from hwsim.trace.mask_trace import MaskTrace

SEGMENT_BYTES = 1 << 22, 1 << 24
"""Packed masks that are read and replayed at once, at least and at most; a few are in memory."""


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
class Work:
    """A segment's totals but for the stalls between visits, which clock and DRAM decide.

    ``rows``: the network's layer of each that may stall, ``computed`` what its visits take, int64
    (batches, visits), ``moved`` what they move; those of layers that select are in ``totals``.
    """

    totals: Totals
    rows: np.ndarray
    computed: np.ndarray
    moved: Bytes

    @property
    def nbytes(self) -> int:
        """What it takes in memory, nearly."""
        return self.computed.nbytes + sum(array.nbytes for array in self.moved)

    def on(self, arch: ArchConfig) -> Totals:
        """All of a run on ``arch``, whose core did the work."""
        stalls = stalls_of(self.computed, transfers_of(self.moved, arch))
        causes = self.totals.causes.copy()
        # Several layers may count for one of the network: += would add the last alone.
        np.add.at(causes, np.ix_(self.rows, BETWEEN), stalls.sum(axis=0))
        batch_cycles = self.totals.batch_cycles + stalls.sum(axis=(1, 2))
        return Totals(causes, self.totals.counters, batch_cycles, self.totals.ones)


class Memories(NamedTuple):
    """What a sweep's machines did: whole runs of a core, and layers of arrays that see the same."""

    works: Memory[list[Work]]
    layers: Memory[LayerRun]


def batch_sizes(images: int, batch: int) -> set[int]:
    """Sizes of the batches in which ``images`` run: ``batch``, and that of a smaller last one."""
    return {batch, images % batch or batch}


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
    memories: Memories | None = None,
) -> Totals:
    """Every batch of the trace, in segments: one is read while others are computed.

    ``memories``: of the kernel's work, in which machines find what others have done.
    """
    on_images = on_images or (lambda images: None)
    key = trace, arch.core, scheme, batch, shapes
    known = memories.works.get(key) if memories else None
    if known is not None:
        on_images(trace.images)
        return _sum(work.on(arch) for work in known)
    threads = threads or os.cpu_count() or 1
    at_once = batch
    if engine == "kernel":
        per_image = max(1, trace.header.bits // 8)
        least, most = (limit // per_image for limit in SEGMENT_BYTES)
        at_once = max(least, min(most, -(-trace.images // threads)))
    cut = segments(arch, trace, scheme, batch, shapes, at_once)
    run = partial(_run, engine, trace, memories)
    # Nothing to overlap; and a reference in a thread could not be interrupted.
    if at_once >= trace.images or engine == "reference":
        done = _one_by_one(cut, trace, run)
    else:
        done = _overlapped(cut, trace, run, threads)
    runs, works = [], []
    for segment, (totals, work) in done:
        runs.append(totals)
        if memories and work is not None:
            works.append(work)
        on_images(segment.images)
    if memories and len(works) == len(runs):
        memories.works.keep(key, works, sum(work.nbytes for work in works))
    return _sum(runs)


Run = tuple[Totals, Work | None]
"""A segment's, and what machines of the same core need not do again."""


def _one_by_one(
    cut: Iterable[Segment], trace: MaskTrace, run: Callable[[Segment, Bits], Run]
) -> Iterator[tuple[Segment, Run]]:
    for segment in cut:
        yield segment, run(segment, segment.read(trace))


def _overlapped(
    cut: Iterable[Segment], trace: MaskTrace, run: Callable[[Segment, Bits], Run], threads: int
) -> Iterator[tuple[Segment, Run]]:
    """The runs in order, so many at once, while one thread reads."""
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(threads) as workers:
        running: deque[tuple[Segment, Future[Run]]] = deque()
        for segment in cut:
            reading = reader.submit(segment.read, trace)
            work = workers.submit(_run_when_read, run, segment, reading)
            running.append((segment, work))
            if len(running) > threads:
                done, result = running.popleft()
                yield done, result.result()
        for done, result in running:
            yield done, result.result()


def _run_when_read(
    run: Callable[[Segment, Bits], Run], segment: Segment, reading: Future[Bits]
) -> Run:
    return run(segment, reading.result())


def _sum(runs: Iterable[Totals]) -> Totals:
    """Of segments, in order."""
    runs, ones = list(runs), Counter[str]()
    for run in runs:
        ones.update(run.ones or {})
    return Totals(
        np.sum([run.causes for run in runs], axis=0),
        np.sum([run.counters for run in runs], axis=0),
        np.concatenate([run.batch_cycles for run in runs]),
        dict(ones) or None,
    )


def _run(
    engine: Engine, trace: MaskTrace, memories: Memories | None, segment: Segment, bits: Bits
) -> Run:
    """A segment, layer by layer."""
    if engine == "reference":
        return _by_reference(segment, bits), None
    work = _work(segment, trace, bits, memories)
    return work.on(segment.arch), None if segment.selects else work


def _work(segment: Segment, trace: MaskTrace, bits: Bits, memories: Memories | None) -> Work:
    """The kernel's."""
    causes, counters = _empty(segment)
    batch_cycles = np.zeros(segment.batches, np.int64)
    found = segment.channels(bits.masks)
    positions, computed = [], []
    for position, plan in enumerate(segment.plans):
        if isinstance(plan, LayerPlan):
            cycles, counts, visits = _layer(segment, trace, bits, plan, memories)
            counters[plan.row] += segment.moved_counts(bits, position)
            positions.append(position)
            computed.append(visits)
        else:
            cycles, counts = segment.run_selecting(position, found, by_tile=False)
        batch_cycles += cycles.sum(axis=1)
        causes[plan.row] += cycles.sum(axis=0)
        counters[plan.row] += counts.sum(axis=0)
    totals = Totals(causes, counters, batch_cycles, _ones(bits))
    rows = np.array([segment.plans[position].row for position in positions])
    moved = segment.moved(bits, positions)
    return Work(totals, rows, np.concatenate(computed, axis=1), moved)


def _layer(
    segment: Segment, trace: MaskTrace, bits: Bits, plan: LayerPlan, memories: Memories | None
) -> LayerRun:
    """The kernel's run of a layer, or what a machine that looks the same to it made of it."""
    own = segment.of_layer(bits, plan)
    if memories is None or (own[0] is None and own[1] is None):
        return run_kernel(plan, *own, segment.batches, by_tile=False)
    key = trace, segment.start, segment.batches, plan.name, plan.seen
    done = memories.layers.get(key)
    if done is None:
        done = run_kernel(plan, *own, segment.batches, by_tile=False)
        memories.layers.keep(key, done, sum(array.nbytes for array in done))
    return done


def _by_reference(segment: Segment, bits: Bits) -> Totals:
    """The reference's, of one batch."""
    causes, counters = _empty(segment)
    for position, plan in enumerate(segment.plans):
        cycles, counts = segment.run_by_tile(position, "reference", bits, {})
        causes[plan.row] += cycles.sum(axis=0)
        counters[plan.row] += counts.sum(axis=0) + segment.moved_counts(bits, position)
    return Totals(causes, counters, causes.sum(keepdims=True)[0], _ones(bits))


def _empty(segment: Segment) -> tuple[np.ndarray, np.ndarray]:
    layers = len(segment.header.network.layers)
    return np.zeros((layers, len(CAUSES)), np.int64), np.zeros((layers, len(COUNTERS)), np.int64)


def _ones(bits: Bits) -> dict[str, int] | None:
    """Set mask bits."""
    return {name: count_ones(packed) for name, packed in bits.masks.items()} or None
