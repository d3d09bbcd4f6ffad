"""The tile of docs/model/worked_example.md, slice by slice as it is worked out there."""

from __future__ import annotations

import numpy as np
import pytest
from by_hand import machine
from oracle.machines import conv, network

from hwsim.timeline.observed import observe
from hwsim.timeline.slices import Timeline
from hwsim.trace.format.header import TraceHeader
from hwsim.trace.mask_trace import MaskTrace


@pytest.fixture(scope="module")
def tile() -> Timeline:
    masks = np.zeros((1, 4, 4, 4), bool)
    for channel, ones in enumerate(([0, 1, 2, 5, 9], [0, 3])):
        masks[0, channel].reshape(-1)[ones] = True
    header = TraceHeader(
        network=network(conv("conv", (8, 4), (4, 4), 1, 1, 2, gated=True)), method="by hand",
        mask_group=1, dataset="by hand", image_ids=[0],
    )  # fmt: skip
    trace = MaskTrace.from_masks(header, {"conv": masks})
    arch = machine(tile_pixels=16, banks=2, lane_group=1)
    return observe(arch, trace, "unstructured", "conv", tile=0)


def on(tile: Timeline, track: str) -> list[tuple[str, int, int]]:
    """Name, first cycle of the tile, cycles."""
    (start,) = [each.since for each in tile.slices if each.track.name == "tiles"]
    return [
        (each.name, each.since - start, each.cycles)
        for each in tile.slices
        if each.track.name == track
    ]


def test_cycles_are_spent_as_by_hand(tile: Timeline) -> None:
    """8 base beats and a drain, S_0 = 4, beats of 2 steps of which two have a stall, R = 4."""
    spent = [(name, cycles) for name, since, cycles in on(tile, "cycles by cause") if since >= 0]
    first = [("conditional", 2), ("bank_stall", 1)] * 2
    expected = [("base", 2)] * 8 + [("drain", 4), ("decode_stall", 4)]
    assert spent == [*expected, *first, *[("conditional", 2)] * 2, ("drain", 4)]


def test_rounds(tile: Timeline) -> None:
    base = [(f"round {number}, base", 4 * number, 4) for number in range(4)]
    conditional = [("round 0, conditional", 24, 6), ("round 1, conditional", 30, 4)]
    assert on(tile, "rounds") == base + conditional
    first = next(each for each in tile.slices if each.name == "round 0, conditional")
    assert first.facts["pixels"] == {"lane group 0": [0, 1, 2, 5], "lane group 1": [0, 3]}
    assert (first.facts["pointers"], first.facts["words_of_a_beat"]) == (6, 5)
    assert first.counts["macs_conditional"] == 6 * 4


def test_decoders(tile: Timeline) -> None:
    """Pixel 9 is found in slot 1, beside round 0."""
    pixels = [(f"pixel {pixel}", 20 + at, 1) for at, pixel in enumerate((0, 1, 2, 5, 9))]
    assert on(tile, "decoder, lane group 0") == pixels
    others = [("pixel 0", 20, 1), ("pixel 3", 21, 1), ("no pixel", 22, 1)]
    assert on(tile, "decoder, lane group 1") == others


def test_drains(tile: Timeline) -> None:
    """R cycles beside every round, with nothing beside a pass's first one, and after a pass."""
    assert on(tile, "accumulator drain") == [
        ("empty", 0, 4), *[("drains", 4 * number, 4) for number in range(1, 5)],
        ("empty", 24, 4), ("drains", 30, 4), ("drains", 34, 4),
    ]  # fmt: skip


def test_banks(tile: Timeline) -> None:
    """Round 0 wants words 0, 1, 2, 3, 5 behind the base's 32: bank 1 has three of them a beat."""
    late = [(name, since) for name, since, _ in on(tile, "bank 1") if since >= 24]
    beats = [("word 33", 24), ("word 37", 25), ("word 35", 26)]
    beats += [("word 49", 27), ("word 53", 28), ("word 51", 29)]
    assert sorted(late) == sorted([*beats, ("word 41", 30), ("word 57", 32)])
    assert len(on(tile, "bank 0")) == 16 + 4


def test_outputs_leave_in_the_next_slot(tile: Timeline) -> None:
    assert on(tile, "output stage") == [("empties tile 0", 38, 16)]
