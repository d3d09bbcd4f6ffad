"""Run-ahead in the reference (docs/model/run_ahead.md), worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from by_hand import machine
from layer_run import LayerRun
from oracle.machines import conv
from reference_run import on_reference, with_keys
from rtl.layers import Counted

from hwsim.arch.config import ArchConfig
from hwsim.counters import COUNTERS
from hwsim.mapping.pointers import beat_offsets, pixel_addresses
from hwsim.mapping.residency import map_network
from hwsim.network import ConvLayer, Network


def ahead(arch: ArchConfig, beats: int) -> ArchConfig:
    """The machine with so much run-ahead."""
    return with_keys(arch, "activation", run_ahead=beats)


def dense(arch: ArchConfig, layer: ConvLayer) -> Counted:
    """The only tile of a dense layer."""
    (tile,) = on_reference(LayerRun(arch, layer, "dense", 1, 1, None))
    return tile


def stalls_of_even_pixels(
    run_ahead: int, groups: int, words: int, rounds: int = 1, conflicts: str = "exact"
) -> list[int]:
    """Bank stalls of each tile: one column of a gating group of ``words`` words of A = 4 channels.

    B = 2, R = 6. Every list has the even pixels of a row of 12 in each round: six words of one
    bank. C = 8 are two words, so the pitch is odd, and neighbouring planes have even pixels in
    different banks. Base rounds of 6 pixels have three words in each bank, in 4 steps: no stall.
    """
    arch = machine(
        rows=6, columns=8, word_channels=4, banks=2, lane_group=1, bank_conflicts=conflicts
    )
    layer = conv(channels=(groups * words * 4, groups), size=(1, 12 * rounds), groups=groups)
    masks = np.zeros((1, groups, 1, 12 * rounds), bool)
    masks[..., ::2] = True
    run = LayerRun(ahead(arch, run_ahead), layer, "unstructured", 1, 1, masks)
    return [tile["bank_stall"] for tile in on_reference(run)]


@pytest.mark.parametrize(
    ("run_ahead", "beats", "stall"),
    [
        # Six words in four steps: two cycles of each beat.
        (0, 3, 3 * 2),
        (0, 5, 5 * 2),
        # Beat 1 starts in cycle 6 and has its words; beat 2 has been asked for since cycle 0 or 6
        # and is served by cycle 12, its end by steps is 14. Every beat behind the first takes 4.
        (1, 3, 2),
        (1, 5, 2),
        (2, 5, 2),
        (64, 5, 2),
    ],
)
def test_the_example_of_the_page(run_ahead: int, beats: int, stall: int) -> None:
    assert stalls_of_even_pixels(run_ahead, 2, beats) == [stall] * 2


def test_nothing_is_fetched_ahead_of_its_round() -> None:
    """The first beat of the second round takes 6 cycles, too."""
    assert stalls_of_even_pixels(1, 2, 5, rounds=2) == [2 + 2] * 2


def test_a_conditional_pass_leaves_out_the_tiles_own_group() -> None:
    """A word in each of 3 groups: the tiles visit planes 1 and 2, 0 and 2, 0 and 1.

    Planes 0 and 2 ask the same bank: 6 + 6 cycles for 8 steps whatever Q is.
    """
    assert stalls_of_even_pixels(0, 3, 1) == [4, 4, 4]
    assert stalls_of_even_pixels(1, 3, 1) == [2, 4, 2]


def test_the_bandwidth_bound_of_the_example() -> None:
    """Five beats of six words, 15 cycles of 2 banks, in 20 steps."""
    assert stalls_of_even_pixels(0, 2, 5, conflicts="bandwidth") == [0, 0]


FOUR_PLANES = conv(channels=(4, 2), size=(1, 3))
"""A = 1, B = 2, three pixels a round: a bank has two words and the other one, by turns."""


@pytest.mark.parametrize(("run_ahead", "cycles"), [(0, 8), (1, 6), (2, 6)])
@pytest.mark.parametrize(("feed", "drain"), [("broadcast", 3), ("systolic", 3 + 2 - 2)])
def test_dense_passes_run_ahead(run_ahead: int, cycles: int, feed: str, drain: int) -> None:
    """C = 2 are two words of A = 1: the pitch is 3, odd. Four beats of one step.

    Q = 0: two cycles each. Q = 1: F(0) = 2, 1; E(1) = 2. F(1) = 3, 3; E(2) = 3. F(2) = 3 + 2,
    3 + 1; E(3) = 5. F(3) = 6, 6; E(4) = 6: both banks have six words and never rest.
    R cycles of drain behind the pass, or the skew, whatever the banks do.
    """
    arch = machine(rows=3, word_channels=1, banks=2, feed=feed)
    tile = dense(ahead(arch, run_ahead), FOUR_PLANES)
    assert {name: tile[name] for name in ("base", "bank_stall", "drain")} == {
        "base": 4, "bank_stall": cycles - 4, "drain": drain,
    }  # fmt: skip
    assert (tile["activation_word_reads"], tile["line_fills"]) == (12, 12)


@pytest.mark.parametrize(("run_ahead", "stall"), [(0, 2 * 4), (1, 2 * 2)])
def test_the_clock_gated_scheme_runs_ahead_in_both_passes(run_ahead: int, stall: int) -> None:
    """The dense pass before, twice: planes 0 to 3, and 4 to 7, or the other way round."""
    arch = ahead(machine(rows=3, word_channels=1, banks=2), run_ahead)
    layer = conv(channels=(8, 4), size=(1, 3), groups=2)
    tiles = on_reference(LayerRun(arch, layer, "clock-gated", 1, 1, np.zeros((1, 4, 1, 3), bool)))
    assert [tile["bank_stall"] for tile in tiles] == [stall] * 2


@pytest.mark.parametrize(
    ("conflicts", "run_ahead", "stall"),
    [("exact", 0, 1), ("exact", 1, 0), ("bandwidth", 0, 0), ("bandwidth", 1, 0), ("none", 1, 0)],
)
def test_a_long_beat_reads_for_a_short_one(conflicts: str, run_ahead: int, stall: int) -> None:
    """B = 1: two words for a beat of 4 steps and two for one of 1: four words in 5 steps."""
    arch = machine(rows=2, columns=1, word_channels=4, banks=1, bank_conflicts=conflicts)
    tile = dense(ahead(arch, run_ahead), conv(channels=(5, 1), size=(1, 2)))
    assert tile["base"] == 5
    assert tile["bank_stall"] == stall


@pytest.mark.parametrize("run_ahead", [0, 1, 3])
@pytest.mark.parametrize("conflicts", ["exact", "bandwidth"])
def test_one_bank_never_rests(run_ahead: int, conflicts: str) -> None:
    """B = 1, R = 4, two rounds of two beats: four words for two steps whoever asks when."""
    arch = machine(banks=1, bank_conflicts=conflicts)
    tile = dense(ahead(arch, run_ahead), conv(channels=(4, 2), size=(1, 8)))
    assert tile["bank_stall"] == 2 * 2 * (4 - 2)


@pytest.mark.parametrize("run_ahead", [0, 1, 7])
def test_beats_that_ask_the_same_banks_gain_nothing(run_ahead: int) -> None:
    """C = A: the pitch is a multiple of B = 3, and all four beats have the same load.

    Of pixels 0, 1, 3, 6 three are in bank 0: three cycles for two steps. R = 4; the base pass
    has at most two words of a bank.
    """
    arch = ahead(machine(banks=3, lane_group=1), run_ahead)
    layer = conv(channels=(16, 2), size=(1, 8), groups=2)
    masks = np.zeros((1, 2, 1, 8), bool)
    masks[..., [0, 1, 3, 6]] = True
    tiles = on_reference(LayerRun(arch, layer, "unstructured", 1, 1, masks))
    assert [tile["bank_stall"] for tile in tiles] == [4 * (3 - 2)] * 2


@pytest.mark.parametrize("run_ahead", [0, 1, 8, 64])
def test_words_of_different_beats_are_never_merged(run_ahead: int) -> None:
    """3x3 on two pixels: the second one's word of a tap is the first one's of the next tap.

    Nine beats of one step and two words in two of 4 banks: no stall to shorten, 18 words.
    """
    tile = dense(
        ahead(machine(rows=2, banks=4), run_ahead), conv(channels=(1, 1), size=(1, 2), kernel=3)
    )
    assert not tile["bank_stall"]
    assert (tile["activation_word_reads"], tile["line_fills"]) == (18, 18)


def draw_layer(choose: Random) -> tuple[ArchConfig, ConvLayer]:
    """A dense layer in one tile, of few banks and short beats."""
    arch = machine(
        rows=choose.randint(1, 6), columns=choose.randint(1, 4), tile_pixels=64,
        word_channels=choose.randint(1, 3), banks=choose.randint(1, 5),
        feed=choose.choice(["broadcast", "systolic"]),
    )  # fmt: skip
    layer = conv(
        channels=(choose.randint(1, 5), 1), size=(choose.randint(1, 5), choose.randint(1, 5)),
        kernel=choose.choice([1, 3]), stride=choose.randint(1, 2),
    )  # fmt: skip
    return arch, layer


def end_of_beats(loads: Sequence[Sequence[int]], steps: Sequence[int], run_ahead: int) -> int:
    """E(beats) as the page writes it; ``loads`` are the words of each beat in each bank."""
    starts, served = [0], [0] * len(loads[0])
    for beat, (load, its_steps) in enumerate(zip(loads, steps, strict=True)):
        asked = starts[max(0, beat - run_ahead)]
        served = [max(was, asked) + words for was, words in zip(served, load, strict=True)]
        starts.append(max(starts[-1] + its_steps, *served))
    return starts[-1]


def stall_by_the_page(arch: ArchConfig, layer: ConvLayer) -> int:
    """Of the rounds of a dense layer's only tile."""
    (mapping,) = map_network(Network(name="one", layers=(layer,)), arch, 1, "off")
    addresses, offsets = pixel_addresses(mapping.pointers), beat_offsets(mapping.pointers, [0])
    word, channels = arch.activation.word_channels, layer.in_channels
    steps = [min(word, channels - first) for first in range(0, channels, word)]
    steps *= layer.kernel_size**2
    stall = 0
    for first in range(0, len(addresses), arch.array.rows):
        words = set(addresses[first : first + arch.array.rows].tolist())
        banks = [[(word + offset) % arch.activation.banks for word in words] for offset in offsets]
        loads = [[beat.count(b) for b in range(arch.activation.banks)] for beat in banks]
        if arch.activation.bank_conflicts == "bandwidth":
            cycles = -(-len(offsets) * len(words) // arch.activation.banks)
            stall += max(sum(steps), cycles) - sum(steps)
        else:
            stall += end_of_beats(loads, steps, arch.activation.run_ahead) - sum(steps)
    return stall


def test_the_recurrence_of_the_page() -> None:
    """On random dense layers the clock shows it, and run-ahead never costs a cycle.

    Counters do not depend on it, and no Q is faster than the bandwidth of the banks.
    """
    choose, gained = Random(1), 0
    for _ in range(60):
        arch, layer = draw_layer(choose)
        most = choose.randint(2, 9)
        machines = [ahead(arch, beats) for beats in (0, 1, most)]
        tiles = [dense(each, layer) for each in machines]
        stalls = [tile["bank_stall"] for tile in tiles]
        assert stalls == [stall_by_the_page(each, layer) for each in machines], (arch, layer)
        assert stalls == sorted(stalls, reverse=True)
        counts = [{name: tile[name] for name in COUNTERS} for tile in tiles]
        assert counts == [counts[0]] * 3
        bound = with_keys(machines[-1], "activation", bank_conflicts="bandwidth")
        least = dense(bound, layer)["bank_stall"]
        assert least == stall_by_the_page(bound, layer)
        assert least <= stalls[-1]
        gained += stalls[0] > stalls[-1]
    assert gained > 5
