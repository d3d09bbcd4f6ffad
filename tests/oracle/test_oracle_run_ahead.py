"""The oracle's banks that run ahead of the array, worked out by hand (docs/model/run_ahead.md)."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest

from hwsim.arch.config import ArchConfig
from hwsim.counters import CAUSES, COUNTERS
from oracle import channels as channel_runs
from oracle.banks import play_beats, reading_cycles
from oracle.beats import Beat, beats_over
from oracle.channel_tiles import FBS
from oracle.cycles import Pass, play_round, tile
from oracle.layout import conv_layout
from oracle.machines import conv, machine, network, random_masks, row
from oracle.network import run
from oracle.residency import flattened

Histograms = list[list[int]]
"""Words by beat and bank."""


def recurrence(steps: list[int], asked: Histograms, run_ahead: int) -> int:
    """E(beats) as the page has it."""
    starts = [0]
    served = [0] * len(asked[0])
    for beat, words in enumerate(asked):
        eligible = starts[max(0, beat - run_ahead)]
        served = [max(at, eligible) + word for at, word in zip(served, words, strict=True)]
        starts.append(max(starts[-1] + steps[beat], *served))
    return starts[-1]


def drawn(seed: int) -> tuple[list[int], Histograms]:
    """Beats of up to four steps, and of up to six words in some of the banks."""
    rng = Random(seed)
    banks, beats = rng.randint(1, 5), rng.randint(1, 12)
    busy = rng.random()
    asked = [
        [rng.randint(1, 6) if rng.random() < busy else 0 for _ in range(banks)]
        for _ in range(beats)
    ]
    return [rng.randint(1, 4) for _ in range(beats)], asked


class TestBeats:
    @pytest.mark.parametrize(
        ("run_ahead", "ends"),
        [
            (0, [6, 12, 18, 24, 30]),  # every beat waits for its six words
            (1, [6, 10, 14, 18, 22]),  # only the first one does
            (2, [6, 10, 14, 18, 22]),
        ],
    )
    def test_two_banks_in_turn(self, run_ahead: int, ends: list[int]) -> None:
        # The example of the page, of one to five beats of four steps.
        for beats, end in enumerate(ends, start=1):
            asked = [[6, 0] if beat % 2 == 0 else [0, 6] for beat in range(beats)]
            assert play_beats([4] * beats, asked, run_ahead) == end

    def test_a_bank_waits_for_the_first_cycle_of_the_beat_before(self) -> None:
        # Q = 1, beats of one step. Beat 0 takes the 3 cycles of bank 0. Bank 1 has words of beats
        # 1 and 2 only: it may serve the 1 of beat 1 in cycle 0, and the 4 of beat 2 from the
        # start of beat 1 on: cycles 3 to 6. Beat 1 ends with cycle 3, beat 2 with cycle 6.
        # With Q = 2 bank 1 serves 1 + 4 words in cycles 0 to 4: beats end at 3, 4 and 5.
        asked = [[3, 0], [0, 1], [0, 4]]
        assert [play_beats([1, 1, 1], asked, ahead) for ahead in (0, 1, 2, 3)] == [8, 7, 5, 5]

    def test_a_bank_serves_the_oldest_beat_first(self) -> None:
        # Q = 2, one step each. Bank 0 has 2, 2 and 1 words: beats end at 2, 4 and 5, however far
        # ahead bank 1 is.
        assert play_beats([1, 1, 1], [[2, 0], [2, 0], [1, 3]], 2) == 5

    def test_steps_bound_a_beat(self) -> None:
        # Four steps hide four words: nothing waits.
        for ahead in (0, 1, 5):
            assert play_beats([4, 4], [[4, 1], [3, 4]], ahead) == 8

    @pytest.mark.parametrize("seed", range(300))
    def test_the_pages_recurrence(self, seed: int) -> None:
        steps, asked = drawn(seed)
        for ahead in range(5):
            assert play_beats(steps, asked, ahead) == recurrence(steps, asked, ahead)

    @pytest.mark.parametrize("seed", range(300, 400))
    def test_laws(self, seed: int) -> None:
        # Q = 0: each beat takes its steps or its fullest bank. More never takes more. No Q beats
        # the steps, nor the bank with the most words; with all beats ahead they are the time.
        steps, asked = drawn(seed)
        cycles = [play_beats(steps, asked, ahead) for ahead in range(len(steps) + 2)]
        loads = [max(words) for words in asked]
        assert cycles[0] == sum(map(max, steps, loads))
        assert cycles == sorted(cycles, reverse=True)
        fullest = max(sum(words) for words in zip(*asked, strict=True))
        assert cycles[-1] == cycles[-2] >= max(sum(steps), fullest)


class TestRounds:
    @pytest.mark.parametrize("ahead", [0, 1, 2, 5])
    def test_one_bank(self, ahead: int) -> None:
        # B = 1, A = 2: five words a beat take five cycles, one word the beat's two steps.
        arch = machine(banks=1, run_ahead=ahead)
        beats = [Beat(2, offset) for offset in (0, 7, 3, 12)]
        assert reading_cycles({0, 3, 4, 8, 9}, beats, arch) == 4 * 5
        assert reading_cycles({3}, beats, arch) == 4 * 2

    @pytest.mark.parametrize("ahead", [0, 1, 2, 5])
    def test_equal_offsets(self, ahead: int) -> None:
        # B = 4: 0, 4, 8 and 1 load bank 0 with three words in each of four beats of two steps. No
        # bank has anything else to do: 4 x 3.
        arch = machine(run_ahead=ahead)
        for offset in (0, 1, 6):
            assert reading_cycles({0, 1, 4, 8}, [Beat(2, offset)] * 4, arch) == 12

    def test_offsets_turn_the_banks(self) -> None:
        # B = 3: 0, 3, 6 in bank 0. Offsets 0, 1, 2: a bank a beat, three words each, one step.
        # Q = 0: 9. Q = 1: beat 0 ends at 3; bank 1 is done by then, beat 1 ends at 4; bank 2 starts
        # with beat 1 at 3: 6. Q = 2: bank 2 starts at 0: beats end at 3, 4, 5.
        beats = [Beat(1, 0), Beat(1, 1), Beat(1, 2)]
        words = {0, 3, 6}
        cycles = [reading_cycles(words, beats, machine(banks=3, run_ahead=q)) for q in (0, 1, 2)]
        assert cycles == [9, 6, 5]

    def test_a_beat_that_is_waited_for_is_a_bank_stall(self) -> None:
        # The round above with Q = 1: E = 6, 3 steps, 3 of bank stall; R = 8 drains 2 more. The
        # systolic round adds R + width - 2 = 8 + 4 - 2.
        beats = Pass("base", [Beat(1, 0), Beat(1, 1), Beat(1, 2)], 4)
        for feed, drain in (("broadcast", 2), ("systolic", 10)):
            arch = machine(rows=8, banks=3, run_ahead=1, feed=feed)
            causes, counts = Counter[str](), Counter[str]()
            assert play_round([[0, 3, 6]], beats, arch, causes, counts) == 6 + drain
            assert causes == {"base": 3, "bank_stall": 3, "drain": drain}
            assert counts == {"activation_word_reads": 9, "line_fills": 9, "weight_word_reads": 3}

    @pytest.mark.parametrize(
        ("bank_conflicts", "cycles"), [("exact", 5), ("bandwidth", 3), ("none", 3)]
    )
    def test_other_banks_do_not_wait_for_beats(self, bank_conflicts: str, cycles: int) -> None:
        # As above with Q = 2; nine words of three banks are three cycles, as many as the steps.
        beats = [Beat(1, 0), Beat(1, 1), Beat(1, 2)]
        arch = machine(banks=3, run_ahead=2, bank_conflicts=bank_conflicts)
        assert reading_cycles({0, 3, 6}, beats, arch) == cycles

    def test_bandwidth_lets_beats_share_a_cycle(self) -> None:
        # B = 4, five words a beat. Three beats of one step: ceil(15 / 4), where beats alone would
        # take 3 x 2. Beats of 2, 1 and 2 steps: 5 against 4.
        arch = machine(bank_conflicts="bandwidth")
        assert reading_cycles({0, 1, 2, 3, 4}, [Beat(1)] * 3, arch) == 4
        assert reading_cycles({0, 1, 2, 3, 4}, [Beat(2), Beat(1), Beat(2)], arch) == 5

    @pytest.mark.parametrize("seed", range(60))
    def test_bandwidth_is_a_bound(self, seed: int) -> None:
        rng = Random(seed)
        words = set(rng.sample(range(200), rng.randint(1, 30)))
        beats = [Beat(rng.randint(1, 3), rng.randint(0, 99)) for _ in range(rng.randint(1, 9))]
        banks = rng.randint(1, 7)
        cycles = [
            reading_cycles(words, beats, machine(banks=banks, **option))
            for option in (
                {}, {"run_ahead": 1}, {"run_ahead": 3}, {"run_ahead": 64},
                {"bank_conflicts": "bandwidth"}, {"bank_conflicts": "none"},
            )
        ]  # fmt: skip
        assert cycles == sorted(cycles, reverse=True)


class TestOffsets:
    def test_planes_phases_and_taps(self) -> None:
        # 3x3 / 2 on 8x8, two images: Hq = Wq = 4 + 1, 2 x 25 = 50 words a phase, four phases. C = 4
        # columns make two words of A = 2, B = 4: the pitch is 200 or more and 2 modulo 4: 202.
        # Of 6 channels in G = 2 groups of 3 each has two words, of 2 and 1 steps.
        layer = conv(channels=(6, 4), size=(8, 8), kernel=3, stride=2, groups=2)
        layout = conv_layout(layer, machine(), images=2)
        assert layout.pitch == 202
        beats = beats_over(layer, machine(), layout, [0, 1])
        assert len(beats) == 2 * 9 * 2
        # By group, tap and word. (0, 1) is phase 1, (0, 2) is phase 0 and a word on, (1, 0) is
        # phase 2, (1, 1) is phase 3, (1, 2) is phase 2 and a word on, (2, 0) a row of 5 on.
        taps = [0, 50, 1, 100, 150, 101, 5, 55, 6]
        assert [beat.offset for beat in beats[:18:2]] == taps
        assert [beat.offset for beat in beats[1:18:2]] == [tap + 202 for tap in taps]
        assert [beat.offset for beat in beats[18::2]] == [tap + 404 for tap in taps]
        assert beats[19][:2] == (1, 606)

    def test_a_pass_visits_its_groups_in_ascending_order(self) -> None:
        # 1x1, three groups of one word: planes 0, 1 and 2 at a pitch of 6 (2 modulo 4).
        layer = conv(channels=(6, 3), groups=3)
        layout = conv_layout(layer, machine())
        assert [beat.offset for beat in beats_over(layer, machine(), layout, [0, 2])] == [0, 12]

    def test_taps_wider_than_the_stride(self) -> None:
        # 5x5 / 3 on 9x9 without padding: 2x2 outputs, Hq = Wq = 2 + 4 div 3 = 3. Tap (4, 3) is
        # phase (1, 0), 1 * 3 + 0 = 3 phases of 9 words, a row of 3 and a word on: 27 + 3 + 1.
        layer = conv(channels=(2, 2), size=(9, 9), kernel=5, stride=3, padding=0)
        beats = beats_over(layer, machine(), conv_layout(layer, machine()), [0])
        assert beats[4 * 5 + 3].offset == 31


THREE = conv(channels=(3, 3), size=(1, 4), groups=3)
"""1x1, G = 3, a channel in each: A = 1 makes three planes of four words."""

TWICE = np.zeros((1, 3, 1, 4), bool)
TWICE[..., [0, 2]] = True
"""Every list is pixels 0 and 2."""


def small(**options: object) -> ArchConfig:
    """A = 1, B = 2, C = 2: the pitch of four words is odd, 5. P = 4."""
    return machine(columns=2, entries=8, word_channels=1, banks=2, **options)


class TestTiles:
    @pytest.mark.parametrize(("own", "stall"), [(0, 1), (1, 2), (2, 1)])
    def test_the_conditional_pass_leaves_out_its_own_group(self, own: int, stall: int) -> None:
        # One round of two beats of one step, pixels 0 and 2 on one bank: with Q = 0 two cycles
        # each, two of stall. Planes 0, 1, 2 start at 0, 5, 10: of two that are neighbours the
        # second is read beside the first, and beat 1 takes its step: 2 + 1. Planes 0 and 2 are on
        # one bank.
        # Base: two rounds of a step and R = 2. Lists: S_0 = 2.
        for ahead, stalls in ((0, 2), (1, stall), (4, stall)):
            causes, _ = tile(
                THREE, small(run_ahead=ahead), "unstructured", TWICE, 1, range(own, own + 1),
                flattened(THREE, 1), conv_layout(THREE, small()),
            )  # fmt: skip
            assert causes == {
                "base": 2, "conditional": 2, "bank_stall": stalls, "drain": 2 * 1 + 2 + 2,
                "decode_stall": 2,
            }  # fmt: skip

    def test_the_pitch_is_that_of_the_arrays_own_shape(self) -> None:
        # The same in 4x1. A base pass is one round of four pixels, two of a bank: a stall of 1.
        # With one column the pitch would be even, and nothing could be read ahead: 2 + 2 + 2.
        arch = small(reshape=[(4, 1)], run_ahead=1, bandwidth_gb_per_s=100.0)
        causes, _ = run(
            network(THREE), arch, "unstructured", {"conv": TWICE}, 1, 1, 1, shapes=[(4, 1)]
        )
        assert row(causes, CAUSES)["bank_stall"] == 3 * 1 + (1 + 2 + 1)

    @pytest.mark.parametrize(("batch", "stall"), [(1, 1), (2, 4)])
    def test_phases_lie_apart_by_all_images_of_the_batch(self, batch: int, stall: int) -> None:
        # 2x2 / 2 on 2x6: 1x3 outputs, Hq = 1, Wq = 3. A = 1, C = 1, B = 2: the pitch is even. The
        # first image's first list is pixels 0 and 2, the others are empty. Its round has group 1's
        # four taps, of a step each: one image has 3 words a phase, the taps take banks in turn:
        #   E(1) = 2, F_1(1) = 2; E(2) = 3, F_0(2) = 2 + 2; E(3) = 4, F_1(3) = 3 + 2; E(4) = 5
        # Two images have 6: all words are on one bank, E(4) = 4 x 2.
        layer = conv(channels=(2, 2), size=(2, 6), kernel=2, stride=2, groups=2, padding=0)
        masks = np.zeros((2, 2, 1, 3), bool)
        masks[0, 0, 0, [0, 2]] = True
        arch = machine(columns=1, entries=3, word_channels=1, banks=2, run_ahead=1)
        causes, _ = run(network(layer), arch, "unstructured", {"conv": masks}, 1, batch, 2)
        assert row(causes, CAUSES)["bank_stall"] == stall

    def test_a_dense_pass_runs_ahead(self) -> None:
        # 1x1 on 2x2 pixels, three channels of A = 1, C = 4 columns on B = 4 banks: the pitch is 1
        # modulo 4. A 3x3 reads the same tensor and makes rows of Wq = 4: the pixels are 0, 1 and
        # 4, 5, the pitch is 17. R = 4: one round of three beats of a step, two words each in
        # banks 0 and 1, then 1 and 2, then 2 and 3.
        # Q = 0: two cycles each. Q = 1: beat 0 ends at 2, bank 2 has read its words of beat 1, bank
        # 1 reads its own up to 4. From 2 on banks 2 and 3 read those of beat 2, up to 4. Beat 2
        # has its step then: 5.
        layer = conv("thin", channels=(3, 4), size=(2, 2))
        wide = conv("wide", channels=(3, 4), size=(2, 2), kernel=3)
        options = {"rows": 4, "word_channels": 1}
        stalls = []
        for ahead in (0, 1):
            arch = machine(run_ahead=ahead, **options)
            causes, _ = run(network(layer, wide), arch, "dense", {}, 1, 1, 1)
            stalls.append(row(causes, CAUSES, 0)["bank_stall"])
        assert stalls == [3, 2]


class TestRuns:
    """A gated 3x3 layer of G = 2 on 6x5, in tiles of P = 20, its words crowded in three banks."""

    layers = network(conv(channels=(8, 16), size=(6, 5), kernel=3, groups=2))

    @pytest.mark.parametrize(
        "scheme", ["dense", "clock-gated", "unstructured", "structured-8x", "lockstep-8"]
    )
    @pytest.mark.parametrize("feed", ["broadcast", "systolic"])
    def test_cycles_alone_depend_on_it(self, scheme: str, feed: str) -> None:
        masks = random_masks(self.layers, 0.3, images=2, mask_group=8)
        totals, counted = [], set()
        for ahead in (0, 1, 2, 4, 64):
            arch = machine(
                rows=6, columns=8, entries=160, word_channels=1, banks=3, lane_group=8,
                activation_kib=2, weight_kib=8, feed=feed, run_ahead=ahead,
            )  # fmt: skip
            causes, counts = run(self.layers, arch, scheme, masks, 8, 2, images=2)
            totals.append(int(causes.sum()))
            counted.add(tuple(counts[0].tolist()))
        assert totals == sorted(totals, reverse=True)
        assert totals[0] > totals[1]
        assert len(counted) == 1

    def test_channels_knows_none(self) -> None:
        noise = np.random.default_rng(1)
        masks = {"conv": noise.random((2, 16)) < 0.5}
        runs = [
            channel_runs.run(
                self.layers, machine(activation_kib=2, weight_kib=8, banks=2, run_ahead=ahead),
                FBS, masks, 2, 2,
            )
            for ahead in (0, 4)
        ]  # fmt: skip
        np.testing.assert_array_equal(runs[0][0], runs[1][0])
        np.testing.assert_array_equal(runs[0][1], runs[1][1])
        assert row(runs[0][1], COUNTERS)["macs_base"] > 0
