"""Presets: what they set, what wins over them, and that the small ones do what they promise."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from statistics import NormalDist

import pytest

from hwsim.train import __main__ as cli
from hwsim.train import options
from hwsim.train.networks.methods import GATED, METHODS

PLACES = ["--data", "d", "--out", "o"]
CIFAR10 = os.environ.get("HWSIM_CIFAR10")


def parsed(*arguments: str):
    return options.parse(["--method", "cdg", *PLACES, *arguments])


def test_without_a_preset_the_defaults_are_those_of_the_first_traces() -> None:
    args = parsed()
    assert (args.steps, args.batch, args.width, args.blocks) == (2000, 128, 64, (2, 2, 2, 2))
    assert (args.optimiser, args.lr, args.weight_decay) == ("adamw", 1.5e-3, 0.02)
    assert (args.tau_lr, args.penalty, args.target, args.warm_up) == (0.05, 1e-2, 0.573, 0.04)
    assert args.sizes == [(16, 0.75), (32, 1.0)]
    assert (args.mask_group, args.gate_norm, args.density) == (1, "batch", None)


@pytest.mark.parametrize("name", options.PRESETS)
def test_every_preset_sets_what_it_says(name: str) -> None:
    args = parsed("--preset", name)
    preset = options.PRESETS[name]
    assert {key: getattr(args, key) for key in preset} == preset


def test_an_option_beside_a_preset_wins() -> None:
    args = parsed("--preset", "paper", "--optimiser", "lars", "--batch", "64")
    assert (args.epochs, args.batch, args.optimiser, args.lr) == (1000, 64, "lars", 1.0)
    assert parsed("--preset", "gpu", "--minutes", "3").minutes == 3


def test_tiny_preset_trains_evaluates_and_records(drawn: Path, tmp_path: Path) -> None:
    arguments = ["--method", "scdg", "--preset", "tiny", "--device", "cpu"]
    assert cli.main([*arguments, "--data", str(drawn), "--out", str(tmp_path)]) == 0
    training = json.loads((tmp_path / "evaluation.json").read_text())
    assert training["knn_percent"] > training["untrained_knn_percent"]
    assert losses(tmp_path)[-1] < losses(tmp_path)[0]
    assert (tmp_path / "resnet18-cifar10-scdg.h5").exists()


def losses(out: Path) -> list[float]:
    with (out / "log.csv").open(newline="") as handle:
        return [float(row["loss"]) for row in csv.DictReader(handle)]


@pytest.mark.slow
@pytest.mark.skipif(not CIFAR10, reason="HWSIM_CIFAR10 names no folder of CIFAR-10")
@pytest.mark.parametrize("method", METHODS)
def test_smoke_preset_learns_and_reaches_its_density(method: str, tmp_path: Path) -> None:
    arguments = ["--method", method, "--preset", "smoke", "--device", "cpu"]
    assert cli.main([*arguments, "--data", str(CIFAR10), "--out", str(tmp_path)]) == 0
    training = json.loads((tmp_path / "evaluation.json").read_text())
    assert losses(tmp_path)[-1] < losses(tmp_path)[0]
    if method != "broadcast":  # it learns nothing: the poster's negative result
        assert training["knn_percent"] > training["untrained_knn_percent"]
    if method in GATED:
        wanted = 1 - NormalDist().cdf(training["tau_target"])
        assert training["density_elements"] == pytest.approx(wanted, abs=0.04)
