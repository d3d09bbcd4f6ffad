"""Methods side by side: mean and deviation over seeds, the poster's figures beside them.

    python -m studies.poster_table RUN... [--out DIR]

RUN is a weights file or a folder with some, at any depth. Figures come from what training noted in
the file and from what `hwsim evaluate --save` kept beside it, which wins.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwsim.cli import OneLineParser, status_of
from hwsim.errors import UserError
from hwsim.network import executed_share
from hwsim.text_table import markdown_table, print_table
from hwsim.train.evaluate.evaluation import read_saved
from hwsim.train.networks import models
from hwsim.train.networks.methods import GATE_GROUPS, GATED


@dataclass(frozen=True)
class RunColumn:
    """A figure of every run: its key, its heading, its decimals."""

    key: str
    heading: str
    decimals: int = 2


COLUMNS = (
    RunColumn("untrained_knn_percent", "untrained kNN %", 1),
    RunColumn("knn_percent", "kNN %", 1),
    RunColumn("int8_knn_percent", "int8 kNN %", 1),
    RunColumn("linear_percent", "linear %"),
    RunColumn("finetune_percent", "fine-tuned %"),
    RunColumn("density_percent", "MAC density %"),
    RunColumn("flops_reduction_gated", "FLOPs reduction, gated"),
    RunColumn("flops_reduction_network", "FLOPs reduction, network"),
    RunColumn("index_reduction", "index reduction", 0),
    RunColumn("int8_flip_percent", "int8 flips %"),
    RunColumn("epochs_total", "epochs", 1),
    RunColumn("minutes", "minutes", 1),
)

Key = tuple[str, str, int, str]
"""Data set, method, width and stages: a row."""


@dataclass(frozen=True)
class Figure:
    """One figure over the runs of a row; ``poster``: the poster's, where it has one."""

    values: tuple[float, ...]
    poster: float | None = None

    @property
    def mean(self) -> float | None:
        return statistics.fmean(self.values) if self.values else None

    @property
    def deviation(self) -> float | None:
        """Sample deviation; None below two runs."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    def text(self, decimals: int, thousands: str = "") -> str:
        """ "38.4 ± 0.5 (88.8)": mean, deviation (unless it is 0), and in brackets the poster's."""
        shape = f"z{thousands}.{decimals}f"  # no minus before a zero
        if self.mean is None and self.poster is None:
            return ""
        shown = "-" if self.mean is None else f"{self.mean:{shape}}"
        if self.deviation:
            shown += f" ± {self.deviation:{shape}}"
        return shown if self.poster is None else f"{shown} ({self.poster:g})"


@dataclass(frozen=True)
class Row:
    """A network on a data set; ``figures`` by column key."""

    dataset: str
    method: str
    width: int
    stages: str
    seeds: tuple[str, ...]
    figures: Mapping[str, Figure]


def poster_figures() -> dict[tuple[str, str, str], float]:
    """The poster's figures by method, data set and column key."""
    lines = Path(__file__).with_name("poster.csv").read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return {(r["method"], r["dataset"], r["figure"]): float(r["value"]) for r in rows}


def weights_files(runs: Iterable[Path]) -> list[Path]:
    """The files named and the files in folders named, each once. Raises UserError."""
    found: list[Path] = []
    for run in runs:
        inside = sorted(run.rglob("*.npz")) if run.is_dir() else [run]
        if not inside:
            raise UserError(f"{run}: no weights file (*.npz) in it")
        found += [path for path in inside if path not in found]
    return found


