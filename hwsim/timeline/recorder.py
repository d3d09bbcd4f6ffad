"""Watches the reference, and makes slices of what it is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from hwsim.mapping.tiles import Tiles
from hwsim.model.reference.observer import Observer, Round
from hwsim.text_table import counted
from hwsim.timeline.slices import (
    BANKS,
    CYCLES,
    DMA,
    DRAIN,
    OUTPUT,
    ROUNDS,
    TILES,
    Sample,
    Slice,
    Track,
    bank,
    decoder,
)

STEPS = ("base", "conditional")
"""Causes of cycles in which the array steps."""

MOST_NAMED = 4
"""Pixels that a slice's name lists."""


class Recorder(Observer):
    """Keeps the slices of a layer's visits, or those that concern the visit ``only``.

    Of one visit every action of every part is kept from when it begins, what is done for its
    neighbours meanwhile among it. Of a whole layer what follows without a gap and is alike becomes
    one slice, and the words of banks are counted by round. ``tiles``: the layer's; ``first``: the
    first visit that is run; ``on_visit`` is called when one is over.
    """

    def __init__(
        self,
        tiles: Tiles,
        only: int | None = None,
        first: int = 0,
        on_visit: Callable[[int], None] | None = None,
    ) -> None:
        self.slices: list[Slice] = []
        self.samples: list[Sample] = []
        self._tiles, self._only, self._first, self._on_visit = tiles, only, first, on_visit
        self._slot = first
        # Of this slot: what was told, the last of it on each track, rounds of each pass.
        self._told: list[Slice] = []
        self._sampled: list[Sample] = []
        self._last: dict[Track, Slice] = {}
        self._rounds: Counter[str] = Counter()
        # Since the last round: bookings, words by bank, pointers that had them.
        self._booked: list[tuple[str, int, int]] = []
        self._words: Counter[str] = Counter()
        self._fills = 0

    @property
    def _fine(self) -> bool:
        return self._slot == self._only

    def spent(self, cause: str, since: int, until: int) -> None:
        if until == since:
            return
        facts: dict[str, object] = {}
        if self._fine and cause in STEPS:
            facts["beat"] = sum(name in STEPS for name, *_ in self._booked)
        # What follows the last visit is booked on it.
        visit = min(self._slot, len(self._tiles) - 1)
        self._booked.append((cause, since, until))
        self._add(Slice(CYCLES, cause, since, until, visit, {cause: until - since}, facts))

    def ran(self, a_round: Round, since: int, until: int) -> None:
        cause, lists = a_round.cause, a_round.lists
        inside = Counter[str]()
        for name, start, end in self._booked:
            if start >= since:
                inside[name] += end - start
        steps = sum(a_round.beats)
        counts = {
            f"macs_{cause}": steps * a_round.lit,
            "macs_gated_off": steps * (a_round.lanes - a_round.lit),
            "steps_skipped": steps - inside[cause],
            "activation_word_reads": self._words.total(),
            "line_fills": self._fills,
        }
        facts: dict[str, object] = {f"cycles_{name}": n for name, n in inside.items()}
        facts["pointers"] = sum(a_round.words.values())
        facts["words_of_a_beat"] = len(a_round.words)
        if self._fine:
            facts["pixels"] = {f"lane group {j}": list(each) for j, each in enumerate(lists)}
        name = f"round {self._rounds[cause]}, {cause}"
        self._rounds[cause] += 1
        self._add(Slice(ROUNDS, name, since, until, self._slot, counts, facts))
        self._sampled.append(Sample("PEs", "that compute", since, until, a_round.lit))
        for at, words in self._words.items():
            self._sampled.append(Sample(at, "words of the round", since, until, words))
        self._booked, self._words, self._fills = [], Counter(), 0

    def compared(self, pixels: int, since: int, until: int) -> None:
        self._add(Slice(ROUNDS, "gates decide", since, until, self._slot, {}, {"pixels": pixels}))

    def decoded(self, group: int, found: Sequence[int], since: int, until: int) -> None:
        counts = {"decoder_cycles": until - since}
        facts: dict[str, object] = {"pixels": list(found)} if self._fine else {}
        name = _pixels(found) if self._fine else "decodes"
        self._add(Slice(decoder(group), name, since, until, self._slot, counts, facts))

    def serving(self, words: Sequence[tuple[object, int, int]], queues: int, since: int) -> None:
        digits = len(str(queues - 1))
        for _, address, pointers in words:
            at = address % queues
            self._words[f"bank {at:0{digits}}" if queues > 1 else "banks"] += 1
            self._fills += pointers
            if self._fine and queues > 1:
                facts: dict[str, object] = {"pointers": pointers}
                name = f"word {address}"
                self._add(Slice(bank(at), name, since, since + 1, self._slot, {}, facts))
        if self._fine and queues == 1:
            facts = {"pointers": sum(pointers for *_, pointers in words)}
            name = counted(len(words), "word")
            self._add(Slice(BANKS, name, since, since + 1, self._slot, {}, facts))

    def drained(self, bank: Sequence[Mapping[int, int]], since: int, until: int) -> None:
        words = sum(map(len, bank))
        name = "drains" if words else "empty"
        self._add(Slice(DRAIN, name, since, until, self._slot, {"accumulator_words": words}))

    def emptied(self, pixels: int, width: int, since: int, until: int) -> None:
        before = self._slot - 1
        name, counts = f"empties tile {before}", {"output_ops": pixels * width}
        self._add(Slice(OUTPUT, name, since, until, before, counts, {"pixels": pixels}))

    def moved(self, transfer: str, since: int, until: int) -> None:
        if until == since:
            return
        after = self._slot + 1
        name, visit = {
            "first_load": (f"load for tile {self._slot}", self._slot),
            "exposed": (f"weights for tile {self._slot}", self._slot),
            "store": (f"store of tile {self._slot - 1}", self._slot - 1),
            "load": (f"load for tile {after}", after),
        }[transfer]
        if visit == len(self._tiles):
            name = "load for the next layer"
        self._add(Slice(DMA, name, since, until, visit))

    def visited(self, number: int, since: int, until: int) -> None:
        slot = self._first + number
        if until > since:
            self._add(self._slot_slice(slot, since, until))
        if self._only is None or slot == self._only:
            self.slices += self._told
        elif slot > self._only:  # Its outputs leave.
            self.slices += [each for each in self._told if each.visit == self._only]
        if self._only in (None, slot):
            self.samples += self._sampled
        self._slot = slot + 1
        self._told, self._sampled, self._last = [], [], {}
        self._rounds = Counter()
        if self._on_visit:
            self._on_visit(1)

    def _slot_slice(self, number: int, since: int, until: int) -> Slice:
        """A visit to a tile and where the tile lies; behind the last one its outputs leave."""
        tiles = self._tiles
        if number == len(tiles):
            return Slice(TILES, "last outputs", since, until, number)
        channel, pixel = int(tiles.channel_start[number]), int(tiles.pixel_start[number])
        facts: dict[str, object] = {
            "output_channels": _span(channel, int(tiles.width[number])),
            "pixels_of_the_batch": _span(pixel, int(tiles.pixels[number])),
        }
        return Slice(TILES, f"tile {number}", since, until, number, {}, facts)

    def _add(self, new: Slice) -> None:
        """Of a whole layer, what goes on with the slice before becomes a part of it."""
        last = self._last.get(new.track)
        goes_on = last and (last.name, last.until, last.visit) == (new.name, new.since, new.visit)
        if self._only is not None or not last or not goes_on:
            self._told.append(new)
            self._last[new.track] = new
            return
        last.until = new.until
        for name, count in new.counts.items():
            last.counts[name] = last.counts.get(name, 0) + count


def _pixels(found: Sequence[int]) -> str:
    if not found:
        return "no pixel"
    if len(found) > MOST_NAMED:
        return f"{len(found)} pixels"
    return f"{'pixel' if len(found) == 1 else 'pixels'} {', '.join(map(str, found))}"


def _span(first: int, number: int) -> str:
    return f"{first} to {first + number - 1}"
