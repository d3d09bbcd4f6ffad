"""The reference on whole layers: worked out by hand, and equal to the kernel on random machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from hwsim.arch import ArchConfig, build_arch
from hwsim.counts import CAUSES, COUNTERS
from hwsim.reference import run_layer
from hwsim.residency import map_network
from hwsim.schemes import parse_scheme
from hwsim.simulate import ENGINES, simulate, usable_schemes
from hwsim.synthetic import synthetic_trace
from hwsim.tiling import MappingError, tile_layer
from hwsim.timing import Engine, first_divergence
from hwsim.trace import MaskTrace
from hwsim.workload import ConvLayer, Network

BETWEEN_TILES = ("output_stall", "dram_stall")


def machine(
    rows: int = 4,
    columns: int = 2,
    tile_pixels: int = 64,
    word_channels: int = 2,
    banks: int = 16,
    lane_group: int = 2,
    word_bits: int = 8,
    indices_per_cycle: int = 1,
    activation_kib: int = 512,
    weight_kib: int = 160,
    gb_per_s: float = 12.8,
) -> ArchConfig:
    """A small array; by default R = 4, C = 2, A = 2, W = 8 and no bank conflicts."""
    data: dict[str, Any] = {
        "name": "small",
        "clock_mhz": 500,
        "batch": 1,
        "array": {"rows": rows, "columns": columns},
        "partial_sums": {"entries": tile_pixels * columns},
        "activation": {
            "word_channels": word_channels,
            "banks": banks,
            "buffer_kib": activation_kib,
        },
        "weight": {"buffer_kib": weight_kib},
        "index": {
            "lane_group": lane_group,
            "word_bits": word_bits,
            "indices_per_cycle": indices_per_cycle,
        },
        "dram": {"bandwidth_gb_per_s": gb_per_s, "efficiency_percent": 80, "pj_per_bit": 8.0},
        "pricing": {"table": "cacti22"},
    }
    return build_arch(data)


@dataclass(frozen=True)
class Run:
    """A layer's cycles by cause and counters, tile by tile; zeros left out."""

    cycles: list[dict[str, int]]
    counters: list[dict[str, int]]


def run_by_hand(
    arch: ArchConfig,
    scheme: str,
    pixels: int,
    masks: Sequence[Sequence[int]] | None = None,
    loads: Sequence[int] | None = None,
    stores: Sequence[int] | None = None,
    exposed: Sequence[int] | None = None,
) -> Run:
    """A 1x1 convolution, 4 -> 4 channels in 2 groups, on a row of pixels, with these transfers.

    With masks (the set pixels of each channel) L_b = L_c = 2, one beat of two steps each for
    A = 2, and a channel tile is one gating group of two channels. Without, one dense pass of L = 4,
    two beats, again in two channel tiles where C = 2.
    """
    shape: dict[str, Any] = {"kernel_size": 1, "in_height": 1, "in_width": pixels}
    gating: dict[str, Any] = {"gated": True, "groups": 2} if masks is not None else {}
    layer = ConvLayer(name="conv", in_channels=4, out_channels=4, **shape, **gating)
    mapping = map_network(
        Network(name="alone", layers=(layer,)), arch, images=1, gating=masks is not None
    )[0]
    tiles = tile_layer(mapping, arch)
    bits = None
    if masks is not None:
        bits = np.zeros((4, pixels), bool)
        for row, ones in zip(bits, masks, strict=True):
            row[list(ones)] = True
    none = [0] * len(tiles)
    cycles, counters = run_layer(
        arch,
        parse_scheme(scheme, arch),
        mapping,
        tiles,
        bits,
        1,
        np.array(loads or [*none, 0]),
        np.array(stores or none),
        np.array(exposed or none),
    )
    return Run(
        [{n: v for n, v in zip(CAUSES, row, strict=True) if v} for row in cycles.tolist()],
        [{n: v for n, v in zip(COUNTERS, row, strict=True) if v} for row in counters.tolist()],
    )


NOTHING: list[int] = []


