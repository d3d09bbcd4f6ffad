"""Listings: what differs, the columns asked for, three digits."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from hwsim.errors import UserError
from hwsim.sweep.__main__ import main
from hwsim.sweep.rows import listing, require_columns


def test_a_listing_by_hand() -> None:
    rows = pd.DataFrame(
        {
            "method": ["cdg", "cdg", "scdg"],
            "scheme": ["dense", "unstructured", "dense"],
            "trace": ["a", "a", "b"],
            "batch": [16, 16, 16],
            "threshold_shift": [None, 0.5, None],
            "cycles_per_image": [2177855.4, 12.3456, 2177855.4],
            "speedup": [1.0, 1.2249, 1.0],
        }
    )
    text = listing(rows, ["cycles_per_image", "speedup"], ["trace", "batch", "threshold_shift"])
    assert text.splitlines() == [
        "method  scheme        cycles_per_image  speedup",
        "-       dense                2,177,855        1",
        "cdg     unstructured              12.3     1.22",
    ]


def test_a_trace_is_named_where_its_method_does_not_tell() -> None:
    rows = pd.DataFrame(
        {
            "method": ["cdg"] * 2,
            "scheme": ["clock-gated"] * 2,
            "trace": ["a", "b"],
            "speedup": [1.0] * 2,
        }
    )
    assert listing(rows, [], ["trace"]).splitlines()[1:] == [
        "cdg     clock-gated      a",
        "cdg     clock-gated      b",
    ]


def test_a_sweep_shows_its_rows(
    trace_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = str(trace_folder / "small-scdg.h5")
    options = ["--trace", trace, "--scheme", "dense", "--out", str(tmp_path), "--workers", "1"]
    assert main(["--vary", "activation.banks=8,16", *options, "--show", "speedup"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "method  scheme  activation.banks  speedup",
        "-       dense                  8        1",
        "-       dense                 16        1",
    ]


def test_unknown_columns_are_refused() -> None:
    with pytest.raises(UserError, match=r"'speed_up'.*'speedup'"):
        require_columns(["speed_up"])
