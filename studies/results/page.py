"""Writes the tables and figures of docs/evidence/results.md from what the campaign kept.

    python -m studies.results.page

The page's text is written by hand; between `<!-- NAME -->` and `<!-- end of NAME -->` is what
:func:`tables` makes of the logs that were kept. Nothing is trained or replayed here.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from hwsim import plots
from hwsim.cli import OneLineParser
from hwsim.files import write_whole
from hwsim.text_table import markdown_table
from hwsim.trace.statistics import ALL_LAYERS
from studies import poster_table
from studies.palette import with_palette
from studies.paths.__main__ import ALL_LAYERS as ALL_PATHS
from studies.paths.figure import path_maps
from studies.training_figures import accuracy_against_cost, learning_curves

from .claims import CLAIMS, kind_of
from .kept import (
    ACCURACIES,
    METHOD_SCHEMES,
    OF_MASKS,
    dense_rows,
    figures_of,
    hardware,
    kept_runs,
    learning,
    path_figures_of,
    path_maps_of,
    points,
    runs_with_paths,
)
from .replay import MASKS
from .runs import GROUPS, runs_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "results.md"
IMAGES = PAGE.parents[1] / "images"

ZERO_GATED = "dense-zero-gated"
PRICED = {method: (ZERO_GATED,) for method in ("dense", "cdg", "scdg")}
"""Rows beside the methods' own schemes, on the array as it is: the dense machine on the networks'
activations. A gated network's activations say nothing of a dense network's accuracy."""

NOTHING = "No run of this group was made yet.\n"

SAME_IN_A_GROUP = ("data", "width", "stages", "minutes")
"""Columns of studies.poster_table that the group's title says; minutes are a busy machine's."""


def accuracy_table(group: str) -> str:
    """A row per method; `failed` where a seed's kNN is not above its untrained self."""
    runs = [figures_of(run) for run in kept_runs(group)]
    if not runs:
        return NOTHING
    rows = poster_table.rows_of(runs)
    headings, lines = poster_table.cells(rows)
    failed = {r["method"] for r in runs if r["knn_percent"] <= r["untrained_knn_percent"]}
    shown = [at for at, heading in enumerate(headings) if heading not in SAME_IN_A_GROUP]
    for line in lines:
        at = headings.index("method")
        if line[at] in failed:
            line[at] += " **failed**"
    return markdown_table(
        [headings[at] for at in shown], [[line[at] for at in shown] for line in lines], names=2
    )


def hardware_table(group: str, array: str, largest_batch: bool = True) -> str:
    """A row per method and scheme, mean and spread over the seeds."""
    rows = hardware()
    rows = rows[(rows["group"] == group) & (rows["array"] == array)]
    if rows.empty:
        return NOTHING
    rows = rows[rows["batch"] == (rows["batch"].max() if largest_batch else 1)]
    headings = [
        "method", "scheme", "cycles/image", "speed-up", "ideal", "share realised %",
        "DRAM kB/image", "SRAM MB/image", "index B/image", "energy uJ/image", "kNN %", "linear %",
    ]  # fmt: skip
    columns = (
        ("cycles_per_image", 1, 0), ("speedup", 1, 2), ("ideal_speedup_network", 1, 2),
        ("share_realised", 100, 0), ("dram_bytes_per_image", 1e-3, 0),
        ("sram_bytes_per_image", 1e-6, 1), ("index_bits_per_image", 1 / 8, 0),
        ("energy_uj_per_image", 1, 1), ("knn_percent", 1, 1), ("linear_percent", 1, 1),
    )  # fmt: skip
    lines = []
    for method, schemes in METHOD_SCHEMES.items():
        for wanted in (*schemes, *(PRICED.get(method, ()) if array == "16x16" else ())):
            # Of the dense machine every trace says the same, but for what masks leave to gate.
            found = rows if wanted == "dense" else rows[rows["method"] == method]
            found = found[found["scheme"].map(kind_of) == wanted]
            if wanted == "dense":
                found = dense_rows(found, group)
            elif wanted == ZERO_GATED:
                unknown = OF_MASKS if method == "dense" else (*OF_MASKS, *ACCURACIES)
                found = found.assign(**dict.fromkeys(unknown, float("nan")))
            if len(found):
                cells = (mean_and_deviation(found[key] * by, digits) for key, by, digits in columns)
                lines.append([method, str(found["scheme"].iloc[0]), *cells])
    return markdown_table(headings, lines, names=2)


def mask_table() -> str:
    """Of every method of element masks: the whole network's figures, mean and spread over seeds."""
    rows = pd.read_csv(MASKS)
    rows = rows[rows["layer"] == ALL_LAYERS]
    columns = (
        ("density", 100, 1), ("lockstep_density", 100, 1), ("expected_lockstep_density", 100, 1),
        ("expected_lockstep_density_channels", 100, 1), ("spatial_correlation", 1, 2),
        ("channel_correlation", 1, 2),
    )  # fmt: skip
    headings = [
        "networks", "method", "lanes", "lists", "d %", "measured d_V %", "1-(1-d)^lists %",
        "lists' own d %", "spatial corr.", "channel corr.",
    ]  # fmt: skip
    lines = []
    for (group, method), found in rows.groupby(["group", "method"], sort=False):
        cells = (mean_and_deviation(found[key] * by, digits) for key, by, digits in columns)
        title = GROUPS[str(group)].title
        shape = (str(found[key].iloc[0]) for key in ("lanes", "lists_per_lane_group"))
        lines.append([title, str(method), *shape, *cells])
    return markdown_table(headings, lines, names=2)


