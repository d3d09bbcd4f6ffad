"""What a report may be of, and what is refused in one line; folders of runs, read again."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parsed_page import data_of, read_page
from refusal import refusal

from hwsim.errors import UserError
from hwsim.report.__main__ import main
from hwsim.report.figures.masks import pictures_of
from hwsim.report.figures.points import read_points
from hwsim.report.folders import read_run
from hwsim.report.inputs import given
from hwsim.report.sweeps import part_of_sweep
from hwsim.run.price_sets import under_tables
from hwsim.run.simulate import simulate
from hwsim.sweep.folder import ResultsFolder
from hwsim.sweep.rows import SCHEMA
from hwsim.trace.files import open_traces

Make = Callable[..., Path]


def test_inputs_are_told_by_what_they_are(
    trace_folder: Path, run_folder: Path, sweep_folder: Path, tmp_path: Path
) -> None:
    network = tmp_path / "net.yaml"
    found = given([str(each) for each in (trace_folder, run_folder, sweep_folder, network)])
    assert [path.name for path in found.traces] == ["small-cdg.h5", "small-scdg.h5"]
    assert (found.networks, found.runs, found.sweeps) == ([network], [run_folder], [sweep_folder])
    assert [path.stem for path in given([]).traces] == [trace.name for trace in open_traces()]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere.h5"], "nowhere.h5: no such file or folder; shipped traces: resnet18"),
        (["nowhere.yaml"], "nowhere.yaml: no such file"),
        (["{empty}"], "neither a run (hwsim run --out), nor a sweep"),
        (["{run}", "--set", "array.rows=8"], "--set: nothing is replayed"),
        (["{sweep}", "--scheme", "dense"], "--scheme: nothing is replayed"),
        (["{run}", "--data", "{empty}"], "--data: the inputs hold no trace"),
        (["{traces}", "--scheme", "structred"], "scheme 'structred': unknown"),
        (["{traces}", "--images", "9"], "--images 9: "),
        (["{traces}", "--data", "tiny"], "--data tiny: holds drawn squares, but "),
        (["{traces}", "--outt", "x"], "--outt"),
    ],
)
def test_what_is_wrong_is_one_line(
    arguments: list[str], told: str, run_folder: Path, sweep_folder: Path, trace_folder: Path,
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    empty = tmp_path / "empty"
    empty.mkdir()
    folders = {"run": run_folder, "sweep": sweep_folder, "traces": trace_folder, "empty": empty}
    asked = [each.format(**folders) for each in arguments]
    line = refusal(capsys, main, [*asked, "--out", str(tmp_path / "report.html")])
    assert told in line
    assert list(tmp_path.iterdir()) == [empty]


@pytest.mark.parametrize("out", [".", "no/such/folder/report.html"])
def test_a_page_that_cannot_be_written_is_refused_at_once(
    out: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--out" in refusal(capsys, main, ["--out", str(tmp_path / out)])


def test_a_runs_folder_gives_the_page_of_its_traces(
    make: Make, run_folder: Path, traces_page: Path
) -> None:
    """But for masks, which the folder does not hold, and the platform's own words."""
    page, whole = read_page(make(run_folder)), read_page(traces_page)
    masks = sum("open gates" in chart["label"] for chart in data_of(whole, "charts").values())
    ours, theirs = data_of(page, "charts"), data_of(whole, "charts")
    assert len(theirs) - len(ours) == masks == 8
    for chart in ours.values():
        same = [each for each in theirs.values() if each["label"] == chart["label"]]
        assert chart["variants"] in [each["variants"] for each in same]
    texts = [
        each.text for each in page.all("section") if each.attributes.get("id") == "section-0-0"
    ]
    assert texts == [
        each.text for each in whole.all("section") if each.attributes.get("id") == "section-0-0"
    ]


