"""Commands that are disturbed, on inputs so small that each takes a second or a few."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tools.faults import found
from tools.faults.found import Look

ROOT = Path(__file__).parents[2]

SIGNALS = ("kill -9", "SIGTERM", "SIGINT")
DISKS = ("full disk", "read-only disk", "folder removed", "folder made a file")
STREAMS = ("stdout closed", "stderr closed", "reader gone", "stdout on a full disk")
WORKERS = ("several writers", "worker killed")

TIMES = {name: 3 for name in SIGNALS} | {"full disk": 2, "several writers": 2}
"""How many of a kind there are in one round of all; 1 unless said."""


@dataclass(frozen=True)
class Subject:
    """A command that writes into folder ``{out}``, and what it is asked.

    ``module``: how Python is called, and ``arguments`` after that. ``look``: what it left.
    ``earlier``: arguments of a run before it whose results may be in the folder; ``at_once``: all
    of its files have to appear together. ``makes``: it makes the folder itself. ``prints``: the
    same output again and again. ``rows``: it keeps them in part files. ``manifest``: the
    file that is written last of those that belong together. ``times``: as TIMES.
    """

    name: str
    module: Sequence[str]
    arguments: Sequence[str]
    look: Look
    faults: Sequence[str]
    earlier: Sequence[str] = ()
    at_once: bool = False
    makes: bool = True
    prints: bool = False
    times: dict[str, int] = field(default_factory=lambda: TIMES)
    rows: bool = False
    manifest: str | None = None

    def command(self, out: Path, earlier: bool = False) -> list[str]:
        given = self.earlier if earlier else self.arguments
        return [sys.executable, *self.module, *(word.replace("{out}", str(out)) for word in given)]

    @cached_property
    def round(self) -> list[str]:
        """Faults of one round, each as often as it is to be."""
        return [fault for fault in self.faults for _ in range(self.times.get(fault, 1))]


def subjects(inputs: Path) -> list[Subject]:
    """All of them; ``inputs`` holds traces, images and weights (:mod:`tools.faults.inputs`)."""
    trace = ["--trace", str(inputs / "small-scdg.h5"), "--images", "1"]
    one = [*trace, "--scheme", "dense"]
    two = [*trace, "--scheme", "dense", "structured"]
    banks = ["--vary", "activation.banks=4,8,12,16,24,32"]
    swept = [*trace, "--scheme", "structured", *banks, "--out", "{out}", "--workers"]
    drawn = ["--data", str(inputs / "images"), "--cache", str(inputs / "cache")]
    once = {name: 1 for name in SIGNALS}
    common = (*SIGNALS, *DISKS, *STREAMS)
    few = (*SIGNALS, "full disk", "read-only disk", "stdout closed")
    return [
        Subject(
            "run --json", ["-m", "hwsim.run"], [*one, "--json", "{out}/summary.json"],
            found.of_files, common, [*two, "--json", "{out}/summary.json"], True, makes=False,
        ),
        Subject(
            "run --out", ["-m", "hwsim.run"], [*one, "--out", "{out}"],
            found.of_files, (*common, "several writers"), [*two, "--out", "{out}"], True,
            manifest="provenance.json",
        ),
        Subject(
            "sweep --workers 1", ["-m", "hwsim.sweep"], [*swept, "1"],
            found.of_rows, (*common, "several writers"), rows=True,
        ),
        Subject(
            "sweep --workers 2", ["-m", "hwsim", "sweep"], [*swept, "2"],
            found.of_rows, (*common, *WORKERS, "Dask worker killed"), rows=True,
        ),
        Subject(
            "search", ["-m", "hwsim", "search"],
            [*trace, *banks, "--trials", "10", "--workers", "1", "--out", "{out}"],
            found.of_rows, (*common, "several writers"), prints=True, rows=True,
        ),
        Subject(
            "equal-area", ["-m", "hwsim", "equal-area"], [*trace, *_axes(), "--out", "{out}"],
            found.of_fronts, (*common, "several writers"), rows=True,
        ),
        Subject(
            "record", ["-m", "hwsim", "record"],
            ["--weights", str(inputs / "weights.npz"), *drawn, "--images", "2",
             "--out", "{out}/trace.h5"],
            found.of_files, few, times=once,
        ),
        Subject(
            "train", ["-m", "hwsim", "train"], [*training(inputs), "--out", "{out}"],
            found.of_training, few, times=once,
        ),
    ]  # fmt: skip


def training(inputs: Path) -> list[str]:
    """Six steps of a block of 32 channels, saved after each."""
    return [
        "--method", "scdg", "--data", str(inputs / "images"), "--cache", str(inputs / "cache"),
        "--stages", "1", "--width", "32", "--batch", "8", "--seed", "7", "--log-every", "1",
        "--knn-every", "9", "--resolution", "8", "--images", "2", "--steps", "6",
        "--checkpoint-seconds", "0.001", "--device", "cpu", "--threads", "1",
    ]  # fmt: skip


def _axes() -> list[str]:
    """Two banks and two depths of run-ahead; all else of the machine stays."""
    axes = {
        "array.rows": "16", "array.columns": "16", "activation.word_channels": "4",
        "activation.banks": "8,16", "partial_sums.entries": "4096", "activation.run_ahead": "0,1",
        "array.feed": "broadcast", "array.zero_skipping": "none", "index.window": "0",
        "index.decoders": "private", "index.indices_per_cycle": "1", "index.lane_group": "8",
    }  # fmt: skip
    varied = [word for key, values in axes.items() for word in ("--vary", f"{key}={values}")]
    return ["--scheme", "structured", "--starts", "1", "--workers", "1", *varied]
