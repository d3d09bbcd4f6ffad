"""The arbiter whose gates are priced does what rtl/bank_arbiter.v does, in every cycle."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tools.rtl_energy import beats, prices, units
from tools.rtl_energy.measure import Measured, Row

SPAN = (beats.TILE - 1) * (beats.PITCH + 1) + 1
BENCH = Path(__file__).parent / "arbiters_bench.v"

SIZES = (
    # N, B, Q, address bits, compared bits, span of a beat's addresses
    (16, 16, 0, 16, 12, 0),
    (16, 16, 1, 8, 4, 0),
    (5, 4, 0, 8, 6, 0),
    (8, 2, 2, 6, 5, 0),
    (3, 64, 3, 8, 2, 0),
    (32, 8, 0, 16, 7, SPAN),
    (32, 16, 0, 16, 6, SPAN),
    (16, 16, 1, 16, 6, SPAN),
    (8, 32, 1, 16, 5, SPAN),
)


def both(folder: Path, *size: int) -> tuple[int, int]:
    """Cycles in which the two arbiters differ, and pointers that were served."""
    if not shutil.which("iverilog"):
        pytest.skip("lean arbiter not simulated: iverilog is missing")
    cycles = 40_000 // (size[0] * size[1] * (size[2] + 1))
    names = ("N", "B", "Q", "ADDRESS_BITS", "COMPARED_BITS", "SPAN", "CYCLES")
    settings = [f"-Pbench.{n}={value}" for n, value in zip(names, (*size, cycles), strict=True)]
    sources = [BENCH, *units.LEAN, *units.rtl("bank_arbiter")]
    binary = str(folder / "bench.vvp")
    command = ["iverilog", "-g2005", "-s", "bench", *settings, "-o", binary, *map(str, sources)]
    subprocess.run(command, check=True)
    said = subprocess.run(["vvp", "-n", binary], check=True, capture_output=True, text=True).stdout
    found = re.search(r"(\d+) differ, (\d+) served", said)
    assert found, said
    return int(found[1]), int(found[2])


@pytest.mark.parametrize("size", SIZES)
def test_both_arbiters_serve_the_same_pointers(tmp_path: Path, size: tuple[int, ...]) -> None:
    differ, served = both(tmp_path, *size)
    assert differ == 0
    assert served > 10


def test_too_few_compared_bits_are_seen(tmp_path: Path) -> None:
    """Addresses a multiple of 2 ** 9 apart are within the span: nine bits are one too few."""
    assert both(tmp_path, 32, 4, 0, 16, 7, SPAN)[0] > 0
    assert 1 << units.TILE_BITS >= SPAN > 1 << (units.TILE_BITS - 1)


def test_lane_groups_of_a_base_pass_ask_for_the_same_pixels() -> None:
    random = np.random.default_rng(0)
    same = next(beats.rounds(random, 0.3, 32, "same"))
    assert [beat[:16] == beat[16:] for beat in same] == [True] * 18
    first = next(beats.rounds(random, 0.3, 32, "first"))
    assert [beat[:16] for beat in first] == [beat[:16] for beat in same]
    assert all(beat[16:] == [None] * 16 for beat in first)
    found = beats.arbiter(random, 0.3, 32, 16, 0, 8, "same")
    assert (found.busy, found.beats, found.reads, found.fills) == (2, 2, 32, 64)


def test_a_rule_is_found_from_what_is_counted() -> None:
    """2 a word, 0.5 a fill; the last point is not of the rule and is told to be twice as dear."""
    counted = ((1.0, 0.0), (1.0, 4.0), (3.0, 1.0), (2.0, 0.0))
    values = (2.0, 4.0, 6.5, 8.0)
    found = prices.rule(
        [
            prices.Point((str(at),), of, value, at < 3)
            for at, (of, value) in enumerate(zip(counted, values, strict=True))
        ]
    )
    assert found.factors == pytest.approx((2.0, 0.5))
    assert found.most_off == pytest.approx(0.0, abs=1e-12)
    assert found.off(found.points[3]) == pytest.approx(-0.5)
    assert prices.points(found, ("n",)).splitlines()[-1] == "| 3 | 8.000 | 4.000 | -50 % |"


def test_rules_read_what_was_measured() -> None:
    """A pointer: 0.1 a byte filled and 0.01 a byte read, whatever B; an arbiter: 2 a fill."""

    def pointer(unit: str, channels: int, banks: int) -> Measured:
        rows = tuple(
            Row(
                f"{name}, {banks} of {banks} banks read",
                "cycle",
                channels * (0.1 * (name == "filled") + 0.01 * banks) + 1,
                1.0,
                0.0,
                None,
            )
            for name in ("filled", "waits")
        )
        return Measured(unit, 1, 3.0 * channels, 1.0, 1.0, None, rows)

    other = "pointer, inputs gated, A = 2, B = 8, Q = 0"
    found = [pointer(prices.POINTER_HERE, 4, 16), pointer(other, 2, 8)]
    assert prices.pointer_energy(found, 1.0).factors == pytest.approx((0.1, 0.0, 0.01))
    assert prices.pointer_area(found, 3.0).factors == pytest.approx((1.0, 0.0))
    rows = (
        Row("works", "beat", 14.0, 4.0, 0.0, None),
        Row("works", "word read", 3.5, 1.0, 0.0, None),
        Row("works", "fill", 2.8, 0.8, 0.0, None),
    )
    arbiter = Measured("lean arbiter, 8 pointers, 16 banks, Q = 0", 1, 1.0, 1.0, 1.0, None, rows)
    point = prices.lean_energy([arbiter], 2.0).points[0]
    assert point.counted == pytest.approx((4.0, 32.0, 5.0))
    assert point.value == pytest.approx(5.0)
