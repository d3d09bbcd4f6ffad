"""Searches: reproducible, resumed after any kill as if there had been none, fronts that hold."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from refusal import refusal

from hwsim.arch.load import load_arch
from hwsim.errors import UserError
from hwsim.sweep.axes import Range
from hwsim.sweep.folder import ResultsFolder
from hwsim.sweep.search import GENERATION, OBJECTIVES, main, run_search
from hwsim.sweep.study.journal import JOURNAL, SearchError, trim
from hwsim.sweep.sweep import run_sweep

optuna = pytest.importorskip("optuna", reason="SEARCH NOT TESTED: no optuna")

AXES = {
    "activation.banks": (8, 16, 32),
    "array.feed": ("broadcast", "systolic"),
    "dram.bandwidth_gb_per_s": Range(3.2, 25.6),
    "index.indices_per_cycle": Range(1, 4),
}
TRIALS = 2 * GENERATION + 3


@pytest.fixture(scope="module")
def options(trace_folder: Path) -> dict[str, Any]:
    return {
        "trace": trace_folder / "small-scdg.h5", "scheme": "structured", "images": 1,
        "trials": TRIALS, "workers": 1,
    }  # fmt: skip


@pytest.fixture(scope="module")
def whole(options: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an uninterrupted search."""
    folder = tmp_path_factory.mktemp("search")
    run_search("pe16x16", AXES, folder, **options)
    return folder


def trials(folder: Path) -> list[tuple[dict[str, Any], list[float]]]:
    """What was proposed and what came of it; not what a kill cut off."""
    backend = optuna.storages.journal.JournalFileBackend(str(folder / JOURNAL))
    storage = optuna.storages.JournalStorage(backend)
    study = optuna.load_study(study_name=None, storage=storage)
    return [(t.params, t.values) for t in study.get_trials() if t.state.name != "FAIL"]


def test_the_front_is_of_points_that_none_beats(options: dict[str, Any], whole: Path) -> None:
    found = run_search("pe16x16", AXES, whole, **options)
    rows = ResultsFolder(whole).read()
    costs = rows.assign(
        latency_us=rows["cycles_per_image"] * rows["batch"] / rows["clock_mhz"]
    ).set_index("key")[list(OBJECTIVES.values())]
    for key, own in costs.iterrows():
        beaten = any((other <= own).all() and (other < own).any() for _, other in costs.iterrows())
        on_front = key in set(found.loc[found["on_front"], "key"])
        assert on_front != beaten
    (baseline,) = found[found["baseline"]].to_dict("records")
    assert baseline["activation.banks"] == 16
    assert len(found) < len(rows)


def test_points_are_those_of_a_sweep(options: dict[str, Any], whole: Path) -> None:
    found = run_search("pe16x16", AXES, whole, **options)
    parts = set(whole.glob("part-*"))
    settings = [{key: row[key] for key in AXES} for row in found.to_dict("records")]
    common = {name: options[name] for name in ("images", "workers")}
    again = run_sweep(
        "pe16x16", settings, whole, traces=[options["trace"]], schemes=["structured"], **common
    )
    assert list(again["key"]) == list(found["key"])
    assert set(whole.glob("part-*")) == parts


def test_a_seed_gives_the_same_points(options: dict[str, Any], whole: Path, tmp_path: Path) -> None:
    few = GENERATION + 3
    run_search("pe16x16", AXES, tmp_path / "again", **options | {"workers": 2, "trials": few})
    assert trials(tmp_path / "again") == trials(whole)[:few]
    run_search("pe16x16", AXES, tmp_path / "other", **options | {"trials": 3}, seed=1)
    assert trials(tmp_path / "other") != trials(whole)[:3]


