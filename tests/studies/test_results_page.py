"""docs/evidence/results.md: every cell comes from a run's log, every run announced is there."""

from __future__ import annotations

import io
import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.nn import functional

from hwsim.plots.style import METHODS, png
from hwsim.train import options
from hwsim.train.networks.models import ResNet18, network_of
from studies.palette import with_palette
from studies.results import campaign, page
from studies.results import replay as module
from studies.results.claims import Claim, compared
from studies.results.kept import figures_of, learning, runs_with_paths
from studies.results.replay import HARDWARE, MASKS, merge
from studies.results.runs import GROUPS, KEPT, Run, runs_of
from studies.results.zeros import record_open
from studies.training_figures import accuracy_against_cost

RUNS = [run for run in runs_of() if (KEPT / run.name).exists()]


def test_the_page_shows_what_the_logs_say() -> None:
    text = page.PAGE.read_text()
    assert page.written(text) == text


def test_the_page_names_every_run_that_was_not_made() -> None:
    text = page.PAGE.read_text()
    for run in runs_of():
        assert (run in RUNS) != (f"`{run.name}`" in text), run.name


def test_every_table_of_the_campaign_is_on_the_page() -> None:
    shown = [found["name"] for found in page.MARKED.finditer(page.PAGE.read_text())]
    assert len(shown) == len(set(shown))
    assert {f"accuracy {group}" for group in GROUPS} <= set(shown)


@pytest.mark.parametrize("run", RUNS, ids=[run.name for run in RUNS])
def test_a_run_was_trained_with_its_groups_options_to_its_end(run: Run) -> None:
    kept = KEPT / run.name
    training = GROUPS[run.group].options(run, Path("nowhere"))
    if "--weights" in training:  # Those are no longer shipped.
        at = training.index("--weights")
        del training[at : at + 2]
    asked = options.parse([*training, "--data", ".", "--out", "."])
    config = json.loads((kept / "config.json").read_text())
    different = options.different(config, options.deciding(asked))
    assert [name for name in different if name != "weights_sha256"] == []
    figures = json.loads((kept / "figures.json").read_text())
    last = pd.read_csv(kept / "log.csv").iloc[-1]
    assert (figures["method"], figures["seed"]) == (run.method, run.seed)
    if run.method in GROUPS[run.group].starts:
        assert figures["started_from"]["sha256"] == GROUPS[run.group].starts[run.method]
    assert 0 <= figures["steps"] - last["step"] < asked.log_every
    assert figures["epochs"] == pytest.approx(asked.epochs, abs=0.01)


def test_every_trace_was_replayed_on_both_arrays_and_batches() -> None:
    rows = pd.read_csv(HARDWARE)
    for run in RUNS:
        found = rows[rows["run"] == run.name]
        assert found["trace_sha256"].nunique() == 1, run.name
        assert set(found["array"]) == {"16x16", "best shape"}, run.name
        assert set(found["batch"]) == {1, 16}, run.name
        if run.method == "dense":
            assert set(found["scheme"]) == {"dense-zero-gated"}, run.name


def test_promises_of_the_replayed_masks_are_near_those_of_a_thousand_images() -> None:
    """Two programs on two sets of images: 64 replayed, 1,000 counted by the trainer."""
    rows = pd.read_csv(HARDWARE).groupby("run").max(numeric_only=True)
    for run in RUNS:
        if run.method != "dense":
            figures = json.loads((KEPT / run.name / "figures.json").read_text())
            replayed = rows.loc[run.name]["ideal_speedup"]
            assert replayed == pytest.approx(figures["flops_reduction_gated"], rel=0.06), run.name


def test_curves_of_networks_trained_on_begin_where_their_start_ended() -> None:
    """CDG of width 64: 1,075 steps of 128 images before, 780 here, 50,000 images an epoch."""
    curves = learning("w64")
    found = curves[curves["method"] == "cdg"]
    assert figures_of(Run("w64", "cdg", 0))["epochs_total"] == 4.75
    expected = (1075 + found["step"]) * 128 / 50_000
    assert found["epochs"].to_numpy() == pytest.approx(expected.to_numpy(), abs=0.01)


def test_zero_operands_of_a_dense_network_are_those_of_its_unfolded_inputs(tmp_path) -> None:
    """What each convolution multiplies is in torch's own unfolding, padding included."""
    torch.manual_seed(0)
    encoder = ResNet18("dense", 16, stages=(1, 1, 1, 1)).eval()
    images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    network = network_of(encoder, 16, 10)
    expected = {}

    def unfold(name: str, conv: torch.nn.Conv2d):
        def observe(_, args) -> None:
            x = functional.unfold(args[0], 3, padding=1, stride=conv.stride)
            expected[name] = ((x == 0).sum((1, 2)) * conv.out_channels).tolist()

        return observe

    modules = dict(encoder.named_modules())
    for layer in network.gated_layers:
        modules[layer.name].register_forward_pre_hook(unfold(layer.name, modules[layer.name]))
    found = record_open(encoder, images, network)["zero_operand_macs"]
    assert len(found) == 8
    assert {name: counts.tolist() for name, counts in found.items()} == expected