def test_a_pass_without_conflicts_is_its_steps_and_its_last_drain() -> None:
    """R = 2: 8 rounds of two beats, 4 steps >= R; then R cycles of drain."""
    run = run_by_hand(machine(rows=2), "dense", 16)
    assert run.cycles[0] == {"base": 8 * 4, "drain": 2}
    assert run.counters[0] == {
        "macs_base": 2 * 16 * 4,
        "activation_word_reads": 16 * 2,
        "line_fills": 16 * 2,
        "weight_word_reads": 8 * 4,
        "psum_base_writes": 16,
        "psum_output_reads": 16,
        "output_ops": 2 * 16,
    }


def test_a_round_waits_for_the_other_bank_to_drain() -> None:
    """R = 8: two rounds of 4 steps and 4 more cycles of drain each, the first one too; then 8."""
    run = run_by_hand(machine(rows=8), "dense", 16)
    assert run.cycles[0] == {"base": 2 * 4, "drain": 2 * 4 + 8}


def test_a_part_filled_round_drains_as_long_as_a_full_one() -> None:
    """9 pixels, R = 8: the second round holds one pixel."""
    run = run_by_hand(machine(rows=8), "dense", 9)
    assert run.cycles[0] == {"base": 2 * 4, "drain": 2 * 4 + 8}
    assert run.counters[0]["psum_base_writes"] == 9
    assert run.counters[0]["weight_word_reads"] == 8


def test_a_beat_waits_for_the_fullest_bank() -> None:
    """B = 1, R = 4: 4 words for each beat of 2 steps; 2 rounds of 2 beats. X = 8 > R."""
    run = run_by_hand(machine(banks=1), "dense", 8)
    assert run.cycles[0] == {"base": 2 * 4, "bank_stall": 2 * 2 * 2, "drain": 4}


def test_a_load_of_the_beats_steps_costs_nothing() -> None:
    """B = 2, R = 4: two words of each bank in two steps."""
    run = run_by_hand(machine(banks=2), "dense", 8)
    assert run.cycles[0] == {"base": 2 * 4, "drain": 4}


BASE_OF_16 = {"base": 4 * 2, "drain": 4 * 2 + 4}
"""The base pass of 16 pixels, R = 4: rounds of 2 steps wait for 4 rows; then the last drain."""


def conditional(run: Run) -> dict[str, int]:
    """What the first tile spent besides its base pass of 16 pixels."""
    spent = {name: value - BASE_OF_16.get(name, 0) for name, value in run.cycles[0].items()}
    return {name: value for name, value in spent.items() if value and name not in BETWEEN_TILES}


def test_empty_lists_cost_their_scan_alone() -> None:
    """N = 0: both lists have two empty words. No round, no drain."""
    run = run_by_hand(machine(), "unstructured", 16, [NOTHING] * 4)
    assert conditional(run) == {"decode_stall": 2}
    assert run.counters[0]["decoder_cycles"] == 4
    assert run.counters[0]["index_words_read"] == 4


def test_a_part_filled_last_round_waits_for_the_scan() -> None:
    """Pixel 0 is found after 1 cycle; the list of two words ends after 2."""
    run = run_by_hand(machine(), "unstructured", 16, [[0], NOTHING, NOTHING, NOTHING])
    assert conditional(run) == {"decode_stall": 2, "conditional": 2, "drain": 2 + 4}
    assert run.counters[0]["macs_conditional"] == 2
    assert run.counters[0]["psum_conditional_writes"] == 1


def test_the_next_round_is_decoded_meanwhile() -> None:
    """8 ones: S_0 = 4; the second four take 4 cycles, as long as X = R = 4: no more stall."""
    lists = [range(8), range(8), NOTHING, NOTHING]
    run = run_by_hand(machine(), "unstructured", 16, lists)
    assert conditional(run) == {"decode_stall": 4, "conditional": 4, "drain": 4 + 4}


