"""Charts: data that Plotly accepts, and figures worked out from the runs they are of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parsed_page import data_of, read_page

from hwsim.arch.config import ArchConfig
from hwsim.counters import CAUSES
from hwsim.network import Network
from hwsim.plots.style import (
    CAUSE_COLOURS,
    COMPONENT_COLOURS,
    LANE_GROUPS,
    SCHEMES,
    SKIPPING_LINES,
    scheme_style,
)
from hwsim.report.figures.chart import filled, packed, rounded, scheme_line, scheme_marker, text
from hwsim.report.figures.masks import layers_shown, mask_charts
from hwsim.report.figures.priced import Priced, runs_of
from hwsim.run.comparison import compare
from hwsim.run.results import layers_frame
from hwsim.trace.files import open_traces

Charts = dict[str, Any]


def whole(chart: Charts, key: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Traces and layout of a variant, as the page's script puts them together."""
    variant = chart["variants"][key]
    common = chart["common"] or [{}] * len(variant["data"])
    data = [
        {**shared, **variant.get("each", {}), **own}
        for shared, own in zip(common, variant["data"], strict=True)
    ]
    return data, chart["layout"] | variant.get("layout", {})


def charts_of(path: Path, label: str) -> list[Charts]:
    charts = data_of(read_page(path), "charts").values()
    return [chart for chart in charts if label in chart["label"]]


@pytest.mark.parametrize("name", ["traces_page", "sweep_page", "network_page", "hostile_page"])
def test_plotly_knows_every_attribute(name: str, request: pytest.FixtureRequest) -> None:
    """Its own objects refuse names and values that it does not know."""
    from plotly import graph_objects

    charts = charts_of(request.getfixturevalue(name), "")
    assert charts
    for chart in charts:
        # Variants of a chart differ in figures.
        for key in list(chart["variants"])[:4]:
            data, layout = whole(chart, key)
            figure = graph_objects.Figure(data=data, layout=layout)
            assert len(figure.data) == len(data)


def test_energies_by_layer_are_the_results(pe16x16: ArchConfig, trace_folder: Path) -> None:
    """Counts priced anew under the machine's own table are what the run says."""
    comparison = compare(pe16x16, open_traces(trace_folder), batches=[2])
    frame = layers_frame(comparison.results())
    runs = runs_of(comparison.rows(), frame)
    priced = Priced(pe16x16, runs)
    for run in runs:
        layers_uj = run.layers["energy_pj"] / run.layers["images"] / 1e6
        np.testing.assert_allclose(priced.layers_uj(run, "cacti22"), layers_uj)
        energy_uj = priced.energy_uj(run, "cacti22")
        assert energy_uj == pytest.approx(run.row["energy_uj"])
        assert priced.row(run, "cacti22")["area_mm2"] == pytest.approx(run.row["area_mm2"])


def test_a_layer_that_was_reshaped_is_priced_in_its_shape(
    pe16x16: ArchConfig, trace_folder: Path
) -> None:
    array = pe16x16.array.model_copy(update={"reshape": ((32, 8), (8, 32))})
    arch = pe16x16.model_copy(update={"array": array})
    comparison = compare(arch, open_traces(trace_folder / "small-cdg.h5"), ["dense"], [2])
    frame = layers_frame(comparison.results())
    assert frame["array"].nunique() > 1
    (run,) = runs_of(comparison.rows(), frame)
    layers_uj = Priced(arch, [run]).layers_uj(run, "cacti22")
    np.testing.assert_allclose(layers_uj, frame["energy_pj"] / frame["images"] / 1e6)


def test_causes_add_up_to_the_cycles(traces_page: Path, trace_folder: Path) -> None:
    comparison = compare("pe16x16", open_traces(trace_folder))
    (chart,) = charts_of(traces_page, "stacked by cause")
    data, layout = whole(chart, "0\ncycles")
    dense = comparison.results()[0].to_frame()
    assert [trace["name"] for trace in data][:2] == ["base", "conditional"]
    assert len(data) == len(CAUSES)
    stacked = np.sum([trace["y"] for trace in data], axis=0)
    np.testing.assert_allclose(stacked, dense["cycles"] / dense["images"], rtol=1e-4)
    assert layout["xaxis"]["ticktext"] == list(dense["layer"])
    shares, _ = whole(chart, "0\nshare")
    np.testing.assert_allclose(np.sum([trace["y"] for trace in shares], axis=0), 100, rtol=1e-4)


def test_stacks_end_at_the_energy_of_the_run(traces_page: Path, trace_folder: Path) -> None:
    rows = compare("pe16x16", open_traces(trace_folder), batches=[4]).distinct().rows()
    (chart,) = charts_of(traces_page, "Energy per image by component")
    data, _ = whole(chart, "cacti22\n4")
    *bars, totals = data
    stacked = np.sum([trace["x"] for trace in bars], axis=0)
    energies = [row["energy_uj_per_image"] for row in rows]
    np.testing.assert_allclose(stacked, energies, rtol=1e-4)
    np.testing.assert_allclose(totals["x"], energies, rtol=1e-4)


def test_maps_are_shares_of_open_gates(trace_folder: Path, small_network: Network) -> None:
    (trace,) = open_traces(trace_folder / "small-scdg.h5")
    charts = mask_charts(trace, "masks0", {3: np.zeros((3, 8, 8), np.uint8)})
    assert len(charts) == 4
    layer = layers_shown(trace)[1]
    share = 100 * trace.masks(layer, 2, 3)[0].mean(axis=0)
    variant = charts[2].variants["1",]
    assert variant["data"][0]["z"] == packed(np.rint(share).astype(np.uint8))
    assert variant["said"] == f"{share.mean():.0f} % of the gates are open"
    # Of image 3, the first, there is a picture; of the others none.
    assert charts[0].picture.startswith("data:image/png;base64,")
    assert charts[0].variants["1",]["layout"]["images"][0]["sizex"] == share.shape[1]
    assert not charts[1].picture
    assert "images" not in charts[1].variants["1",]["layout"]


def test_texts_and_figures_are_plain() -> None:
    assert text("<b>&amp; \x1b") == "&lt;b&gt;&amp;amp; \\x1b"
    assert text("n" * 99) == "n" * 24 + "..." + "n" * 13
    assert rounded([123456.7, None, float("nan"), float("inf")]) == [123460, None, None, None]
    assert packed(np.array([[1, 2]], np.uint8)) == {"dtype": "u1", "bdata": "AQI=", "shape": "1, 2"}


def test_every_look_of_a_scheme_is_known_to_plotly() -> None:
    """Markers, lines and hatches of hwsim.plots, of every lane group, with zeros skipped or not."""
    of_lanes = [f"{kind}-{group}" for kind, groups in LANE_GROUPS.items() for group in groups]
    for scheme in [*SCHEMES, *of_lanes]:
        for suffix in ("", *SKIPPING_LINES):
            style = scheme_style(scheme + suffix)
            assert scheme_marker(scheme + suffix)["color"] == style.colour
            assert scheme_line(scheme + suffix)["dash"] in ("solid", "dash", "dot", "dashdot")
    hatched = [*COMPONENT_COLOURS.values(), *CAUSE_COLOURS.values()]
    patterns = [filled(*look).get("pattern", {}).get("shape") for look in hatched]
    assert len(patterns) == len(hatched)
    assert set(patterns) <= {None, "/", "\\", "x", "."}