@pytest.mark.slow
def test_wherever_a_journal_was_cut_the_search_goes_on(
    options: dict[str, Any], whole: Path, tmp_path: Path
) -> None:
    """Cut within a line, as a kill leaves it: every tenth line, and all of a generation's end."""
    lines = (whole / JOURNAL).read_bytes().splitlines(keepends=True)
    expected = trials(whole)
    cuts = {*range(0, len(lines), 10), *range(len(lines) // 2, len(lines) // 2 + 6)}
    for cut in sorted(cuts):
        folder = tmp_path / str(cut)
        shutil.copytree(whole, folder)
        torn = b"".join(lines[:cut]) + lines[cut][: len(lines[cut]) // 2]
        (folder / JOURNAL).write_bytes(torn)
        run_search("pe16x16", AXES, folder, **options)
        assert trials(folder) == expected, cut
        assert len(ResultsFolder(folder).read()) == len(ResultsFolder(whole).read())


def test_a_killed_search_goes_on(options: dict[str, Any], whole: Path, tmp_path: Path) -> None:
    code = (
        "from hwsim.sweep.search import run_search\nfrom hwsim.sweep.axes import Range\n"
        f"run_search('pe16x16', {AXES!r}, {str(tmp_path)!r}, workers=1, scheme='structured', "
        f"images=1, trials={TRIALS}, trace={str(options['trace'])!r})"
    )
    journal = tmp_path / JOURNAL
    with subprocess.Popen([sys.executable, "-c", code]) as running:
        # Half of the lines that the whole search wrote.
        half = (whole / JOURNAL).stat().st_size // 2
        while not journal.exists() or journal.stat().st_size < half:
            assert running.poll() is None
            time.sleep(0.005)
        running.kill()
    with open(journal, "ab") as file:
        file.write(b'{"op_code": 4, "wor')
    run_search("pe16x16", AXES, tmp_path, **options)
    assert trials(tmp_path) == trials(whole)


def test_only_half_a_line_is_cut(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    trim(journal)
    line = b'{"op_code":4}\n'
    for text, left in ((line * 2, line * 2), (line + line[:-1], line), (line[:5], b""), (b"", b"")):
        journal.write_bytes(text)
        trim(journal)
        assert journal.read_bytes() == left


@pytest.mark.parametrize(
    "text", [b"a", b"\n", b"{}\n", b'{"op_code":4}\n\0\0', b'{"op_code":[[\n{"op', b"\xff\n"]
)
def test_what_is_no_journal_is_refused_and_kept(text: bytes, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    journal.write_bytes(text)
    with pytest.raises(SearchError, match=rf"{journal}: line \d is damaged; delete it and run"):
        trim(journal)
    assert journal.read_bytes() == text


def changed(change: str, lines: list[dict[str, Any]]) -> None:
    """Changes a journal, given by its lines."""
    parameter = next(line for line in lines if line["op_code"] == 5)
    told = next(line for line in lines if line["op_code"] == 6)
    if change == "a cost":
        told["values"][0] *= 1 + 1e-6
    elif change == "a cost less":
        del told["values"][0]
    elif change == "text of as many letters":
        told["values"] = "n" * len(told["values"])
    elif change == "no costs":
        told["values"] = []
    elif change == "a state":
        told["state"] = 2
    elif change == "a position":
        parameter["param_value_internal"] = 1 - parameter["param_value_internal"]
    elif change == "a position that no axis has":
        parameter["param_value_internal"] = 9
    elif change == "an axis":
        parameter["distribution"] = parameter["distribution"].replace('"high": 1', '"high": 3')
    elif change == "a name":
        parameter["param_name"] = "activation.bank"
    elif change == "a missing key":
        del told["trial_id"]
    elif change == "an unknown operation":
        told["op_code"] = 99
    else:
        lines[1]["user_attr"] = {"asked": []}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("a cost", "trial 0 has other costs than its row"),
        ("a cost less", "trial 0 has other costs than its row"),
        ("text of as many letters", "trial 0 has other costs than its row"),
        ("no costs", "trial 0 has other costs than its row"),
        ("a state", "trial 0 has other costs than its row"),
        ("a position", "trial 0 has other costs than its row"),
        ("a position that no axis has", "is of other axes"),
        ("an axis", "is of other axes"),
        ("a name", "is of other axes"),
        ("a missing key", "not the journal of a search (KeyError"),
        ("an unknown operation", "not the journal of a search (AssertionError"),
        ("an attribute", "not the journal of a search (TypeError"),
    ],
)
def test_a_changed_journal_is_told_and_nothing_is_lost(
    change: str, words: str, options: dict[str, Any], tmp_path: Path
) -> None:
    axes, few = {"activation.banks": (4, 32)}, options | {"trials": 1}
    run_search("pe16x16", axes, tmp_path, **few)
    journal, parts = tmp_path / JOURNAL, set(tmp_path.glob("part-*"))
    before = trials(tmp_path)
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    changed(change, lines)
    journal.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    with pytest.raises(SearchError) as raised:
        run_search("pe16x16", axes, tmp_path, **few)
    assert words in str(raised.value)
    assert "delete it and run the same again" in str(raised.value)
    journal.unlink()
    run_search("pe16x16", axes, tmp_path, **few)
    assert trials(tmp_path) == before
    assert parts <= set(tmp_path.glob("part-*"))


def test_rows_that_were_deleted_are_replayed(options: dict[str, Any], tmp_path: Path) -> None:
    axes, few = {"activation.banks": (4, 32)}, options | {"trials": 2}
    run_search("pe16x16", axes, tmp_path, **few)
    before = {path.name for path in tmp_path.glob("part-*")}
    for part in tmp_path.glob("part-*"):
        part.unlink()
    found = run_search("pe16x16", axes, tmp_path, **few)
    assert len(found) >= 1
    assert {path.name for path in tmp_path.glob("part-*")} == before


def test_machines_that_cannot_be_are_passed_over(options: dict[str, Any], tmp_path: Path) -> None:
    """16 is the baseline's; no table prices the largest buffer, masks of 8 channels no V of 16."""
    axes = {"activation.buffer_kib": (512, 1048576), "index.lane_group": (8, 16)}
    found = run_search("pe16x16", axes, tmp_path, **options | {"trials": 12})
    assert set(found["activation.buffer_kib"]) == {512}
    assert set(found["index.lane_group"]) == {8}
    assert len(trials(tmp_path)) == 12
    assert any(values is None for _, values in trials(tmp_path))


def test_more_trials_go_on_from_those_there(options: dict[str, Any], tmp_path: Path) -> None:
    run_search("pe16x16", AXES, tmp_path, **options | {"trials": 3})
    few = trials(tmp_path)
    run_search("pe16x16", AXES, tmp_path, **options | {"trials": 9})
    assert len(few) == 3
    assert trials(tmp_path)[:3] == few
    assert len(trials(tmp_path)) == 9


def test_what_cannot_be_searched_is_refused(
    options: dict[str, Any], whole: Path, tmp_path: Path
) -> None:
    for said, axes, more in (
        ("nothing to search", {}, {}),
        ("array.row'; nearest", {"array.row": (1, 2)}, {}),
        ("array.rows", {"array.rows": Range(0, 8)}, {}),
        ("power", AXES, {"objectives": ["power"]}),
        ("structred", AXES, {"scheme": "structred"}),
        ("weight buffer", AXES, {"arch": load_arch("pe16x16", {"weight.buffer_kib": 64})}),
    ):
        with pytest.raises(UserError, match=said):
            run_search(
                **{"arch": "pe16x16", "axes": axes, "out": tmp_path / "out"} | options | more
            )
        assert not (tmp_path / "out").exists()
    for said, more in (("seed", {"seed": 7}), ("baseline", {"images": 2})):
        with pytest.raises(UserError, match=f"another {said}; take another --out"):
            run_search("pe16x16", AXES, whole, **options | more)


def test_a_beaten_baseline_is_listed(options: dict[str, Any], tmp_path: Path) -> None:
    """More bandwidth costs nothing here: the machine as it stands is slower, no smaller."""
    axes = {"dram.bandwidth_gb_per_s": (25.6, 51.2)}
    more = {"objectives": ["latency", "area"], "trials": 4}
    found = run_search("pe16x16", axes, tmp_path, **options | more)
    (baseline,) = found[found["baseline"]].to_dict("records")
    assert not baseline["on_front"]
    assert set(found.loc[found["on_front"], "dram.bandwidth_gb_per_s"]) == {51.2}


def test_the_command_prints_the_front(
    options: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (
        "--vary", "activation.banks=8,32", "--trials", "3", "--images", "1", "--workers", "1",
        "--trace", str(options["trace"]), "--out", str(tmp_path),
    )  # fmt: skip
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "baseline" in printed
    assert "energy_uj_per_image" in printed
    assert "'energy'" in refusal(capsys, main, [*arguments, "--objective", "enrgy"])
    assert "--seed: expected an integer from 0 to 4,293" in refusal(
        capsys, main, [*arguments, "--seed", "-3"]
    )
