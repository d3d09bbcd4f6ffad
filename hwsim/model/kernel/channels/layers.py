"""Cycles of layers that select channels: one pass over kept inputs (docs/model/channels.md).

Nothing here validates; the caller does. Functions add to cycles by cause and counters, whose last
axes are CAUSES and COUNTERS (pipeline.Results).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.counters import CAUSES, C
from hwsim.model.kernel.channels.visits import (
    IN_DRAM,
    ONE,
    bytes_in,
    residual_bytes,
    visits_of,
    weight_bytes,
    words_of,
)
from hwsim.model.kernel.jit import allocating, compiled
from hwsim.model.kernel.passes import EXACT, Beats
from hwsim.model.kernel.pipeline import finish, start, visit
from hwsim.model.kernel.rounds import busy_cycles, round_cycles

_INT64 = 2**63 - 1
_BASE, _BANK_STALL = CAUSES.index("base"), CAUSES.index("bank_stall")
_DRAIN = CAUSES.index("drain")
_MACS, _WORD_READS, _FILLS = C["macs_base"], C["activation_word_reads"], C["line_fills"]
_WEIGHT_READS, _MASK_BITS = C["weight_word_reads"], C["mask_bits_written"]
_INDEX_WORDS, _COMPARATOR, _ADDER = C["index_words_read"], C["comparator_ops"], C["adder_ops"]
_PSUM_BASE, _PSUM_OUTPUT = C["psum_base_writes"], C["psum_output_reads"]
_OUTPUT, _RESIDUAL = C["output_ops"], C["residual_word_reads"]
_WRITES, _DRAM_INPUT = C["activation_word_writes"], C["dram_input_bytes"]
_DRAM_WEIGHT, _DRAM_RESIDUAL = C["dram_weight_bytes"], C["dram_residual_bytes"]
_DRAM_OUTPUT = C["dram_output_bytes"]
_OUTPUT_STALL, _DRAM_STALL = CAUSES.index("output_stall"), CAUSES.index("dram_stall")


class Dma(NamedTuple):
    """Cycles of a transfer are ceil(bytes * ``cycles`` / ``transferred``)."""

    cycles: int
    transferred: int


@allocating
def visit_count(layer, channels):
    """Visits of one batch."""
    return visits_of(layer, channels.computed, channels.added).image.size


@allocating
def channel_batches(machine, layer, channels, dma, prefetched, next_load, results):
    """Batches of a layer that selects.

    ``channels``: active_channels.Channels of all batches; ``prefetched`` (batches,): the first
    tile's weights are there; ``next_load`` (batches,): DMA cycles during the last visit.
    """
    cycles, counts, by_tile = results
    for b in range(prefetched.size):
        first, end = b * layer.images, (b + 1) * layer.images
        computed, added = channels.computed[first:end], channels.added[first:end]
        kept, present = channels.kept[first:end], channels.present[first:end]
        visits = visits_of(layer, computed, added)
        last = visits.image.size - 1
        rows = b if by_tile == 0 else 0
        loads, stores, exposed, emptied = _transfers(
            layer, visits, present, added, dma, prefetched[b], by_tile, rows, counts
        )
        steps_in_words = _steps_in_words(layer, kept)
        clock = start(loads[0])
        for k in range(visits.image.size):
            row = rows + by_tile * k
            spent = 0
            if visits.passes[k]:
                spent = _pass(machine, layer, visits, k, steps_in_words, cycles[row], counts[row])
                counts[row, _INDEX_WORDS] += -(-kept.shape[2] // machine.word_bits)
            _empty(layer, visits, k, computed, added, counts[row])
            if visits.begins[k]:
                _choose(machine, layer, computed, present[visits.image[k]], counts[row])
            following = loads[k + 1] if k < last else next_load[b]
            clock = visit(clock, spent, following, exposed[k], emptied[k], stores[k])
        stalls = finish(clock)
        cycles[rows + by_tile * last, _OUTPUT_STALL] += stalls[0]
        cycles[rows + by_tile * last, _DRAM_STALL] += stalls[1]


@compiled
def _cycles_of(dma, transferred):
    if transferred <= _INT64 // dma.cycles:
        return -(-transferred * dma.cycles // dma.transferred)
    # Digit by digit, of five bits: the product would have more than 63.
    whole, rest = np.int64(0), np.int64(0)
    for place in range(60, -1, -5):
        rest = rest * 32 + ((transferred >> place) & 31) * dma.cycles
        whole = whole * 32 + rest // dma.transferred
        rest %= dma.transferred
    return whole + (rest > 0)


@allocating
def _transfers(layer, visits, present, added, dma, prefetched, by_tile, rows, counts):
    """What a batch's visits wait for, int64 (visits,) each; counts the bytes."""
    total = visits.image.size
    rows_in, columns = bytes_in(layer, visits, present, added), weight_bytes(layer, visits)
    residual = residual_bytes(layer, visits, added)
    loads, stores = np.zeros(total, np.int64), np.zeros(total, np.int64)
    exposed, emptied = np.zeros(total, np.int64), np.zeros(total, np.int64)
    for k in range(total):
        pixel, row = visits.pixel[k], rows + by_tile * k
        hidden = columns[k]
        if layer.reach == ONE and k > 0:
            exposed[k], hidden = _cycles_of(dma, columns[k]), 0
        if k == 0 and prefetched:
            hidden = 0
        loads[k] = _cycles_of(dma, rows_in[k] + hidden)
        stored = visits.width[k] * layer.pooled[pixel] * layer.stored
        stores[k] = _cycles_of(dma, stored)
        emptied[k] = layer.pixels[pixel] if visits.width[k] else 0
        from_dram = residual[k] if layer.residual == IN_DRAM else 0
        counts[row, _DRAM_INPUT] += rows_in[k] - from_dram
        counts[row, _DRAM_RESIDUAL] += from_dram
        counts[row, _DRAM_WEIGHT] += columns[k]
        counts[row, _DRAM_OUTPUT] += stored
    return loads, stores, exposed, emptied


