"""The RTL's tests need Icarus Verilog and cocotb; without them they say so and are skipped."""

from __future__ import annotations

import pytest

from .simulator import missing_tools


@pytest.fixture(autouse=True)
def tools() -> None:
    missing = missing_tools()
    if missing:
        pytest.skip(f"RTL not run: {missing}; make rtl-test installs it")
