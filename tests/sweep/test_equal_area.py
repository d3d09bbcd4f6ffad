"""Each scheme's best machines: budgets, fronts, winners, what is refused and printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from refusal import refusal

from hwsim.analysis import pareto_front
from hwsim.arch.load import load_arch
from hwsim.energy.area import area_mm2
from hwsim.sweep import rows
from hwsim.sweep.equal_area import FIGURE, TABLE, Setup, contests_of, main, run_equal_area
from hwsim.trace.files import open_traces

AXES: dict[str, list[Any]] = {
    "array.rows": [8, 16, 32], "array.columns": [16], "activation.word_channels": [4, 8],
    "activation.banks": [8, 16], "partial_sums.entries": [4096], "activation.run_ahead": [0, 1],
    "array.feed": ["broadcast"], "array.zero_skipping": ["none"], "index.window": [0, 64],
    "index.decoders": ["private"], "index.indices_per_cycle": [1], "index.lane_group": [8],
}  # fmt: skip
SETUP = Setup(axes=AXES, images=2, batch=2, starts=1)


@pytest.fixture(scope="module")
def found(trace_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    out = tmp_path_factory.mktemp("equal-area")
    shown = run_equal_area("pe16x16", out, SETUP, traces=[trace_folder], workers=1)
    pd.testing.assert_frame_equal(pd.read_parquet(out / TABLE), shown)
    shown.attrs["out"] = out
    return shown


def test_every_scheme_has_its_baseline_and_a_front(found: pd.DataFrame) -> None:
    names = {"dense", "clock-gated", "unstructured", "structured", "lockstep"}
    assert set(found["family"]) == names
    for (_, family), alike in found.groupby(["trace", "family"]):
        assert (alike["machine"] == "baseline").sum() == 1, family
        front = alike[alike["machine"] == "front"]
        assert len(front)
        assert pareto_front(front, ["cycles_per_image", "energy_uj_per_image"]).all()


def test_the_budget_is_that_of_the_largest_scheme_and_of_the_banks(found: pd.DataFrame) -> None:
    arch = load_arch("pe16x16")
    assert (found["limit_mm2"] == area_mm2(arch, "unstructured", 8)).all()
    assert (found["limit_bytes"] == 64).all()
    front = found[found["machine"] == "front"]
    assert (front["area_mm2"] <= front["limit_mm2"] * (1 + 1e-12)).all()
    bytes_a_cycle = front["activation.banks"] * front["activation.word_channels"]
    assert (bytes_a_cycle == front["peak_bytes_per_cycle"]).all()
    assert (front["peak_bytes_per_cycle"] <= 64).all()


def test_no_baseline_within_the_budget_beats_a_front(found: pd.DataFrame) -> None:
    """The search begins with the machine given."""
    for _, alike in found.groupby(["trace", "family"]):
        for column in ("cycles_per_image", "energy_uj_per_image", "energy_delay"):
            least = alike.groupby("machine")[column].min()
            assert least["front"] <= least["baseline"]


def test_winners_have_least_of_what_they_win(found: pd.DataFrame) -> None:
    columns = {"cycles": "cycles_per_image", "energy": "energy_uj_per_image"}
    columns["energy x cycles"] = "energy_delay"
    for _, alike in found.groupby(["trace", "family"]):
        front = alike[alike["machine"] == "front"]
        for name, column in columns.items():
            (winner,) = [row for _, row in front.iterrows() if name in row["best"].split(", ")]
            assert winner[column] == front[column].min()
        product = front["cycles_per_image"] * front["energy_uj_per_image"]
        assert (front["energy_delay"] == product).all()


def test_the_same_again_replays_nothing_and_finds_the_same(
    trace_folder: Path, found: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "simulate", None)
    again = run_equal_area(
        "pe16x16", found.attrs["out"], SETUP, traces=[trace_folder], workers=1
    )  # fmt: skip
    pd.testing.assert_frame_equal(again, found)


def test_axes_are_those_that_concern_a_scheme(trace_folder: Path) -> None:
    traces = open_traces(trace_folder)
    axes = {
        (contest.trace.header.method, contest.space.scheme): contest.space.axes
        for contest in contests_of(load_arch("pe16x16"), traces, Setup(images=2))
    }
    assert "index.window" not in axes["cdg", "dense"]
    assert "index.window" in axes["cdg", "unstructured"]
    assert "index.lane_group" not in axes["cdg", "unstructured"]
    assert "index.lane_group" in axes["scdg", "structured"]
    # These traces do not say which inputs are zero.
    assert all(found["array.zero_skipping"] == ("none",) for found in axes.values())


BAD = {
    "scheme": (["--scheme", "unstructred"], ["'unstructred'", "'unstructured'"]),
    "range": (["--vary", "array.rows=4..8"], ["array.rows", "list its values"]),
    "key": (["--vary", "array.row=4,8"], ["'array.row'", "'array.rows'"]),
    "area": (["--area", "0.1"], ["0.100 mm2", "dense"]),
    "images": (["--images", "5"], ["5", "4"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_setups_are_refused(
    case: str, trace_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, parts = BAD[case]
    out = tmp_path / "out"
    error = refusal(capsys, main, [*arguments, "--trace", str(trace_folder), "--out", str(out)])
    assert all(part in error for part in parts), error
    assert not out.exists()


def test_a_scheme_that_no_machine_runs_is_told(
    trace_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Masks of 8 channels fit no lane group of 16, the only one that is searched."""
    arguments = [
        "--trace", str(trace_folder / "small-scdg.h5"), "--scheme", "structured", "--starts", "1",
        "--images", "1", "--vary", "index.lane_group=16", "--workers", "1", "--out", str(tmp_path),
    ]  # fmt: skip
    said = refusal(capsys, main, arguments)
    assert "structured with small-scdg: none of the 2 machines to begin from can run it" in said


def test_the_command_prints_winners_and_draws_fronts(
    trace_folder: Path, found: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    out = found.attrs["out"]
    varied = [f"--vary={key}={','.join(map(str, values))}" for key, values in AXES.items()]
    options = ["--trace", str(trace_folder / "small-cdg.h5"), "--out", str(out), "--workers", "1"]
    options += ["--images", "2", "--batch", "2", "--starts", "1", "--scheme", "dense"]
    assert main([*varied, *options]) == 0
    printed = capsys.readouterr().out
    assert "cacti22, batch 2, 2 images" in printed
    assert "16x16 A4 B16 P256 Q1" in printed
    assert (out / FIGURE).read_bytes().startswith(b"\x89PNG")