def frame() -> pd.DataFrame:
    """One group, two seeds: scdg is faster than cdg with the first alone."""
    rows = [
        ("w32", 0, "cdg", "unstructured", 1.2), ("w32", 0, "scdg", "structured-8x", 2.0),
        ("w32", 1, "cdg", "unstructured", 1.5), ("w32", 1, "scdg", "structured-8x", 1.4),
        ("w32", 2, "cdg", "unstructured", 1.5),
    ]  # fmt: skip
    found = pd.DataFrame(rows, columns=["group", "seed", "method", "scheme", "speedup"])
    return found.assign(array="16x16", batch=16)


def test_a_claim_is_checked_seed_by_seed_where_both_networks_are() -> None:
    claim = Claim("", compared("speedup", ("scdg", "structured"), ">", ("cdg", "unstructured")))
    found = claim.check(frame())
    assert [case.where for case in found] == ["w32 s0", "w32 s1"]
    assert [case.holds for case in found] == [True, False]
    assert [case.figure for case in found] == ["2.00 : 1.20", "1.40 : 1.50"]


def test_cells_are_mean_and_sample_deviation() -> None:
    """1 and 3: mean 2, deviation sqrt(2)."""
    assert page.mean_and_deviation(pd.Series([1.0, 3.0]), 2) == "2.00 ± 1.41"
    assert page.mean_and_deviation(pd.Series([-0.4]), 0) == "0"
    assert page.mean_and_deviation(pd.Series([1234.5]), 0) == "1,234"
    assert page.mean_and_deviation(pd.Series([2.0, 2.0]), 1) == "2.0"
    assert page.mean_and_deviation(pd.Series([float("nan")]), 0) == ""


def test_rows_of_a_run_replace_those_it_had(tmp_path) -> None:
    path = tmp_path / "rows.csv"
    merge(path, pd.DataFrame({"run": ["a", "b"], "x": [1, 2]}))
    merge(path, pd.DataFrame({"run": ["b"], "x": [3]}))
    assert pd.read_csv(path).to_dict("list") == {"run": ["a", "b"], "x": [1, 3]}


def test_no_run_changes_nothing(tmp_path, monkeypatch) -> None:
    for name in ("HARDWARE", "MASKS"):
        monkeypatch.setattr(module, name, tmp_path / f"{name}.csv")
        merge(tmp_path / f"{name}.csv", pd.DataFrame({"run": ["a"], "x": [1]}))
    module.replay_runs([], tmp_path)
    for name in ("HARDWARE", "MASKS"):
        assert pd.read_csv(tmp_path / f"{name}.csv").to_dict("list") == {"run": ["a"], "x": [1]}


def test_the_commands_of_a_run_exist() -> None:
    for name in (campaign.TRAIN, campaign.EVALUATE, campaign.PATH_FIGURES):
        assert find_spec(f"{name}.__main__") is not None


def test_paths_were_measured_where_the_group_says_so() -> None:
    assert runs_with_paths() == [r for r in RUNS if r.method in GROUPS[r.group].paths]


def test_masks_are_those_of_the_gated_methods() -> None:
    rows = pd.read_csv(MASKS)
    gated = {r.name for r in RUNS if r.method in ("cdg", "scdg", "cgnet", "broadcast")}
    assert set(rows["run"]) == gated


def test_a_palette_keeps_every_colour_of_the_methods() -> None:
    """Also one of few pixels, to within what nobody sees."""
    figure = accuracy_against_cost(
        pd.DataFrame(
            [
                {"method": method, "scheme": "dense", "knn_percent": 30.0, "cycles_per_image": at}
                for at, method in enumerate(METHODS)
            ]
        )
    )
    drawn = with_palette(png(figure), 64)
    assert len(drawn) < len(png(figure)) / 2
    with Image.open(io.BytesIO(drawn)) as image:
        colours = np.array([colour for _, colour in image.convert("RGB").getcolors()])
    for style in METHODS.values():
        own = [int(style.colour[at : at + 2], 16) for at in (1, 3, 5)]
        assert np.abs(colours - own).max(axis=1).min() <= 5


def test_noise_stays_as_it_is() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    drawn = io.BytesIO()
    Image.fromarray(noise).save(drawn, "PNG")
    assert with_palette(drawn.getvalue(), 16) == drawn.getvalue()
