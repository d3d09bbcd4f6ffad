"""Slices of a timeline add up to what the models count of the same visits."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from by_hand import BETWEEN_TILES

from hwsim.counters import CAUSES, COUNTERS, C
from hwsim.run.simulate import replay_by_tile
from hwsim.timeline.observed import observe
from hwsim.timeline.slices import DRAIN, ROUNDS, Timeline

from .small_layers import LAYERS, Small

TOLD = (
    "macs_base",
    "macs_conditional",
    "macs_gated_off",
    "steps_skipped",
    "activation_word_reads",
    "line_fills",
    "decoder_cycles",
    "output_ops",
)
"""Counters that slices tell."""

WITHIN = tuple(cause for cause in CAUSES if cause not in BETWEEN_TILES)


@pytest.fixture(params=LAYERS, ids=lambda small: small.name)
def small(request: pytest.FixtureRequest) -> Small:
    return request.param


def test_a_layers_slices_are_what_the_kernel_counts(small: Small) -> None:
    timeline = observe(small.arch, small.trace, small.scheme, "conv")
    ((cycles, counters),) = replay_by_tile(small.arch, small.trace, small.scheme)
    totals = timeline.totals()
    for name, spent in zip(CAUSES, cycles.sum(axis=0), strict=True):
        assert totals[name] == spent, name
    for name in TOLD:
        assert totals[name] == counters[:, C[name]].sum(), name
    assert set(totals) <= {*CAUSES, *TOLD, "accumulator_words"}
    assert timeline.by_cause() == {name: totals[name] for name in CAUSES if totals[name]}
    for visit in range(len(cycles)):
        mine = [each for each in timeline.slices if each.visit == visit]
        for name in WITHIN:
            told = sum(each.counts.get(name, 0) for each in mine)
            assert told == cycles[visit, CAUSES.index(name)], (visit, name)


def test_a_tiles_slices_are_what_the_reference_counts_in_the_whole_layer(small: Small) -> None:
    """The first tile, one in the middle and the last one, alone with their neighbours."""
    ((cycles, counters),) = replay_by_tile(
        small.arch, small.trace, small.scheme, engine="reference"
    )
    for tile in (0, len(cycles) // 2, len(cycles) - 1):
        timeline = observe(small.arch, small.trace, small.scheme, "conv", tile=tile)
        totals = timeline.totals()
        for name, spent in zip(CAUSES, cycles[tile], strict=True):
            assert totals[name] == spent, (tile, name)
        for name in TOLD:
            assert totals[name] == counters[tile, C[name]], (tile, name)
        if small.scheme != "clock-gated" and small.gate_norm != "instance":
            written = counters[tile, [C["psum_base_writes"], C["psum_conditional_writes"]]].sum()
            assert totals["accumulator_words"] == written
        np.testing.assert_array_equal(timeline.cycles, cycles[tile, None])
        np.testing.assert_array_equal(timeline.counters, counters[tile, None])


def test_words_of_banks_are_those_of_their_rounds(small: Small) -> None:
    """A slice is a cycle of a bank: a word each, or as many as idealised banks give together."""
    whole = observe(small.arch, small.trace, small.scheme, "conv")
    visits = len(whole.cycles)
    for tile in (0, visits - 1):
        timeline = observe(small.arch, small.trace, small.scheme, "conv", tile=tile)
        served = [each for each in timeline.slices if each.track.name.startswith("bank")]
        words = [
            1 if each.name.startswith("word ") else int(each.name.split()[0]) for each in served
        ]
        assert sum(words) == timeline.totals()["activation_word_reads"]
        assert sum(each.facts["pointers"] for each in served) == timeline.totals()["line_fills"]
        sampled = [each.value for each in timeline.samples if each.of.startswith("bank")]
        assert sum(sampled) == sum(words)


def rounds_of(timeline: Timeline) -> list[tuple[int, int]]:
    return [(each.since, each.until) for each in timeline.slices if each.track == ROUNDS]


def test_rounds_follow_each_other_and_drains_lie_beside_them(small: Small) -> None:
    timeline = observe(small.arch, small.trace, small.scheme, "conv", tile=0)
    rounds = rounds_of(timeline)
    assert rounds
    assert all(before[1] <= after[0] for before, after in pairwise(rounds))
    drains = [each for each in timeline.slices if each.track == DRAIN]
    passes = len({each.name.split(", ")[1] for each in timeline.slices if "round " in each.name})
    if small.keys.get("feed") == "systolic":
        assert len(drains) == len(rounds)
    elif small.gate_norm != "instance":
        assert len(drains) == len(rounds) + passes
    if small.keys.get("feed") != "systolic" and "reshape" not in small.keys:
        assert all(each.cycles == small.arch.array.rows for each in drains)


def test_the_names_of_counts_are_counters() -> None:
    assert set(TOLD) <= set(COUNTERS)
