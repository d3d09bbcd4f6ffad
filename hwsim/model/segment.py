"""Consecutive batches of a trace on a machine, layer by layer, on either model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from hwsim.arch.config import ArchConfig, Shape
from hwsim.arch.schemes import Scheme
from hwsim.mapping.channels import Gates
from hwsim.mapping.tiles import dma_cycles
from hwsim.model import Engine
from hwsim.model.channel_plan import ChannelPlan, plan_channels
from hwsim.model.engines import ENGINES, run_channels
from hwsim.model.plan import LayerPlan, plan_network
from hwsim.model.stalls import Bytes, transfers_of
from hwsim.model.totals import require_countable
from hwsim.model.transfers import Moves, coded_moves, tellers
from hwsim.trace.active_channels import Channels, channels_of
from hwsim.trace.format.header import TraceHeader
from hwsim.trace.format.packing import unpack_bits
from hwsim.trace.mask_trace import MaskTrace

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
class Segment:
    """Consecutive batches of equal size; ``follows``, ``followed``: others run before, after.

    ``arch``: with its clock and DRAM; the ``plans`` are of its core.
    """

    arch: ArchConfig
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
        if self.arch.activation.dram_format == "dense":
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

    @cached_property
    def prefetched(self) -> np.ndarray:
        """Where a layer's first weights are there before its first visit: bool (batches, layers).

        They came beside the layer before, or beside the last one of the batch before.
        """
        fits = [plan.mapping.prefetches for plan in self.plans]
        there = np.tile(np.roll(fits, 1), (self.batches, 1))
        there[0, 0] &= self.follows
        return there

    @cached_property
    def ahead(self) -> np.ndarray:
        """Bytes for a layer's successor during its last visit: int64 (batches, layers)."""
        first = np.array([plan.first_weights_bytes for plan in self.plans], np.int64)
        fits = np.array([plan.mapping.prefetches for plan in self.plans])
        ahead = np.tile(np.roll(first, -1) * fits, (self.batches, 1))
        ahead[-1, -1] *= self.followed
        return ahead

    def moved(self, bits: Bits, positions: Sequence[int]) -> Bytes:
        """What visits of these layers move, and the loads around them; none of them selects."""
        plans = [self.plans[position] for position in positions]
        emptied, moves = [], []
        for position, plan in zip(positions, plans, strict=True):
            assert isinstance(plan, LayerPlan), "masks decide what a layer that selects moves"
            emptied.append(plan.tiles.emptied_pixels)
            moves.append(bits.moves.get(position, [plan.moves]))
        around = list(positions)
        return Bytes.of(emptied, moves, self.prefetched[:, around], self.ahead[:, around])

    def moved_counts(self, bits: Bits, position: int) -> np.ndarray:
        """Counters of what a layer's visits move, of all batches: int64 (COUNTERS,)."""
        plan = self.plans[position]
        assert isinstance(plan, LayerPlan)
        if position not in bits.moves:
            return self.batches * plan.moves.counts
        return np.sum([moves.counts for moves in bits.moves[position]], axis=0)

    def run_selecting(
        self, position: int, found: Mapping[str, Channels], *, by_tile: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Cycles and counters of a layer that selects, a row per batch; ``by_tile``: by visit."""
        plan = self.plans[position]
        assert isinstance(plan, ChannelPlan)
        ahead = dma_cycles(self.ahead[:, position], self.arch)
        there = self.prefetched[:, position]
        return run_channels(plan, self.arch, found[plan.name], there, ahead, by_tile=by_tile)

    def run_by_tile(
        self, position: int, engine: Engine, bits: Bits, found: Mapping[str, Channels]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Cycles and counters of a layer of one batch, a row per visit.

        The kernel books stalls between visits at a layer's last one.
        """
        plan = self.plans[position]
        if isinstance(plan, ChannelPlan):
            return self.run_selecting(position, found, by_tile=True)
        own = self.of_layer(bits, plan)
        transfers = transfers_of(self.moved(bits, [position]), self.arch)
        return ENGINES[engine](plan, *own, transfers)

    def of_layer(self, bits: Bits, plan: LayerPlan) -> tuple[np.ndarray | None, np.ndarray | None]:
        """The masks and input bits that the layer uses."""
        masks = bits.masks.get(plan.name) if plan.mapping.gating else None
        return masks, bits.inputs.get(plan.name)


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
    core, start = arch.core, 0
    for end in edges:
        size = min(batch, end - start)
        if size not in plans:
            plans[size] = _plans(core, trace.header, scheme, size, shapes)
            require_countable(plans[size], arch, max(1, trace.images // size))
        images = end - start
        around = start > 0, end < trace.images
        yield Segment(arch, start, images // size, images, trace.header, plans[size], *around)
        start = end


def _plans(
    core: ArchConfig, header: TraceHeader, scheme: Scheme, images: int, shapes: tuple[Shape, ...]
) -> tuple[LayerPlan | ChannelPlan, ...]:
    if scheme.kind == "channels":
        return plan_channels(core, header.network, scheme, Gates.of(header), images, shapes)
    gating = scheme.gating(header.gate_norm)
    return plan_network(core, header.network, scheme, header.mask_group, gating, images, shapes)
