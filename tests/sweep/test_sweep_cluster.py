"""Sweeps on a Dask cluster: the rows of a process pool, and a worker's death loses nothing."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hwsim.errors import UserError
from hwsim.sweep.sweep import run_sweep

distributed = pytest.importorskip("distributed", reason="CLUSTER NOT TESTED: no dask")

AXES = {"activation.banks": (8, 16, 32), "index.word_bits": (8, 16, 32, 64)}


@contextmanager
def cluster(**options: Any) -> Iterator[Any]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, **options
    ) as running:
        yield running


@pytest.fixture
def options(trace_folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A point a chunk, so that many are given out."""
    monkeypatch.setattr("hwsim.sweep.sweep.CHUNK_IMAGES", 1)
    trace = trace_folder / "small-scdg.h5"
    return {"traces": [trace], "schemes": ["structured"], "images": 1}


def test_a_cluster_gives_the_same_rows(options: dict[str, Any], tmp_path: Path) -> None:
    local = run_sweep("pe16x16", AXES, tmp_path / "local", **options, workers=1)
    with cluster(processes=False) as running:
        address = running.scheduler_address
        found = run_sweep("pe16x16", AXES, tmp_path / "cluster", **options, scheduler=address)
    pd.testing.assert_frame_equal(found, local)


def test_a_cluster_without_workers_is_refused(options: dict[str, Any], tmp_path: Path) -> None:
    with distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=None) as running:
        address = running.scheduler_address
        with pytest.raises(UserError, match="has no workers"):
            run_sweep("pe16x16", AXES, tmp_path, **options, scheduler=address)


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(options: dict[str, Any], tmp_path: Path) -> None:
    """A worker process is killed once the first part is written; each point is written once."""
    axes = AXES | {"dram.bandwidth_gb_per_s": tuple(float(speed) for speed in range(1, 9))}
    local = run_sweep("pe16x16", axes, tmp_path / "local", **options, workers=1)
    out = tmp_path / "cluster"
    killed = []

    def kill(worker: int) -> None:
        while not list(out.glob("part-*")):
            time.sleep(0.01)
        killed.append(len(list(out.glob("part-*"))))
        os.kill(worker, signal.SIGKILL)

    with cluster(processes=True) as running:
        with distributed.Client(running) as client:
            worker = next(iter(client.run(os.getpid).values()))
        killer = threading.Thread(target=kill, args=(worker,))
        killer.start()
        found = run_sweep("pe16x16", axes, out, **options, scheduler=running.scheduler_address)
        killer.join()
    assert killed[0] < len(local)
    pd.testing.assert_frame_equal(found, local)
