"""A memory of a size that was not measured: cycles and traffic all the same, energy without."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from refusal import refusal

from hwsim.arch.load import load_arch
from hwsim.energy.table import PriceError
from hwsim.run.__main__ import main
from hwsim.run.simulate import simulate
from hwsim.run.summary import summary
from hwsim.sweep.equal_area import main as equal_area
from hwsim.sweep.search import main as search
from hwsim.sweep.sweep import run_sweep
from hwsim.trace.mask_trace import MaskTrace

LARGE = {"activation.buffer_kib": 65536}
"""Four MiB a bank; one MiB is the largest macro that was measured."""

SET = ["--set", "activation.buffer_kib=65536"]


@pytest.fixture(scope="module")
def trace(trace_folder: Path) -> MaskTrace:
    return MaskTrace.open(trace_folder / "small-scdg.h5")


def test_cycles_do_not_hang_on_prices(trace: MaskTrace) -> None:
    """All tensors fit into 1 MiB already: cycles and traffic are those of that machine."""
    result = simulate(load_arch("pe16x16", LARGE), trace, "structured-8x")
    priced = simulate(load_arch("pe16x16", {"activation.buffer_kib": 1024}), trace, "structured-8x")
    assert result.cycles == priced.cycles
    assert result.totals == priced.totals
    assert priced.no_price is None
    assert "4194304 bytes" in str(result.no_price)
    with pytest.raises(PriceError, match="measured range"):
        _ = result.energy_pj
    row = summary(result, result)
    for name in ("energy_uj_per_image", "energy_uj", "area_mm2", "tops_per_w_dense_equivalent"):
        assert row[name] is None
    assert row["dram_bytes_per_image"] == summary(priced, priced)["dram_bytes_per_image"]
    frame = result.to_frame()
    assert frame["energy_pj"].isna().all()
    assert frame["mac_pj"].isna().all()
    assert frame["cycles"].sum() == result.cycles


def test_a_run_says_why_there_is_no_energy(
    trace: MaskTrace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["--trace", str(trace.path), *SET, "--tables", "all", "--out", str(out)]
    assert main(arguments) == 0
    told = capsys.readouterr()
    assert "energy and area have no price: activation_buffer: a macro of 4194304" in " ".join(
        told.out.split()
    )
    assert "Least energy" not in told.out
    assert " nan" not in told.out
    (line,) = [line for line in told.out.splitlines() if line.startswith("-      dense  ")][:1]
    assert line.count("no price") == 2
    report = json.loads((out / "summary.json").read_text())
    assert {row["energy_uj_per_image"] for row in report["schemes"]} == {None}
    assert report["other_prices"] == report["turning_points"] == []
    assert pd.read_parquet(out / "layers.parquet")["energy_pj"].isna().all()
    assert not list(out.glob("energy*.png"))


def test_a_sweep_keeps_the_cycles(trace: MaskTrace, tmp_path: Path) -> None:
    axes = {"activation.buffer_kib": (1024, 65536)}
    found = run_sweep("pe16x16", axes, tmp_path, traces=[str(trace.path)], schemes=["dense"],
                      workers=1)  # fmt: skip
    assert found["impossible"].isna().all()
    assert found["cycles_per_image"].nunique() == 1
    priced, large = (row for _, row in found.iterrows())
    assert math.isfinite(priced["energy_uj_per_image"] + priced["area_mm2"])
    assert pd.isna(priced["no_price"])
    assert np.isnan(large["energy_uj_per_image"])
    assert np.isnan(large["pe_array_mm2"])
    assert "measured range" in large["no_price"]


def test_what_needs_prices_refuses_in_one_line(
    trace: MaskTrace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--trace", str(trace.path), *SET, "--out", str(tmp_path)]
    pytest.importorskip("optuna")
    more = ["--vary", "array.rows=8,16", "--trials", "1"]
    assert "measured range" in refusal(capsys, search, [*asked, *more])
    assert "measured range" in refusal(capsys, equal_area, asked)
    assert search([*asked, *more, "--objective", "latency", "--workers", "1"]) == 0
