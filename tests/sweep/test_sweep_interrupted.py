"""Killed and interrupted sweeps lose nothing finished; several processes share a folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hwsim.sweep import rows
from hwsim.sweep.folder import ResultsFolder
from hwsim.sweep.points import Point
from hwsim.sweep.sweep import run_sweep

BANKS = (4, 8, 12, 16, 20, 24, 28, 32)
AXES = {"activation.banks": BANKS, "index.word_bits": (16, 32)}
SCHEMES = ("unstructured", "structured")


@pytest.fixture(scope="module")
def options(trace_folder: Path) -> dict[str, Any]:
    return {"traces": [trace_folder / "small-scdg.h5"], "schemes": SCHEMES, "images": 1}


@pytest.fixture(scope="module")
def whole(options: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """An uninterrupted sweep."""
    return run_sweep("pe16x16", AXES, tmp_path_factory.mktemp("whole"), **options, workers=1)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwsim.sweep.sweep.CHUNK_IMAGES", 1)


def command(
    trace_folder: Path, out: Path, *more: str, banks: Sequence[int] = BANKS, pause: float = 0
) -> list[str]:
    """The sweep of AXES in a process of its own, a point a chunk; it rests after each part."""
    arguments = [
        "--vary", f"activation.banks={','.join(map(str, banks))}",
        "--vary", "index.word_bits=16,32", "--images", "1", "--scheme", *SCHEMES,
        "--trace", str(trace_folder / "small-scdg.h5"), "--out", str(out), *more,
    ]  # fmt: skip
    code = (
        "import signal, time\n"
        "from hwsim.sweep import sweep\nfrom hwsim.sweep.__main__ import main\n"
        "from hwsim.sweep.folder import ResultsFolder\n"
        # Tests that run in the background have inherited that interrupts are ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sweep.CHUNK_IMAGES, write = 1, ResultsFolder.write\n"
        f"ResultsFolder.write = lambda *part: (write(*part), time.sleep({pause}))\n"
        f"if __name__ == '__main__':\n    raise SystemExit(main({arguments!r}))"
    )
    return [sys.executable, "-c", code]


def parts(out: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in out.glob("part-*.parquet")}


def until(happened: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_sweep_goes_on_where_it_was(
    workers: str,
    sent: signal.Signals,
    trace_folder: Path,
    options: dict[str, Any],
    whole: pd.DataFrame,
    tmp_path: Path,
) -> None:
    """Workers of a killed parent end as well; what the first wrote is not touched again."""
    with subprocess.Popen(
        command(trace_folder, tmp_path, "--workers", workers, pause=0.2),  # seconds to be killed in
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as running:
        until(lambda: len(parts(tmp_path)) >= 2)
        if sent == signal.SIGINT:
            os.killpg(running.pid, sent)  # as a terminal does
            assert running.stderr
            assert b"interrupted" in running.stderr.read()
            assert running.wait() == 130
        else:
            running.kill()
            running.wait()
        until(lambda: not group_alive(running.pid))
    before = parts(tmp_path)
    found = ResultsFolder(tmp_path).read()
    assert 0 < len(found) < len(whole)
    resumed = run_sweep("pe16x16", AXES, tmp_path, **options, workers=1)
    pd.testing.assert_frame_equal(resumed, whole)
    after = parts(tmp_path)
    assert {path: after[path] for path in before} == before
    assert len(after) - len(before) == len(whole) - len(found)


def group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_keyboard_interrupt_keeps_finished_chunks(
    options: dict[str, Any], whole: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate, calls = rows.evaluate, []

    def third_is_interrupted(points: Sequence[Point], model: str) -> bytes:
        calls.append(points)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return evaluate(points, model)

    monkeypatch.setattr(rows, "evaluate", third_is_interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_sweep("pe16x16", AXES, tmp_path, **options, workers=1)
    assert len(ResultsFolder(tmp_path).read()) == 2
    pd.testing.assert_frame_equal(run_sweep("pe16x16", AXES, tmp_path, **options, workers=1), whole)
    done = {point.key for points in calls[:2] for point in points}
    assert not done & {point.key for points in calls[3:] for point in points}


def test_an_interrupted_write_leaves_no_part(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(source: str, target: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_sweep("pe16x16", {}, tmp_path, **options, workers=1)
    assert not list(tmp_path.iterdir())


def test_two_processes_share_a_folder(
    trace_folder: Path, whole: pd.DataFrame, tmp_path: Path
) -> None:
    """One from the front, one with what overlaps: the union is the whole sweep."""
    commands = [
        command(trace_folder, tmp_path, "--workers", "1", banks=banks)
        for banks in (BANKS[:6], BANKS[2:][::-1])
    ]
    running = [subprocess.Popen(each, stdout=subprocess.DEVNULL) for each in commands]
    assert [each.wait() for each in running] == [0, 0]
    pd.testing.assert_frame_equal(
        ResultsFolder(tmp_path).read(), whole.sort_values("key", ignore_index=True)
    )
