"""Figures: what stands where, in which unit, and what a frame that does not fit is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hwsim import plots
from hwsim.arch.config import ArchConfig
from hwsim.counters import CAUSES, DRAM_COUNTERS
from hwsim.energy.prices import COMPONENTS
from hwsim.errors import UserError
from hwsim.plots.style import CAUSE_COLOURS, scheme_style
from hwsim.run.comparison import compare, density_sweep
from hwsim.run.results import layers_frame
from hwsim.run.summary import flat
from hwsim.trace.mask_trace import MaskTrace
from hwsim.trace.statistics import ALL_LAYERS
from studies.paths.figure import path_maps

RUN = {"trace": "t", "method": "cdg", "label": "cdg", "batch": 2}


def sweep_frame() -> pd.DataFrame:
    """Unstructured breaks even with dense at 0.3 (100 uJ), and never with zero gating (50 uJ)."""
    energies_uj = {"dense": (100, 100), "dense-zero-gated": (50, 50), "unstructured": (120, 80)}
    return pd.DataFrame(
        [
            RUN | {"scheme": scheme, "density_macs": density, "energy_uj_per_image": uj}
            | {"threshold_shift": shift, "ideal_speedup_network": 2.0, "speedup": 1.5}
            for scheme, line in energies_uj.items()
            for density, shift, uj in zip((0.9, 0.5), (-1.0, 0.0), line, strict=True)
        ]
    )  # fmt: skip


def summary_frame() -> pd.DataFrame:
    """Three schemes: components of 1, 2, ... uJ; unstructured has more cycles and less energy."""
    components = {f"{name}_uj": at + 1 for at, name in enumerate(COMPONENTS)}
    rows = [("dense", 1.0, 1.0, 300, 9), ("unstructured", 2.0, 1.25, 200, 5)]
    rows.append(("structured-8x", 2.5, 2.0, 100, 7))
    return pd.DataFrame(
        [
            RUN | components
            | {"scheme": scheme, "ideal_speedup_network": ideal, "speedup": speedup}
            | {"share_realised": (1 - 1 / speedup) / (1 - 1 / ideal) if ideal > 1 else None}
            | {"cycles_per_image": cycles, "energy_uj_per_image": uj, "images_per_s": 1 / cycles}
            for scheme, ideal, speedup, cycles, uj in rows
        ]
    )  # fmt: skip


def layer_frame() -> pd.DataFrame:
    """Two layers of 2 images; causes of 2, 4, ... cycles, in the second layer ten times as many."""
    rows = []
    for layer, factor in (("a", 1), ("b", 10)):
        causes = {f"{cause}_cycles": 2 * factor * (at + 1) for at, cause in enumerate(CAUSES)}
        dram = dict.fromkeys(DRAM_COUNTERS, 0) | {"dram_weight_bytes": 7}
        rows.append(
            RUN | causes | dram | {"scheme": "unstructured", "layer": layer, "images": 2}
            | {"cycles": sum(causes.values()), "utilisation": 0.25 * factor / 10}
            | {"macs_base": 56 * factor, "macs_conditional": 28 * factor, "dense_macs": 560}
        )  # fmt: skip
    return pd.DataFrame(rows)


def mask_frame() -> pd.DataFrame:
    """Two layers of a trace and all of them, lane groups of 8 mask lists."""
    layers = [("a", 0.1, 0.5), ("b", 0.3, 0.9), (ALL_LAYERS, 0.2, 0.7)]
    return pd.DataFrame(
        [
            RUN | {"layer": layer, "density": density, "lockstep_density": lockstep}
            | {"lanes": 8, "lists_per_lane_group": 8}
            for layer, density, lockstep in layers
        ]
    )  # fmt: skip


def line(panel: Axes, label: str) -> list[list[float]]:
    """x and y of the line or markers that the legend calls so."""
    (found,) = [each for each in panel.lines if each.get_label() == label]
    return [list(found.get_xdata()), list(found.get_ydata())]


def texts(figure: Figure) -> list[str]:
    """What the legends of a figure say."""
    legends = [*figure.legends, *(panel.get_legend() for panel in figure.axes)]
    return [text.get_text() for legend in filter(None, legends) for text in legend.get_texts()]


def test_energy_lies_over_sparsity_and_breaks_even_where_lines_cross() -> None:
    figure = plots.energy_vs_sparsity(sweep_frame())
    (panel,) = figure.axes
    assert line(panel, "unstructured") == [[50, pytest.approx(10)], [80, 120]]
    assert line(panel, "unstructured = dense at 30 %") == [[pytest.approx(30)], [100]]
    assert "(%)" in panel.get_xlabel()
    assert "(µJ)" in panel.get_ylabel()
    said = [text for text in texts(figure) if text]
    schemes = ["dense", "dense-zero-gated", "unstructured"]
    assert said == [*schemes, "unstructured = dense at 30 %"]
    assert "break-even" in figure.get_suptitle()


def test_without_a_crossing_none_is_marked() -> None:
    frame = sweep_frame().query("scheme != 'dense'")
    figure = plots.energy_vs_sparsity(frame)
    assert texts(figure) == ["dense-zero-gated", "unstructured"]
    assert "break-even" not in figure.get_suptitle()


def test_components_stand_one_on_the_other() -> None:
    """Bars of 1, 2, 3, ... uJ: the fourth from 6 to 10, the last up to 66."""
    (panel,) = plots.energy_breakdown(summary_frame()).axes
    bars = [container[0] for container in panel.containers]
    assert (bars[3].get_x(), bars[3].get_width()) == (6, 4)
    assert bars[-1].get_x() + bars[-1].get_width() == 66
    names = [text.get_text() for text in panel.get_yticklabels()]
    assert names == ["cdg: structured-8x", "cdg: unstructured", "dense"]
    assert [text.get_text() for text in panel.texts] == ["66"] * 3
    assert "(µJ)" in panel.get_xlabel()


def test_traces_of_one_method_are_told_apart() -> None:
    frame = pd.concat([summary_frame(), summary_frame().assign(trace="u")])
    (panel,) = plots.energy_breakdown(frame).axes
    names = [text.get_text() for text in panel.get_yticklabels()]
    assert {"t: unstructured", "u: unstructured"} <= set(names)


def test_cycles_by_cause_are_stacked_per_image() -> None:
    """Of 2, 4, 6, ... cycles over two images: base to 1, conditional to 3, bank stall to 6."""
    assert tuple(CAUSE_COLOURS) == CAUSES
    figure = plots.cycles_by_cause(layer_frame())
    (panel,) = figure.axes
    tops = {patch.get_label(): list(patch.get_data().values) for patch in panel.patches}
    feet = {patch.get_label(): list(patch.get_data().baseline) for patch in panel.patches}
    assert (tops["base"], feet["base"]) == ([1, 10], [0, 0])
    assert (tops["bank stall"], feet["bank stall"]) == ([6, 60], [3, 30])
    assert tops["DRAM stall"] == [28, 280]
    assert panel.get_ylabel() == "cycles per image"
    assert [text.get_text() for text in panel.get_xticklabels()] == ["a", "b"]
    assert panel.get_title() == "cdg: unstructured, batch 2"
    assert len(texts(figure)) == len(CAUSES)


def test_utilisation_is_in_per_cent() -> None:
    (panel,) = plots.utilisation_by_layer(layer_frame()).axes
    assert line(panel, "unstructured") == [[0, 1], [2.5, 25]]
    assert "%" in panel.get_ylabel()


def test_runs_of_several_networks_name_their_own_layers() -> None:
    other = layer_frame().assign(trace="u", method="scdg", layer=["c", "d"])
    for draw in (plots.cycles_by_cause, plots.utilisation_by_layer):
        first, second = draw(pd.concat([layer_frame(), other])).axes
        assert [text.get_text() for text in first.get_xticklabels()] == ["a", "b"]
        assert [text.get_text() for text in second.get_xticklabels()] == ["c", "d"]


def test_of_many_layers_some_are_named() -> None:
    """121 layers, of which every third is named."""
    many = pd.concat([layer_frame().head(1)] * 121, ignore_index=True)
    many["layer"] = [f"layer{at}" for at in range(121)]
    (panel,) = plots.cycles_by_cause(many).axes
    assert [text.get_text() for text in panel.get_xticklabels()][:2] == ["layer0", "layer3"]
    assert len(panel.get_xticks()) == 41


def test_layers_lie_under_the_roofs(pe16x16: ArchConfig) -> None:
    """84 MACs in 56 cycles and 840 in 560, 7 bytes each; roofs of 256 and 20.48 a byte."""
    (panel,) = plots.roofline(layer_frame(), pe16x16).axes
    assert line(panel, "unstructured") == [[12, 120], [1.5, 1.5]]
    roof = panel.lines[0]
    assert roof.get_xdata()[1] == pytest.approx(12.5)
    left = roof.get_xdata()[0]
    assert list(roof.get_ydata()) == [pytest.approx(left * 20.48), 256, 256]
    assert panel.get_xlabel() == "executed MACs per DRAM byte"
    assert panel.get_ylabel() == "executed MACs per cycle"


def test_dense_equivalent_macs_are_named_so(pe16x16: ArchConfig) -> None:
    figure = plots.roofline(layer_frame(), pe16x16, "dense-equivalent")
    (panel,) = figure.axes
    assert line(panel, "unstructured") == [[80, 80], [10, 1]]
    assert panel.get_ylabel() == "dense-equivalent MACs per cycle"
    assert "dense-equivalent" in figure.get_suptitle()


def test_a_layer_that_moves_no_byte_stands_at_the_edge(pe16x16: ArchConfig) -> None:
    """The other is at 12, the ridge at 12.5: the edge at 25."""
    frame = layer_frame()
    frame.loc[1, "dram_weight_bytes"] = 0
    (panel,) = plots.roofline(frame, pe16x16).axes
    assert line(panel, "unstructured")[0] == [12, pytest.approx(25)]
    assert panel.get_xlim()[1] == pytest.approx(25)


def test_layers_without_macs_have_no_place_among_macs(pe16x16: ArchConfig) -> None:
    """A map layer that moves bytes: neither a point under the roofs nor a utilisation of 0."""
    counted = {"macs_base": 0, "macs_conditional": 0, "dense_macs": 0, "utilisation": 0.0}
    frame = pd.concat([layer_frame(), layer_frame().tail(1).assign(layer="add", **counted)])
    (panel,) = plots.roofline(frame, pe16x16).axes
    assert line(panel, "unstructured") == [[12, 120], [1.5, 1.5]]
    assert panel.get_ylim()[0] == pytest.approx(1)  # the lowest point, over 1.5
    (panel,) = plots.utilisation_by_layer(frame).axes
    assert [text.get_text() for text in panel.get_xticklabels()] == ["a", "b"]
    maps = frame[frame["layer"] == "add"]
    with pytest.raises(UserError, match="roofline: no layer of the frame has MACs"):
        plots.roofline(maps, pe16x16)
    with pytest.raises(UserError, match="utilisation_by_layer: no layer of the frame has MACs"):
        plots.utilisation_by_layer(maps)


def test_the_front_is_joined_and_the_baseline_ringed() -> None:
    frame = summary_frame()
    figure = plots.pareto(frame, baseline=frame["scheme"] == "dense")
    (panel,) = figure.axes
    assert line(panel, "front") == [[100, 200], [7, 5]]
    assert line(panel, "baseline machine") == [[300], [9]]
    assert panel.get_xlabel() == "cycles per image"
    assert panel.get_ylabel() == "energy per image (µJ)"
    assert texts(figure) == [*frame["scheme"], "front", "baseline machine"]


def test_lane_groups_of_a_scheme_are_told_apart_by_their_markers() -> None:
    schemes = [f"structured-{lanes}x" for lanes in (2, 4, 8, 16)]
    schemes += [f"lockstep-{lanes}" for lanes in (2, 4, 8, 16)]
    styles = [scheme_style(scheme) for scheme in schemes]
    assert len({drawn.marker for drawn in styles}) == len(schemes)
    assert len({drawn.colour for drawn in styles}) == 2


def test_where_more_is_better_the_front_is_on_the_other_side() -> None:
    (panel,) = plots.pareto(summary_frame(), "images_per_s", "energy_uj_per_image").axes
    assert line(panel, "front") == [[1 / 200, 1 / 100], [5, 7]]


def test_a_figure_that_is_no_metric_is_refused() -> None:
    with pytest.raises(UserError, match="pareto: 'cycles' is no metric"):
        plots.pareto(summary_frame(), "cycles")
    with pytest.raises(UserError, match=r"nearest valid: 'area_mm2'$"):
        plots.pareto(summary_frame(), y="area")


def test_speedups_are_bars_beside_their_ideal() -> None:
    figure = plots.realised_speedup(summary_frame())
    (panel,) = figure.axes
    assert [bar.get_width() for bar in panel.patches] == [2.0, 1.25]
    assert [label.get_text() for label in panel.get_yticklabels()] == [
        "cdg: structured-8x", "cdg: unstructured",
    ]  # fmt: skip
    (ideals,) = panel.collections
    assert [path.vertices[0, 0] for path in ideals.get_paths()] == [2.5, 2.0]
    assert [text.get_text() for text in panel.texts] == ["2.00x", " 83 %", "1.25x", " 40 %"]
    assert panel.get_xlabel() == "speed-up over dense (x)"


def test_dense_machines_alone_promise_nothing() -> None:
    with pytest.raises(UserError, match="no scheme with gates"):
        plots.realised_speedup(summary_frame().head(1))


@pytest.mark.parametrize("colours", [(), (3,)], ids=["grey", "colour"])
def test_shares_are_laid_over_pictures(trace_folder: Path, colours: tuple[int, ...]) -> None:
    trace = MaskTrace.open(trace_folder / "small-scdg.h5")
    picture = np.zeros((2, 8, 8, *colours), np.uint8)
    figure = plots.mask_overlay(trace, "layer1.0.conv1", [1, 3], picture)
    above, _, below, _, bar = figure.axes
    shares = 100 * trace.masks("layer1.0.conv1")[1].mean(axis=0)
    drawn = below.images[1]
    assert np.asarray(drawn.get_array()) == pytest.approx(shares)
    assert len(above.images) == 1
    assert above.get_title() == f"image 1: {shares.mean():.0f} % open"
    assert "(pixels)" in below.get_xlabel()
    assert "(%)" in bar.get_ylabel()
    assert "synthetic" in figure.get_suptitle()
    assert plots.png(figure).startswith(b"\x89PNG")


def test_a_trace_alone_is_enough_for_an_overlay(trace_folder: Path) -> None:
    trace = MaskTrace.open(trace_folder / "small-cdg.h5")
    figure = plots.mask_overlay(trace.head(3), "layer4.1.conv2")
    *panels, _ = figure.axes
    assert [panel.get_title().partition(":")[0] for panel in panels] == [
        "image 3", "image 1", "image 4",
    ]  # fmt: skip
    assert [len(panel.images) for panel in panels] == [1, 1, 1]


@pytest.mark.parametrize(
    "picture",
    [np.zeros((1, 8, 8, 3)), np.zeros((1, 3, 8, 8), np.uint8), np.zeros((8, 8), np.uint8)],
    ids=["float", "channels first", "one image"],
)
def test_pictures_of_another_kind_are_refused(trace_folder: Path, picture: np.ndarray) -> None:
    trace = MaskTrace.open(trace_folder / "small-cdg.h5")
    with pytest.raises(UserError, match="expected uint8"):
        plots.mask_overlay(trace, "layer1.0.conv1", [0], picture)
    with pytest.raises(UserError, match="1 pictures for 2 images"):
        plots.mask_overlay(trace, "layer1.0.conv1", [0, 1], np.zeros((1, 8, 8), np.uint8))


def test_lane_groups_run_between_alike_and_independent() -> None:
    (panel,) = plots.lockstep_density(mask_frame()).axes
    assert line(panel, "cdg") == [[pytest.approx(10), pytest.approx(30)], [50, 90]]
    densities, alike = line(panel, "all bits of a lane group equal: d")
    assert alike == densities
    independent = line(panel, "8 independent mask lists: 1 - (1 - d)^8")[1]
    assert independent == pytest.approx([100 - 100 * (1 - d / 100) ** 8 for d in densities])
    assert densities[-1] > 30
    (together,) = [each for each in panel.lines if each.get_markerfacecolor() == "none"]
    assert together.get_xydata().tolist() == [[20, 70]]
    assert panel.get_xlabel() == "density of the mask (%)"


def test_one_list_per_lane_group_has_nothing_to_be_independent_of() -> None:
    both = pd.concat([mask_frame(), mask_frame().assign(trace="s", lists_per_lane_group=1)])
    assert texts(plots.lockstep_density(both)) == [
        "8 independent mask lists: 1 - (1 - d)^8", "all bits of a lane group equal: d", "t", "s",
    ]  # fmt: skip


def maps_of_paths() -> dict[str, Any]:
    """Two images and one layer of 2 x 2; gates up to 0.5, base sums up to 4, edges none."""
    about = {"weights": "w.npz", "method": "cdg", "dataset": "CIFAR-10", "layers": ["a.conv1"]}
    about |= {"image_ids": [3, 8], "barely_trained": True}
    line = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    found = {
        "about": np.array(json.dumps(about)),
        "pictures": np.zeros((2, 4, 4, 3), np.uint8),
        "edges": np.zeros((2, 4, 4), np.float32),
    }
    for network, factor in (("trained", 1), ("untrained", 2)):
        scales = (("base", 4 / 7), ("conditional", 1), ("gates", 1 / 14))
        found |= {f"{network}/a.conv1/{part}": factor * scale * line for part, scale in scales}
    return found


def test_maps_of_paths_stand_beside_their_picture() -> None:
    figure = path_maps(maps_of_paths())
    drawn = [panel for panel in figure.axes if panel.images]
    first, second = drawn[:5], drawn[5:10]
    assert [panel.get_title() for panel in first] == [
        "image 3", "edges", "base", "a.conv1\nconditional", "gates",
    ]  # fmt: skip
    assert second[0].get_title() == "image 8"
    line = np.arange(8).reshape(2, 2, 2)
    for panels, values in ((first, line[0]), (second, line[1])):
        base, conditional, gates = (panel.images[0] for panel in panels[2:])
        assert np.asarray(base.get_array()) == pytest.approx(4 / 7 * values)
        assert np.asarray(conditional.get_array()) == pytest.approx(values)
        assert [image.get_clim() for image in (base, conditional, gates)] == [
            (0, pytest.approx(4)), (0, 7), (0, pytest.approx(0.5)),
        ]  # fmt: skip
    scales = [text.get_text() for panel in second for text in panel.texts]
    assert scales == ["0 to 0", "0 to 4", "0 to 7", "0 to 50 %"]
    heading = figure.get_suptitle()
    assert "cdg carry: the trained network" in heading
    assert "barely trained" in heading
    assert plots.png(figure).startswith(b"\x89PNG")


def test_a_control_is_named_and_no_trained_network() -> None:
    heading = path_maps(maps_of_paths(), "untrained").get_suptitle()
    assert "cdg carry: the untrained network" in heading
    assert "barely" not in heading


def test_maps_that_do_not_fit_are_told() -> None:
    maps = maps_of_paths()
    with pytest.raises(UserError, match="no network 'untraind'; nearest valid: 'untrained'"):
        path_maps(maps, "untraind")
    with pytest.raises(UserError, match=r"no maps 'untrained_equal_density/a\.conv1/base'"):
        path_maps(maps, "untrained_equal_density")
    del maps["about"]
    with pytest.raises(UserError, match=r"not the maps of python -m studies\.paths"):
        path_maps(maps)


FIGURES = [
    (plots.energy_vs_sparsity, sweep_frame, "threshold_shift"),
    (plots.energy_breakdown, summary_frame, "partial_sums_uj"),
    (plots.cycles_by_cause, layer_frame, "bank_stall_cycles"),
    (plots.utilisation_by_layer, layer_frame, "utilisation"),
    (plots.roofline, layer_frame, "dram_weight_bytes"),
    (plots.pareto, summary_frame, "energy_uj_per_image"),
    (plots.realised_speedup, summary_frame, "ideal_speedup_network"),
    (plots.lockstep_density, mask_frame, "lists_per_lane_group"),
]


@pytest.mark.parametrize(
    ("draw", "make", "column"), FIGURES, ids=[figure[0].__name__ for figure in FIGURES]
)
def test_a_frame_that_does_not_fit_is_told(
    draw: Callable[..., Figure], make: Callable[[], pd.DataFrame], column: str, pe16x16: ArchConfig
) -> None:
    machine: tuple[Any, ...] = (pe16x16,) if draw is plots.roofline else ()
    with pytest.raises(UserError, match=f"{draw.__name__}: the frame has no column '{column}'"):
        draw(make().drop(columns=column), *machine)
    with pytest.raises(UserError, match=f"{draw.__name__}: the frame has no rows"):
        draw(make().head(0), *machine)
    labelled = make().assign(label="cdg (synthetic, barely trained)")
    assert "synthetic; barely trained" in draw(labelled, *machine).get_suptitle()


def test_frames_of_real_runs_are_drawn(baseline: ArchConfig, trace_folder: Path) -> None:
    traces = [MaskTrace.open(path) for path in sorted(trace_folder.glob("*.h5"))]
    comparison = compare(baseline, traces, batches=[4, 1])
    rows = pd.DataFrame([flat(row) for row in comparison.distinct().rows()])
    layers = layers_frame(comparison.results())
    sweep = density_sweep(baseline, traces, densities=[0.3])
    assert len(plots.energy_vs_sparsity(sweep).axes) == 2
    bars = plots.energy_breakdown(rows)
    assert [panel.get_title() for panel in bars.axes] == ["batch 4", "batch 1"]
    ends = [bar.get_x() + bar.get_width() for bar in bars.axes[0].containers[-1]]
    totals = rows[rows["batch"] == 4]["energy_uj_per_image"].iloc[::-1]
    assert ends == pytest.approx(list(totals))
    assert len(plots.pareto(rows).axes) == 1
    assert len(plots.realised_speedup(rows).axes) == 2
    # Of twenty runs, a dense one of each batch is that of both traces.
    assert sum(panel.get_visible() for panel in plots.cycles_by_cause(layers).axes) == 18
    assert len(plots.utilisation_by_layer(layers).axes) == 4
    assert len(plots.roofline(layers, baseline).axes) == 4
