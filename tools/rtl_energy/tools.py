"""The tools and the library that a measurement needs: which are missing, which versions."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess

from tools.rtl_energy.measure import Technology

COMMANDS = ("yosys", "iverilog", "vvp", "sta")


def missing(technology: Technology) -> str:
    """What lacks, in words; empty where everything is there."""
    lacks = [command for command in COMMANDS if not shutil.which(command)]
    files = (technology.liberty, technology.verilog, technology.lef)
    lacks += [file.name for file in files if not file.exists()]
    return ", ".join(lacks) + " missing" if lacks else ""


def versions(technology: Technology) -> list[str]:
    """Name and version of each tool, as it says it itself, and of the library's package."""
    package = technology.folder.parents[4] / "package"
    library = (
        package.read_text(encoding="utf-8").replace("\t", " ").strip()
        if package.exists()
        else "osu018"
    )
    return [
        "Yosys " + _said(["yosys", "-V"], r"Yosys (\S+)"),
        "OpenSTA " + _said(["sta", "-version"], r"(\S+)"),
        "Icarus Verilog " + _said(["iverilog", "-V"], r"version (\S+)"),
        library,
        f"Python {platform.python_version()}",
    ]


def _said(command: list[str], pattern: str) -> str:
    # iverilog -V may exit with 1 after it has said its version.
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.search(pattern, said)
    return found[1] if found else "of unknown version"
