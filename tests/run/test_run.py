"""The command line, as a user types it."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from refusal import refusal

from hwsim.counters import CAUSES
from hwsim.model.engines import ENGINES
from hwsim.network import Network
from hwsim.run.__main__ import main
from hwsim.trace.files import open_traces, write_trace
from hwsim.trace.format.header import TraceError
from hwsim.trace.synthetic import synthetic_trace


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main([*arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_the_table_names_every_scheme(
    trace_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, "--arch", "configs/pe16x16.yaml", "--trace", str(trace_folder))
    assert (status, err) == (0, "")
    for scheme in (
        "dense",
        "dense-zero-gated",
        "clock-gated",
        "unstructured",
        "lockstep-8",
        "structured",
    ):
        assert scheme in out
    assert "batch 4\n" in out
    assert "synthetic" in out
    assert max(map(len, out.splitlines())) <= 100
    assert out == "\n".join(line.rstrip() for line in out.split("\n"))
    assert "Fastest" in out or "No scheme is faster" in out


def test_out_writes_every_file(
    trace_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results"
    status, _, err = run(
        capsys, "--trace", str(trace_folder), "--out", str(out), "--batch", "2", "--layers"
    )
    assert (status, err) == (0, "")
    assert {path.name for path in out.iterdir()} == {
        "summary.json", "provenance.json", "layers.csv", "layers.parquet",
        "energy_breakdown.png", "energy_vs_sparsity.png", "energy_vs_sparsity.csv",
        "realised_speedup.png", "turning_points.csv", "turning_points.png",
    }  # fmt: skip
    manifest = json.loads((out / "provenance.json").read_text())["files"]
    assert manifest == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.iterdir()
        if path.name != "provenance.json"
    }
    report = json.loads((out / "summary.json").read_text())
    layers = pd.read_parquet(out / "layers.parquet")
    assert len(pd.read_csv(out / "layers.csv")) == len(layers)
    for row in report["schemes"]:
        run_ = layers.query("trace == @row['trace'] and scheme == @row['scheme']")
        assert sum(row["stalls"].values()) == run_["cycles"].sum()
        assert row["cycles_per_image"] == run_["cycles"].sum() / 4
        assert row["energy_uj_per_image"] == pytest.approx(run_["energy_pj"].sum() / 4e6)
    causes = layers[[f"{cause}_cycles" for cause in CAUSES]].sum(axis=1)
    np.testing.assert_array_equal(causes, layers["cycles"])


def test_json_prints_the_summary_alone(
    trace_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = str(trace_folder / "small-scdg.h5")
    status, out, _ = run(
        capsys, "--trace", trace, "--scheme", "structured-8x", "--json", "-", "--images", "2"
    )
    report = json.loads(out)
    assert status == 0
    assert [row["scheme"] for row in report["schemes"]] == ["structured-8x"] * 2
    assert {row["images"] for row in report["schemes"]} == {2}
    assert {row["batch"] for row in report["schemes"]} == {2, 1}


def test_several_traces_and_set(trace_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(path) for path in sorted(trace_folder.glob("*.h5"))]
    status, out, _ = run(capsys, "--trace", *paths, "--set", "index.lane_group=4", "--json", "-")
    schemes = {row["scheme"] for row in json.loads(out)["schemes"]}
    assert status == 0
    assert {"lockstep-4", "structured-4x"} <= schemes


def test_the_reference_engine_prints_the_same_summary(
    trace_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every figure but the engine's name; one line says how long it takes."""
    trace = str(trace_folder / "small-scdg.h5")
    rest = ("--scheme", "structured-8x", "--batch", "1", "--images", "1", "--json", "-")
    rows = {}
    for engine in ("kernel", "reference"):
        status, out, err = run(capsys, "--trace", trace, "--engine", engine, *rest)
        assert status == 0
        (rows[engine],) = json.loads(out)["schemes"]
        assert rows[engine].pop("engine") == engine
    assert rows["kernel"] == rows["reference"]
    assert err.count("\n") == 1
    assert "--engine reference takes about" in err