def test_the_slowest_list_sets_the_pace() -> None:
    """List 0 is full after 4 cycles. List 1 finds 0, 8, 9 and passes no word: 3 cycles."""
    run = run_by_hand(machine(), "unstructured", 16, [range(4), [0, 8, 9], NOTHING, NOTHING])
    assert conditional(run) == {"decode_stall": 4, "conditional": 2, "drain": 2 + 4}
    # v: 4 and the tail of 1; 3.
    assert run.counters[0]["decoder_cycles"] == 5 + 3


def test_a_tail_longer_than_the_round_stalls() -> None:
    """48 pixels, 6 words: full after 4 cycles, tail of 5 against X = 4.

    The base pass has 12 rounds: 24 steps, 24 + 4 cycles of drain.
    """
    run = run_by_hand(machine(), "unstructured", 48, [range(4), range(4), NOTHING, NOTHING])
    assert run.cycles[0] == {
        "base": 24,
        "conditional": 2,
        "drain": 24 + 4 + 2 + 4,
        "decode_stall": 4 + 1,
    }


def test_a_decoder_ahead_of_the_others_waits_with_a_full_buffer() -> None:
    """R = 2, 8 words. List 0 has two ones in word 0 and two in word 6, list 1 two in word 4.

    Slot 0: 2 and 4 + 2 cycles; list 0 passes no word while it waits. Slot 1: 5 + 2, and a tail
    of 3, beside X = 2. Slot 2: a tail of 1. The base pass has 32 rounds of X = 2 and ends with 2.
    """
    lists = [[0, 1, 48, 49], [32, 33], NOTHING, NOTHING]
    run = run_by_hand(machine(rows=2), "unstructured", 64, lists)
    assert run.cycles[0] == {
        "base": 64,
        "conditional": 2 * 2,
        "drain": 2 + 2,
        "decode_stall": 6 + (7 - 2),
    }
    assert run.counters[0]["decoder_cycles"] == (2 + 7 + 1) + (6 + 3)


def test_equal_words_of_all_lists_are_read_once() -> None:
    """B = 1: both lists ask for words 0 to 3, four cycles for two steps; X = 4 = R."""
    lists = [range(4), range(4), NOTHING, NOTHING]
    run = run_by_hand(machine(banks=1), "unstructured", 8, lists)
    # Two base rounds, each 2 steps and 2 cycles of stall, then the last drain of 4; S_0 = 4.
    assert run.cycles[0] == {
        "base": 4,
        "conditional": 2,
        "bank_stall": 3 * 2,
        "drain": 4 + 4,
        "decode_stall": 4,
    }
    assert run.counters[0]["activation_word_reads"] == 8 + 4
    assert run.counters[0]["line_fills"] == 2 * 8 + 2 * 4


def test_lockstep_runs_where_any_lane_is_set() -> None:
    """Lanes are set at 0 and 1: one list {0, 1}, two cycles and an empty word; half is idle."""
    run = run_by_hand(machine(), "lockstep-2", 16, [[0], [1], NOTHING, NOTHING])
    assert conditional(run) == {"decode_stall": 3, "conditional": 2, "drain": 2 + 4}
    counters = run.counters[0]
    assert (counters["macs_conditional"], counters["macs_gated_off"]) == (2 * 2, 2 * 2)
    assert (counters["index_words_read"], counters["mask_bits_written"]) == (2 * 2, 2 * 16)
    assert counters["decoder_cycles"] == 3
    assert counters["psum_conditional_reads"] == 2


def test_the_gated_scheme_visits_every_pixel() -> None:
    """Two passes alike; one lane of pixels 0 and 1, both of pixel 5: 4 lanes of 32."""
    run = run_by_hand(machine(), "gated", 16, [[0, 5], [1, 5], NOTHING, NOTHING])
    assert conditional(run) == {"conditional": 4 * 2, "drain": 4 * 2 + 4}
    counters = run.counters[0]
    assert (counters["macs_conditional"], counters["macs_gated_off"]) == (4 * 2, 28 * 2)
    assert counters["psum_conditional_writes"] == 3
    assert counters["index_words_read"] == 4
    assert "decoder_cycles" not in counters