def run_figures(weights: Path) -> dict[str, Any]:
    """Everything known of one run, with what its row goes by, minutes and density in per cent.

    ``epochs``: the run's own; ``epochs_total``: with the epochs of the weights it started from.
    """
    encoder, training = models.load_weights(weights)
    found = {**training, **read_saved(weights)}
    found |= {"method": encoder.method, "width": encoder.width}
    if found.get("stage") == "finetune":
        found["method"] += ", fine-tuned"
    found["stages"] = ",".join(map(str, encoder.stages))
    if "epochs" in found:
        found.setdefault("epochs_total", found["epochs"])
    if "dataset" not in found:
        # "CIFAR-10 re-encoded as ...", "CIFAR-10 stored as ..."
        described = str(found.get("data", "unknown data"))
        older = described.split(" re-encoded")[0].split(" stored")[0]
        found["dataset"] = found.get("data_name", older)
    if "seconds" in found:
        found["minutes"] = found["seconds"] / 60
    if "density_macs" in found:
        density = found["density_macs"]
        found["density_percent"] = 100 * density
        # Where masks are of channels, the density is a share of all MACs.
        ran = executed_share(density, GATE_GROUPS) if encoder.method in GATED else density
        found.setdefault("flops_reduction_gated", 1 / ran)
    return found


def rows_of(runs: Iterable[Mapping[str, Any]]) -> list[Row]:
    """One row per data set and network, in the order in which they first appear."""
    grouped: dict[Key, list[Mapping[str, Any]]] = {}
    for run in runs:
        key = run["dataset"], run["method"], run["width"], run["stages"]
        grouped.setdefault(key, []).append(run)
    poster = poster_figures()
    return [
        Row(
            *key,
            tuple(str(run.get("seed", "?")) for run in members),
            {
                column.key: Figure(
                    tuple(float(run[column.key]) for run in members if column.key in run),
                    poster.get((key[1], key[0], column.key)),
                )
                for column in COLUMNS
            },
        )
        for key, members in grouped.items()
    ]


def shown_columns(rows: list[Row]) -> list[RunColumn]:
    """The columns in which a run has a figure."""
    return [column for column in COLUMNS if any(row.figures[column.key].values for row in rows)]


def cells(rows: list[Row]) -> tuple[list[str], list[list[str]]]:
    """Headings and text of the table."""
    columns = shown_columns(rows)
    headings = [*LABELS, *(column.heading for column in columns)]
    return headings, [
        [row.dataset, row.method, str(row.width), row.stages, ", ".join(row.seeds)]
        + [row.figures[column.key].text(column.decimals) for column in columns]
        for row in rows
    ]


LABELS = ("data", "method", "width", "stages", "seeds")
"""Headings of the columns before the figures."""

NOTE = "Mean ± sample deviation over the runs; in brackets the poster's."


def show(rows: list[Row]) -> None:
    """On standard output."""
    print_table(*cells(rows), names=len(LABELS))
    print(NOTE)


def write_markdown(path: Path, rows: list[Row]) -> None:
    text = markdown_table(*cells(rows), names=len(LABELS))
    path.write_text(f"{text}\n{NOTE}\n", encoding="utf-8")


def write_csv(path: Path, rows: list[Row]) -> None:
    """One line per row and figure, unrounded."""
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(
            ["dataset", "method", "width", "stages", "figure", "mean", "deviation", "runs",
             "poster"]
        )  # fmt: skip
        for row in rows:
            for key, figure in row.figures.items():
                if figure.values or figure.poster is not None:
                    writer.writerow(
                        [row.dataset, row.method, row.width, row.stages, key, figure.mean,
                         figure.deviation, len(figure.values), figure.poster]
                    )  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    parser = OneLineParser(prog="python -m studies.poster_table", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--out", type=Path, help="folder for table.csv and table.md")
    args = parser.parse_args(argv)
    return status_of("python -m studies.poster_table", lambda: write_tables(args))


def write_tables(args: argparse.Namespace) -> None:
    """The table on standard output and, with --out, as Markdown and CSV. Raises UserError."""
    rows = rows_of(run_figures(path) for path in weights_files(args.runs))
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        write_markdown(args.out / "table.md", rows)
        write_csv(args.out / "table.csv", rows)
    show(rows)


if __name__ == "__main__":
    sys.exit(main())