@allocating
def _steps_in_words(layer, kept):
    """int64 (images, heads, A + 1): entry n: activation words with n kept channels."""
    images, heads, channels = kept.shape
    found = np.zeros((images, heads, layer.word_channels + 1), np.int64)
    for image in range(images):
        for head in range(heads):
            word, steps = 0, 0
            for channel in range(channels):
                if layer.word_of[channel] != word:
                    found[image, head, steps] += 1
                    word, steps = layer.word_of[channel], 0
                steps += kept[image, head, channel]
            found[image, head, steps] += 1
    return found


@allocating
def _pass(machine, layer, visits, k, steps_in_words, cycles, counts):
    """A visit's pass over consecutive pixels; returns its cycles."""
    image, pixel, width = visits.image[k], visits.pixel[k], visits.width[k]
    words = steps_in_words[image, visits.head[k]]
    pixels, beats, steps = layer.pixels[pixel], 0, 0
    for kept in range(1, words.size):
        beats += layer.taps * words[kept]
        steps += layer.taps * words[kept] * kept
    rounds, taken = -(-pixels // machine.rows), 0
    for i in range(rounds):
        distinct = min(machine.rows, pixels - i * machine.rows)
        busy = 0
        if machine.conflicts == EXACT:
            for kept in range(1, words.size):
                busy += layer.taps * words[kept] * max(kept, layer.loads[pixel, i])
        else:
            every = Beats(beats, 0, 0, 0)
            busy = max(steps, busy_cycles(machine, every, 0, distinct))
        cycles[_BANK_STALL] += busy - steps
        spent = round_cycles(machine, busy, machine.columns)
        cycles[_DRAIN] += spent - busy
        taken += spent
    cycles[_BASE] += rounds * steps
    if not machine.systolic:
        cycles[_DRAIN] += machine.rows
        taken += machine.rows
    counts[_MACS] += width * pixels * steps
    counts[_WORD_READS] += pixels * beats
    counts[_FILLS] += pixels * beats
    counts[_WEIGHT_READS] += rounds * steps
    counts[_PSUM_BASE] += pixels
    counts[_PSUM_OUTPUT] += pixels
    return taken


@allocating
def _empty(layer, visits, k, computed, added, counts):
    """The output stage's share of a visit, of computed channels and of those that only pass."""
    image, pixel = visits.image[k], visits.pixel[k]
    counts[_OUTPUT] += visits.width[k] * layer.pixels[pixel]
    written = words_of(layer, visits, k, computed[image] | added[image])
    counts[_WRITES] += written * layer.pooled[pixel]
    if layer.residual:
        read = words_of(layer, visits, k, added[image])
        counts[_RESIDUAL] += read * layer.pixels[pixel]


@allocating
def _choose(machine, layer, computed, present, counts):
    """An image's decisions, from means of its input, and its output list."""
    counts[_MASK_BITS] += layer.mask_bits
    counts[_COMPARATOR] += layer.mask_bits
    counts[_ADDER] += layer.means * np.int64(present.sum())
    if layer.compacted:
        counts[_INDEX_WORDS] += -(-computed.shape[1] // machine.word_bits)
