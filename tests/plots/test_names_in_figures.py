"""Names in figures are text, and make no figure larger than names of 64 characters do."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from named_networks import AWKWARD

from hwsim import plots
from hwsim.arch.config import ArchConfig
from hwsim.counters import CAUSES, DRAM_COUNTERS
from hwsim.energy.prices import COMPONENTS
from hwsim.errors import UserError
from hwsim.plots.prices import FACTORS


def run_of(name: str) -> dict[str, Any]:
    return {"trace": name, "method": name, "label": name, "scheme": "unstructured", "batch": 2}


def layers(name: str) -> pd.DataFrame:
    figures = dict.fromkeys([f"{cause}_cycles" for cause in CAUSES], 1) | dict.fromkeys(
        DRAM_COUNTERS, 1
    )
    counts = {"images": 1, "cycles": len(CAUSES), "utilisation": 0.5, "dense_macs": 2}
    macs = {"macs_base": 1, "macs_conditional": 1}
    return pd.DataFrame([run_of(name) | {"layer": name} | figures | counts | macs])


def summaries(name: str) -> pd.DataFrame:
    components = {f"{component}_uj": 1.0 for component in COMPONENTS}
    figures = {"ideal_speedup_network": 2.0, "share_realised": 0.5, "speedup": 1.5}
    return pd.DataFrame([run_of(name) | components | figures])


def masks(name: str) -> pd.DataFrame:
    counts = {"layer": name, "lanes": 8, "lists_per_lane_group": 8}
    return pd.DataFrame([run_of(name) | counts | {"density": 0.5, "lockstep_density": 0.7}])


def sweep(name: str) -> pd.DataFrame:
    figures = {"density_macs": 0.5, "threshold_shift": 0.0, "energy_uj_per_image": 1.0}
    return pd.DataFrame([run_of(name) | figures])


def turns(name: str) -> pd.DataFrame:
    prices = {price: 2.0 for price in FACTORS} | {f"own_{price}": 1.0 for price in FACTORS}
    schemes = {"less_scheme": "dense", "more_scheme": "unstructured", "gated_mac_share": None}
    sides = (f"{side}_{of}" for side in ("less", "more") for of in ("label", "trace"))
    return pd.DataFrame([prices | schemes | dict.fromkeys(sides, name)])


FIGURES = {
    plots.cycles_by_cause: layers,
    plots.utilisation_by_layer: layers,
    plots.energy_breakdown: summaries,
    plots.realised_speedup: summaries,
    plots.lockstep_density: masks,
    plots.energy_vs_sparsity: sweep,
    plots.turning_points: turns,
}


def shown(figure: Figure) -> str:
    """All that a figure says, as it is drawn. Fails where a text is drawn as a formula."""
    figure.draw_without_rendering()
    drawn = [text._preprocess_math(text.get_text()) for text in figure.findobj(Text)]
    assert not any(formula for _, formula in drawn)
    return "\n".join(text for text, _ in drawn)


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.__name__)
def test_names_are_text(figure: Any) -> None:
    for name in AWKWARD:
        told = shown(figure(FIGURES[figure](name)))
        if len(name) < 40:
            assert name in told
    assert r"a\nb\x1b[31m\u202e" in shown(figure(FIGURES[figure]("a\nb\x1b[31m\u202e")))


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.__name__)
def test_no_name_makes_a_figure_large(figure: Any) -> None:
    frame = FIGURES[figure]
    largest = figure(frame("n" * 64)).get_size_inches()
    np.testing.assert_array_equal(figure(frame("n" * 10_000)).get_size_inches(), largest)
    assert max(largest) < 12


def test_titles_are_text(pe16x16: ArchConfig) -> None:
    """Of a machine; a dollar stays beside its backslash where a title is broken."""
    name = "$x^{ " + r"\$" * 60
    machine = pe16x16.model_copy(update={"name": name})
    told = shown(plots.roofline(layers("cdg"), machine))
    assert "Roofline of $x^{" in told
    assert told.count("$") == 61


def test_a_scheme_that_there_is_not_is_refused() -> None:
    with pytest.raises(UserError, match="no scheme 'unstructed'; nearest valid: 'unstructured'"):
        plots.realised_speedup(summaries("cdg").assign(scheme="unstructed"))


def test_many_rows_make_no_figure_that_cannot_be_drawn() -> None:
    """1,700 pairs are 460 inches, and 64,000 pixels at the usual resolution."""
    figure = Figure(figsize=(1, 460))
    assert plots.png(figure).startswith(b"\x89PNG")


def test_the_environments_backend_is_nobodys_concern() -> None:
    code = "from hwsim.plots import style; style.png(style.panels(1, 1, 1, 1)[0])"
    environment = {**os.environ, "MPLBACKEND": "nowhere"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
