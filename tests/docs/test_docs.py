"""Examples in the documentation run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hwsim.arch.load import load_arch
from hwsim.network import load_network
from hwsim.run.simulate import simulate
from hwsim.run.summary import summary
from hwsim.trace.files import verify
from hwsim.trace.mask_trace import MaskTrace

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guide"
MODEL = ROOT / "docs" / "model"


def test_the_example_of_a_trace_of_ones_own_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _ = re.findall(r"```python\n(.*?)```", (GUIDE / "traces.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/guide/traces.md", "exec"), {})
    assert verify(tmp_path / "mine.h5").images == 10


def test_the_example_of_a_run_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (GUIDE / "run.md").read_text(), re.DOTALL)
    exec(compile(code, "docs/guide/run.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "bank_stall_cycles" in printed
    assert "structured-8x" in printed


def test_the_examples_of_network_files_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """3 x 9 x 16 MACs a pixel of 1,024, twice 16 x 9 x 16, and a classifier."""
    text = (GUIDE / "network_files.md").read_text()
    written, code = re.findall(r"```(?:yaml|python)\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(written)
    assert load_network("net.yaml").macs == 1024 * 16 * 9 * (3 + 2 * 16) + 160
    exec(compile(code, "docs/guide/network_files.md", "exec"), {})
    assert "layer4.1.conv2" in capsys.readouterr().out


def test_the_example_of_a_timeline_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (GUIDE / "timeline.md").read_text(), re.DOTALL)
    exec(compile(code, "docs/guide/timeline.md", "exec"), {})
    printed = capsys.readouterr().out
    assert printed.startswith("{'base': ")
    assert "conditional" in printed.splitlines()[-1]


@pytest.mark.parametrize(
    ("method", "scheme"),
    [("cdg", "dense"), ("cdg", "unstructured"), ("scdg", "dense"), ("scdg", "structured-8x")],
)
def test_the_figures_of_coded_maps_are_the_programs(method: str, scheme: str) -> None:
    text = (MODEL / "dram_format.md").read_text()
    (row,) = re.findall(rf"^\| {method}, {scheme} \| (.*) \|$", text, re.MULTILINE)
    trace = MaskTrace.open(ROOT / "traces" / f"resnet18-cifar10-{method}.h5").head(16)
    figures = []
    for name in ("dram_bytes_per_image", "energy_uj_per_image", "cycles_per_image"):
        for form in ("dense", "run-length"):
            arch = load_arch("pe16x16", {"activation.dram_format": form})
            result = simulate(arch, trace, scheme)
            figures.append(f"{summary(result, result)[name]:,.0f}")
    assert row.split(" | ") == figures


def test_the_example_of_figures_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (GUIDE / "figures.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/guide/figures.md", "exec"), {})
    assert {path.stem for path in tmp_path.iterdir()} == {
        "cycles_by_cause", "roofline", "pareto", "open_gates",
    }  # fmt: skip


def test_the_examples_of_sweeps_run(tmp_path: Path) -> None:
    """The one that sweeps first: it is a script, because its workers import it."""
    read, swept, searched = re.findall(
        r"```python\n(.*?)```", (GUIDE / "sweeps.md").read_text(), re.DOTALL
    )
    for code in (searched, swept, read + "assert len(rows) == 6  # 3 machines, 2 traces\n"):
        (tmp_path / "mine.py").write_text(code)
        subprocess.run(
            [sys.executable, "mine.py"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            check=True,
        )
