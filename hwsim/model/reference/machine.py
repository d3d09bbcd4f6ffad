"""The reference: the machine of docs/model as SimPy processes, to be read beside those pages.

The second model, independent of the kernel: a sequencer starts rounds, decoders find their pixels,
banks serve their words, accumulator banks drain, the output stage and the DMA work on the tiles
before and after. How long a tile takes is read off the clock; there is no closed expression here.
What the models share is what they are given: tiles, addresses, DMA transfers, masks, input bits.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from simpy import Environment, Event

from hwsim.counters import CAUSES, COUNTERS
from hwsim.mapping.pointers import beat_offsets, pixel_addresses
from hwsim.model.reference.decoder import Decoder, scan_of
from hwsim.model.reference.feed import Broadcast, Retire, Systolic
from hwsim.model.reference.latencies import LATENCIES
from hwsim.model.reference.observer import NOBODY, Observer, Round
from hwsim.model.reference.operands import Operands, take
from hwsim.model.reference.parts import Banks, Entries, Steps, dma, output_stage
from hwsim.model.reference.tile import Layer, Tile
from hwsim.network import ConvLayer


def run_layer(
    layer: Layer,
    loads: np.ndarray,
    stores: np.ndarray,
    exposed: np.ndarray,
    observer: Observer = NOBODY,
) -> tuple[np.ndarray, np.ndarray]:
    """One layer and batch, from its first load to its last store.

    DMA cycles: ``loads`` (tiles + 1) before each tile and, last, for the next layer; ``stores``
    (tiles) after each tile; ``exposed`` (tiles) before each tile, hidden by nothing. Returns int64
    cycles by cause (tiles, len(CAUSES)) and counters (tiles, len(COUNTERS)); a stall between two
    tiles is booked at the later one. Counters that shapes alone decide (DRAM bytes, residual reads,
    activation writes) stay 0.
    """
    env = Environment()
    mapping = layer.mapping
    addresses = np.zeros(mapping.total_pixels, np.int64)
    if isinstance(mapping.layer, ConvLayer):
        addresses = pixel_addresses(mapping.pointers)
    work = [Tile(layer, number, addresses) for number in range(len(layer.tiles))]
    ledger = Ledger(env, observer)
    sequencer = Sequencer(env, layer, ledger)
    transfers = loads.tolist(), stores.tolist(), exposed.tolist()
    env.run(env.process(_layer(env, work, sequencer, ledger, *transfers)))
    assert ledger.booked == env.now, "a cycle was booked on no cause"
    return (
        np.array([_in_order(CAUSES, tile.cycles) for tile in work], np.int64),
        np.array([_in_order(COUNTERS, tile.counts) for tile in work], np.int64),
    )


class Ledger:
    """Books every cycle once, on what the machine waited for."""

    def __init__(self, env: Environment, observer: Observer) -> None:
        self.booked, self.observer = 0, observer
        self._env = env
        self._cycles: Counter[str] = Counter()

    def open(self, tile: Tile) -> None:
        """Cycles from now on count for ``tile``."""
        self._cycles = tile.cycles

    def spent_on(self, cause: str) -> None:
        """The cycles since the last booking, if any, went to ``cause``."""
        now = self._env.now
        self._cycles[cause] += now - self.booked
        self.observer.spent(cause, self.booked, now)
        self.booked = now


@dataclass(frozen=True)
class Pass:
    """One pass over a tile: what its steps are booked on, its beats, and what its drain does.

    ``blocks`` are its input blocks, ``beats`` the steps of each beat over their words, ``offsets``
    what each adds to the addresses of the pixels;
    ``lit_lanes`` (lane group, pixel) the lanes that compute; ``columns`` those that operands of a
    systolic array cross.
    """

    cause: str
    blocks: Sequence[int]
    beats: Sequence[int]
    offsets: Sequence[int]
    lit_lanes: Sequence[Sequence[int]]
    columns: int
    retire: Retire


class Sequencer:
    """Runs the passes of a tile: fills rounds from the decoders, and the array with rounds."""

    def __init__(self, env: Environment, layer: Layer, ledger: Ledger) -> None:
        self._env, self._ledger, self._observer = env, ledger, ledger.observer
        self._scheme, self._mapping, self._arch = layer.scheme, layer.mapping, layer.mapping.arch
        self._rows, self._columns = self._arch.array.rows, self._arch.array.columns
        self._operands = None if layer.inputs is None else Operands(layer.mapping, layer.inputs)
        self._free_rows = bool(self._operands) and layer.scheme.skipping == "free-rows"
        activation = self._arch.activation
        # Rows that wait for nobody have banks that give all that is asked for.
        conflicts = "none" if self._free_rows else activation.bank_conflicts
        self._banks = Banks(env, activation.banks, conflicts, self._observer)
        self._run_ahead = activation.run_ahead if conflicts == "exact" else None
        feed = Systolic if self._arch.array.feed == "systolic" else Broadcast
        self._feed = feed(env, self._rows, self._observer)

    def run(self, tile: Tile) -> Steps:
        """A dense pass, or a base and a conditional pass, or one of them; none for a map."""
        if tile.is_map:
            return
        if tile.zeroes:
            tile.know_masks()
        elif tile.first:
            yield from self._first_pass(tile)
        if tile.compares:
            yield from self._compare(tile)
        if not (tile.gated and tile.finishes):
            return
        if self._scheme.kind == "clock-gated":
            yield from self._masked_pass(tile)
        else:
            yield from self._conditional_pass(tile)

    def _first_pass(self, tile: Tile) -> Steps:
        """Dense or base: consecutive pixels, the same in all lane groups, every lane at work."""
        lit_lanes = [[len(lanes)] * tile.pixels for lanes in tile.lanes]
        walk = self._walk(tile.base_blocks)
        a_pass = Pass("base", *walk, lit_lanes, self._columns, tile.write)
        for pixels in self._consecutive(tile):
            yield from self._round(tile, a_pass, [pixels] * len(tile.lanes))
        yield from self._last_drain(a_pass)

    def _compare(self, tile: Tile) -> Steps:
        """The decisions of an instance gate, when the whole map has its base sums."""
        since = self._env.now
        for pixel in range(tile.pixels):
            yield self._env.timeout(LATENCIES.compared_pixel)
            tile.compare(pixel)
        self._observer.compared(tile.pixels, since, self._env.now)
        self._ledger.spent_on("drain")

    def _masked_pass(self, tile: Tile) -> Steps:
        """The clock-gated scheme's conditional pass: operands of every pixel, dark lanes idle."""
        walk = self._walk(tile.conditional_blocks)
        a_pass = Pass("conditional", *walk, tile.lit_lanes, self._columns, tile.add_where_lit)
        for pixels in self._consecutive(tile):
            tile.read_masks(pixels)
            yield from self._round(tile, a_pass, [pixels] * len(tile.lanes))
        yield from self._last_drain(a_pass)

    def _conditional_pass(self, tile: Tile) -> Steps:
        """Rounds of what the decoders find; a round starts when every decoder is ready.

        With a window it takes pixels close to the one furthest behind; the others stay.
        """
        walk, columns = self._walk(tile.conditional_blocks), self._scheme.lane_group
        a_pass = Pass("conditional", *walk, tile.lit_lanes, columns, tile.add)
        decoders = self._decoders(tile)
        has_run = False
        while True:
            yield self._env.all_of([decoder.ready for decoder in decoders])
            self._ledger.spent_on("decode_stall")
            waiting = [buffer for decoder in decoders for buffer in decoder.buffers]
            if not any(waiting):
                break
            below = self._end_of_window(tile, waiting)
            found = [pixels for decoder in decoders for pixels in decoder.hand_over(below)]
            has_run = True
            yield from self._round(tile, a_pass, found)
        if has_run:
            yield from self._last_drain(a_pass)

    def _end_of_window(self, tile: Tile, buffers: Sequence[Sequence[int]]) -> int:
        """The first pixel that a round does not take; without a window the first behind the tile.

        Every place of a buffer compares once with that pixel; the others find the one furthest
        behind among the buffers' first ones.
        """
        window = self._arch.index.window
        if not window:
            return tile.pixels
        tile.counts["window_compares"] += len(buffers) * self._rows + len(buffers) - 1
        return min(buffer[0] for buffer in buffers if buffer) + window

    def _decoders(self, tile: Tile) -> list[Decoder]:
        """One decoder for each lane group, or one that serves them all."""
        index = self._arch.index
        scans = [scan_of(tile.memory, lists, index.indices_per_cycle) for lists in tile.followed]
        served = [scans] if index.decoders == "shared" else [[scan] for scan in scans]
        return [
            Decoder(self._env, few, self._rows, tile.counts, first, self._observer)
            for first, few in enumerate(served)
        ]

    def _round(self, tile: Tile, a_pass: Pass, lists: Sequence[Sequence[int]]) -> Steps:
        """Compute one list of pixels per lane group, and let their sums leave as the feed has it.

        When a beat starts, the pointers ask for the words of the beat that is ``run_ahead`` later;
        when the first one starts, for those before it, too. A beat ends when its words are there.
        With idealised banks they ask for all words at once, and it is the round that ends so.
        """
        since = self._env.now
        self._feed.start(a_pass.retire)
        pointers = [(group, pixel) for group, pixels in enumerate(lists) for pixel in pixels]
        words = Counter(tile.addresses[pixel] for _, pixel in pointers)
        lanes = sum(len(tile.lanes[group]) for group, _ in pointers)
        lit = sum(a_pass.lit_lanes[group][pixel] for group, pixel in pointers)
        offsets = iter(a_pass.offsets)

        def ask(beats: int | None) -> list[Event]:
            """For the words of so many beats more, or of all."""
            more = islice(offsets, beats)
            return [self._banks.request(words, tile.counts, offset) for offset in more]

        filled = deque(ask(self._run_ahead))
        for steps, left in self._stretches(a_pass, [tile.start + pixel for _, pixel in pointers]):
            filled += ask(1)
            yield from self._compute(tile, steps, left)
            self._ledger.spent_on(a_pass.cause)
            tile.counts[f"macs_{a_pass.cause}"] += steps * lit
            tile.counts["macs_gated_off"] += steps * (lanes - lit)
            if self._run_ahead is not None:
                yield filled.popleft()
                self._ledger.spent_on("bank_stall")
        yield from filled
        self._ledger.spent_on("bank_stall")
        yield from self._feed.finish_round(self._rows_of(lists), a_pass.columns, a_pass.retire)
        self._ledger.spent_on("drain")
        done = Round(a_pass.cause, a_pass.beats, lists, words, lanes, lit)
        self._observer.ran(done, since, self._env.now)

    def _stretches(
        self, a_pass: Pass, pixels: Sequence[int]
    ) -> Iterable[tuple[int, np.ndarray | None]]:
        """What all rows of a round end together: its steps, and the operands of each pointer.

        It is a beat, or all beats where every row goes on by itself. Where zeros are not skipped
        the steps are all there is to know. ``pixels`` are the pointers' within the batch; those
        at one pixel have the same operands.
        """
        if self._operands is None:
            return ((steps, None) for steps in a_pass.beats)
        left = self._operands.of_beats(a_pass.blocks, sorted(set(pixels)))
        if self._free_rows:
            return [(sum(a_pass.beats), np.sum(list(left), axis=0))]
        return zip(a_pass.beats, left, strict=True)

    def _compute(self, tile: Tile, steps: int, left: np.ndarray | None) -> Steps:
        """A stretch of the array: all its steps, or those in which a pointer has an operand.

        Each step reads its weights, one word for all rows or one for each; a beat whose zeros are
        skipped reads all of them once, in a word that is as wide.
        """
        if left is None:
            yield self._env.timeout(steps * LATENCIES.step)
            tile.counts["weight_word_reads"] += steps
            return
        spent = yield from take(self._env, left)
        tile.counts["weight_word_reads"] += spent * self._rows if self._free_rows else 1
        tile.counts["steps_skipped"] += steps - spent

    def _last_drain(self, a_pass: Pass) -> Steps:
        """A pass ends when its last round has left the accumulators."""
        yield from self._feed.finish_pass(a_pass.retire)
        self._ledger.spent_on("drain")

    def _walk(self, blocks: Sequence[int]) -> tuple[Sequence[int], list[int], list[int]]:
        """Beats of a pass over these input blocks: the blocks, each beat's steps, its offset."""
        layer, word = self._mapping.convolution, self._arch.activation.word_channels
        channels = layer.in_channels // (layer.conv_groups * layer.groups)
        of_tap = [min(word, channels - first) for first in range(0, channels, word)]
        steps = of_tap * (layer.kernel[0] * layer.kernel[1] * len(blocks))
        return blocks, steps, beat_offsets(self._mapping.pointers, blocks).tolist()

    def _consecutive(self, tile: Tile) -> Iterable[range]:
        for first in range(0, tile.pixels, self._rows):
            yield range(first, min(first + self._rows, tile.pixels))

    def _rows_of(self, lists: Sequence[Sequence[int]]) -> Sequence[Entries]:
        return [
            {group: pixels[row] for group, pixels in enumerate(lists) if row < len(pixels)}
            for row in range(self._rows)
        ]