def dense_tiles(**transfers: Sequence[int]) -> list[dict[str, int]]:
    """Four tiles of 8 pixels and 1 (weights outer, R = 4, P = 8), with these transfers.

    T = 2 rounds x 4 steps + 4 = 12 for the long tiles, 4 + 4 = 8 for the short ones.
    """
    return run_by_hand(machine(tile_pixels=8), "dense", 9, **transfers).cycles


def test_the_output_stage_ends_behind_the_last_tile() -> None:
    """8 pixels beside a short tile of 8 cycles; one pixel at the end."""
    assert dense_tiles() == [
        {"base": 8, "drain": 4},
        {"base": 4, "drain": 4},
        {"base": 8, "drain": 4},
        {"base": 4, "drain": 4, "output_stall": 1},
    ]


def test_an_output_stage_longer_than_the_next_tile_stalls() -> None:
    """R = 2, P = 8: a tile of one pixel takes 4 + 2 = 6 cycles beside 8 pixels."""
    cycles = run_by_hand(machine(rows=2, tile_pixels=8), "dense", 9).cycles
    assert cycles[1] == {"base": 4, "drain": 2, "output_stall": 2}
    assert cycles[3] == {"base": 4, "drain": 2, "output_stall": 2 + 1}


def test_transfers_as_long_as_the_tile_are_hidden() -> None:
    """Beside tile 1 (8 cycles): 5 to store and 3 to load; but for the first load all is hidden."""
    cycles = dense_tiles(loads=[7, 12, 3, 0, 3], stores=[5, 0, 5, 1])
    assert [tile.get("dram_stall", 0) for tile in cycles] == [7, 0, 0, 0]


def test_transfers_one_cycle_longer_are_not() -> None:
    cycles = dense_tiles(loads=[7, 13, 4, 0, 4], stores=[5, 0, 5, 2])
    assert [tile.get("dram_stall", 0) for tile in cycles] == [7 + 1, 1, 0, 1 + 1]
    assert cycles[3]["output_stall"] == 1


def test_a_transfer_longer_than_the_output_stage_stalls_for_the_rest() -> None:
    """R = 2: 6 cycles compute, 8 pixels are emptied, 11 cycles transfer."""
    arch = machine(rows=2, tile_pixels=8)
    cycles = run_by_hand(arch, "dense", 9, loads=[0, 0, 11, 0, 0]).cycles
    assert cycles[1] == {"base": 4, "drain": 2, "output_stall": 2, "dram_stall": 3}


def test_exposed_weights_are_hidden_by_nothing() -> None:
    """The output stage waits as well: its 8 pixels still fill tile 3's 8 cycles, no more."""
    cycles = dense_tiles(exposed=[0, 0, 9, 0])
    assert [tile.get("dram_stall", 0) for tile in cycles] == [0, 0, 9, 0]
    assert [tile.get("output_stall", 0) for tile in cycles] == [0, 0, 0, 1]


