"""The campaign of `make fuzz` in small: hostile inputs of every kind, and what is a failure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools.fuzz.case import Case
from tools.fuzz.kinds import KINDS
from tools.fuzz.report import Found, report
from tools.fuzz.runner import Ended, run
from tools.fuzz.trial import Trial
from tools.fuzz.verdict import LINE, NOT_DRAWN, RIGHT, Verdict, judge

ROOT = Path(__file__).parents[2]

QUICK = ("traces", "arrays", "machines", "networks", "points", "commands", "results")
"""Kinds whose inputs take milliseconds."""


def fuzz(*arguments: str) -> tuple[int, str]:
    """Status and report of a campaign in a process of its own: one that forks must have no
    threads."""
    command = [sys.executable, "-m", "tools.fuzz", "--workers", "1", *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("kinds", "inputs"), [(QUICK, 260), (("weights",), 12)], ids=["quick", "weights"]
)
def test_hostile_inputs_end_in_the_right_result_or_in_a_line(
    kinds: tuple[str, ...], inputs: int
) -> None:
    pytest.importorskip("torch") if "weights" in kinds else None
    status, report = fuzz("--inputs", str(inputs), "--seed", "11", "--only", *kinds)
    assert status == 0, report
    assert all(f"| {kind} |" in report for kind in kinds)


def ended(status: int, stdout: str = "", stderr: str = "", **more: object) -> Ended:
    return Ended(status, stdout.encode(), stderr.encode(), "", 0.1, 0, **more)  # type: ignore[arg-type]


CASE = Case("a change", ("run",))

TRACEBACK = """Traceback (most recent call last):
  File "/x/hwsim/trace/a.py", line 3, in f
  File "/x/lib/numpy/b.py", line 4, in g
ValueError: no
"""


@pytest.mark.parametrize(
    ("found", "what", "where"),
    [
        (ended(0, "1 row\n"), RIGHT, ""),
        (ended(2, "", "hwsim run: x: no such file\n"), LINE, ""),
        (ended(2, "1 row\n", "hwsim run: x: no such file\n"), "result and refusal", None),
        (ended(2), "no line", None),
        (ended(2, "", "one\ntwo\n"), "several lines", None),
        (ended(2, "", "hwsim run: \x1b[31m\n"), "text", None),
        (ended(2, "", "hwsim run: " + "x" * 2001), "long line", None),
        (ended(1, "", TRACEBACK), "traceback", "hwsim/trace/a.py: f"),
        (ended(-11), "signal", None),
        (ended(1, "", "hwsim run: no\n"), "status", None),
        (ended(0, "", "x.py:3: RuntimeWarning: overflow\n"), "warning", None),
        (ended(0, '{"energy_uj": NaN}'), "senseless result", "energy_uj"),
        (ended(0, '{"schemes": [{"cycles": -1}]}'), "senseless result", "schemes[].cycles"),
        (ended(0, hung=True), "hang", None),
    ],
)  # fmt: skip
def test_outcomes(found: Ended, what: str, where: str | None) -> None:
    verdict = judge(CASE, found, None, 0)
    assert verdict.what == what
    assert verdict.failed == (what not in (RIGHT, LINE))
    if where is not None:
        assert verdict.where == where


def test_a_result_equals_that_of_the_sound_input() -> None:
    sound = ended(0, '{"cycles": 7, "provenance": {"when": 1}}')
    assert judge(CASE, ended(0, '{"cycles": 7, "provenance": {"when": 2}}'), sound, 0).what == RIGHT
    assert judge(CASE, ended(0, '{"cycles": 8}'), sound, 0).what == "other result"
    refused = Case("a change", ("run",), refused=True)
    assert judge(refused, ended(0, "1 row\n"), None, 0).what == "accepted"


def test_a_run_is_bounded_and_alone(tmp_path: Path) -> None:
    script = tmp_path / "call.py"
    script.write_text("import os\nprint(os.getcwd(), end='')\nraise SystemExit(3)\n")
    found = run(("python", "call.py"), tmp_path, 10.0)
    assert (found.status, found.stdout.decode()) == (3, str(tmp_path))


def test_a_run_that_waits_for_nothing_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "call.py").write_text("import time\ntime.sleep(1000)\n")
    assert run(("python", "call.py"), tmp_path, 0.5).hung


def test_seeds_that_gave_no_input_are_told_apart() -> None:
    """They are no inputs, and no failures of hwsim's."""
    found = Found(seed=1, workers=1)
    for verdict in (Verdict(LINE, "", ""), Verdict(NOT_DRAWN, "IndexError", "networks/1/2: empty")):
        found.add(Trial("networks", "networks/1/2", "", (), verdict, 0.1), None)
    assert found.line() == "1 inputs, 0 failures of 0 sorts, 1 not drawn"
    page = report(found, [KINDS["networks"]], 60.0)
    assert "1 inputs of seed 1 in 60 s" in page
    assert "| networks | 1 | 0 | 1 | 0 |" in page
    assert "- 1 not drawn, a fault of what draws: IndexError, networks/1/2: empty" in page
    assert page.endswith("## Failures\n\nNone.\n")
