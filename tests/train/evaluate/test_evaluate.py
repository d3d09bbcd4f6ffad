"""kNN, recalibration and densities against their definitions."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from near import assert_near
from refusal import refusal
from torch import nn

from hwsim.network import resnet18
from hwsim.train.evaluate import costs, evaluation
from hwsim.train.evaluate.__main__ import main as evaluate_main
from hwsim.train.evaluate.features import knn_accuracy
from hwsim.train.images import views
from hwsim.train.images.views import plain
from hwsim.train.networks import models
from hwsim.train.networks.gating import gated_layers
from hwsim.train.networks.inference import recalibrate


def test_knn_votes_by_hand() -> None:
    # Query (1, 0): one near neighbour of class 0 against two farther ones of class 1.
    angles = [0.1, 0.6, 0.7, 3.0]
    bank = torch.tensor([[math.cos(a), math.sin(a)] for a in angles])
    labels = torch.tensor([0, 1, 1, 2])
    query = torch.tensor([[1.0, 0.0]])
    near = math.exp(math.cos(0.1) / 0.1)
    far = math.exp(math.cos(0.6) / 0.1) + math.exp(math.cos(0.7) / 0.1)
    assert near > far
    assert knn_accuracy(bank, labels, query, torch.tensor([0]), neighbours=3) == 100
    assert knn_accuracy(bank, labels, query, torch.tensor([1]), neighbours=3) == 0
    assert knn_accuracy(bank[1:], labels[1:], query, torch.tensor([1])) == 100


def test_recalibration_gives_the_images_statistics_and_leaves_the_other_branch() -> None:
    torch.manual_seed(0)
    encoder = models.ResNet18("scdg", 32)
    images = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8)
    before = encoder.layer1[0].conv1.gate_norm["inverse"].running_var.clone()
    recalibrate(encoder, images)
    stem = encoder.conv1(plain(images)).detach()
    assert_near(encoder.bn1.running_mean, stem.mean((0, 2, 3)))
    assert_near(encoder.bn1.running_var, stem.transpose(0, 1).flatten(1).var(1))
    gates = encoder.layer1[0].conv1.gate_norm
    assert torch.equal(gates["inverse"].running_var, before)
    assert not torch.equal(gates["diagonal"].running_var, before)
    momenta = {m.momentum for m in encoder.modules() if isinstance(m, nn.BatchNorm2d)}
    assert momenta == {0.1}


def test_densities_follow_the_thresholds() -> None:
    torch.manual_seed(0)
    encoder = models.ResNet18("cdg", 32)
    for index, layer in enumerate(gated_layers(encoder).values()):
        nn.init.constant_(layer.tau, -1e9 if index < 4 else 1e9)
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    per_layer = costs.layer_densities(encoder, images)
    assert list(per_layer.values()) == [1.0] * 4 + [0.0] * 12
    elements, macs = costs.weighted_densities(per_layer, resnet18(width=32))
    # The first stage holds 4 * 32 * 1024 of 4 * (32 * 1024 + 64 * 256 + 128 * 64 + 256 * 16) bits,
    # and of the MACs 4 full layers against 4 + 3 * 3.5 (the strided ones cost half).
    assert elements == pytest.approx(8 / 15)
    assert macs == pytest.approx(4 / 14.5)


def test_command_measures_and_keeps_all_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    encoder = models.ResNet18("scdg", 32)
    tiny = views.load_split(Path("tiny"), "train", tmp_path)
    recalibrate(encoder, tiny.images[:8])
    weights = tmp_path / "w.npz"
    models.save_weights(weights, encoder, {"seed": 3})
    arguments = ["--weights", str(weights), "--data", "tiny", "--train-images", "24",
                 "--test-images", "8", "--epochs", "1", "--batch", "8"]  # fmt: skip
    everything = ["--what", "knn", "linear", "finetune", "int8", "density"]
    assert evaluate_main([*arguments, *everything, "--json", "--save"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert evaluation.read_saved(weights) == figures
    assert (figures["method"], figures["seed"], figures["dataset"]) == ("scdg", 3, "drawn squares")
    assert (figures["train_images"], figures["test_images"]) == (24, 8)
    for name in ("knn", "linear", "finetune", "int8_knn", "int8_flip"):
        assert 0 <= figures[f"{name}_percent"] <= 100
    assert list(figures["int8_flip_layers"]) == list(figures["density_layers"])
    assert figures["index_reduction"] == 8
    ideal = 1 / (0.25 + 0.75 * figures["density_macs"])
    assert figures["flops_reduction_gated"] == pytest.approx(ideal)
    assert 1 < figures["flops_reduction_network"] < ideal
    assert evaluate_main([*arguments, "--what", "density", "--branch", "inverse"]) == 0
    assert "inverse" in capsys.readouterr().out


def test_precision_is_of_features_and_fine_tuning_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    encoder = models.ResNet18("cdg", 16, stages=(1, 1))
    tiny = views.load_split(Path("tiny"), "train", tmp_path).head(24)
    recalibrate(encoder, tiny.images)
    whole, half = (
        evaluation.Evaluation(encoder, tiny, tiny, precision=precision).features[0]
        for precision in ("fp32", "bf16")
    )
    assert half.dtype == torch.float32
    assert not torch.equal(whole, half)
    assert_near(whole, half, 0.1)
    weights = tmp_path / "w.npz"
    models.save_weights(weights, encoder, {"precision": "of the training"})
    arguments = ["--weights", str(weights), "--data", "tiny", "--train-images", "24",
                 "--test-images", "8", "--epochs", "1", "--batch", "8", "--json"]  # fmt: skip
    found = []
    for more in (["--precision", "bf16"], []):
        for what in (["knn", "linear", "finetune"], ["int8", "density"]):
            assert evaluate_main([*arguments, *more, "--what", *what]) == 0
            found.append(json.loads(capsys.readouterr().out))
    assert [figures.get("precision") for figures in found] == ["bf16", None, "fp32", None]
    assert found[1] == found[3]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--what", "speed"], "unknown 'speed'"),
        (["--data", "nowhere"], "no such folder"),
        (["--weights", "nothing.npz"], "no such weights file"),
        (["--test-images", "0"], "expected a positive integer"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    change: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "w.npz"
    models.save_weights(weights, models.ResNet18("dense", 4), {})
    arguments = ["--weights", str(weights), "--data", "tiny", *change]
    assert words in refusal(capsys, evaluate_main, arguments)


def test_an_image_without_finite_features_is_nobodys_neighbour() -> None:
    """Two classes on two axes; a third bank image and the last query have NaN."""
    nothing = [float("nan")] * 2
    bank = torch.tensor([[1.0, 0.0], [0.0, 1.0], nothing])
    queries = torch.tensor([[1.0, 0.0], [0.0, 1.0], nothing])
    labels = torch.tensor([0, 1, 1])
    assert knn_accuracy(bank, labels, queries, labels, 1) == pytest.approx(200 / 3)
    assert knn_accuracy(bank[2:], labels[2:], queries, labels, 1) == 0