@dataclass(frozen=True)
class Case:
    """A machine, a trace and how it is replayed."""

    arch: ArchConfig
    trace: MaskTrace
    scheme: str
    batch: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A dense layer, a gated one and a dense 1x1 behind it, in ragged tiles on a small machine.

    All choices come evenly from one seed: strategies of their own would favour the smallest.
    """
    choose = draw(st.randoms(use_true_random=True))
    rows, columns = choose.randint(1, 6), choose.randint(1, 8)
    groups, group_out = choose.randint(2, 4), choose.randint(1, 12)
    mask_group = choose.choice([n for n in range(1, 13) if group_out % n == 0])
    structured = [n for n in range(1, 13) if mask_group % n == 0]
    arch = machine(
        rows=rows,
        columns=columns,
        tile_pixels=choose.randint(rows, rows + choose.choice([8, 64])),
        word_channels=choose.randint(1, 5),
        banks=choose.randint(1, 9),
        lane_group=choose.choice([choose.randint(1, 4), choose.choice(structured)]),
        word_bits=choose.choice([8, 8, 16, 32, 64]),
        indices_per_cycle=choose.randint(1, 4),
        activation_kib=choose.choice([2, 4, 512]),
        weight_kib=choose.choice([1, 2, 160]),
        gb_per_s=choose.choice([0.1, 1.0, 12.8]),
    )
    kernel_size = choose.choice([1, 3])
    stem = ConvLayer(
        name="stem",
        in_channels=choose.randint(1, 5),
        out_channels=groups * choose.choice([1, choose.randint(1, 6)]),
        kernel_size=1,
        in_height=choose.randint(3, 9),
        in_width=choose.randint(3, 9),
    )
    gated = ConvLayer(
        name="gated",
        in_channels=stem.out_channels,
        out_channels=groups * group_out,
        kernel_size=kernel_size,
        stride=choose.randint(1, 2),
        padding=choose.randint(0, kernel_size // 2),
        in_height=stem.out_height,
        in_width=stem.out_width,
        gated=True,
        groups=groups,
        input="stem",
    )
    last = ConvLayer(
        name="last",
        in_channels=gated.out_channels,
        out_channels=choose.randint(1, 5),
        kernel_size=1,
        in_height=gated.out_height,
        in_width=gated.out_width,
        input="gated",
    )
    trace = synthetic_trace(
        Network(name="small", layers=(stem, gated, last)),
        choose.choice([0.0, 0.05, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0]),
        mask_group=mask_group,
        images=choose.randint(1, 3),
        correlation=choose.choice([0.0, 0.8]),
        channel_bias=choose.choice([0.0, 0.5]),
        seed=choose.randint(0, 9999),
    )
    names = [name for name in usable_schemes(arch, trace) if name != "dense-zero-gated"]
    gathering = [name for name in names if name not in ("dense", "gated")]
    return Case(arch, trace, choose.choice(names + 2 * gathering), choose.randint(1, 3))


def replay(case: Case, engine: Engine) -> list[tuple[np.ndarray, np.ndarray]]:
    """Per batch and layer: cycles by cause and counters, tile by tile."""
    runs = []
    run_one = ENGINES[engine]

    def recording(*arguments: Any) -> tuple[np.ndarray, np.ndarray]:
        runs.append(run_one(*arguments))
        return runs[-1]

    with mock.patch.dict(ENGINES, {engine: recording}):
        simulate(case.arch, case.trace, case.scheme, batch=case.batch, engine=engine)
    return runs


def assert_equal(case: Case) -> None:
    """Equal to the unit, or the first layer, tile and name that differ.

    The kernel does not say beside which tile an output or DRAM stall fell: those compare by layer.
    """
    within = [position for position, name in enumerate(CAUSES) if name not in BETWEEN_TILES]
    names = tuple(CAUSES[position] for position in within) + COUNTERS
    kernel, reference = replay(case, "kernel"), replay(case, "reference")
    layers = [layer.name for layer in case.trace.network.layers]
    for number, (expected, actual) in enumerate(zip(kernel, reference, strict=True)):
        where = f"{case.scheme}, batch {number // len(layers)}, {layers[number % len(layers)]}"
        mine, other = (
            np.hstack([cycles[:, within], counters]) for cycles, counters in (expected, actual)
        )
        divergence = first_divergence(mine, other, names)
        assert divergence is None, f"{where}: {divergence}"
        np.testing.assert_array_equal(
            expected[0].sum(axis=0), actual[0].sum(axis=0), err_msg=f"{where}: {CAUSES}"
        )


def compare_many(examples: int) -> None:
    """The same seeded cases every time, none of them shrunk: a difference names its place."""

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases())
    def one(case: Case) -> None:
        try:
            assert_equal(case)
        except MappingError:
            event("the machine cannot hold a layer")

    one()


def test_the_reference_equals_the_kernel() -> None:
    compare_many(200)


@pytest.mark.slow
def test_the_reference_equals_the_kernel_on_many_machines() -> None:
    compare_many(600)
