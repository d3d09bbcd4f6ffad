"""The table of best machines: what a front's winners are, and how far the given machine is off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hwsim.arch.schemes import FAMILIES
from hwsim.text_table import print_table, three_digits

if TYPE_CHECKING:
    import pandas as pd

BASELINE, FRONT = "baseline", "front"
"""The machine given, and one that its scheme's search found: values of the column ``machine``."""

CYCLES, ENERGY, DELAY = "cycles_per_image", "energy_uj_per_image", "energy_delay"
BEST = {CYCLES: "cycles", ENERGY: "energy", DELAY: "energy x cycles"}
"""What a front's winners have least of, and how the table says it."""

OF_LISTS = ("index.window", "index.decoders", "index.indices_per_cycle")
"""Axes of schemes that follow lists of pixels: unstructured and FAMILIES."""

OF_LANES = "index.lane_group"
"""Axis of FAMILIES, the schemes whose columns share lists."""


def concerns(key: str, scheme: str) -> bool:
    """Whether an axis changes anything for a scheme."""
    if key == OF_LANES:
        return scheme in FAMILIES
    return key not in OF_LISTS or scheme == "unstructured" or scheme in FAMILIES


HEADINGS = (
    "masks", "scheme", "best in", "machine", "area\nmm2", "peak\nB/cycle", "cycles\n/image",
    "x best\ndense", "energy\nuJ/image", "energy\nx cycles", "cycles\nvs baseline",
    "energy\nvs baseline",
)  # fmt: skip


def show(found: pd.DataFrame) -> None:
    """The baseline and the winners of each front, on standard output."""
    first = found.iloc[0]
    title = (
        f"Best machines of at most {first['limit_mm2']:.3f} mm2 and {first['limit_bytes']} bytes "
        f"a cycle, {first['pricing.table']}, batch {first['batch']}, {first['images']} images"
    )
    print_table(HEADINGS, list(_lines(found)), title=title, names=4)
    print("x best dense: fewest cycles of any dense machine / cycles; energy x cycles: of dense's")
    print(
        "least. Machine: rows x columns, A, B, P; Q run-ahead, D window, V lanes, E indices a cycle"
    )


def _lines(found: pd.DataFrame) -> Iterator[list[str]]:
    for _, of_trace in found.groupby("trace", sort=False):
        fronts = of_trace[of_trace["machine"] == FRONT]
        dense = fronts[fronts["family"] == "dense"]
        for _, of_scheme in of_trace.groupby("family", sort=False):
            baseline = of_scheme[of_scheme["machine"] == BASELINE].iloc[0]
            for _, row in of_scheme[of_scheme["best"] != ""].iterrows():
                yield _line(row, dense, baseline)
            yield _line(baseline, dense, baseline)


def _line(row: pd.Series, dense: pd.DataFrame, baseline: pd.Series) -> list[str]:
    return [
        row["method"],
        row["family"],
        row["best"] or "(baseline)",
        machine_text(row),
        f"{row['area_mm2']:.3f}",
        str(row["peak_bytes_per_cycle"]),
        f"{row[CYCLES]:,.0f}",
        f"{dense[CYCLES].min() / row[CYCLES]:.2f}" if len(dense) else "-",
        three_digits(row[ENERGY]),
        f"{100 * row[DELAY] / dense[DELAY].min():.0f} %" if len(dense) else "-",
        f"{100 * row[CYCLES] / baseline[CYCLES]:.0f} %",
        f"{100 * row[ENERGY] / baseline[ENERGY]:.0f} %",
    ]


def machine_text(row: pd.Series) -> str:
    """A machine in a few characters: what the axes say that concerns the row's scheme."""
    pixels = row["partial_sums.entries"] // row["array.columns"]
    text = (
        f"{row['array.rows']}x{row['array.columns']} A{row['activation.word_channels']} "
        f"B{row['activation.banks']} P{pixels} Q{row['activation.run_ahead']}"
    )
    if concerns("index.window", row["family"]):
        text += f" D{row['index.window']}" if row["index.window"] else ""
        text += " shared" if row["index.decoders"] == "shared" else ""
        text += f" E{row['index.indices_per_cycle']}"
    text += f" V{row['index.lane_group']}" if row["family"] in FAMILIES else ""
    text += " systolic" if row["array.feed"] == "systolic" else ""
    return text + (" skip" if row["array.zero_skipping"] == "word" else "")
