"""The oracle held to the laws that every model obeys."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwsim.arch.config import ArchConfig
from hwsim.counters import CAUSES, COUNTERS
from oracle.cycles import tile
from oracle.machines import conv, machine, network, random_masks, row, whole_tile
from oracle.network import run
from oracle.residency import plan


def small(**options: object) -> ArchConfig:
    """P = 20; 912 bytes of input are resident."""
    sizes = {"columns": 8, "entries": 160, "lane_group": 8, "activation_kib": 2, "weight_kib": 8}
    return machine(**{**sizes, **options})


SPARSE = ["unstructured", "structured-8x", "lockstep-8"]
OPTIONS = [
    {},
    {"decoders": "shared"},
    {"feed": "systolic"},
    {"index_format": "coordinate"},
    {"index_format": "run-length", "run_length_bits": 2, "decoders": "shared"},
]
"""Machines that a law between two others has to hold on."""


class TestLaws:
    """Design laws on a gated 3x3 layer: G = 2, 8 -> 16 channels, two images of 6x5."""

    layer = conv(channels=(8, 16), size=(6, 5), kernel=3, groups=2)
    net = network(layer)
    arch = small()

    def test_conditional_macs_are_set_bits_times_steps(self) -> None:
        masks = random_masks(self.net, 0.4, images=2)
        ones = int(masks["conv"].sum())
        for scheme in ("clock-gated", "unstructured", "lockstep-8"):
            _, counts = run(self.net, self.arch, scheme, masks, 1, 2, images=2)
            assert row(counts, COUNTERS)["macs_conditional"] == ones * 36
        masks = random_masks(self.net, 0.4, images=2, mask_group=8)
        _, counts = run(self.net, self.arch, "structured-8x", masks, 8, 2, images=2)
        assert row(counts, COUNTERS)["macs_conditional"] == int(masks["conv"].sum()) * 8 * 36

    @pytest.mark.parametrize("scheme", ["unstructured", "structured-8x", "lockstep-8"])
    def test_all_ones(self, scheme: str) -> None:
        # 60 pixels in three tiles of 20, two channel tiles: 6 tiles of 10 rounds. E = 1 fills a
        # round in R = 2 cycles, so only S_0 shows; L_c = 36; two lines of R drain per tile.
        masks = random_masks(self.net, 1.1, images=2)
        causes, _ = run(self.net, self.arch, scheme, masks, 1, 2, images=2)
        spent = row(causes, CAUSES)
        assert spent["base"] == spent["conditional"] == 6 * 10 * 36
        assert spent["decode_stall"] == 6 * 2
        assert spent["drain"] == 6 * (2 + 2)

    @pytest.mark.parametrize("scheme", ["unstructured", "structured-8x", "lockstep-8"])
    def test_all_zeros(self, scheme: str) -> None:
        # A tile's 20 pixels are three words of 8 bits, scanned in three cycles; no round, no drain.
        masks = random_masks(self.net, 0.0, images=2)
        causes, counts = run(self.net, self.arch, scheme, masks, 1, 2, images=2)
        spent = row(causes, CAUSES)
        assert spent["decode_stall"] == 6 * 3
        assert spent["drain"] == 6 * 2
        assert "conditional" not in spent
        assert "macs_conditional" not in row(counts, COUNTERS)

    def test_causes_add_up_to_the_total(self) -> None:
        # T_layer put together from the tiles' times and transfers, which the run never does.
        masks = random_masks(self.net, 0.3, images=2)
        causes, _ = run(self.net, self.arch, "unstructured", masks, 1, 2, images=2)
        this = plan(self.net, self.arch, "unstructured", images=2)[0]
        tiles, layout = this.tiles, this.placement.layout
        times = [
            tile(self.layer, self.arch, "unstructured", masks["conv"], 1, part.channels,
                 part.pixels, layout)[0].total()
            for part in tiles
        ]  # fmt: skip
        loads = [part.input_bytes + part.weight_bytes for part in tiles] + [0]
        stores = [0] + [part.output_bytes for part in tiles]
        pixels = [0] + [len(part.pixels) for part in tiles]
        total = loads[0] + max(pixels[-1], stores[-1])
        for k, time in enumerate(times):
            total += max(time, pixels[k], stores[k] + loads[k + 1])
        assert causes.sum() == total

    @pytest.mark.parametrize("density", [0.1, 0.5, 0.9])
    @pytest.mark.parametrize("index_format", ["bitmap", "coordinate", "run-length"])
    def test_structure_costs_equal_cycles_and_an_eighth_of_the_lists(
        self, density: float, index_format: str
    ) -> None:
        arch = small(index_format=index_format)
        masks = random_masks(self.net, density, images=2, mask_group=8)
        single, of_one = run(self.net, arch, "unstructured", masks, 8, 2, images=2)
        eight, of_eight = run(self.net, arch, "structured-8x", masks, 8, 2, images=2)
        np.testing.assert_array_equal(single, eight)
        one, fewer = row(of_one, COUNTERS), row(of_eight, COUNTERS)
        for name in ("line_fills", "decoder_cycles", "index_words_read", "mask_bits_written"):
            assert one[name] == 8 * fewer[name] > 0

    @pytest.mark.parametrize("scheme", ["unstructured", "lockstep-2"])
    @pytest.mark.parametrize("decoders", ["private", "shared"])
    @pytest.mark.parametrize("index_format", ["bitmap", "coordinate", "run-length"])
    def test_permuting_lane_groups_changes_nothing(
        self, scheme: str, decoders: str, index_format: str
    ) -> None:
        arch = small(decoders=decoders, index_format=index_format)
        masks = random_masks(self.net, 0.3, images=2)
        order = [6, 7, 2, 3, 0, 1, 4, 5, 8, 9, 14, 15, 12, 13, 10, 11]
        permuted = {"conv": masks["conv"][:, order]}
        before = run(self.net, arch, scheme, masks, 1, 2, images=2)
        after = run(self.net, arch, scheme, permuted, 1, 2, images=2)
        np.testing.assert_array_equal(before[0], after[0])
        np.testing.assert_array_equal(before[1], after[1])

    @pytest.mark.parametrize("density", [0.02, 0.3, 1.1])
    def test_a_conditional_pass_cannot_beat_the_array(self, density: float) -> None:
        mask = random_masks(self.net, density, images=1)["conv"]
        causes, _ = whole_tile(self.layer, self.arch, "unstructured", mask)
        base, _ = whole_tile(self.layer, self.arch, "unstructured", np.zeros_like(mask))
        conditional = causes.total() - base["base"] - base["bank_stall"] - 2
        ones = int(mask[:, :8].sum())
        assert conditional >= 36 * math.ceil(ones / (2 * 8))

    def test_dense_compute_cycles(self) -> None:
        # Without conflicts (A = 2 steps hide two words of a bank, R = 2) a tile takes
        # ceil(20 / 2) * 72 + 2 cycles; 16 columns are two channel tiles, 60 pixels three.
        causes, _ = run(self.net, self.arch, "dense", {}, 1, 2, images=2)
        spent = row(causes, CAUSES)
        assert spent["base"] + spent["drain"] == 6 * (10 * 72 + 2)
        assert "bank_stall" not in spent

    @pytest.mark.parametrize("scheme", ["dense", "clock-gated", *SPARSE])
    @pytest.mark.parametrize("option", OPTIONS)
    def test_fewer_conflicts_never_cost_cycles(
        self, scheme: str, option: dict[str, object]
    ) -> None:
        # Six words of a row and the next in three banks, and one step to hide them: strict here.
        masks = random_masks(self.net, 0.3, images=2, mask_group=8)
        totals, reads = [], set()
        for bank_conflicts in ("none", "bandwidth", "exact"):
            arch = small(rows=6, word_channels=1, banks=3, bank_conflicts=bank_conflicts, **option)
            causes, counts = run(self.net, arch, scheme, masks, 8, 2, images=2)
            totals.append(int(causes.sum()))
            reads.add(row(counts, COUNTERS)["activation_word_reads"])
        assert totals == sorted(set(totals))
        assert len(reads) == 1

    @pytest.mark.parametrize("scheme", ["dense", "clock-gated", *SPARSE])
    @pytest.mark.parametrize("option", OPTIONS)
    def test_sharing_a_decoder_never_saves_cycles(
        self, scheme: str, option: dict[str, object]
    ) -> None:
        masks = random_masks(self.net, 0.3, images=2, mask_group=8)
        runs = [
            run(self.net, small(**{**option, "decoders": decoders}), scheme, masks, 8, 2, images=2)
            for decoders in ("private", "shared")
        ]
        (private, of_private), (shared, of_shared) = runs
        # An eighth of the lists is one a tile, and has the decoder to itself.
        assert (shared.sum() > private.sum()) == (scheme == "unstructured")
        assert shared.sum() >= private.sum()
        np.testing.assert_array_equal(of_private, of_shared)
