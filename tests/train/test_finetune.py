"""Fine-tuning end to end on drawn images: what it leaves, what it refuses, how it stops."""

from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from killed import killed_after
from refusal import refusal

from hwsim.trace.mask_trace import MaskTrace
from hwsim.train import __main__ as cli
from hwsim.train import options
from hwsim.train.evaluate.features import features
from hwsim.train.images import views
from hwsim.train.networks import models
from hwsim.train.networks.gating import gated_layers
from hwsim.train.status import Status
from hwsim.train.trainer import Trainer
from studies.poster_table import run_figures

OPTIONS = ["--batch", "8", "--log-every", "1", "--images", "2", "--device", "cpu"]


def weights(folder: Path, method: str = "scdg") -> Path:
    torch.manual_seed(2)
    encoder = models.ResNet18(method, 32, stages=(1, 1))
    with torch.no_grad():
        for layer in gated_layers(encoder).values():
            layer.tau.uniform_(-0.5, 0.5)
    path = folder / f"start-{method}.npz"
    models.save_weights(path, encoder, {"seed": 2, "epochs": 3.0, "density_macs": 0.4})
    return path


def command(start: Path, data: Path, out: Path, steps: int, *more: str) -> list[str]:
    return ["--stage", "finetune", "--weights", str(start), "--data", str(data), "--out", str(out),
            "--minutes", "0", "--epochs", "0", "--steps", str(steps), "--resolution", "8:0.5,16",
            "--validation", "16", "--knn-every", "2", "--lr", "1e-3", *OPTIONS, *more]  # fmt: skip


def split(count: int) -> views.Split:
    images = torch.zeros(count, 3, 32, 32, dtype=torch.uint8)
    return views.Split(images, torch.zeros(count, dtype=torch.int64))


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "log.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.mark.parametrize("free", [False, True])
def test_what_it_leaves(free: bool, drawn: Path, tmp_path: Path) -> None:
    start, out = weights(tmp_path), tmp_path / "out"
    more = ["--free-thresholds", "--tau-lr", "1"] if free else []
    assert cli.main(command(start, drawn, out, 4, *more)) == 0
    name = "resnet18-cifar10-scdg-finetuned"
    training = json.loads((out / "evaluation.json").read_text())
    assert MaskTrace.open(out / f"{name}.h5").header.training == training
    assert (training["stage"], training["steps"], training["views"]) == ("finetune", 4, 32)
    assert training["started_from"]["epochs"] == 3
    assert training["started_from"]["density_macs"] == 0.4
    # 80 of 96 images are trained on. Epochs without and with labels do not add up.
    assert training["epochs"] == 0.4
    assert "epochs_total" not in training
    assert (training["finetune_images"], training["validation_images"]) == (20, 16)
    assert training.get("tau") == (None if free else "fixed")
    encoder, _ = models.load_weights(out / f"{name}.npz")
    before, _ = models.load_weights(start)
    for layer, other in zip(
        gated_layers(encoder).values(), gated_layers(before).values(), strict=True
    ):
        assert torch.equal(layer.tau, other.tau) == (not free)
        assert not torch.equal(layer.weight, other.weight)
    accuracies = [row["validation_percent"] for row in rows(out)]
    assert [bool(value) for value in accuracies] == [False, True, False, True]
    assert {row["resolution"] for row in rows(out)} == {"8", "16"}
    assert run_figures(out / f"{name}.npz")["method"] == "scdg, fine-tuned"