def test_the_reference_engine_suggests_one_image(
    trace_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All schemes of 4 images of two traces; the replay itself is left to the kernel."""
    monkeypatch.setitem(ENGINES, "reference", ENGINES["kernel"])
    status, _, err = run(capsys, "--trace", str(trace_folder), "--engine", "reference")
    assert status == 0
    assert "--images 1 takes about" in err
    assert err.count("\n") == 1


BAD = {
    "missing machine": (["--arch", "pe16x61"], ["pe16x61", "pe16x16"]),
    "missing trace": (["--trace", "nowhere.h5"], ["nowhere.h5", "no such file"]),
    "unknown key": (["--set", "index.lanegroup=4"], ["index.lanegroup", "index.lane_group"]),
    "wrong type": (["--set", "array.rows=many"], ["array.rows", "'many'"]),
    "unknown scheme": (["--scheme", "structured-8"], ["structured-8", "structured-8x"]),
    "unusable scheme": (["--scheme", "lockstep-8"], ["lockstep-8", "small-scdg.h5"]),
    "unknown option": (["--schemes", "dense"], ["--schemes", "--scheme"]),
    "bad batch": (["--batch", "0"], ["--batch", "positive"]),
    "unknown engine": (["--engine", "kernle"], ["--engine", "'kernel'"]),
    "commas": (["--scheme", "dense,unstructured"], ["separate several with blanks"]),
    "unknown name of a table": (["--tables", "cause"], ["'cause'", "nearest valid: 'causes'"]),
    "a folder": (["--arch", "/"], ["is a folder"]),
    "set twice": (
        ["--set", "activation.banks=8", "--set", "activation.banks=16"],
        ["activation.banks: given twice"],
    ),
    "tables beside json": (["--json", "-", "--tables", "causes"], ["leave --tables"]),
    "bad images": (["--images", "x"], ["--images", "positive integer", "'x'"]),
    "json into no folder": (["--json", "nodir/x.json"], ["nodir/x.json", "no such folder"]),
    "too many images": (["--images", "9"], ["--images 9", "holds 4"]),
    "weights do not fit": (
        ["--set", "weight.buffer_kib=64"],
        ["layer4.0.conv2", "weight buffer", "73728"],
    ),
    "no tile fits": (
        ["--set", "activation.buffer_kib=9"],
        ["layer1.0.conv1", "activation buffer", "bytes"],
    ),
    "coded maps without input bits": (
        ["--set", "activation.dram_format=run-length"],
        ["small-scdg.h5", "activation.dram_format: run-length", "hwsim record --input-images N"],
    ),
    "unknown format in DRAM": (
        ["--set", "activation.dram_format=rle"],
        ["activation.dram_format", "'dense' or 'run-length'", "'rle'"],
    ),
    "unknown table": (["--set", "pricing.table=cacti"], ["cacti", "cacti22"]),
}


def test_results_tell_traces_by_name(
    trace_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = trace_folder / "small-cdg.h5", tmp_path / "small-cdg.h5"
    shutil.copy(one, other)
    for paths in ([one, other], [one, one], [trace_folder, other]):
        err = refusal(capsys, main, ["--trace", *map(str, paths), "--scheme", "dense"])
        assert f"{paths[-1]}: results tell traces by name, and {one} has the same; rename" in err
        with pytest.raises(TraceError, match="results tell traces by name"):
            open_traces(*paths)


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_status_2(
    case: str, trace_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, parts = BAD[case]
    out = tmp_path / "results"
    trace = [] if "--trace" in arguments else ["--trace", str(trace_folder / "small-scdg.h5")]
    err = refusal(capsys, main, [*trace, *arguments, "--out", str(out)])
    for part in parts:
        assert part in err
    assert not out.exists()


def test_an_interrupted_run_leaves_no_folder(
    trace_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hwsim.run.record.compare", interrupted)
    asked = ["--trace", str(trace_folder / "small-scdg.h5"), "--out", str(tmp_path / "a" / "b")]
    assert main(asked) == 130
    assert not list(tmp_path.iterdir())


def test_a_simulation_imports_no_torch(trace_folder: Path) -> None:
    code = (
        "import sys; from hwsim.run.__main__ import main; "
        f"main(['--trace', {str(trace_folder)!r}, '--json', '-']); "
        "assert not {'torch', 'PIL', 'matplotlib', 'simpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_import_hwsim_is_light() -> None:
    code = "import sys, hwsim; assert not {'numba', 'pandas', 'numpy', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_trace_without_margins_has_no_figure_over_sparsity(
    tmp_path: Path, small_network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    made = synthetic_trace(small_network, 0.3, images=1)
    names = [layer.name for layer in small_network.gated_layers]
    write_trace(tmp_path / "mine.h5", made.header, {name: made.packed(name) for name in names})
    out = tmp_path / "results"
    status, printed, err = run(
        capsys, "--trace", str(tmp_path / "mine.h5"), "--scheme", "unstructured", "--out", str(out)
    )
    assert status == 0
    # One image is one batch of one, whatever the machine could hold.
    assert "batch 1\n" in printed
    assert "batch 16" not in printed
    assert "no trace stores margins" in err
    assert (out / "energy_breakdown.png").exists()
    assert (out / "realised_speedup.png").exists()
    assert not (out / "energy_vs_sparsity.png").exists()


def test_dense_alone_has_no_figure_of_realised_speedup(
    trace_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, _ = run(
        capsys, "--trace", str(trace_folder / "small-cdg.h5"), "--scheme", "dense",
        "--out", str(tmp_path), "--images", "1",
    )  # fmt: skip
    assert status == 0
    assert (tmp_path / "energy_breakdown.png").exists()
    assert not (tmp_path / "realised_speedup.png").exists()


def test_a_mistyped_folder_is_told(trace_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(
        capsys, "--arch", "nosuch/pe16x16.yaml", "--trace", str(trace_folder), "--json", "-"
    )
    assert status == 0
    assert "nosuch/pe16x16.yaml: no such file; taking the shipped pe16x16.yaml" in err


def test_a_reader_that_leaves_early_is_no_error(trace_folder: Path) -> None:
    command = [sys.executable, "-m", "hwsim.run", "--trace", str(trace_folder), "--layers"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout
        assert running.stderr
        running.stdout.readline()
        running.stdout.close()
        assert (running.wait(), running.stderr.read()) == (0, b"")


def test_every_batch_asked_for_is_shown(
    trace_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run(
        capsys, "--trace", str(trace_folder), "--scheme", "dense", "--batch", "1", "2", "4"
    )
    assert status == 0
    assert [f"batch {batch}\n" in out for batch in (1, 2, 4)] == [True] * 3


def test_traces_of_one_method_are_told_apart(
    trace_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(trace_folder / "small-scdg.h5"), str(tmp_path / "other.h5")]
    shutil.copy(*paths)
    status, out, _ = run(capsys, "--trace", *paths, "--scheme", "structured", "--batch", "2")
    assert status == 0
    lines = [line.split()[:2] for line in out.splitlines() if "structured-8x  " in line]
    assert lines == [["small-scdg", "structured-8x"], ["other", "structured-8x"]]


def test_families_of_schemes_and_what_is_left_out(
    trace_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run(capsys, "--trace", str(trace_folder), "--scheme", "structured")
    assert status == 0
    assert "structured-8x does not run on small-cdg: a mask bit per channel" in out
