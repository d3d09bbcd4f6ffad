"""The conditional pass as a plain loop over indices: what the kernel does with whole words.

docs/model/passes.md, for bitmap lists, one index a cycle, private decoders, broadcast feed,
exact bank conflicts, and masks equal in every lane group.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hwsim.arch.config import ArchConfig
from hwsim.arch.schemes import parse_scheme
from hwsim.counters import CAUSES, COUNTERS, C
from hwsim.mapping.pointers import pixel_addresses
from hwsim.model.kernel import gated_layers as kernel
from hwsim.model.kernel.bits import popcount
from hwsim.model.kernel.jit import allocating
from hwsim.model.kernel.pipeline import Results
from hwsim.model.plan import LayerPlan
from hwsim.model.segment import segments
from hwsim.trace.mask_trace import MaskTrace

_CONDITIONAL, _BANK_STALL = CAUSES.index("conditional"), CAUSES.index("bank_stall")
_DRAIN, _DECODE_STALL = CAUSES.index("drain"), CAUSES.index("decode_stall")
_MACS, _FILLS = C["macs_conditional"], C["line_fills"]
_WORD_READS, _WEIGHT_READS = C["activation_word_reads"], C["weight_word_reads"]
_PSUM_READS, _PSUM_WRITES = C["psum_conditional_reads"], C["psum_conditional_writes"]
_MASK_BITS, _INDEX_WORDS, _DECODER = (
    C["mask_bits_written"],
    C["index_words_read"],
    C["decoder_cycles"],
)

_U0, _U1 = np.uint64(0), np.uint64(1)


@dataclass(frozen=True)
class Layer:
    """A gated layer's batches, ready to run: ``words`` as the kernel has them."""

    plan: LayerPlan
    words: np.ndarray

    def by_kernel(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cycles by cause and counters, a row per batch, and cycles of each visit: what masks make
        of them."""
        plan, (cycles, counts, computed) = self.plan, self._empty()
        masked = kernel.Masked(plan.visits, self.words, plan.mask_group, plan.in_bank)
        results = Results(cycles, counts, 0)
        machine = plan.machine, plan.conditional
        kernel.sparse_batches(*machine, masked, computed, results, plan.ahead, plan.window(), None)
        return cycles, counts, computed

    def by_index(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same from the plain loop."""
        plan, results = self.plan, self._empty()
        banks = pixel_addresses(plan.mapping.pointers) % plan.machine.banks
        first = plan.mapping.pixel_cuts[0]
        plain_batches(
            plan.machine, plan.conditional, plan.visits, self.words, plan.mask_group, banks, first,
            *results,
        )  # fmt: skip
        return results

    def _empty(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        columns = len(CAUSES), len(COUNTERS), len(self.plan.tiles)
        cycles, counts, computed = (np.zeros((len(self.words), n), np.int64) for n in columns)
        return cycles, counts, computed


def gated_layers(arch: ArchConfig, trace: MaskTrace, scheme: str, batch: int) -> Iterator[Layer]:
    """All images of the trace, whole batches."""
    shapes = (arch.array.shapes[0],) * len(trace.network.layers)
    chosen = parse_scheme(scheme, arch)
    (segment,) = segments(arch, trace, chosen, batch, shapes, at_once=trace.images)
    masks = segment.read(trace).masks
    for plan in segment.plans:
        if plan.name not in masks:
            continue
        yield Layer(plan, plan.words.gather(masks[plan.name]))


@allocating
def plain_batches(machine, beats, tiles, masks, mask_group, banks, first, cycles, counts, computed):
    """Every batch, tile by tile; ``banks`` of all pixels, ``first`` pixel of each pixel tile."""
    pixels = tiles.pixels.max()
    indices = np.zeros((machine.columns, pixels), np.int64)
    lengths = np.zeros(machine.columns, np.int64)
    slots = np.zeros(pixels // machine.rows + 2, np.int64)
    for b in range(masks.shape[0]):
        for t in range(tiles.width.size):
            if tiles.finishes[t]:
                p = tiles.pixel_tile[t]
                slots[:] = 0
                lists = _decode_lists(
                    machine, beats, tiles, t, masks[b, p], mask_group, indices, lengths, slots,
                    counts[b],
                )  # fmt: skip
                computed[b, t] += _pass(
                    machine, beats, indices[:lists], lengths[:lists], slots,
                    banks[first[p] : first[p] + tiles.pixels[t]], cycles[b], counts[b],
                )  # fmt: skip


@allocating
def _decode_lists(machine, beats, tiles, t, masks, mask_group, indices, lengths, slots, counts):
    """The list of every lane group of a tile; returns how many there are."""
    pixels, lists = tiles.pixels[t], 0
    steps = beats.full * beats.full_steps + beats.short * beats.short_steps
    lane, end = tiles.channel_start[t], tiles.channel_start[t] + tiles.width[t]
    while lane < end:
        lanes = min(machine.lane_group, end - lane)
        ones, spent = _decode(machine, masks[lane // mask_group], pixels, indices[lists], slots)
        lengths[lists] = ones
        counts[_MASK_BITS] += pixels
        counts[_INDEX_WORDS] += -(-pixels // machine.word_bits)
        counts[_MACS] += lanes * ones * steps
        counts[_FILLS] += ones * (beats.full + beats.short)
        counts[_PSUM_READS] += ones
        counts[_PSUM_WRITES] += ones
        counts[_DECODER] += spent
        lists += 1
        lane += lanes
    return lists


@allocating
def _decode(machine, words, pixels, indices, slots):
    """One list, an index or an empty index word a cycle; returns (ones, decoder cycles)."""
    found, slot, spent, total = 0, 0, 0, 0
    width = machine.word_bits
    word_mask = ~_U0 >> np.uint64(64 - width)
    for bit in range(0, pixels, width):
        rest = (words[bit >> 6] >> np.uint64(bit & 63)) & word_mask
        if rest == _U0:
            spent += 1
        while rest != _U0:
            indices[found] = bit + popcount((rest & ~(rest - _U1)) - _U1)
            rest &= rest - _U1
            found += 1
            spent += 1
            if found % machine.rows == 0:
                slots[slot] = max(slots[slot], spent)
                total, slot, spent = total + spent, slot + 1, 0
    slots[slot] = max(slots[slot], spent)
    return found, total + spent


@allocating
def _pass(machine, beats, indices, lengths, slots, banks, cycles, counts):
    """Rounds of all lists; a pixel is fetched once a round. Returns the cycles of the pass."""
    steps = beats.full * beats.full_steps + beats.short * beats.short_steps
    rows, rounds = machine.rows, -(-lengths.max() // machine.rows)
    fetched_in = np.full(banks.size, -1, np.int64)
    held = np.zeros(machine.banks, np.int64)
    computed, stalled = 0, slots[0]
    for i in range(rounds):
        held[:] = 0
        for j in range(lengths.size):
            for k in range(i * rows, min((i + 1) * rows, lengths[j])):
                pixel = indices[j, k]
                if fetched_in[pixel] != i:
                    fetched_in[pixel] = i
                    held[banks[pixel]] += 1
        load = held.max()
        busy = beats.full * max(beats.full_steps, load) + beats.short * max(beats.short_steps, load)
        taken = max(busy, rows)
        computed += taken
        stalled += max(0, slots[i + 1] - taken)
        cycles[_BANK_STALL] += busy - steps
        cycles[_DRAIN] += taken - busy
        counts[_WORD_READS] += held.sum() * (beats.full + beats.short)
    if rounds:
        computed += rows
        cycles[_DRAIN] += rows
    cycles[_CONDITIONAL] += rounds * steps
    cycles[_DECODE_STALL] += stalled
    counts[_WEIGHT_READS] += rounds * steps
    return computed + stalled