def changed(folder: Path, target: Path, name: str, old: str, new: str) -> Path:
    """A copy of a run's folder with a text changed in one file, and the manifest to match."""
    shutil.copytree(folder, target)
    path = target / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    manifest = json.loads((target / "provenance.json").read_text())
    manifest["files"][name] = hashlib.sha256(path.read_bytes()).hexdigest()
    (target / "provenance.json").write_text(json.dumps(manifest))
    return target


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [
        ("summary.json", '"answer"', '"anwser"', "has no 'answer': written by an earlier version"),
        ("summary.json", '"images": 4', '"images": 0', "schemes.0.images: "),
        ("summary.json", '"speedup": 1.0', '"speedup": NaN', "schemes.0.speedup: "),
        ("summary.json", '"schemes": [', '"schemes": [3, ', "schemes.0: "),
        ("summary.json", "{", "", "not JSON"),
        ("summary.json", '"rows": 16', '"rows": -1', "array.rows"),
        ("summary.json", '"scheme": "dense"', '"scheme": "dens"', "layers of small-cdg, dens, "),
        ("summary.json", '"speedup": 1.0', '"speedup": 1e308', "schemes.0.speedup: "),
        ("summary.json", '"bank_stall"', '"bank_stal"', "schemes.0.stalls"),
        ("layers.csv", "layer,", "lyer,", "no column 'layer'; nearest valid: 'lyer'"),
        ("layers.csv", ",16x16,", ",16y16,", "array: expected rows x columns such as 16x16"),
        ("layers.csv", "small-cdg,cdg", "small-cdh,cdg", "layers of small-cdg, dense, batch 4: no"),
        ("layers.csv", "\n", '\n"', "layers.csv: "),
        ("energy_vs_sparsity.csv", "threshold_shift", "shift", "no column 'threshold_shift'"),
    ],
)
def test_a_damaged_run_is_one_line(
    name: str, old: str, new: str, told: str, run_folder: Path, tmp_path: Path
) -> None:
    """Texts that are no longer JSON or tables, values that mean nothing, a layer that is gone."""
    folder = changed(run_folder, tmp_path / "run", name, old, new)
    with pytest.raises(UserError) as refused:
        read_run(folder)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_run_of_two_halves_is_refused(run_folder: Path, tmp_path: Path) -> None:
    """A file that is not the one the manifest names, and a folder without a manifest."""
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    with (folder / "layers.csv").open("a") as file:
        file.write("\n")
    with pytest.raises(UserError, match=r"layers\.csv: not the file that provenance\.json names"):
        read_run(folder)
    (folder / "provenance.json").unlink()
    assert given([str(folder)]).runs == [folder]
    with pytest.raises(UserError, match=r"no provenance\.json: a run ended while it wrote"):
        read_run(folder)


def test_pictures_are_those_of_the_traces(trace_folder: Path) -> None:
    """Images 3, 1, 4 and 5 of the drawn dataset, as its source gives them."""
    from hwsim.train.images.drawn import pictures

    traces = open_traces(trace_folder / "small-cdg.h5")
    header = traces[0].header.model_copy(update={"dataset": "drawn squares test split, 32x32"})
    named = type("Trace", (), {"header": header, "path": None, "name": "small-cdg"})
    found = pictures_of(Path("tiny"), [named])  # type: ignore[list-item]
    wanted = dict(enumerate(picture for picture, _ in pictures("test")))
    assert sorted(found) == [1, 3, 4, 5]
    for number, picture in found.items():
        np.testing.assert_array_equal(picture, wanted[number])


def test_the_axis_of_density_has_energies_under_every_table(trace_folder: Path) -> None:
    result = simulate("pe16x16", trace_folder / "small-cdg.h5", "unstructured")
    for name, energy_uj in under_tables(result).items():
        table = name.removeprefix("energy_uj_per_image_")
        told = sum(result.repriced(table=table).energy_pj.values()) / result.images / 1e6
        assert energy_uj == pytest.approx(told)
    assert len(under_tables(result)) == 3


def test_points_of_a_sweep(sweep_folder: Path) -> None:
    points = read_points(sweep_folder)
    assert points.varied == ["activation.banks", "index.lane_group"]
    assert set(points.rows["scheme"]) == {
        "dense", "dense-zero-gated", "clock-gated", "unstructured", "structured-4x", "structured-8x"
    }  # fmt: skip
    # Two lane groups, two numbers of banks, five schemes on each machine.
    assert (points.all, points.impossible, len(points.rows)) == (20, 0, 20)
    best = points.rows.loc[points.rows["cycles_per_image"].idxmin()]
    assert best["cycles_per_image"] in set(points.best["cycles_per_image"])
    row = points.rows.query("scheme == 'structured-4x' and `activation.banks` == 8").iloc[0]
    assert points.told(row) == "scdg: structured-4x, banks 8, lane_group 4"


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("mask_group", 0, "mask_group of a row is 0"),
        ("cycles_per_image", -1.0, "cycles_per_image of a row is -1.0"),
        ("cycles_per_image", "many", "column 'cycles_per_image' holds no numbers"),
        ("scheme", "dens", "scheme 'dens': unknown"),
        ("array.reshape", "[[", "row "),
        ("array.rows", 0, "array.rows"),
        ("energy_uj_per_image", None, None),
    ],
)
def test_rows_that_mean_nothing_are_refused(
    column: str, value: object, told: str | None, sweep_folder: Path, tmp_path: Path
) -> None:
    """Of a part that is whole: its hash is right, its figures are not. Without energies it goes."""
    rows = pq.read_table(next(sweep_folder.glob("part-*.parquet"))).to_pylist()[:4]
    schema = SCHEMA
    if value == "many":
        schema = SCHEMA.set(SCHEMA.names.index(column), pa.field(column, pa.string()))
    part = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([row | {column: value} for row in rows], schema), part)
    folder = tmp_path / "sweep"
    ResultsFolder(folder).write(part.getvalue())
    if told is None:
        assert part_of_sweep(read_points(folder)).answer
        return
    with pytest.raises(UserError) as refused:
        part_of_sweep(read_points(folder))
    assert told in str(refused.value)


def test_a_report_is_loaded_by_nobody_else(trace_folder: Path) -> None:
    code = (
        "import sys; from hwsim.run.__main__ import main; "
        f"main(['--trace', {str(trace_folder)!r}, '--json', '-']); import hwsim.__main__; "
        "assert not [name for name in sys.modules if 'hwsim.report' in name or 'plotly' in name]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
