"""The campaign on a lent GPU, on a CPU and drawn images: jobs go on, and leave what can be sent."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from refusal import refusal

from hwsim.train.images import views
from hwsim.train.networks import models
from tools import gpu_campaign
from tools.gpu_campaign import check_size, half, main, parts_of, plan, read_parts, write_parts

SMALL = [
    "--width", "32", "--stages", "1,1", "--batch", "50", "--resolution", "8", "--device", "cpu",
    "--tune-epochs", "0.1", "--methods", "scdg", "dense", "--jobs", "1",
]  # fmt: skip


def results(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text())


def test_jobs_go_on_where_the_last_one_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [tmp_path / name for name in ("first", "second", "third")]
    monkeypatch.setattr(gpu_campaign, "plan", lambda rates, images, chosen: {
        "scdg": 0.2, "dense": 0.1})  # fmt: skip
    command = ["--data", "tiny", "--cache", str(tmp_path), *SMALL]
    # 1,000 images in batches of 50: scdg 4 steps, dense 2, fine-tuning 2. Time is over after two.
    step, taken = gpu_campaign.Trainer.train_step, []

    def two_steps(run: gpu_campaign.Trainer) -> tuple[torch.Tensor, torch.Tensor]:
        taken.append(run.step)
        return step(run)

    monkeypatch.setattr(gpu_campaign.Trainer, "train_step", two_steps)
    monkeypatch.setattr(gpu_campaign, "speeds", lambda chosen, train: {"scdg": 1.0, "dense": 1.0})
    clock = iter([0.0, 1.0, 1.0, 1.0])
    with monkeypatch.context() as patch:
        patch.setattr(gpu_campaign, "now", lambda: next(clock, 1e9))
        assert main([*command, "--out", str(jobs[0])]) == 0
    assert taken == [0, 1]
    about = results(jobs[0])["networks"]
    assert (about["scdg-contrastive"]["done"], about["scdg-contrastive"]["step"]) == (False, 2)
    assert sorted(p.name for p in jobs[0].iterdir()) == ["results.json", "scdg-contrastive-0.npz"]

    assert main([*command, "--out", str(jobs[1]), "--from", str(jobs[0])]) == 0
    assert taken == [0, 1, 2, 3, 0, 1]
    # Two networks are as much as a job may leave.
    assert sorted(p.name for p in jobs[1].iterdir()) == [
        "results.json", "scdg-contrastive-0.npz", "scdg-finetune-0.npz"
    ]  # fmt: skip
    assert main([*command, "--out", str(jobs[2]), "--from", str(jobs[1])]) == 0
    assert taken[6:] == [0, 1, 0, 1]
    networks = results(jobs[2])["networks"]
    assert all(about["done"] for about in networks.values())
    assert networks["dense-finetune"]["figures"]["finetune_images"] == 200
    assert len(results(jobs[2])["views_per_s"]) == 3

    joined = tmp_path / "joined"
    assert main(["--join", *map(str, jobs), "--out", str(joined)]) == 0
    names = [f"resnet18-tiny-{m}{s}.npz" for m in ("dense", "scdg") for s in ("", "-finetuned")]
    assert sorted(p.name for p in joined.iterdir()) == sorted(names)
    encoder, training = models.load_weights(joined / "resnet18-tiny-scdg.npz")
    assert (encoder.method, training["steps"], training["stage"]) == ("scdg", 4, "contrastive")


def test_parts_come_together_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_campaign, "LARGEST", 100_000)
    generator = np.random.default_rng(0)
    arrays = {f"a{i}": generator.random(1000 * i).astype(np.float32) for i in range(8)}
    (tmp_path / "net-9.npz").write_bytes(b"of an earlier job")
    paths = write_parts(tmp_path, "net", arrays)
    assert sorted(tmp_path.iterdir()) == paths
    check_size(paths)
    found = read_parts(tmp_path, "net")
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


def test_a_network_of_width_64_can_be_sent() -> None:
    state = models.SimCLR(models.ResNet18("cdg", 64)).state_dict()
    lots = parts_of(half(state))
    sizes = [sum(array.nbytes for array in lot.values()) for lot in lots]
    assert max(sizes) < gpu_campaign.LARGEST
    assert gpu_campaign.NETWORKS * len(lots) + 1 <= gpu_campaign.FILES
    assert gpu_campaign.NETWORKS * sum(sizes) + (1 << 20) < gpu_campaign.ALL


def test_what_cannot_be_sent_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="a: 15728640 bytes do not fit"):
        parts_of({"a": np.zeros(15 << 20, np.uint8)})
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    monkeypatch.setattr(gpu_campaign, "LARGEST", 4)
    with pytest.raises(ValueError, match="too much for a job"):
        check_size([path])


def test_a_plan_by_hand() -> None:
    chosen = gpu_campaign.parse(["--data", "tiny", "--out", ".", "--minutes", "10", "--jobs", "2"])
    # 1200 s less 2 networks of 2 stages at 40 s: 1040. 15 epochs of 1,000 images at 100 and 50 a
    # second: 450 s. An epoch of both, two views an image: 20 + 40 s; 590 s are 9 of them.
    assert plan({"cdg": 100.0, "dense": 50.0}, 1000, chosen) == {"cdg": 9.0, "dense": 9.0}


def test_speeds_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = gpu_campaign.parse(["--data", "tiny", "--out", str(tmp_path), *SMALL])
    images = torch.zeros(50, 3, 32, 32, dtype=torch.uint8)
    train = views.Split(images, torch.zeros(50, dtype=torch.int64))
    found = gpu_campaign.speeds(chosen, train)
    assert list(found) == ["scdg", "dense"]
    assert f"scdg: {found['scdg']:.0f} views/s" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "x"], "--data"),
        (["--data", "tiny", "--out", "x", "--methods", "cgd"], "--methods"),
        (["--data", "nowhere", "--out", "x"], "no such folder"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words in refusal(capsys, main, arguments)
