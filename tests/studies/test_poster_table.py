"""The table over methods and seeds by hand; the poster's figures beside their own."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from refusal import refusal

from hwsim.train.evaluate import evaluation
from hwsim.train.networks import models
from studies import poster_table


def write_run(
    folder: Path, method: str, seed: int, knn: float, *, width: int = 32, **more: object
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"resnet18-cifar10-{method}.npz"
    training = {
        "seed": seed, "knn_percent": knn, "seconds": 90 + 60 * seed, "density_macs": 0.25,
        "data": "CIFAR-10 re-encoded as JPEG (lossy): accuracies are below those on the originals",
        **more,
    }  # fmt: skip
    models.save_weights(path, models.ResNet18(method, width), training)
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for seed, knn in ((0, 30.0), (1, 33.0)):
        write_run(folder / f"cdg{seed}", "cdg", seed, knn)
    path = write_run(folder / "scdg", "scdg", 5, 31.0)
    evaluation.save(path, {"knn_percent": 32.5})
    evaluation.save(path, {"linear_percent": 60.25})
    return folder


def test_means_deviations_and_the_poster(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = ("cdg0", "cdg1", "scdg", "scdg/resnet18-cifar10-scdg.npz")
    names = [str(runs / name) for name in folders]
    assert poster_table.main([*names, "--out", str(tmp_path)]) == 0
    lines = (tmp_path / "table.md").read_text().splitlines()
    heads, cdg, scdg = ([c.strip() for c in lines[i].split("|")[1:-1]] for i in (0, 2, 3))
    assert cdg[:5] == ["CIFAR-10", "cdg", "32", "2,2,2,2", "0, 1"]
    assert scdg[:5] == ["CIFAR-10", "scdg", "32", "2,2,2,2", "5"]
    cdg, scdg = dict(zip(heads, cdg, strict=True)), dict(zip(heads, scdg, strict=True))
    assert cdg["kNN %"] == "31.5 ± 2.1"
    assert cdg["minutes"] == "2.0 ± 0.7"
    assert cdg["linear %"] == "- (88.84)"
    assert scdg["kNN %"] == "32.5"  # what was measured later
    assert scdg["linear %"] == "60.25"
    assert scdg["MAC density %"] == "25.00 (28.36)"
    assert scdg["FLOPs reduction, gated"] == "2.29 (2.16)"  # 1 / (1/4 + 3/4 * 0.25)
    assert "fine-tuned %" not in heads
    with (tmp_path / "table.csv").open(newline="") as handle:
        found = {(r["method"], r["figure"]): r for r in csv.DictReader(handle)}
    knn = found["cdg", "knn_percent"]
    assert (float(knn["mean"]), knn["runs"], knn["poster"]) == (31.5, "2", "")
    assert float(knn["deviation"]) == pytest.approx(4.5**0.5)
    assert found["cdg", "finetune_percent"]["poster"] == "90.74"
    assert "cdg" in capsys.readouterr().out


def test_networks_of_different_width_or_stages_stand_apart(tmp_path: Path) -> None:
    for seed, width in enumerate((16, 32, 32)):
        write_run(tmp_path / str(seed), "cdg", seed, 30.0, width=width)
    small = models.ResNet18("cdg", 32, stages=(1, 1))
    training = {"seed": 3, "data_name": "CIFAR-10", "knn_percent": 1.0}
    models.save_weights(tmp_path / "small.npz", small, training)
    assert poster_table.main([str(tmp_path), "--out", str(tmp_path)]) == 0
    with (tmp_path / "table.csv").open(newline="") as handle:
        knn = [row for row in csv.DictReader(handle) if row["figure"] == "knn_percent"]
    assert [(row["width"], row["stages"], row["runs"]) for row in knn] == [
        ("16", "2,2,2,2", "1"), ("32", "2,2,2,2", "2"), ("32", "1,1", "1"),
    ]  # fmt: skip


def test_epochs_are_those_of_all_that_went_before(tmp_path: Path) -> None:
    run = write_run(tmp_path, "cdg", 0, 1.0, epochs=0.5, epochs_total=2.5)
    (row,) = poster_table.rows_of([poster_table.run_figures(run)])
    assert row.figures["epochs_total"].values == (2.5,)


def test_other_data_have_nothing_of_the_poster(tmp_path: Path) -> None:
    names = ("ImageNet-100", "ImageNet-100/64", "CIFAR-10", "CIFAR-10 shrunk to 16x16")
    for name in names:
        write_run(tmp_path / name.replace("/", "-"), "scdg", 0, 1.0, data_name=name)
    rows = poster_table.rows_of(
        poster_table.run_figures(path) for path in poster_table.weights_files([tmp_path])
    )
    tuned = {row.dataset: row.figures["finetune_percent"].poster for row in rows}
    assert tuned == dict(zip(names, (76.63, None, 90.37, None), strict=True))


def test_the_density_of_masks_of_channels_is_of_all_macs(tmp_path: Path) -> None:
    assert (
        poster_table.run_figures(write_run(tmp_path, "fbs", 0, 1.0))["flops_reduction_gated"] == 4
    )


def test_the_poster_s_figures_agree_with_each_other() -> None:
    poster = poster_table.poster_figures()
    keys = {column.key for column in poster_table.COLUMNS}
    assert {figure for _, _, figure in poster} <= keys
    for (method, dataset, figure), density in poster.items():
        if figure == "density_percent":
            reduction = poster[method, dataset, "flops_reduction_gated"]
            assert 1 / (0.25 + 0.75 * density / 100) == pytest.approx(reduction, abs=0.015)


def test_what_cannot_be_read_is_one_line(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no weights file" in refusal(capsys, poster_table.main, [str(tmp_path)])
    path = write_run(tmp_path, "cdg", 0, 1.0)
    for text in ("{", "[]"):
        evaluation.saved_path(path).write_text(text)
        assert "evaluation.json" in refusal(capsys, poster_table.main, [str(tmp_path)])


def test_saved_figures_add_up(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    evaluation.save(path, {"a": 1, "b": 2})
    evaluation.save(path, {"b": 3})
    assert json.loads((tmp_path / "w.evaluation.json").read_text()) == {"a": 1, "b": 3}
