"""Points of sweeps: --vary, --random, --points, --shift, and the options beside them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from random import Random

from tools.fuzz import hostile, sound
from tools.fuzz.case import INPUTS, Case, Kind
from tools.fuzz.kinds.machines import KEYS, valid

TRACE = f"{INPUTS}/t.h5"

SWEEP = ("sweep", "--trace", TRACE, "--out", "out")

BESIDE = ("trace", "scheme", "threshold_shift", "channel_order")

SHOWN = ("--show", "cycles_per_image", "energy_uj_per_image", "area_mm2")


def prepare(base: Path) -> None:
    sound.write(base / TRACE)


def draw(random: Random, base: Path, folder: Path) -> Case:
    (folder / TRACE).write_bytes((base / TRACE).read_bytes())
    how = random.choice((_vary, _vary, _points, _points, _options))
    change, argv = how(random, folder)
    many = ["--scheme", random.choice(("dense", "unstructured"))] if random.random() < 0.7 else []
    if "--scheme" in argv:
        many = []
    return Case(change, (*SWEEP, *argv, *many, "--workers", "1"), None, ("out",))


def _value(random: Random, key: str) -> str:
    return valid(random, key) if random.random() < 0.65 else hostile.scalar(random)


def _axis(random: Random) -> str:
    key = random.choice(KEYS) if random.random() < 0.92 else hostile.text(random)
    if random.random() < 0.35:
        low, high = (str(hostile.number(random)) for _ in range(2))
        ends = random.choice((f"{low}..{high}", f"{low}..{low}", "1..4", "8..8", f"..{high}",
                              f"{low}..",
                              "1..2..3", f"{_value(random, key)}..{high}", "1e3..2e3"))  # fmt: skip
        return f"{key}={ends}"
    values = ",".join(_value(random, key) for _ in range(random.choice((1, 1, 2, 3))))
    return f"{key}={values}"


def _vary(random: Random, folder: Path) -> tuple[str, list[str]]:
    """Axes, drawn from or all of them."""
    axes = [_axis(random) for _ in range(random.choice((1, 1, 2)))]
    argv = [part for axis in axes for part in ("--vary", axis)]
    if ".." in axes[0] or random.random() < 0.3:
        argv += ["--random", str(random.choice((1, 2, 3, 0, -1, 10**30, "x", "1.5")))]
        if random.random() < 0.5:
            argv += ["--seed", str(hostile.integer(random))]
    return f"--vary {axes[0][:60]}", argv


def _points(random: Random, folder: Path) -> tuple[str, list[str]]:
    """A list of points as a file."""
    suffix = random.choice((".csv", ".csv", ".yaml", ".YAML", ".json", ""))
    keys = [random.choice((*KEYS, *BESIDE)) for _ in range(random.choice((1, 1, 2, 3)))]
    rows = [[_value(random, key) for key in keys] for _ in range(random.choice((1, 2, 3)))]
    if suffix == ".csv":
        stream = io.StringIO()
        csv.writer(stream).writerows([keys, *rows])
        text = stream.getvalue()
    else:
        text = "".join(
            "- {"
            + ", ".join(f"{key}: {value}" for key, value in zip(keys, row, strict=True))
            + "}\n"
            for row in rows
        )
    change, contents = (
        f"{suffix} of {keys[0]}={rows[0][0][:40]}",
        text.encode("utf-8", "surrogatepass"),
    )
    if random.random() < 0.3:
        more, contents = hostile.mutated_text(
            random, text.encode("utf-8", "replace").decode(), KEYS
        )
        change += f", {more}"
    path = f"{INPUTS}/p{suffix}"
    (folder / path).write_bytes(contents)
    return f"--points {change}", ["--points", path]


def _options(random: Random, folder: Path) -> tuple[str, list[str]]:
    """The numbers and names beside the axes."""
    number = str(hostile.number(random))
    option = random.choice(
        (
            ["--shift", number], ["--shift", number, "0.5"], ["--shift", hostile.text(random)],
            ["--batch", number], ["--images", number], ["--batch", "1", "1"],
            ["--channel-order", random.choice(("density", "natural", hostile.text(random)))],
            ["--scheme", hostile.text(random)], ["--show", hostile.text(random)],
            ["--order-from", random.choice((TRACE, INPUTS, hostile.text(random)[:40]))],
            ["--seed", number, "--random", "2", "--vary", "activation.banks=1..64"],
            list(SHOWN), ["--skip-impossible", "--vary", "weight.buffer_kib=1,160"],
            ["--vary", f"name={json.dumps(hostile.text(random))}"],
        )
    )  # fmt: skip
    return " ".join(option)[:60], option


KIND = Kind(
    "points",
    0.12,
    "sweeps of a machine or a few: axes and ranges of `--vary` with values of every type, "
    "`--random`, `--seed`, points as CSV and YAML, `--shift`, orders, batches and columns",
    prepare,
    draw,
)
