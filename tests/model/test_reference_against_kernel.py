"""The reference equal to the kernel on random machines, in every cause and counter of a tile."""

from __future__ import annotations

import pytest
from by_hand import BETWEEN_TILES, machine
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from hwsim.counters import CAUSES
from hwsim.mapping.tiles import MappingError
from hwsim.network import ConvLayer, Network
from hwsim.run.simulate import usable_schemes
from hwsim.trace.synthetic import synthetic_trace
from tools.verification.replay import Replayed as Case
from tools.verification.replay import difference, replay


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
    tile_pixels = choose.randint(rows, rows + choose.choice([8, 64]))
    word_bits = choose.choice([8, 8, 16, 32, 64])
    index_format = choose.choice(["bitmap", "coordinate", "run-length"])
    run_length_bits = choose.choice([2, 3, 4, choose.randint(2, 8)])
    coordinate_bits = next(bits for bits in range(1, 9) if 2**bits >= tile_pixels)
    symbol_bits = {"bitmap": 1, "coordinate": coordinate_bits, "run-length": run_length_bits}
    arch = machine(
        rows=rows,
        columns=columns,
        tile_pixels=tile_pixels,
        word_channels=choose.randint(1, 5),
        banks=choose.randint(1, 9),
        lane_group=choose.choice([choose.randint(1, 4), choose.choice(structured)]),
        word_bits=word_bits,
        indices_per_cycle=choose.randint(1, min(4, word_bits // symbol_bits[index_format])),
        activation_kib=choose.choice([2, 4, 512]),
        weight_kib=choose.choice([1, 2, 160]),
        gb_per_s=choose.choice([0.1, 1.0, 12.8]),
        feed=choose.choice(["broadcast", "systolic"]),
        bank_conflicts=choose.choice(["exact", "exact", "bandwidth", "none"]),
        decoders=choose.choice(["private", "shared"]),
        index_format=index_format,
        run_length_bits=run_length_bits,
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
    gathering = [name for name in names if name not in ("dense", "clock-gated")]
    return Case(arch, trace, choose.choice(names + 2 * gathering), choose.randint(1, 3))


def assert_equal(case: Case) -> None:
    """Equal to the unit, or the first layer, tile, name and round that differ."""
    expected, actual = replay(case, "reference"), replay(case, "kernel")
    assert difference(case, expected, actual, ("reference", "kernel")) is None, case.scheme


@settings(max_examples=20, derandomize=True, database=None, deadline=None)
@given(case=cases())
def test_the_kernel_books_stalls_at_the_last_visit(case: Case) -> None:
    """Those between visits; assert_equal compares them by layer."""
    between = [CAUSES.index(name) for name in BETWEEN_TILES]
    try:
        runs = replay(case, "kernel")
    except MappingError:
        return
    for cycles, _ in runs:
        assert not cycles[:-1, between].any()


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
