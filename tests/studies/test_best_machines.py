"""Best machines under all prices: sentences from ratios by hand, and the study on small traces."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from hwsim.sweep.best_machines import BEST, CYCLES, DELAY, ENERGY
from hwsim.sweep.equal_area import Setup
from studies.best_machines import CONTESTS, figure_of, sentences, study


def ratios(by_prices: dict[str, dict[str, tuple[float, float, float]]]) -> pd.DataFrame:
    """Rows of the study: cycles, energy and product over dense's, by set of prices and contest."""
    return pd.DataFrame(
        [
            {"prices": name, "contest": contest, CYCLES: own[0], ENERGY: own[1], DELAY: own[2]}
            for name, contests in by_prices.items()
            for contest, own in contests.items()
        ]
    )


ONE = {"unstructured": (1.4, 1.1, 1.5), "lockstep": (1.1, 0.9, 1.0), "structured": (0.7, 0.8, 0.6)}
TWO = ONE | {"structured": (0.7, 1.2, 0.8)}
THREE = ONE | {"unstructured": (0.9, 0.9, 0.5)}


def test_sentences_say_where_a_claim_turns() -> None:
    told = sentences(ratios({"a": ONE, "b": TWO, "c": THREE}))
    assert told == [
        "Structured is faster than dense: under all sets of prices.",
        "Unstructured is faster than dense: under 1 of 3: c.",
        "Structured takes less energy than dense: under 2 of 3; not under b.",
        "Unstructured takes less energy than dense: under 1 of 3: c.",
        "Structured gains more over dense than unstructured in energy times cycles: "
        "under 2 of 3; not under c.",
    ]
    assert "under none" in sentences(ratios({"a": ONE}))[1]


@pytest.fixture(scope="module")
def found(trace_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    axes = {
        "array.rows": [8, 16], "array.columns": [16], "activation.word_channels": [4],
        "activation.banks": [8, 16], "partial_sums.entries": [4096], "index.window": [0],
        "activation.run_ahead": [0, 1], "array.feed": ["broadcast"], "index.lane_group": [8],
        "array.zero_skipping": ["none"], "index.decoders": ["private"],
        "index.indices_per_cycle": [1],
    }  # fmt: skip
    prices = {"as they are": {}, "MAC x4": {"pricing.mac_scale": 4.0}}
    setup = Setup(images=2, batch=2, starts=1, axes=axes)
    out = tmp_path_factory.mktemp("best")
    return study(out, prices, setup, traces=[trace_folder])


def test_each_contest_under_each_set_of_prices(found: pd.DataFrame) -> None:
    assert len(found) == 2 * len(CONTESTS)
    assert (found[list(BEST)] > 0).all().all()
    cycles = found.pivot(index="contest", columns="prices", values=CYCLES)
    # Prices are of energy alone, and within one budget of area.
    assert (cycles["as they are"] == cycles["MAC x4"]).all()


def test_the_figure_has_a_mark_for_each(found: pd.DataFrame) -> None:
    figure = figure_of(found)
    for panel, column in zip(figure.axes, BEST, strict=True):
        marks = [line for line in panel.lines if line.get_label() in CONTESTS]
        drawn = sorted(float(value) for line in marks for value in line.get_xdata())
        assert drawn == pytest.approx(sorted(found[column]))
