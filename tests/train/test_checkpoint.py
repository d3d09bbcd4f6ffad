"""Checkpoints and logs that a run cannot go on with, devices that are not there: one line each."""

from __future__ import annotations

import csv
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from refusal import refusal

from hwsim.train import __main__ as cli
from hwsim.train.evaluate.__main__ import main as evaluate
from hwsim.train.log import Log, LogError

OPTIONS = ["--method", "cdg", "--stages", "1", "--width", "8", "--batch", "8", "--log-every", "1",
           "--resolution", "8", "--images", "2", "--device", "cpu"]  # fmt: skip


def command(drawn: Path, out: Path, steps: int = 3) -> list[str]:
    return ["--data", str(drawn), "--out", str(out), "--steps", str(steps), *OPTIONS]


@pytest.fixture(scope="module")
def run(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    assert cli.main(command(drawn, out)) == 0
    return out


def test_any_cut_or_flipped_byte_is_told(
    run: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """torch alone looks at no checksum."""
    contents = (run / "checkpoint.pt").read_bytes()
    path = tmp_path / "checkpoint.pt"
    middle = len(contents) // 2
    flipped = bytearray(contents)
    flipped[middle] ^= 1
    for damaged in (b"", b"PK\x03\x04", contents[:middle], contents[:-1], bytes(flipped)):
        path.write_bytes(damaged)
        told = refusal(capsys, cli.main, command(drawn, tmp_path))
        assert f"{path}: not a whole checkpoint (" in told
        assert "delete it to begin anew" in told
        assert path.read_bytes() == damaged


def model(change: Callable[[torch.Tensor], Any]) -> Callable[[dict[str, Any]], None]:
    def changed(state: dict[str, Any]) -> None:
        name = next(iter(state["model"]))
        state["model"][name] = change(state["model"][name])

    return changed


def moment(state: dict[str, Any], value: Any) -> None:
    moments = state["optimisers"][0]["state"]
    next(iter(moments.values()))["exp_avg"] = value


def setting(state: dict[str, Any], name: str, value: Any) -> None:
    state["optimisers"][0]["param_groups"][0][name] = value


STATES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a parameter less": (lambda s: s["model"].popitem(), "other parameters"),
    "another shape": (model(lambda tensor: tensor[:1]), "is torch.float32 (1, "),
    "a huge view": (model(lambda t: torch.zeros(1).expand(1 << 40)), "(1099511627776,)"),
    "another type": (model(lambda tensor: tensor.double()), "is torch.float64"),
    "no tensor": (model(lambda tensor: 3), "not a whole checkpoint"),
    "not a number": (model(lambda tensor: tensor * torch.nan), "is not finite"),
    "moments of another shape": (lambda s: moment(s, torch.zeros(3)), "exp_avg of an optimiser"),
    "no moment": (lambda s: s.update(optimisers=[]), "not a whole checkpoint"),
    "other settings": (lambda s: setting(s, "betas", "x"), "an optimiser has other settings"),
    "images that are not": (lambda s: s["shuffler"].update(order=torch.tensor([96])), "of images"),
    "no order": (lambda s: s["shuffler"].update(order=[1]), "not a whole checkpoint"),
    "an epoch below 0": (lambda s: s["shuffler"].update(epoch=-1), "step and epoch"),
    "a step with a point": (lambda s: s.update(step=2.5), "step and epoch"),
    "no time": (lambda s: s.update(seconds=float("nan")), "seconds"),
    "no generator": (lambda s: s.update(generator=torch.zeros(3)), "not a whole checkpoint"),
    "config a list": (lambda s: s.update(config=[]), "no state of a run"),
    "tensors as options": (lambda s: s["config"].update(lr=torch.zeros(0)), "that no option takes"),
    "a tensor as the shuffler": (lambda s: s.update(shuffler=torch.zeros(3)), "no state of a run"),
    "tensors as optimisers": (
        lambda s: s.update(optimisers=torch.zeros(2, 1)),
        "no state of a run",
    ),
    "something missing": (lambda s: s.pop("shuffler"), "not a whole checkpoint"),
}


@pytest.mark.parametrize("case", STATES)
def test_a_state_of_no_run_is_told(
    case: str, run: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, words = STATES[case]
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    change(state)
    torch.save(state, tmp_path / "checkpoint.pt")
    told = refusal(capsys, cli.main, command(drawn, tmp_path))
    assert str(tmp_path / "checkpoint.pt") in told
    assert words in told


class Harmful:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple:
        return (Path.mkdir, (self.folder,))


def test_a_checkpoint_runs_no_code(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"config": Harmful(tmp_path / "harm")}, tmp_path / "checkpoint.pt")
    assert "not a whole checkpoint" in refusal(capsys, cli.main, command(drawn, tmp_path))
    assert not (tmp_path / "harm").exists()


def test_a_checkpoint_of_another_protocol_is_told_in_one_line(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"config": 1}, tmp_path / "checkpoint.pt", pickle_protocol=4)
    with warnings.catch_warnings(record=True) as warned:
        assert "not a whole checkpoint" in refusal(capsys, cli.main, command(drawn, tmp_path))
    assert not warned


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as handle:
        return list(csv.reader(handle))


def test_half_a_last_row_is_cut_off(run: Path, drawn: Path, tmp_path: Path) -> None:
    """Even where what is left of it is another step's number."""
    out = tmp_path / "out"
    shutil.copytree(run, out)
    log = out / "log.csv"
    whole = rows(log)
    for torn in ("1", "4,0,", "\0\0"):
        log.write_text(log.read_text() + torn)
        assert cli.main(command(drawn, out)) == 0
        assert rows(log) == whole


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("\n2,", "\ntwo,"), "line 3 is damaged"),
        (lambda text: text.replace("\n2,", "\n"), "line 3 is damaged"),
        (lambda text: text.replace("\n2,", f"\n{'2' * 5000},"), "line 3 is damaged"),
        (lambda text: text.replace("step,", "steps,"), "a log of other columns"),
        (lambda text: "\n\n\n", "a log of other columns"),
    ],
)
def test_a_damaged_log_is_told_and_kept(
    change: Callable[[str], str], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "log.csv"
    log = Log(path, ["a"], 0, "knn_percent")
    for step in (1, 2, 3):
        log.write({"step": step, "loss": 0.5})
    changed = change(path.read_text())
    path.write_text(changed)
    with pytest.raises(LogError, match=rf"{path}: {words}; move it away"):
        Log(path, ["a"], 2, "knn_percent")
    assert path.read_text() == changed


def test_a_damaged_log_is_told_before_anything_is_done(
    run: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(run, out)
    (out / "log.csv").write_text("step\n")
    before = {path: path.read_bytes() for path in out.iterdir()}
    assert "log.csv: a log of other columns" in refusal(capsys, cli.main, command(drawn, out))
    assert {path: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.parametrize("device", ["cuda:9", "foo", "meta", "cpu:x"])
def test_a_device_that_is_not_there_is_told(
    device: str, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for main, arguments in (
        (cli.main, command(drawn, tmp_path / "out")),
        (evaluate, ["--weights", "w.npz", "--data", str(drawn)]),
    ):
        told = refusal(capsys, main, [*arguments, "--device", device])
        assert f"argument --device: no device {device!r} here; there is cpu" in told
    assert not (tmp_path / "out").exists()
