"""Listings: what differs, the columns asked for, three digits."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from refusal import refusal

from hwsim.errors import UserError
from hwsim.sweep.__main__ import main
from hwsim.sweep.folder import ResultsFolder
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


def test_a_sweep_draws_and_writes_its_rows(
    trace_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace, out, table = str(trace_folder / "small-scdg.h5"), tmp_path / "out", tmp_path / "rows.csv"
    words = ["--vary", "activation.banks=8,16", "--trace", trace, "--scheme", "dense"]
    words += ["structured", "--out", str(out), "--workers", "1", "--csv", str(table)]
    words += ["--plot", "activation.banks,speedup", "--plot", "scheme,area_mm2"]
    words += ["--plot", "threshold_shift,speedup"]  # of the recorded masks there is none
    assert main(words) == 0
    told = capsys.readouterr()
    assert told.err == "hwsim sweep: --plot threshold_shift,speedup: no row has both, no figure\n"
    figures = ["_activation.banks_speedup.png", "_scheme_area_mm2.png"]
    assert told.out.splitlines()[-3:] == [
        f"wrote {table}", *(f"wrote {out / name}" for name in figures)
    ]  # fmt: skip
    assert sorted(path.name for path in out.glob("*.png")) == figures
    assert (out / figures[0]).read_bytes().startswith(b"\x89PNG")
    rows, written = ResultsFolder(out).read(), pd.read_csv(table)
    assert len(written) == 4
    for row in written.to_dict("records"):
        same = rows[
            (rows["scheme"] == row["scheme"])
            & (rows["activation.banks"] == row["activation.banks"])
        ]
        for column in ("speedup", "energy_uj_per_image", "area_mm2"):
            assert same[column].item() == row[column]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (["--plot", "activation.bank,speedup"], "no column 'activation.bank'; nearest valid: 'act"),
        (["--plot", "speedup"], "expected two columns"),
        (["--plot", "batch,speedup,area_mm2"], "expected two columns"),
        (["--plot", "speedup,scheme"], "scheme is no number"),
        (["--plot", "speedup,\x1b"], "no column '\\x1b'"),
        (["--csv", "/"], "is a folder"),
        (["--csv", "nowhere/rows.csv"], "no such folder: nowhere"),
    ],
)
def test_figures_are_checked_before_anything_runs(
    option: list[str],
    said: str,
    trace_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    words = ["--trace", str(trace_folder / "small-scdg.h5"), "--out", str(out), *option]
    assert said in refusal(capsys, main, words)
    assert not out.exists()
