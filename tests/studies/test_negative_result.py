"""The command on drawn images, what it remembers, and how it judges."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studies import negative_result


def row(method: str, loss: float, knn: float, untrained: float = 25.0) -> dict:
    return {"method": method, "seed": 3, "loss": loss, "knn": knn, "untrained": untrained}


def judged(broadcast: tuple[float, float], others: tuple[float, float]) -> list[bool]:
    rows = [row("broadcast", *broadcast), row("cgnet", 5.2, 40.0), row("cdg", *others)]
    return [holds for _, holds in negative_result.verdicts(rows)]


def test_each_claim_is_judged_alone() -> None:
    assert judged((4.3, 25.5), (5.1, 36.0)) == [True, True, True]
    assert judged((4.7, 25.5), (5.1, 36.0)) == [False, True, True]
    assert judged((4.3, 28.5), (5.1, 36.0)) == [True, False, True]
    assert judged((4.3, 25.5), (5.1, 31.0)) == [True, True, False]


def test_command_prints_a_row_per_run_and_repeats_none(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--data", str(drawn), "--out", str(tmp_path), "--steps", "1", "--seeds", "0"]
    arguments += ["--more", "--batch", "8"]
    assert negative_result.main(arguments) == 1  # one step shows nothing
    first = capsys.readouterr()
    assert [f"| 0 | {method} |" in first.out for method in negative_result.COMPARED] == [True] * 4
    assert "4 of 4: scdg, seed 0" in first.err
    monkeypatch.setattr(negative_result, "train_network", None)
    for done in tmp_path.glob("*/result.json"):  # as runs older than the option left it
        row = json.loads(done.read_text())
        assert row["config"].pop("image_size") is None
        done.write_text(json.dumps(row))
    assert negative_result.main(arguments) == 1
    assert capsys.readouterr().out == first.out


def test_a_wrong_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--data", "nowhere", "--out", str(tmp_path)]
    assert negative_result.main(arguments) == 2
    assert "no such folder" in capsys.readouterr().err
