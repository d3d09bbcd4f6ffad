"""The command, end to end on drawn images; a resumed run equals an uninterrupted one."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from killed import killed_after
from refusal import refusal

from hwsim.trace.mask_trace import MaskTrace
from hwsim.train import __main__ as cli
from hwsim.train import loop
from hwsim.train.optimisers import rate

OPTIONS = [
    "--stages", "1,1", "--width", "32", "--batch", "8", "--seed", "7",
    "--log-every", "1", "--knn-every", "3",
    "--resolution", "8:0.6,16", "--images", "4", "--device", "cpu",
]  # fmt: skip


def command(method: str, drawn: Path, out: Path, steps: int) -> list[str]:
    return ["--method", method, "--data", str(drawn), "--out", str(out),
            "--steps", str(steps), *OPTIONS]  # fmt: skip


def losses(out: Path) -> list[tuple[str, str, str]]:
    with (out / "log.csv").open(newline="") as handle:
        return [(row["step"], row["loss"], row["knn_percent"]) for row in csv.DictReader(handle)]


@pytest.mark.parametrize(
    ("method", "optimiser", "more"),
    [
        ("scdg", "adamw", []),
        ("broadcast", "sgd", []),
        ("dgc", "lars", []),
        # By the fast path where there is one; 12 steps are an epoch.
        ("cdg", "adamw", ["--precision", "bf16", "--epochs", "0.416"]),
        ("cdg", "adamw", ["--precision", "bf16", "--density", "0.3"]),
    ],
)
def test_resumed_run_equals_the_uninterrupted_one(
    method: str,
    optimiser: str,
    more: list[str],
    drawn: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    options = ["--optimiser", optimiser, "--lr", "1e-3", *more]
    assert cli.main([*command(method, drawn, whole, 5), *options]) == 0
    # A checkpoint after step 3 only: step 4 is run, logged, lost and run again.
    clock = iter([0.0, 0.0, 0.0, 1e9, *[1e9] * 50])
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with killed_after(4):
        cli.main([*command(method, drawn, parts, 5), *options])
    monkeypatch.undo()
    assert torch.load(parts / "checkpoint.pt", weights_only=True)["step"] == 3
    assert len(losses(parts)) == 4
    assert cli.main([*command(method, drawn, parts, 5), *options]) == 0
    assert losses(parts) == losses(whole)
    name = f"resnet18-cifar10-{method}"
    with np.load(whole / f"{name}.npz") as a, np.load(parts / f"{name}.npz") as b:
        for key in a.files:
            if key != "meta":  # seconds differ
                np.testing.assert_array_equal(a[key], b[key])
    check_results(whole, name)


def test_a_killed_run_loses_at_most_an_epoch(drawn: Path, tmp_path: Path) -> None:
    with killed_after(13):
        cli.main([*command("dense", drawn, tmp_path, 20), "--checkpoint-seconds", "1e9"])
    # 96 images in batches of 8: 12 steps.
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 12


def check_results(out: Path, name: str) -> None:
    """The trace carries what evaluation.json says, and as many images as were asked for."""
    training = json.loads((out / "evaluation.json").read_text())
    trace = MaskTrace.open(out / f"{name}.h5")
    assert trace.header.training == training
    assert (trace.images, trace.salience_images) == (4, 0 if trace.header.of_channels else 4)
    assert training["steps"] == 5
    assert training["views"] == 5 * 8 * 2
    gain = training["knn_percent"] - training["untrained_knn_percent"]
    assert training["barely_trained"] == (gain < 10)
    assert 0 < training["density_elements"] < 1
    assert training["data"] == "CIFAR-10 stored as PNG"


def test_gate_norm_and_controller_are_told_by_the_trace(drawn: Path, tmp_path: Path) -> None:
    options = ["--gate-norm", "instance", "--density", "0.3"]
    assert cli.main([*command("cgnet", drawn, tmp_path, 2), *options]) == 0
    header = MaskTrace.open(tmp_path / "resnet18-cifar10-cgnet.h5").header
    assert (header.method, header.gate_norm, header.mask_group) == ("cgnet", "instance", 1)
    assert header.training["density_controller"] == 0.3
    assert "tau_penalty" not in header.training
    with (tmp_path / "log.csv").open(newline="") as handle:
        assert {row["density_target"] for row in csv.DictReader(handle)} == {"0.3"}


def test_thresholds_move_towards_their_target(drawn: Path, tmp_path: Path) -> None:
    assert cli.main([*command("scdg", drawn, tmp_path, 6), "--tau-lr", "1", "--target", "2"]) == 0
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["model"]
    taus = torch.cat([value for name, value in state.items() if name.endswith(".tau")])
    assert float(taus.mean()) > 0.05


@pytest.mark.parametrize(
    ("change", "words"),
    [(["--data", "nowhere"], "no such folder"), (["--batch", "100"], "only 96 images")],
)
def test_bad_input_is_one_line_and_exit_2(
    change: list[str], words: str, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in refusal(capsys, cli.main, [*command("cdg", drawn, tmp_path, 1), *change])


def test_checkpoint_of_another_run_is_refused(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(command("dense", drawn, tmp_path, 1)) == 0
    error = refusal(capsys, cli.main, [*command("dense", drawn, tmp_path, 1), "--seed", "8"])
    assert "seed=7, not 8" in error


@pytest.mark.parametrize("text", ["16:0.5", "a", "16:0.9,32:0.5", "4"])
def test_bad_resolution_schedule(
    text: str, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*command("cdg", drawn, tmp_path, 1), "--resolution", text]
    assert "--resolution" in refusal(capsys, cli.main, arguments)


def test_help_says_defaults_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "peak rate (default: 0.0015 with adamw, 0.25 with sgd, 1 with lars)" in told
    assert "{'" not in told


def test_rate_rises_and_falls() -> None:
    rates = [rate(p, 0.04) for p in (0.0, 0.04, 0.5, 1.0)]
    assert rates[0] < 0.05
    assert rates[1] == 1
    assert 0.4 < rates[2] < 0.6
    assert rates[3] < 1e-9


def test_a_width_that_cannot_be_gated_is_told_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--method", "scdg", "--width", "16", "--data", "nowhere", "--out", str(tmp_path)]
    # 4 gating groups of 8 channels at least.
    assert "--width 16: scdg takes multiples of 32" in refusal(capsys, cli.main, arguments)


@pytest.mark.parametrize("method", ["dense", "fbs", "dgc"])
def test_gates_of_a_method_without_any_are_told(
    method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--method", method, "--gate-norm", "instance", "--data", "tiny"]
    error = refusal(capsys, cli.main, [*arguments, "--out", str(tmp_path)])
    assert f"--gate-norm instance: {method} has no gates; cgnet, broadcast, cdg, scdg have" in error
