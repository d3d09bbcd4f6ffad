"""What the paths of a network carry: figures against NumPy, the command and its files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from refusal import refusal
from torch import nn

from hwsim.train.images import views
from hwsim.train.networks import models
from hwsim.train.networks.gating import gated_layers
from hwsim.train.networks.inference import recalibrate
from hwsim.train.networks.methods import Method
from studies.paths import __main__
from studies.paths.figure import path_maps
from studies.paths.layer_paths import SHOWN, sites_of
from studies.paths.spatial import area_means, edges


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, 256, (19, 3, 16, 16), dtype=torch.uint8, generator=generator)


@pytest.fixture(scope="module")
def encoder(images: torch.Tensor) -> models.ResNet18:
    torch.manual_seed(1)
    encoder = models.ResNet18("cdg", 8, stages=(1, 1, 1))
    for layer in gated_layers(encoder).values():
        nn.init.uniform_(layer.tau, -0.5, 0.9)
    recalibrate(encoder, images)
    return encoder.eval()


def test_correlations_are_numpys_of_the_maps_and_the_edges(
    encoder: models.ResNet18, images: torch.Tensor
) -> None:
    """Of 19 images in two batches; the mean over images, then over layers."""
    layers = list(gated_layers(encoder))
    frame, maps = __main__.path_figures(encoder, images, 19, layers)
    assert list(frame["layer"]) == [*layers, "all layers"]
    for site, row in zip(sites_of(encoder), frame.to_dict("records"), strict=False):
        own = area_means(edges(images), site.span).numpy()
        for part in SHOWN:
            found = maps[f"{site.name}/{part}"]
            assert found.shape == (19, 16 // site.span, 16 // site.span)
            each = [
                np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(found, own, strict=True)
            ]
            assert row[f"edge_correlation_{part}"] == pytest.approx(np.mean(each), abs=1e-5)
        gates = maps[f"{site.name}/gates"]
        assert row["density"] == pytest.approx(gates.mean(), abs=1e-6)
    whole = frame.iloc[-1]
    for name in ("density", "edge_correlation_base", "high_frequency_share_full"):
        assert whole[name] == pytest.approx(frame[name][:-1].mean())
    # Maps of 4 x 4 have no share, and do not count in the mean.
    assert frame["high_frequency_share_base"].isna().tolist() == [False] * 4 + [True] * 2 + [False]


def test_images_without_edges_are_left_out_and_counted(encoder: models.ResNet18) -> None:
    flat = torch.full((5, 3, 16, 16), 90, dtype=torch.uint8)
    frame, _ = __main__.path_figures(encoder, flat)
    assert frame["edge_correlation_base"].isna().all()
    assert frame["left_out_base"].tolist() == [5] * 6 + [30]


@pytest.fixture(scope="module")
def weights(encoder: models.ResNet18, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "w.npz"
    models.save_weights(path, encoder, {"seed": 4, "barely_trained": True})
    return path


def test_command_writes_figures_and_maps_and_says_the_same_again(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["--weights", str(weights), "--data", "tiny", "--images", "5", "--show", "2"]
    assert __main__.main([*arguments, "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "layer3.0.conv2" in printed.out
    assert max(map(len, printed.out.splitlines())) <= 80
    assert {path.name for path in out.iterdir()} == {"paths.csv", "paths.npz"}
    frame = pd.read_csv(out / "paths.csv")
    assert list(frame["network"].unique()) == list(__main__.NETWORKS)
    assert len(frame) == 3 * 7
    by_network = frame.pivot(index="layer", columns="network", values="density")
    matched = by_network["untrained_equal_density"].to_numpy()
    assert matched == pytest.approx(by_network["trained"].to_numpy(), abs=0.1)
    with np.load(out / "paths.npz") as maps:
        about = json.loads(str(maps["about"]))
        assert about["layers"] == ["layer1.0.conv1", "layer2.0.conv1", "layer3.0.conv1"]
        assert len(maps.files) == 3 + 3 * 3 * 3
        test = views.load_split(Path("tiny"), "test", weights.parent)
        wanted = test.images[:2].permute(0, 2, 3, 1).numpy()
        np.testing.assert_array_equal(maps["pictures"], wanted)
        assert maps["trained/layer2.0.conv1/base"].shape == (2, 16, 16)
        assert "barely trained" in path_maps(maps).get_suptitle()
    again = tmp_path / "again"
    assert __main__.main([*arguments, "--out", str(again)]) == 0
    for name in ("paths.csv", "paths.npz"):
        assert (again / name).read_bytes() == (out / name).read_bytes()


def test_layers_are_chosen(encoder: models.ResNet18) -> None:
    asked = ["layer2.0.conv2", "layer1.0.conv1", "layer2.0.conv2"]
    assert __main__.chosen_layers(encoder, asked) == ["layer2.0.conv2", "layer1.0.conv1"]


@pytest.mark.parametrize(
    ("method", "training", "change", "words"),
    [
        ("fbs", {"seed": 0}, [], "w.npz: a network of fbs has no base and conditional paths"),
        ("dense", {"seed": 0}, [], "w.npz: a network of dense has no base and conditional paths"),
        ("cgnet", {}, [], "w.npz: no seed in its training record"),
        ("cgnet", {"seed": 0}, ["--data", "nowhere"], "no such folder"),
        ("cgnet", {"seed": 0}, ["--weights", "nothing.npz"], "no such weights file"),
        ("cgnet", {"seed": 0}, ["--images", "0"], "expected a positive integer"),
        (
            "cgnet", {"seed": 0}, ["--layers", "layer1.0.conv9"],
            "--layers layer1.0.conv9: no such gated layer; nearest valid: 'layer1.0.conv",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_2(
    method: Method,
    training: dict[str, Any],
    change: list[str],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, out = tmp_path / "w.npz", tmp_path / "out"
    models.save_weights(path, models.ResNet18(method, 8), training)
    arguments = ["--weights", str(path), "--data", "tiny", "--out", str(out)]
    assert words in refusal(capsys, __main__.main, [*arguments, *change])
    assert not out.exists()
