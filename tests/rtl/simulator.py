"""Build a module for one set of parameters, run a bench over many cases, return what it saw."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1]
SOURCES = sorted((TESTS.parent / "rtl").glob("*.v"))
Case = dict[str, Any]
Observation = Any


def missing_tools() -> str | None:
    """What keeps the RTL from running here, or None."""
    if shutil.which("iverilog") is None or shutil.which("vvp") is None:
        return "Icarus Verilog (iverilog) is not installed"
    if importlib.util.find_spec("cocotb") is None:
        return "cocotb is not installed (the rtl extra)"
    return None


def observe(
    module: str, bench: str, parameters: Mapping[str, int], cases: list[Case], folder: Path
) -> list[Observation]:
    """One observation per case, from ``bench`` (a module of this package) on ``module``."""
    from cocotb_tools.runner import get_runner

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cases.json").write_text(json.dumps(cases))
    seen = folder / "observations.json"
    seen.unlink(missing_ok=True)
    runner = get_runner("icarus")
    runner.build(
        sources=SOURCES,
        hdl_toplevel=module,
        parameters=parameters,
        build_args=["-g2005", "-Wall", "-Wno-timescale"],
        build_dir=folder,
        timescale=("1ns", "1ns"),
        log_file=folder / "build.log",
    )
    os.environ["PYTHONPATH"] = os.pathsep.join([str(TESTS), *sys.path])
    try:
        runner.test(
            hdl_toplevel=module,
            test_module=f"rtl.{bench}",
            build_dir=folder,
            test_dir=folder,
            log_file=folder / "run.log",
            extra_env={"COCOTB_LOG_LEVEL": "WARNING"},
        )
    except SystemExit as failed:
        log = (folder / "run.log").read_text()
        raise AssertionError(f"the bench failed:\n{log}") from failed
    observations = json.loads(seen.read_text())
    assert len(observations) == len(cases)
    return observations