def paths_table() -> str:
    """What base and conditional paths carry: of every network measured its mean and first layer."""
    columns = (
        "density", "edge_correlation_base", "edge_correlation_conditional",
        "edge_correlation_conditional_unmasked", "edge_correlation_gates",
        "high_frequency_share_base", "high_frequency_share_conditional",
        "high_frequency_share_conditional_unmasked",
    )  # fmt: skip
    headings = [
        "layer", "networks", "method", "weights", "open gates", "edges: base", "conditional",
        "conditional unmasked", "gates", "high frequencies: base", "conditional",
        "conditional unmasked",
    ]  # fmt: skip
    lines = []
    for run in runs_with_paths():
        rows = path_figures_of(run)
        shown = rows[rows["layer"].isin([rows["layer"].iloc[0], ALL_PATHS])]
        for row in shown.to_dict("records"):
            network = str(row["network"]).replace("_", " ")
            labels = (str(row["layer"]), GROUPS[run.group].title, run.method, network)
            lines.append([*labels, *(f"{row[key]:.2f}" for key in columns)])
    lines.sort(key=lambda line: line[0])
    return markdown_table(headings, lines, names=4) if lines else NOTHING


def claims_table() -> str:
    """Every conclusion beside the seeds in which it holds, and its figures there."""
    rows = hardware()
    lines = []
    for claim in CLAIMS:
        found = claim.check(rows)
        holds = sum(case.holds for case in found)
        verdict = {0: "no", len(found): "yes"}.get(holds, "mixed")
        if not found:
            continue
        said = "; ".join(f"{case.where}: {case.figure}" for case in found)
        lines.append([claim.text, f"{verdict} ({holds} of {len(found)})", said])
    return markdown_table(["conclusion", "holds", "first named : second named"], lines, names=3)


def missing_runs() -> str:
    """The runs of which nothing has been kept: the page may not be silent about them."""
    names = [run.name for run in runs_of() if run not in kept_runs(run.group)]
    if not names:
        return "All runs were made.\n"
    return f"**Not made yet**: {', '.join(f'`{name}`' for name in names)}.\n"


def mean_and_deviation(values: pd.Series[float], digits: int) -> str:
    """ "1.22 ± 0.03": mean and sample deviation; the mean alone of values that are equal."""
    return poster_table.Figure(tuple(values.dropna())).text(digits, thousands=",")


def tables() -> dict[str, Callable[[], str]]:
    """By the name between the page's marks."""
    found: dict[str, Callable[[], str]] = {
        "missing": missing_runs,
        "masks": mask_table,
        "paths": paths_table,
        "conclusions": claims_table,
    }
    for group in GROUPS:
        found[f"accuracy {group}"] = partial(accuracy_table, group)
        found[f"hardware {group}"] = partial(hardware_table, group, "16x16")
        found[f"shapes {group}"] = partial(hardware_table, group, "best shape")
        found[f"batch 1 {group}"] = partial(hardware_table, group, "16x16", largest_batch=False)
    return found


CHANCE_PERCENT = {"cifar10": 10.0, "imagenet100-64": 1.0}
"""By the data of a group: what a guess names right."""


def learning_picture(group: str) -> Figure:
    return learning_curves(learning(group), CHANCE_PERCENT[GROUPS[group].data])


def accuracy_picture(group: str) -> Figure:
    chance = CHANCE_PERCENT[GROUPS[group].data]
    return accuracy_against_cost(points(group), chance_percent=chance)


def paths_picture(run: str) -> Figure:
    return path_maps(path_maps_of(run))


PICTURES: dict[str, tuple[Callable[[str], Figure], int]] = {
    "learning": (learning_picture, 64),
    "accuracy": (accuracy_picture, 64),
    "paths": (paths_picture, 256),
}
"""How images/KIND_NAME.png is drawn, NAME being a group's or a run's, and in how many colours."""

IMAGE_LINK = re.compile(r"\(\.\./images/((\w+?)_([\w-]+)\.png)\)")


def page_pictures(page: str) -> dict[str, bytes]:
    """The pictures that the page shows, as PNG, by file name in docs/images."""
    found = {}
    for file, kind, name in IMAGE_LINK.findall(page):
        figure, colours = PICTURES[kind]
        found[file] = with_palette(plots.png(figure(name)), colours)
    return found


MARKED = re.compile(r"(<!-- (?P<name>[\w ]+) -->\n).*?(<!-- end of (?P=name) -->)", re.DOTALL)


def written(text: str) -> str:
    """The page with every marked part made anew. KeyError for a name that is no table's."""
    known = tables()
    return MARKED.sub(lambda m: f"{m[1]}\n{known[m['name']]()}\n{m[3]}", text)


def main(arguments: Sequence[str] | None = None) -> int:
    about = "Write tables and figures of docs/evidence/results.md from what the campaign kept."
    OneLineParser(prog="python -m studies.results.page", description=about).parse_args(arguments)
    page = written(PAGE.read_text(encoding="utf-8"))
    for name, picture in page_pictures(page).items():
        write_whole(IMAGES / name, picture)
    write_whole(PAGE, page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