def test_the_file_classifies_as_the_run_did(drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert cli.main(command(weights(tmp_path), drawn, out, 6)) == 0
    path = out / "resnet18-cifar10-scdg-finetuned.npz"
    encoder, training = models.load_weights(path)
    with np.load(path) as file:
        top = {
            name.removeprefix(models.TOP): torch.from_numpy(file[name])
            for name in file.files
            if name.startswith(models.TOP)
        }
    test = views.load_split(drawn, "test", tmp_path)
    found = (features(encoder, test.images) - top["mean"]) / top["deviation"]
    scores = found @ top["fc.weight"].T + top["fc.bias"]
    right = float((scores.argmax(1) == test.labels).float().mean())
    assert training["finetune_percent"] == pytest.approx(100 * right, rel=1e-6)


def test_resumed_run_equals_the_uninterrupted_one(drawn: Path, tmp_path: Path) -> None:
    start, whole, parts = weights(tmp_path), tmp_path / "whole", tmp_path / "parts"
    assert cli.main(command(start, drawn, whole, 5)) == 0
    with killed_after(3):
        cli.main(command(start, drawn, parts, 5, "--checkpoint-seconds", "0"))
    assert cli.main(command(start, drawn, parts, 5, "--checkpoint-seconds", "0")) == 0
    kept = [{k: v for k, v in row.items() if k not in ("seconds", "views_per_s")}
            for row in rows(whole)]  # fmt: skip
    assert kept == [{k: row[k] for k in one} for one, row in zip(kept, rows(parts), strict=True)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_asked_to_stop_saves_its_last_step(
    number: int,
    drawn: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    step = Trainer.train_step

    def asked_in_the_third(trainer: Trainer) -> tuple[torch.Tensor, torch.Tensor]:
        if trainer.step == 2:
            os.kill(os.getpid(), number)
        return step(trainer)

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", asked_in_the_third)
        arguments = command(weights(tmp_path), drawn, out, 5, "--checkpoint-seconds", "1e9")
        assert cli.main(arguments) == 128 + number
    assert "goes on where it was saved" in capsys.readouterr().err
    assert torch.load(out / "checkpoint.pt", weights_only=True)["step"] == 3
    assert [row["step"] for row in rows(out)] == ["1", "2", "3"]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--validation", "95"], "of 96 images 1 are left"),
        (["--density", "0.3"], "--density: fine-tuning leaves it"),
        (["--validation", "-1"], "expected an integer from 0"),
        (["--stage", "fine"], "finetune"),
    ],
)
def test_bad_options_are_one_line(
    change: list[str], words: str, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = command(weights(tmp_path), drawn, tmp_path / "out", 1, *change)
    assert words in refusal(capsys, cli.main, arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--stage", "finetune", "--method", "cdg"], "give the encoder, --weights FILE"),
        (["--method", "cdg", "--free-thresholds"], "--free-thresholds: only with --stage finetune"),
        (["--method", "cdg", "--validation", "9"], "--validation: only with --stage finetune"),
        ([], "--method: expected one of dense, cgnet"),
    ],
)
def test_options_of_the_other_stage(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = ["--data", "tiny", "--out", str(tmp_path)]
    assert words in refusal(capsys, cli.main, [*arguments, *places])


def test_thresholds_of_a_network_without_any(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = command(weights(tmp_path, "dense"), Path("tiny"), tmp_path, 1, "--free-thresholds")
    assert "dense has no gates" in refusal(capsys, cli.main, arguments)


def test_a_checkpoint_of_before_the_stages_is_a_contrastive_ones() -> None:
    asked = options.deciding(options.parse(["--method", "cdg", "--data", "tiny", "--out", "."]))
    older = {key: value for key, value in asked.items() if key not in options.LATER}
    assert options.different(older, asked) == []


def test_hours_left_by_hand() -> None:
    text = "--method dense --data tiny --out . --steps 100 --batch 8 --width 8 --stages 1"
    arguments = [*text.split(), "--resolution", "16:0.5,24:0.75,32"]
    run = Trainer(options.parse(arguments), split(24))
    run.step = 40
    # 10 steps as now, 25 of 2.25 times the pixels, 25 of 4 times as many; 2 s each.
    assert run.seconds_left(2.0) == pytest.approx(2 * (10 + 25 * 2.25 + 25 * 4))
    run.step = 75
    assert run.seconds_left(8.0) == pytest.approx(8 * 25)
    assert run.epochs_done == pytest.approx(75 * 8 / 24)
    status = Status(run)
    status.started = 65, 0.0
    run.seconds = 40.0
    assert status.views_per_second == pytest.approx(10 * 16 / 40)
    assert "epoch 25.00, step 75, 75.0 % done, 32x32, 4 views/s, 0.0 h left" in status.line()
    run.args.minutes = 2.0
    assert run.seconds_left(1.0) == pytest.approx(80)
