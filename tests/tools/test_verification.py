"""The campaign of `make verify` in small: it compares, and a broken model does not pass."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rtl.simulator import missing_tools

from hwsim.counters import COUNTERS
from hwsim.model import Engine
from hwsim.model import replay as engines
from hwsim.model.engines import ENGINES
from tools.verification import campaign as verify
from tools.verification.any_networks import AnyCoverage
from tools.verification.campaign import main
from tools.verification.cases import draw_case
from tools.verification.compare import run_seed
from tools.verification.report import Coverage

ROOT = Path(__file__).parents[2]

A_FEW = ["--seed", "20", "--cases", "3", "--rtl-cases", "0", "--any-cases", "0", "--jobs", "1"]


def break_a_count(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    """One line fill too many in the second visit of every layer that has one."""
    intact = ENGINES[engine]

    def broken(*arguments: Any) -> Any:
        cycles, counts = intact(*arguments)
        counts[1:2, COUNTERS.index("line_fills")] += 1
        return cycles, counts

    monkeypatch.setitem(ENGINES, engine, broken)


def break_all_totals(monkeypatch: pytest.MonkeyPatch) -> None:
    """One fill too many in every batch of the kernel, which no comparison of visits meets."""
    intact = engines.run_kernel

    def broken(*arguments: Any, by_tile: bool) -> Any:
        cycles, counts, computed = intact(*arguments, by_tile=by_tile)
        counts = counts.copy()  # what no mask changes is one row for all batches
        counts[:, COUNTERS.index("line_fills")] += not by_tile
        return cycles, counts, computed

    monkeypatch.setattr(engines, "run_kernel", broken)


def test_a_few_cases_are_equal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(A_FEW) == 0
    assert "3 cases, 0 on the RTL, 0 of any layers, no difference" in capsys.readouterr().out


def test_a_broken_model_is_found_and_its_place_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    break_a_count(monkeypatch, "kernel")
    assert main(A_FEW) == 1
    told = capsys.readouterr().out
    assert "kernel against reference, batch 0, layer " in told
    assert "tile 1: line_fills: expected " in told
    assert "; the tile alone does not differ" in told
    assert "tools.verification --seed 20 --cases 1 --rtl-cases 0 --any-cases 0 --jobs 1" in told


def test_a_difference_of_any_layers_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--cases", "0", "--rtl-cases", "0", "--any-seed", "0", "--any-cases", "3", "--jobs", "1"]
    assert main(few) == 0
    assert "0 cases, 0 on the RTL, 3 of any layers, no difference" in capsys.readouterr().out
    break_all_totals(monkeypatch)
    assert main(few) == 1
    told = capsys.readouterr().out
    assert "kernel against oracle, layer " in told
    assert "--any-cases 1 --cases 0 --rtl-cases 0 --jobs 1" in told


def test_features_of_any_layers_that_were_not_met_are_named() -> None:
    missing = AnyCoverage().shortfalls()
    assert "any layers, not covered: depthwise" in missing
    assert "any layers, not covered: dilation + groups" in missing


def test_an_error_of_the_totals_alone_is_found_by_the_oracle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    break_all_totals(monkeypatch)
    found = run_seed(20).difference
    assert found is not None
    assert found.startswith("kernel against oracle, layer ")


@pytest.mark.skipif(missing_tools() is not None, reason=f"RTL not run: {missing_tools()}")
@pytest.mark.parametrize("engine", ["intact", "kernel"])
def test_the_rtl_is_compared_with_the_kernel(
    engine: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if engine == "kernel":
        break_a_count(monkeypatch, engine)
    few = ["--cases", "0", "--rtl-seed", "266", "--rtl-cases", "2", "--any-cases", "0"]
    few += ["--jobs", "1"]
    assert main(few) == (engine == "kernel")
    told = capsys.readouterr().out
    if engine == "kernel":
        assert "RTL against kernel, layer gated, tile 1: line_fills: expected " in told
        assert (
            "tools.verification --rtl-seed 266 --rtl-cases 1 --cases 0 --any-cases 0 --jobs 1"
            in told
        )
    else:
        assert "0 cases, 2 on the RTL, 0 of any layers, no difference" in told


def test_where_the_rtl_cannot_be_run_it_is_missed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verify, "missing_tools", lambda: "Icarus Verilog is not installed")
    assert main(["--cases", "1", "--rtl-cases", "1", "--any-cases", "0", "--jobs", "1"]) == 1
    told = capsys.readouterr().out
    assert told.startswith("RTL NOT COMPARED: Icarus Verilog is not installed")
    assert told.endswith("RTL: Icarus Verilog is not installed\n")


def test_what_was_not_covered_is_named() -> None:
    coverage = Coverage(least=20)
    coverage.add(run_seed(20))
    missing = "\n".join(coverage.shortfalls())
    assert "not covered: E 4 with decoders shared" in missing
    assert "dense with V" not in missing
    assert "1 cases compared, fewer than 20" in missing


def test_a_seed_is_one_case() -> None:
    values, case = draw_case(5)
    again, same = draw_case(5)
    assert values == again
    assert (case.arch, case.network, case.scheme) == (same.arch, same.network, same.scheme)


def test_processes_share_the_work() -> None:
    """From the command, as its workers import the functions that they run."""
    few = ["--seed", "20", "--cases", "25", "--rtl-cases", "0", "--any-cases", "3", "--jobs", "2"]
    command = [sys.executable, "-m", "tools.verification", *few]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "25 cases, 0 on the RTL, 3 of any layers, no difference" in done.stdout
