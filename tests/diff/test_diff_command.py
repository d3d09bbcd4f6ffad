"""``hwsim diff`` as a user types it: machines, folders of runs, folders of sweeps."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from refusal import refusal

from hwsim.__main__ import main
from hwsim.arch.load import load_arch
from hwsim.counters import CAUSES
from hwsim.energy.area import area_mm2


@pytest.fixture(scope="module")
def runs(trace_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Folders of runs of the small traces, by what is set; each is made once."""
    folder, made = tmp_path_factory.mktemp("runs"), {}

    def run(*options: str, trace: str = "small-cdg.h5") -> Path:
        key = (*options, trace)
        if key not in made:
            out = made[key] = folder / str(len(made))
            words = ["run", "--trace", str(trace_folder / trace), "--scheme", "dense"]
            assert main([*words, "clock-gated", "--out", str(out), *options]) == 0
        return made[key]

    return run


def told(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, Any]:
    """Status, and what --json - prints."""
    capsys.readouterr()
    status = main(["diff", *map(str, arguments), "--json", "-"])
    printed, complaint = capsys.readouterr()
    assert complaint == ""
    return status, json.loads(printed)


def test_equal_machines(capsys: pytest.CaptureFixture[str]) -> None:
    status, data = told(capsys, "pe16x16", "pe16x16")
    assert (status, data["differ"], data["runs"]) == (0, False, [])
    assert main(["diff", "pe16x16", "pe16x16"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "A and B are equal"


def test_machines_differ_in_keys_and_areas(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("base: pe16x16\nname: pe16x16\nactivation: {banks: 32}\n")
    status, data = told(capsys, "pe16x16", mine)
    assert status == 1
    assert data["configuration"] == [{"key": "activation.banks", "a": 16, "b": 32}]
    machines = load_arch("pe16x16"), load_arch(mine)
    for run in data["runs"]:
        areas = [area_mm2(machine, run["scheme"]) for machine in machines]
        assert [run["area"]["a"], run["area"]["b"]] == pytest.approx(areas)
    # Twice the banks: a multiplexer and an arbiter of twice the inputs for each pointer.
    of_arbiter = [row for row in data["figures"]["area"] if row["item"] == "bank_arbiter"]
    assert of_arbiter
    assert all(row["b"] > row["a"] for row in of_arbiter)
    assert not any(row["item"] == "pe_array" for row in data["figures"]["area"])


def test_a_machine_too_large_to_price(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    large = tmp_path / "large.yaml"
    large.write_text("base: pe16x16\nname: pe16x16\nactivation: {buffer_kib: 1048576}\n")
    status, data = told(capsys, "pe16x16", large)
    assert status == 1
    assert "activation" in data["reasons"][0]["b"]


def test_a_run_equals_itself(runs: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    out = runs()
    assert told(capsys, out, out)[0] == 0


def test_a_price_changes_energies_alone(
    runs: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """DRAM at twice the price: twice the DRAM energy, nothing else that is counted or priced."""
    status, data = told(capsys, runs(), runs("--set", "dram.pj_per_bit=16.0"))
    assert status == 1
    assert data["configuration"] == [{"key": "dram.pj_per_bit", "a": 8.0, "b": 16.0}]
    figures = {kind: rows for kind, rows in data["figures"].items() if rows}
    assert set(figures) == {"energy", "derived"}
    assert {row["item"] for row in figures["energy"]} == {"dram"}
    for row in figures["energy"]:
        assert row["b"] == pytest.approx(2 * row["a"], rel=1e-12)
    changes = [row["b"] - row["a"] for row in figures["energy"]]
    assert changes == sorted(changes, reverse=True)
    assert {row["item"] for row in figures["derived"]} == {"tops_per_w_dense_equivalent"}


def test_layers_are_those_of_the_files(
    runs: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Half the DRAM bandwidth: every figure of the layers as pandas finds it in layers.csv."""
    folders = runs(), runs("--set", "dram.bandwidth_gb_per_s=6.4")
    status, data = told(capsys, *folders)
    assert status == 1
    frames = [pd.read_csv(folder / "layers.csv") for folder in folders]
    index = ["scheme", "batch", "layer"]
    cycles = pd.concat(
        [frame.set_index(index)["cycles"] / frame["images"].iloc[0] for frame in frames], axis=1
    )
    expected = {
        key: tuple(row) for key, row in zip(cycles.index, cycles.to_numpy(), strict=True)
        if row[0] != row[1]
    }  # fmt: skip
    found = {
        (row["scheme"], int(row["batch"]), row["layer"]): (row["cycles"]["a"], row["cycles"]["b"])
        for row in data["layers"]
        if row["cycles"]["a"] != row["cycles"]["b"]
    }
    assert found == expected
    assert found
    apart = [abs(row["cycles"]["b"] - row["cycles"]["a"]) for row in data["layers"]]
    assert apart == sorted(apart, reverse=True)
    for run in data["runs"]:
        of_run = [
            row
            for row in data["figures"]["cycles"]
            if (row["scheme"], row["batch"]) == (run["scheme"], run["batch"])
        ]
        assert {row["item"] for row in of_run} <= set(CAUSES)
        difference = sum(row["b"] - row["a"] for row in of_run)
        assert difference == pytest.approx(run["cycles"]["b"] - run["cycles"]["a"])


def test_runs_of_other_masks_and_images(
    runs: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Masks of another name are compared where each side has one trace."""
    status, data = told(capsys, runs(), runs(trace="small-scdg.h5"))
    assert status == 1
    assert [row["key"] for row in data["configuration"]] == ["masks cdg"]
    assert data["only_a"] == data["only_b"] == []
    status, data = told(capsys, runs(), runs("--images", "2", "--batch", "4", "1"))
    assert {"key": "images of cdg", "a": 4, "b": 2} in data["configuration"]


def test_a_scheme_of_one_side(
    runs: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    status, data = told(capsys, runs(), runs("--batch", "1"))
    assert status == 1
    assert {row["batch"] for row in data["only_a"]} != {"1"}
    assert data["only_b"] == []


def test_sweeps(trace_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--trace", str(trace_folder / "small-cdg.h5"), "--scheme", "dense", "clock-gated"]
    for name, banks, price in (("a", "8,16", 8.0), ("b", "16,32", 16.0)):
        words = ["sweep", "--vary", f"activation.banks={banks}", *options, "--workers", "1"]
        words += ["--set", f"dram.pj_per_bit={price}", "--out", str(tmp_path / name)]
        assert main(words) == 0
    status, data = told(capsys, tmp_path / "a", tmp_path / "b")
    assert status == 1
    assert data["configuration"] == [{"key": "dram.pj_per_bit", "a": 8.0, "b": 16.0}]
    assert {row["activation.banks"] for row in data["only_a"]} == {"8"}
    assert {row["activation.banks"] for row in data["only_b"]} == {"32"}
    assert {row["activation.banks"] for row in data["runs"]} == {"16"}
    assert {row["item"] for row in data["figures"]["energy"]} == {"dram"}
    assert not data["figures"]["cycles"]
    assert told(capsys, tmp_path / "a", tmp_path / "a")[0] == 0


def rewrite(folder: Path, change: Callable[[str], str]) -> None:
    """Summary and layers of a run changed as texts, and named by their new hashes."""
    manifest = json.loads((folder / "provenance.json").read_text())
    layers = pd.read_parquet(folder / "layers.parquet")
    layers["layer"] = [change(name) for name in layers["layer"]]
    contents = io.BytesIO()
    layers.to_parquet(contents, index=False)
    summary = change((folder / "summary.json").read_text())
    for name, each in (("layers.parquet", contents.getvalue()), ("summary.json", summary.encode())):
        (folder / name).write_bytes(each)
        manifest["files"][name] = hashlib.sha256(each).hexdigest()
    (folder / "provenance.json").write_text(json.dumps(manifest))


def test_names_are_text(
    runs: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(runs(), tmp_path / "copy")
    rewrite(tmp_path / "copy", lambda text: text.replace("layer1", "<script>\x1b[31m"))
    capsys.readouterr()
    assert main(["diff", str(runs()), str(tmp_path / "copy"), "--rows", "1000"]) == 1
    printed = capsys.readouterr().out
    assert r"<script>\x1b[31m" in printed
    assert "\x1b" not in printed


MACHINE = "base: pe16x16\n"

BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda run: (run / "provenance.json").unlink(), "no provenance.json"),
    "an empty manifest": (
        lambda run: (run / "provenance.json").write_text("{}"), "missing keys hwsim, arch"
    ),
    "no layers": (lambda run: (run / "layers.parquet").unlink(), "no such file"),
    "another summary": (
        lambda run: (run / "summary.json").write_text("{}"), "not those that provenance.json names"
    ),
    "no rows": (lambda run: rewrite(run, lambda text: "{}" if "{" in text else text), "schemes"),
    "text for a number": (
        lambda run: rewrite(run, lambda text: text.replace('"batch": 1,', '"batch": "1",')),
        "batch",
    ),
    "no image": (
        lambda run: rewrite(run, lambda text: text.replace('"images": 4', '"images": 0')), "images"
    ),
    "a sweep's part in it": (
        lambda run: (run / "part-0.parquet").touch(), "holds a run and the parts of a sweep"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_folder_that_is_no_run_is_one_line(
    what: str, runs: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage, said = BAD[what]
    shutil.copytree(runs(), tmp_path / "copy")
    damage(tmp_path / "copy")
    line = refusal(capsys, main, ["diff", str(runs()), str(tmp_path / "copy")])
    assert line.startswith("hwsim diff: ")
    assert said in line


def test_what_cannot_be_compared(
    runs: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "part-0.parquet").touch()
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    for arguments, said in (
        (["pe16x16", str(runs())], "expected two of a kind"),
        (["pe16x61", "pe16x16"], "nearest valid: 'pe16x16'"),
        ([str(nothing), str(nothing)], "no results; expected a folder"),
        ([str(tmp_path), str(tmp_path)], "no SHA-256 in its name"),
        (["pe16x16"], "required: B"),
        (["pe16x16", "pe16x16", "--tolerance", "2"], "from 0 to 1"),
        (["pe16x16", "pe16x16", "--json", str(nothing)], "is a folder"),
        (["pe16x16", "pe16x16", "--json", str(nothing / "x" / "y")], "no such folder"),
    ):
        assert said in refusal(capsys, main, ["diff", *arguments])


def test_json_beside_the_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "diff.json"
    assert main(["diff", "pe16x16", "pe16x16-baseline", "--json", str(target)]) == 1
    assert "A and B differ" in capsys.readouterr().out
    assert json.loads(target.read_text())["b"] == "pe16x16-baseline"
