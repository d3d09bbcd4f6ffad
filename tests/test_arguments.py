"""Arguments: numbers inside the range in which they mean something, and text that can be a name."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from refusal import refusal

from hwsim.cli import OneLineParser, cores, finite, images, integer, number, positive, seed, share
from hwsim.sweep.axes import Range, SpaceError, drawn, grid, parse_axes
from hwsim.train.options import blocks_per_stage, resolution_stages

TOO_LONG = "9" * 5000


@pytest.mark.parametrize(
    "text", ["", "²", "٣", "1_0", " 1", "+1", "1.0", "1e3", "-1", "x", TOO_LONG]
)
@pytest.mark.parametrize("kind", [positive, images, cores, seed, integer(0, 10**9)])
def test_integers_are_decimal_digits(kind: Callable[[str], int], text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="found") as refused:
        kind(text)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    ("kind", "inside", "outside"),
    [
        (positive, ["1", "007", "2147483648"], ["0", "2147483649", "9" * 30]),
        (images, ["1", "1048576"], ["0", "1048577", "1000000000"]),
        (cores, ["1", "1024"], ["0", "1025"]),
        (seed, ["0", "4294967295"], ["4294967296"]),
        (share, ["0", "1.0", "1e-3"], ["-0.1", "1.01", "nan", "inf", "1e999", "٣"]),
        (finite, ["-3", "1e9"], ["nan", "-inf", "1e999", TOO_LONG, "", "1e10"]),
        (number(0, 5, above=True), ["1e-9", "5"], ["0", "-0.0", "5.1"]),
    ],
)
def test_numbers_end_where_their_meaning_does(
    kind: Callable[[str], Any], inside: list[str], outside: list[str]
) -> None:
    assert [kind(text) for text in inside] == [float(text) for text in inside]
    for text in outside:
        with pytest.raises(argparse.ArgumentTypeError):
            kind(text)


def main_of(module: str) -> Callable[[list[str]], int]:
    found: Callable[[list[str]], int] = import_module(f"{module}.__main__").main
    return found


OUT = ["--out", "nowhere/at/all"]


@pytest.mark.parametrize(
    ("module", "arguments", "told"),
    [
        ("hwsim.run", ["--images", "²"], "--images: expected a positive integer up to 1,048,576"),
        ("hwsim.run", ["--images", TOO_LONG], "--images: expected a positive integer"),
        ("hwsim.run", ["--images", ""], "--images: an empty argument"),
        ("hwsim.run", ["--arch", ""], "--arch: an empty argument"),
        ("hwsim.energy", ["--markdown", "\x85"], "--markdown: an empty argument"),
        ("hwsim.energy", [" "], "an empty argument"),
        ("hwsim.run", ["--network", "a\0b"], "--network: 'a\\x00b' holds NUL"),
        ("hwsim.run", ["--arch", "x" * 100_000], "no such file, and no shipped machine"),
        ("hwsim.run", ["--set", "array.rows=" + "9" * 100_000], "a number of 100,000 digits"),
        ("hwsim.run", ["--set", "array.rows=0x_"], "0x_ is no decimal number"),
        ("hwsim.run", ["--set", "array.rows=2026-13-41"], "array.rows: Input should be a valid i"),
        ("hwsim.run", ["--set", "array.rows='\ud800'"], "not valid YAML"),
        ("hwsim.run", ["--set", "array.rows=" + "[" * 5000], "more than 32 lists"),
        ("hwsim.run", ["--set", "x" * 100_000 + "=1"], "unknown key"),
        ("hwsim.run", ["--set", "array.rows=1" + "0" * 30], "less than or equal to 1024"),
        ("hwsim.run", ["--set", "dram.pj_per_bit=.inf"], "'.inf' is no finite number"),
        ("hwsim.run", ["--set", "dram.bandwidth_gb_per_s=0.0000000001"], "equal to 0.001"),
        ("hwsim.sweep", ["--seed", "-1", *OUT], "--seed: expected an integer from 0 to 4,294"),
        ("hwsim.sweep", ["--shift", "nan", *OUT], "--shift: expected a finite number"),
        ("hwsim.sweep", ["--shift", "1e300", *OUT], "--shift: expected a number from -1e+06"),
        ("hwsim.sweep", ["--workers", "100000", *OUT], "--workers: expected a positive"),
        ("hwsim.sweep", ["--random", "1" + "0" * 12, *OUT], "--random: expected a positive"),
        ("hwsim.sweep", ["--vary", "array.rows=1..1e999", *OUT], "expected two finite numbers"),
        ("hwsim.sweep", ["--vary", "array.rows=" + "9" * 100_000, *OUT], "100,000 digits"),
        ("hwsim.sweep", ["--vary", "name=" + "x," * 50_000 + "x", *OUT], "changes no figure"),
        ("hwsim.trace", ["statistics", "--lanes", "9999999999"], "--lanes: expected a positive"),
    ],
)  # fmt: skip
def test_a_bad_argument_is_one_short_line(
    module: str, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refusal(capsys, main_of(module), arguments)
    assert told in line
    assert len(line) < 1000


def test_a_grid_and_a_draw_have_an_end() -> None:
    many = {f"{part}.buffer_kib": range(1, 2001) for part in ("activation", "weight")}
    with pytest.raises(SpaceError, match="a grid of 4,000,000 points; at most 1,000,000 are run"):
        next(iter(grid(many)))
    wide = parse_axes(["array.rows=1..1000000000000"])
    assert wide == {"array.rows": Range(1, 10**12)}
    with pytest.raises(SpaceError, match="at most 1,000,000 points are run"):
        drawn(wide, 2_000_000)
    assert len(drawn(wide, 100)) == 100


def test_a_draw_ends_where_floats_are_close_together() -> None:
    with pytest.raises(SpaceError, match="only 1 different"):
        drawn({"dram.pj_per_bit": Range(4.0, 4.0)}, 2)
    # Three floats: 1, the next and the one after that.
    close = {"dram.pj_per_bit": Range(1.0, 1.0 + 2 * 2.0**-52)}
    assert len(drawn(close, 3)) == 3
    with pytest.raises(SpaceError, match="only about 3 different points"):
        drawn(close, 4)
    huge = {"dram.pj_per_bit": Range(4.0, 5.0), "array.rows": Range(1, 10**400)}
    assert len(drawn(huge, 2)) == 2


def test_sizes_and_stages_of_training_are_bounded() -> None:
    assert resolution_stages("16:0.75,32") == [(16, 0.75), (32, 1.0)]
    assert blocks_per_stage("2,2,2,2") == (2, 2, 2, 2)
    for text in ("16:nan,32", "7", "10000000", "16:2,32", TOO_LONG, "²", "", "16:0.5"):
        with pytest.raises((ValueError, argparse.ArgumentTypeError)):
            resolution_stages(text)
    for text in ("0", "1,1,1,1,1,1,1,1,1", "65", TOO_LONG, "٣", ""):
        with pytest.raises((ValueError, argparse.ArgumentTypeError)):
            blocks_per_stage(text)


def test_an_option_of_several_values_that_is_given_again_takes_more() -> None:
    """None of the values is dropped; one value alone is replaced by a later one, as everywhere."""
    parser = OneLineParser(prog="p")
    parser.add_argument("--trace", nargs="*", default=[])
    parser.add_argument("--what", nargs="+", default=["all"])
    parser.add_argument("--seed", type=int)
    parser.add_argument("files", nargs="*", default=[])
    given = [
        "a",
        "--trace",
        "x",
        "y",
        "--seed",
        "1",
        "--trace",
        "z",
        "--what",
        "one",
        "--seed",
        "2",
    ]
    assert vars(parser.parse_args(given)) == {
        "trace": ["x", "y", "z"], "what": ["one"], "seed": 2, "files": ["a"],
    }  # fmt: skip
    assert parser.parse_args(["--trace", "x", "--trace"]).trace == ["x"]
    assert parser.parse_args([]).what == ["all"]


@pytest.mark.parametrize("command", ["run", "sweep"])
def test_what_a_command_reads_it_does_not_replace(
    command: str, trace_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = Path(shutil.copy(trace_folder / "small-cdg.h5", tmp_path / "t.h5"))
    before = trace.read_bytes()
    options = {"run": ["--json"], "sweep": ["--out", str(tmp_path / "out"), "--csv"]}[command]
    given = ["--trace", str(trace), "--scheme", "dense", *options, str(tmp_path / "." / "t.h5")]
    told = refusal(capsys, main_of(f"hwsim.{command}"), given)
    assert "is read by this command; expected another file" in told
    assert trace.read_bytes() == before
