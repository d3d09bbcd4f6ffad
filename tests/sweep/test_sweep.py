"""Sweeps: rows are those of simulate, nothing is run twice, bad input runs nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from refusal import refusal

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import load_arch
from hwsim.energy.area import area
from hwsim.energy.table import EnergyTable
from hwsim.network import Network
from hwsim.run.results import SimResult
from hwsim.run.simulate import simulate
from hwsim.run.summary import flat, summary
from hwsim.sweep import row_key, rows, sweep
from hwsim.sweep.__main__ import main
from hwsim.sweep.folder import ResultsFolder
from hwsim.sweep.sweep import run_sweep
from hwsim.trace.files import write_trace
from hwsim.trace.mask_trace import MaskTrace
from hwsim.trace.synthetic import synthetic_channels, synthetic_trace

NAMED_OTHERWISE = {"engine", "format"}
"""A sweep has one engine; the format is the key ``index.format``."""

AXES = {"index.lane_group": (1, 4), "activation.banks": (8, 16)}


@pytest.fixture(scope="module")
def scdg(trace_folder: Path) -> Path:
    return trace_folder / "small-scdg.h5"


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Every replay of this process as (trace, scheme); it remembers none from before."""
    seen = []
    monkeypatch.setattr(rows, "_runs", {})

    def counting(arch: ArchConfig, trace: MaskTrace, scheme: str, **options: Any) -> SimResult:
        seen.append((trace.name, scheme))
        return simulate(arch, trace, scheme, **options)

    monkeypatch.setattr(rows, "simulate", counting)
    return seen


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main([*arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def expected(row: pd.Series, base: ArchConfig, trace: MaskTrace) -> dict[str, Any]:
    """The row's figures from simulate, called directly."""
    keys = {key: row[key] for key in AXES}
    arch = load_arch(base.name, {**keys, "batch": int(row["batch"])})
    if not np.isnan(row["threshold_shift"]):
        trace = trace.shifted(row["threshold_shift"])
    result = simulate(arch, trace.head(int(row["images"])), row["scheme"])
    found = summary(result, simulate(arch, trace.head(int(row["images"])), "dense"))
    areas = area(arch, result.hardware, EnergyTable.load("cacti22"))
    stalls = found["stalls"].items()
    return (
        flat(found)
        | {f"{name}_mm2": mm2 for name, mm2 in areas.items()}
        | {f"{cause}_cycles_per_image": cycles / result.images for cause, cycles in stalls}
    )


def test_rows_equal_simulate(trace_folder: Path, tmp_path: Path, baseline: ArchConfig) -> None:
    """Every scheme that fits, on four machines: two batches, a last one smaller; two shifts."""
    options = {"traces": [trace_folder], "workers": 1}
    recorded = run_sweep(baseline, AXES, tmp_path, **options, batches=(2, 1), images=3)
    few = {"index.lane_group": (1, 4)}
    shifted = run_sweep(baseline, few, tmp_path, **options, shifts=(0.0, 0.5), images=1)
    assert len(recorded) == 2 * 2 * 2 * (
        4 + 5
    )  # traces, batches, banks; schemes of V = 1 and of V = 4
    assert len(shifted) == 2 * 2 * (4 + 5)  # traces, shifts
    for frame in (recorded, shifted):
        for _, row in frame.iterrows():
            trace = MaskTrace.open(trace_folder / f"{row['trace']}.h5")
            for name, value in expected(row, baseline, trace).items():
                if name not in NAMED_OTHERWISE:
                    same = row[name] == value or (value is None and pd.isna(row[name]))
                    assert same, (row["scheme"], name)


def test_every_figure_of_a_summary_has_a_column(trace_folder: Path, pe16x16: ArchConfig) -> None:
    trace = MaskTrace.open(trace_folder / "small-cdg.h5")
    dense = simulate(pe16x16, trace, "dense")
    assert set(flat(summary(dense, dense))) - NAMED_OTHERWISE <= set(rows.SCHEMA.names)


def test_a_repeated_sweep_runs_nothing(
    scdg: Path, tmp_path: Path, replays: list[tuple[str, str]]
) -> None:
    options = {"traces": [scdg], "schemes": ["structured"], "workers": 1}
    first = run_sweep("pe16x16", AXES, tmp_path, **options)
    assert list(first["scheme"]) == ["unstructured"] * 2 + ["structured-4x"] * 2
    parts = {path: path.read_bytes() for path in tmp_path.iterdir()}
    replays.clear()
    again = run_sweep("pe16x16", AXES, tmp_path, **options)
    pd.testing.assert_frame_equal(again, first)
    more = run_sweep("pe16x16", AXES | {"activation.banks": (16, 32)}, tmp_path, **options)
    assert {row for row in replays if row[1] != "dense"} == {
        ("small-scdg", "unstructured"),
        ("small-scdg", "structured-4x"),
    }
    assert len(replays) == 4
    assert more["key"][0] == first["key"][1]
    assert {path: path.read_bytes() for path in parts} == parts


def test_prices_alone_replay_nothing_anew(
    scdg: Path, tmp_path: Path, replays: list[tuple[str, str]]
) -> None:
    axes = {"dram.pj_per_bit": (4, 20.0), "pricing.table": ("cacti22", "horowitz45")}
    found = run_sweep("pe16x16", axes, tmp_path, traces=[scdg], schemes=["structured"], workers=1)
    assert sorted(replays) == [("small-scdg", "dense"), ("small-scdg", "structured-8x")]
    trace = MaskTrace.open(scdg)
    for _, row in found.iterrows():
        arch = load_arch("pe16x16", {key: row[key] for key in axes})
        energy_pj = simulate(arch, trace, "structured-8x").energy_pj
        assert row["energy_uj_per_image"] == sum(pj / 4 / 1e6 for pj in energy_pj.values())
    assert found["energy_uj_per_image"].nunique() == 4


def test_one_dense_run_serves_all_traces(
    trace_folder: Path, tmp_path: Path, replays: list[tuple[str, str]]
) -> None:
    run_sweep("pe16x16", {}, tmp_path, traces=[trace_folder], schemes=["unstructured"], workers=1)
    assert [scheme for _, scheme in replays].count("dense") == 1
    assert len(replays) == 3


def test_processes_give_the_rows_of_one(trace_folder: Path, tmp_path: Path) -> None:
    options = {"traces": [trace_folder], "schemes": ["unstructured", "structured"]}
    alone = run_sweep("pe16x16", AXES, tmp_path / "one", **options, workers=1)
    together = run_sweep("pe16x16", AXES, tmp_path / "two", **options, workers=2)
    pd.testing.assert_frame_equal(alone, together)


def test_masks_of_channels_are_swept_too(tmp_path: Path, small_network: Network) -> None:
    made = synthetic_channels(small_network, 0.5, granularity="output-channel", images=2)
    path = tmp_path / "fbs.h5"
    packed = {layer.name: made.packed(layer.name) for layer in small_network.gated_layers}
    write_trace(path, made.header, packed)
    found = run_sweep("pe16x16", AXES, tmp_path / "out", traces=[path], workers=1)
    assert set(found["scheme"]) == {"dense", "channels"}
    for _, row in found.iterrows():
        arch = load_arch("pe16x16", {key: row[key] for key in AXES})
        result = simulate(arch, MaskTrace.open(path), row["scheme"])
        assert row["cycles_per_image"] == result.cycles / 2


def test_listed_points_say_their_own_scheme_trace_and_shift(
    trace_folder: Path, tmp_path: Path
) -> None:
    points = [
        {"name": "small", "array.rows": 8, "scheme": "structured", "trace": "small-scdg"},
        {"scheme": "lockstep-8", "trace": "small-cdg", "threshold_shift": 0.5},
    ]
    found = run_sweep("pe16x16", points, tmp_path, traces=[trace_folder], workers=1)
    assert list(found["arch"]) == ["small", "pe16x16"]
    assert list(found["scheme"]) == ["structured-8x", "lockstep-8"]
    assert list(found["array.rows"]) == [8, 16]
    assert list(found["images"]) == [4, 2]
    np.testing.assert_array_equal(found["threshold_shift"], [np.nan, 0.5])


def test_keys_are_of_contents_not_of_paths(
    scdg: Path, tmp_path: Path, replays: list[tuple[str, str]]
) -> None:
    moved = tmp_path / "moved.h5"
    moved.write_bytes(scdg.read_bytes())
    for trace in (scdg, moved):
        found = run_sweep(
            "pe16x16", {}, tmp_path / "out", traces=[trace], schemes=["dense"], workers=1
        )
        assert len(found) == 1
    assert len(replays) == 1


BAD = {
    "unknown key": (["--vary", "index.lanegroup=4"], ["index.lanegroup", "index.lane_group"]),
    "empty axis": (["--vary", "array.rows="], ["array.rows", "no values"]),
    "empty range": (["--random", "2", "--vary", "array.rows=8..4"], ["array.rows", "no value"]),
    "a range in a grid": (["--vary", "array.rows=4..8"], ["array.rows", "--random"]),
    "outside the domain": (["--vary", "array.rows=8,0"], ["point 2", "array.rows", "0"]),
    "wrong type": (["--vary", "array.rows=8,many"], ["array.rows", "'many'"]),
    "in no range": (["--random", "9", "--vary", "index.word_bits=8..16"], ["index.word_bits"]),
    "no machine together": (["--vary", "array.rows=16,1024"], ["1024", "--skip-impossible"]),
    "weights do not fit": (
        ["--vary", "weight.buffer_kib=160,64"],
        ["layer4.0.conv2", "weight buffer", "--skip-impossible"],
    ),
    "no tile fits": (
        ["--vary", "activation.buffer_kib=512,9"],
        ["layer1.0.conv1", "activation buffer"],
    ),
    "unknown table": (["--vary", "pricing.table=cacti"], ["cacti", "cacti22"]),
    "unknown scheme": (["--scheme", "structred"], ["structred", "structured"]),
    "unusable scheme": (["--scheme", "lockstep"], ["lockstep", "fits no machine and trace"]),
    "missing machine": (["--arch", "pe16x61"], ["pe16x61", "pe16x16"]),
    "missing trace": (["--trace", "nowhere.h5"], ["nowhere.h5"]),
    "too many images": (["--images", "9"], ["--images 9", "holds 4"]),
    "batch twice": (["--batch", "1", "--vary", "batch=1,2"], ["batch"]),
    "missing list": (["--points", "nowhere.csv"], ["nowhere.csv"]),
    "two kinds of points": (["--points", "x.csv", "--random", "3"], ["--points", "--random"]),
    "unknown option": (["--varry", "array.rows=1"], ["--varry", "--vary"]),
    "no scheduler": (["--scheduler", "nonsense://here"], ["nonsense://here"]),
    "none to draw": (["--random", "0"], ["--random", "positive"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_runs_nothing(
    case: str,
    scdg: Path,
    tmp_path: Path,
    replays: list[tuple[str, str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments, parts = BAD[case]
    if case == "no scheduler":
        pytest.importorskip("distributed")
    trace = [] if "--trace" in arguments else ["--trace", str(scdg)]
    out = tmp_path / "out"
    err = refusal(capsys, main, [*arguments, *trace, "--out", str(out), "--workers", "1"])
    for part in parts:
        assert part in err
    assert not out.exists()
    assert not replays


def test_a_trace_without_margins_cannot_be_shifted(
    tmp_path: Path, small_network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    made = synthetic_trace(small_network, 0.3, images=1)
    packed = {layer.name: made.packed(layer.name) for layer in small_network.gated_layers}
    write_trace(tmp_path / "mine.h5", made.header, packed)
    arguments = (
        "--trace",
        str(tmp_path / "mine.h5"),
        "--shift",
        "0.1",
        "--out",
        str(tmp_path / "o"),
    )
    assert "no salience" in refusal(capsys, main, arguments)


def test_listed_points_that_fit_no_trace_are_refused(
    trace_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for line, said in (
        ("- {trace: small-scgd}", "small-scdg"),
        ("- {trace: small-scdg, scheme: lockstep}", "cannot use these masks"),
        ("- {threshold_shift: much}", "threshold_shift"),
    ):
        listed = tmp_path / "points.yaml"
        listed.write_text(line)
        arguments = ("--points", str(listed), "--trace", str(trace_folder), "--out", str(tmp_path))
        assert said in refusal(capsys, main, arguments)


def test_impossible_points_are_listed_where_asked(
    scdg: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One row for a machine that cannot be built, one per scheme that it cannot hold.

    A dense layer's weights come in parts where a channel tile does not fit, a gated one's cannot.
    """
    arguments = (
        "--vary", "weight.buffer_kib=160,64", "--vary", "array.rows=16,1024", "--skip-impossible",
        "--trace", str(scdg), "--scheme", "dense", "structured", "--workers", "1",
        "--out", str(tmp_path),
    )  # fmt: skip
    status, printed, err = run(capsys, *arguments)
    assert (status, err) == (0, "")
    assert "6 points: 6 replayed now, 0 were there, 3 impossible" in printed
    found = ResultsFolder(tmp_path).read()
    reasons = found.set_index(["weight.buffer_kib", "array.rows"])["impossible"]
    assert reasons[160, 16].isna().all()
    (gated,) = reasons[64, 16].dropna()
    assert "weight buffer" in gated
    assert reasons[[(160, 1024), (64, 1024)]].str.contains("cannot hold one round").all()
    impossible = found["impossible"].notna()
    assert found.loc[impossible, "cycles_per_image"].isna().all()
    assert found.loc[~impossible, "cycles_per_image"].notna().all()
    _, printed, _ = run(capsys, *arguments)
    assert "0 replayed now, 6 were there" in printed


def test_rows_of_other_versions_stay_apart(
    scdg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"traces": [scdg], "schemes": ["dense"], "workers": 1}
    new = run_sweep("pe16x16", {}, tmp_path, **options)
    for module in (row_key, rows):
        monkeypatch.setattr(module, "model_sha256", lambda: "of other sources")
    other = run_sweep("pe16x16", {}, tmp_path, **options)
    assert list(other["model_sha256"]) == ["of other sources"]
    assert new["key"][0] != other["key"][0]
    assert len(ResultsFolder(tmp_path).read()) == 2


def test_a_worker_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="another version"):
        rows.evaluate([], "of other sources")


def test_chunks_hold_every_point_once_and_part_no_machine(scdg: Path) -> None:
    from hwsim.sweep.axes import Range, drawn
    from hwsim.sweep.points import Choice, points_of

    axes = {"array.rows": Range(1, 64), "dram.pj_per_bit": (4, 8)}
    points = points_of(load_arch("pe16x16"), drawn(axes, 40), Choice([MaskTrace.open(scdg)]))
    chunks = list(sweep._chunks(points, window=3))
    assert sorted(point.key for chunk in chunks for point in chunk) == sorted(
        point.key for point in points
    )
    assert len(chunks) >= 6
    where: dict[str, int] = {}
    for number, chunk in enumerate(chunks):
        for point in chunk:
            assert where.setdefault(point.counts, number) == number


def test_help_and_refusals_load_no_simulator(tmp_path: Path) -> None:
    import subprocess

    code = (
        "import sys\nfrom hwsim.sweep.__main__ import main\n"
        f"assert main(['--vary', 'array.row=1', '--out', {str(tmp_path)!r}]) == 2\n"
        "assert not {'torch', 'numba', 'pandas', 'dask', 'optuna', 'pyarrow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)


def test_a_small_sweep_shows_its_rows_unasked(
    scdg: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--trace", str(scdg), "--scheme", "dense", "--workers", "1"]
    assert main(["--vary", "activation.banks=8,16", *options, "--out", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == [
        "method", "scheme", "activation.banks", "speedup", "energy_uj_per_image", "area_mm2",
    ]  # fmt: skip
    assert len(lines) == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--shift", "nan"], "--shift: expected a finite number, found 'nan'"),
        (["--vary", "batch=1,2", "--set", "batch=4"], "--set batch: is varied"),
    ],
)
def test_what_would_be_dropped_is_refused(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refusal(capsys, main, [*arguments, "--out", str(tmp_path / "out")])


def test_a_price_alone_replays_nothing(
    scdg: Path, tmp_path: Path, replays: list[tuple[str, str]]
) -> None:
    """Not even in another folder, which has no rows; energies are those of a run of its own."""
    priced = {"pricing.mac_scale": 0.5, "dram.pj_per_bit": 4.0, "pricing.table": "horowitz45"}
    rows_of = {}
    for name, settings in (("own", {}), ("other", priced)):
        arch = load_arch("pe16x16", settings)
        found = run_sweep(
            arch, {}, tmp_path / name, traces=[scdg], schemes=["structured"], images=2, workers=1
        )
        rows_of[name] = found.iloc[0]
    assert sorted(scheme for _, scheme in replays) == ["dense", "structured-8x"]
    result = simulate(load_arch("pe16x16", priced), MaskTrace.open(scdg).head(2), "structured-8x")
    uj = sum(result.energy_pj.values()) / 2 / 1e6
    assert rows_of["other"]["energy_uj_per_image"] == pytest.approx(uj)
    assert rows_of["own"]["cycles_per_image"] == rows_of["other"]["cycles_per_image"]