def _layer(
    env: Environment,
    work: Sequence[Tile],
    sequencer: Sequencer,
    ledger: Ledger,
    loads: Sequence[int],
    stores: Sequence[int],
    exposed: Sequence[int],
) -> Steps:
    """In a slot a tile computes, the one before is emptied and stored, the one after is loaded.

    There is one slot more than visits: in the last nothing is left to compute or to load.
    """
    observer = ledger.observer
    ledger.open(work[0])
    yield env.process(dma(env, observer, first_load=loads[0]))
    ledger.spent_on("dram_stall")
    slots = zip(
        [*work, None], [None, *work], [*exposed, 0], [0, *stores], [*loads[1:], 0], strict=True
    )
    for number, (tile, finished, unhidden, store, load) in enumerate(slots):
        since = env.now
        if tile:
            ledger.open(tile)
        yield env.process(dma(env, observer, exposed=unhidden))
        ledger.spent_on("dram_stall")
        moved = env.process(dma(env, observer, store=store, load=load))
        emptied = env.process(_empty(env, finished, observer))
        if finished and finished.sums_stored:
            finished.store_sums()
        if tile:
            if tile.sums_reloaded:
                tile.reload_sums()
            yield env.process(sequencer.run(tile))
        yield emptied
        ledger.spent_on("output_stall")
        yield moved
        ledger.spent_on("dram_stall")
        observer.visited(number, since, env.now)


def _empty(env: Environment, tile: Tile | None, observer: Observer) -> Steps:
    if tile and tile.finishes:
        words = 0 if tile.is_map else len(tile.lanes)
        yield from output_stage(env, tile.pixels, tile.width, words, tile.counts, observer)


def _in_order(names: Sequence[str], found: Counter[str]) -> list[int]:
    """Counts in the order of ``names``; a name that is none of them is an error."""
    if unknown := set(found) - set(names):
        raise KeyError(f"no such counter: {sorted(unknown)}")
    return [found[name] for name in names]
