"""What of a layer's run depends on its input bits, where zeros are skipped: batch by batch.

Dense and base passes are the same for all batches elsewhere; here each has its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from hwsim.counters import CAUSES, COUNTERS, C
from hwsim.mapping.layout import block_words
from hwsim.mapping.tiles import Mapping
from hwsim.model.kernel import passes
from hwsim.model.kernel.consecutive_skipping import skip_consecutive
from hwsim.model.kernel.lanes import LANES
from hwsim.model.kernel.run_ahead import Ahead, BeatSequence, ahead_of
from hwsim.model.kernel.zero_skipping import STRETCH, Operands, Walk, fill_planes
from hwsim.network import ConvLayer
from hwsim.trace.format.packing import unpack_bits

_BANK_STALL, _DRAIN = CAUSES.index("bank_stall"), CAUSES.index("drain")


class Pass(NamedTuple):
    """A pass of a layer: its beats and the order of their banks.

    ``walk``: an order for each gating group, or one; ``banks`` int64 (orders of it,): which order
    of ``sequence`` it has.
    """

    beats: passes.Beats
    sequence: BeatSequence
    walk: Walk
    banks: np.ndarray


class Skipped(NamedTuple):
    """A layer's batches: changes to their fixed cycles and counts, int64 (batches, visits, ...).

    ``conditional``: what the passes over listed pixels need.
    """

    cycles: np.ndarray
    counts: np.ndarray
    conditional: tuple[Operands, Walk, np.ndarray]


@dataclass(frozen=True)
class SkipPlan:
    """The skipping of one layer of a batch.

    ``group``: int64 (visits,), whose walk a visit takes; ``words`` int64 (pixel tiles, rounds,
    banks): of consecutive pixels; ``masked``: the conditional pass visits all pixels, too.
    """

    mapping: Mapping
    machine: passes.Machine
    visits: passes.TileArrays
    group: np.ndarray
    words: np.ndarray
    first: Pass
    conditional: Pass
    masked: bool
    free_rows: bool

    def run(self, inputs: np.ndarray) -> Skipped:
        """``inputs``: uint8 (images of all batches, bytes), as a trace has them."""
        operands = self._operands(inputs)
        first, conditional = operands, operands
        if self.free_rows:
            first, conditional = self._with_totals(operands, inputs)
        batches = len(operands.planes)
        cycles = np.zeros((batches, len(self.group), len(CAUSES)), np.int64)
        counts = np.zeros((batches, len(self.group), len(COUNTERS)), np.int64)
        run, busy = self.visits.first, self._first_busy
        self._change(self.first, first, busy, run, "base", cycles, counts)
        if self.masked:
            run, busy = self.visits.finishes, self._masked_busy
            self._change(self.conditional, conditional, busy, run, "conditional", cycles, counts)
        return Skipped(cycles, counts, (conditional, self.conditional.walk, self.group))

    def _operands(self, inputs: np.ndarray) -> Operands:
        layer, images = self.mapping.convolution, self.mapping.images
        word = self.mapping.arch.activation.word_channels
        high, wide = _padded(layer)
        # A word behind the bits, so that one can always be read beside another.
        source = np.zeros((len(inputs), -(-inputs.shape[1] // 8) + 1), np.uint64)
        source.view(np.uint8)[:, : inputs.shape[1]] = inputs
        pixels = images * high * wide
        places = self.first.walk.counted.shape[2]
        planes = np.zeros((len(inputs) // images, 2 * -(-pixels // 64), places), np.uint32)
        shape = layer.in_channels, layer.in_height, layer.in_width
        edges = np.array(layer.edges, np.int64)
        fill_planes(source, shape, edges, word, layer.block_channels, planes)
        return Operands(planes, *self._places)

    @cached_property
    def _first_busy(self) -> np.ndarray:
        return passes.busy_of(self.machine, self.first.beats, self.first.sequence, self.words)

    @cached_property
    def _masked_busy(self) -> np.ndarray:
        beats, sequence, *_ = self.conditional
        return passes.busy_of(self.machine, beats, sequence, self.words)

    @cached_property
    def _places(self) -> tuple[np.ndarray, ...]:
        """All of the operands that no input decides."""
        layer, images = self.mapping.convolution, self.mapping.images
        high, wide = _padded(layer)
        image, y, x = np.indices((images, layer.out_height, layer.out_width), np.int64)
        ky, kx = np.indices(layer.kernel, np.int64).reshape(2, -1)
        bases = ((image * high + y * layer.strides[0]) * wide + x * layer.strides[1]).ravel()
        totals = np.zeros((0, 0, 0), np.int64)
        taps = ky * layer.dilations[0] * wide + kx * layer.dilations[1]
        return bases, taps, self.mapping.pixel_cuts[0], totals

    def _with_totals(self, operands: Operands, inputs: np.ndarray) -> tuple[Operands, Operands]:
        """The same with all operands of an output pixel, in the first and the conditional pass."""
        layer, images = self.mapping.convolution, self.mapping.images
        bits = unpack_bits(inputs, (layer.in_channels, layer.in_height, layer.in_width))
        held = operands_of_pixels(layer, bits)
        by_batch = held.reshape(-1, images, *held.shape[1:]).swapaxes(1, 2)
        by_group = by_batch.reshape(len(by_batch), layer.conv_groups, layer.groups, -1)
        by_block = by_group.reshape(len(by_batch), layer.blocks, -1)
        whole = by_group.sum(axis=2)
        first = by_block if self.mapping.gating else whole
        others = whole if layer.zeroes else np.repeat(whole, layer.groups, axis=1) - by_block
        return tuple(  # type: ignore[return-value]
            operands._replace(totals=np.ascontiguousarray(totals)) for totals in (first, others)
        )

    def _change(
        self,
        a_pass: Pass,
        operands: Operands,
        plain: np.ndarray,
        run: np.ndarray,
        cause: str,
        cycles: np.ndarray,
        counts: np.ndarray,
    ) -> None:
        """A pass over consecutive pixels, in the visits where ``run`` is 1.

        ``plain`` int64 (orders, pixel tiles, rounds): its beats without skipping.
        """
        machine, visits, beats = self.machine, self.visits, a_pass.beats
        orders = len(a_pass.walk.ranges)
        spent = np.zeros((len(cycles), orders, *self.words.shape[:2]), np.int64)
        busy = np.zeros_like(spent)
        ahead = self._ahead(a_pass)
        pixels = self.mapping.pixel_cuts[1]
        skip_consecutive(
            machine, operands, a_pass.walk, ahead, a_pass.banks, self.words, pixels, spent, busy
        )  # fmt: skip
        # Tile by tile; a tile has fewer rounds than the largest, if it has fewer pixels.
        steps = passes.steps_of(beats)
        there = np.arange(self.words.shape[1]) < -(-pixels // machine.rows)[:, None]
        taken, before = (
            passes.round_cycles(machine, each, machine.columns) for each in (busy, plain)
        )
        total = (there * spent).sum(axis=3)
        stalls, drains = (there * (busy - spent)).sum(axis=3), (there * (taken - busy)).sum(axis=3)
        old_stalls = (there * (plain - steps)).sum(axis=2)
        old_drains = (there * (before - plain)).sum(axis=2)
        own = self.group if orders > 1 else np.zeros_like(self.group)
        old = visits.order if len(plain) > 1 else np.zeros_like(visits.order)
        tile, rounds = visits.pixel_tile, run * -(-visits.pixels // machine.rows)
        total = run * total[:, own, tile]
        skipped = rounds * steps - total
        cycles[..., CAUSES.index(cause)] -= skipped
        cycles[..., _BANK_STALL] += run * (stalls[:, own, tile] - old_stalls[old, tile])
        cycles[..., _DRAIN] += run * (drains[:, own, tile] - old_drains[old, tile])
        counts[..., C["steps_skipped"]] += skipped
        read = machine.rows * total if self.free_rows else rounds * (beats.full + beats.short)
        counts[..., C["weight_word_reads"]] += read - rounds * steps

    def _ahead(self, a_pass: Pass) -> Ahead | None:
        if not self.machine.ahead:
            return None
        most = int(self.words.max())
        return ahead_of(a_pass.sequence, self.machine.ahead, most)


def operands_of_pixels(layer: ConvLayer, inputs: np.ndarray) -> np.ndarray:
    """int64 (images, blocks, out pixels): operands of each in each input block that are not zero.

    ``inputs``: bool (images, C_in, H, W), where one is not; the zero padding has none.
    """
    images, blocks = len(inputs), layer.blocks
    of_block = inputs.reshape(images, blocks, -1, *inputs.shape[2:]).sum(axis=2, dtype=np.int32)
    (top, left, bottom, right), (down, wide) = layer.edges, layer.strides
    padded = np.pad(of_block, ((0, 0), (0, 0), (top, bottom), (left, right)))
    found = np.zeros((images, blocks, layer.out_height, layer.out_width), np.int64)
    # Tap by tap: a sum over windows reads each of them number by number.
    for y, x in np.ndindex(layer.kernel):
        y, x = y * layer.dilations[0], x * layer.dilations[1]
        found += padded[:, :, y::down, x::wide][:, :, : layer.out_height, : layer.out_width]
    return found.reshape(images, blocks, -1)


def _padded(layer: ConvLayer) -> tuple[int, int]:
    """Height and width of the input with its padding."""
    top, left, bottom, right = layer.edges
    return layer.in_height + top + bottom, layer.in_width + left + right


def with_lanes(ahead: Ahead) -> Ahead:
    """The same with room for the steps of each round in play."""
    steps = np.zeros((len(ahead.steps), LANES), ahead.steps.dtype)
    return ahead._replace(steps=steps)


def walk_of(mapping: Mapping, orders: Sequence[Sequence[int]]) -> Walk:
    """The channel words of a pass over these input blocks, for each order of them.

    Blocks that share a word of the buffer have words of their own here.
    """
    layer = mapping.convolution
    word = mapping.arch.activation.word_channels
    per_tap = block_words(layer, word)
    taps = layer.taps
    ranges = np.zeros((len(orders), 2, 2), np.int64)
    channel_words = layer.blocks * per_tap
    slots = np.zeros((len(orders), channel_words), np.int64)
    places = -(-(word - 1) * channel_words // STRETCH) * STRETCH
    counted = np.zeros((len(orders), word + 1, places), np.uint32)
    for order, groups in enumerate(orders):
        parts: list[list[int]] = []
        for number, group in enumerate(groups):
            words = slice(group * per_tap, (group + 1) * per_tap)
            slots[order, words] = number * taps * per_tap + np.arange(per_tap)
            for k in range(word - 1):
                # Plane k has the pixels with k + 2 operands or more.
                plane = slice(k * channel_words + words.start, k * channel_words + words.stop)
                counted[order, : k + 2, plane] = ~np.uint32(0)
            if parts and parts[-1][1] == words.start:
                parts[-1][1] = words.stop
            else:
                parts.append([words.start, words.stop])
        for part, ends in enumerate(parts):
            ranges[order, part] = ends
    return Walk(ranges, counted, slots, per_tap, len(orders[0]) * taps * per_tap)
