"""Training on from a weights file: what it takes, what it refuses, what it says of itself."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from killed import killed_after
from refusal import refusal

from hwsim.train import __main__ as cli
from hwsim.train import options
from hwsim.train.images import views
from hwsim.train.networks import models
from hwsim.train.networks.methods import dynamic_layers
from hwsim.train.start import Start
from hwsim.train.trainer import Trainer

SHAPE = ["--stages", "1", "--width", "32", "--gate-norm", "instance", "--mask-group", "4"]
OPTIONS = ["--method", "scdg", "--batch", "8", "--seed", "7", "--log-every", "1",
           "--resolution", "8", "--images", "2", "--device", "cpu"]  # fmt: skip


def command(drawn: Path, out: Path, steps: int, *more: str) -> list[str]:
    return ["--data", str(drawn), "--out", str(out), "--steps", str(steps), *OPTIONS, *more]


@pytest.fixture(scope="module")
def first(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three steps from nothing."""
    out = tmp_path_factory.mktemp("first")
    assert cli.main(command(drawn, out, 3, *SHAPE)) == 0
    return out


@pytest.fixture(scope="module")
def weights(first: Path) -> Path:
    return first / "resnet18-cifar10-scdg.npz"


def test_encoder_is_the_file_s_and_the_rest_fresh(weights: Path, drawn: Path, first: Path) -> None:
    train = views.load_split(drawn, "train", first)
    from_file, fresh = (
        Trainer(options.parse(command(drawn, first, 1, *more)), train)
        for more in (["--weights", str(weights)], SHAPE)
    )
    shipped, _ = models.load_weights(weights)
    for name, value in shipped.state_dict().items():
        assert torch.equal(from_file.model.encoder.state_dict()[name], value), name
    taus = [layer.tau for layer in dynamic_layers(from_file.model.encoder).values()]
    assert all(tau.any() for tau in taus)  # a fresh network's are zero
    for name, value in fresh.model.projector.state_dict().items():
        assert torch.equal(from_file.model.projector.state_dict()[name], value)
    assert torch.equal(from_file.generator.get_state(), fresh.generator.get_state())
    assert not any(optimiser.state for optimiser in from_file.optimisers)
    assert from_file.step == 0


KEPT = ("knn_percent", "untrained_knn_percent", "density_macs", "density_elements")


def test_record_and_weights_of_such_a_run(
    weights: Path, first: Path, drawn: Path, tmp_path: Path
) -> None:
    assert cli.main(command(drawn, tmp_path, 6, "--weights", str(weights))) == 0
    encoder, training = models.load_weights(tmp_path / weights.name)
    assert (encoder.width, encoder.stages, encoder.mask_group) == (32, (1,), 4)
    assert encoder.gate_norm == "instance"
    earlier = json.loads((first / "evaluation.json").read_text())
    # 96 images in batches of 8: 3 and 6 of 12 steps.
    assert (earlier["epochs"], training["epochs"], training["epochs_total"]) == (0.25, 0.5, 0.75)
    assert training["started_from"] == {
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "seed": 7, "steps": 3, "epochs": 0.25, "framework": earlier["framework"],
        "data": "CIFAR-10 stored as PNG", "stage": "contrastive",
        **{name: earlier[name] for name in KEPT},
    }  # fmt: skip
    assert training["untrained_knn_percent"] == earlier["untrained_knn_percent"]
    assert "started_from" not in earlier
    assert "epochs_total" not in earlier


def test_epochs_add_up_over_several_starts() -> None:
    encoder = models.ResNet18("dense", 4, stages=(1,))
    before = {"epochs": 0.5, "epochs_total": 0.75, "started_from": {"epochs": 0.25}, "software": {}}
    found = Start(encoder, before, "abc").record(1.25)
    assert found["epochs_total"] == 2
    assert found["started_from"] == {
        "sha256": "abc", "epochs": 0.5, "epochs_total": 0.75, "started_from": {"epochs": 0.25},
    }  # fmt: skip
    assert "epochs_total" not in Start(encoder, {}, "abc").record(1.25)  # nobody knows


def losses(out: Path) -> list[str]:
    with (out / "log.csv").open(newline="") as handle:
        return [row["loss"] for row in csv.DictReader(handle)]


def test_a_killed_run_goes_on_from_its_checkpoint_with_a_moved_file(
    weights: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, parts, moved = tmp_path / "whole", tmp_path / "parts", tmp_path / "moved.npz"
    shutil.copy(weights, moved)
    every = ["--checkpoint-seconds", "0"]
    assert cli.main(command(drawn, whole, 4, "--weights", str(weights), *every)) == 0
    with killed_after(2):
        cli.main(command(drawn, parts, 4, "--weights", str(weights), *every))
    # Not where it started from nothing: the file's content decides, not its path.
    error = refusal(capsys, cli.main, command(drawn, parts, 4, *SHAPE))
    assert "made with weights_sha256=" in error
    assert cli.main(command(drawn, parts, 4, "--weights", str(moved))) == 0
    assert "resumed at step 2" in capsys.readouterr().out
    assert losses(parts) == losses(whole)


def test_a_checkpoint_older_than_an_option_is_resumed(
    first: Path, weights: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = torch.load(first / "checkpoint.pt", weights_only=True)
    for name in ("weights_sha256", "image_size"):
        assert state["config"].pop(name) is None
    torch.save(state, tmp_path / "checkpoint.pt")
    for more, words in (
        (["--weights", str(weights)], "weights_sha256=None, not "),
        ([*SHAPE, "--image-size", "16"], "image_size=None, not 16"),
    ):
        assert words in refusal(capsys, cli.main, command(drawn, tmp_path, 3, *more))
    assert cli.main(command(drawn, tmp_path, 3, *SHAPE)) == 0
    assert "resumed at step 3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--method", "cdg"], "--method cdg: {} was trained with --method scdg"),
        (["--width", "64"], "--width 64: {} was trained with --width 32"),
        (["--stages", "1,1"], "--stages 1,1: {} was trained with --stages 1"),
        (["--gate-norm", "batch"], "--gate-norm batch: {} was trained with --gate-norm instance"),
        (["--mask-group", "8"], "--mask-group 8: {} was trained with --mask-group 4"),
        (["--weights", "nothing.npz"], "--weights nothing.npz: no such weights file"),
    ],
)
def test_what_does_not_fit_is_one_line_and_exit_2(
    change: list[str], words: str, weights: Path, drawn: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    arguments = command(drawn, tmp_path, 1, "--weights", str(weights), *change)
    assert words.format(weights) in refusal(capsys, cli.main, arguments)


def test_the_file_wins_over_a_preset(weights: Path, drawn: Path, tmp_path: Path) -> None:
    arguments = command(drawn, tmp_path, 1, "--preset", "cpu", "--weights", str(weights))
    args = options.parse(arguments)
    assert (args.width, args.blocks, args.gate_norm, args.mask_group) == (32, (1,), "instance", 4)
    encoder = models.ResNet18("fbs", 8, stages=(1,))
    models.save_weights(tmp_path / "fbs.npz", encoder, {})
    arguments = ["--method", "fbs", "--preset", "tiny", "--weights", str(tmp_path / "fbs.npz")]
    args = options.parse([*arguments, "--data", "d", "--out", "o"])
    assert (args.width, args.blocks, args.mask_group) == (8, (1,), 1)
