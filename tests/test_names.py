"""Names from outside: which are refused, and that those which are not stay what they are."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pandas as pd
import pytest
from named_networks import AWKWARD, REFUSED, network_named
from refusal import refusal
from small_traces import write_small_trace

from hwsim.__main__ import main
from hwsim.arch.config import ArchConfig
from hwsim.arch.load import with_keys
from hwsim.errors import UserError, escaped, one_line
from hwsim.network import INPUT, as_name, load_network, save_network
from hwsim.text_table import text_of

FILE = b"[b]$x^\xff_\n\x1b[31m\xe2\x80\xae.h5"
"""Of a trace: markup, TeX, no UTF-8, a line break, ANSI, right to left."""

FILE_SHOWN = r"[b]$x^\udcff_\n\x1b[31m\u202e"


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trace whose layers and file have awkward names."""
    folder = tmp_path_factory.mktemp("named")
    write_small_trace(folder / "t.h5", network_named(AWKWARD), AWKWARD[1], 1)
    path = folder / os.fsdecode(FILE)
    (folder / "t.h5").rename(path)
    return path


@pytest.mark.parametrize("name", REFUSED, ids=ascii)
def test_what_is_no_name_is_refused_wherever_it_stands(name: str, pe16x16: ArchConfig) -> None:
    with pytest.raises(UserError, match="a name of 1 to 255 characters that can be printed"):
        network_named(["a", name])
    with pytest.raises(UserError, match="a name of 1 to 255 characters that can be printed"):
        network_named([name])
    with pytest.raises(UserError, match="a name of 1 to 255 characters that can be printed"):
        with_keys(pe16x16, {"name": name})


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_awkward_names_are_written_and_read(suffix: str, tmp_path: Path) -> None:
    network = network_named(AWKWARD)
    save_network(network, tmp_path / f"n.{suffix}")
    assert load_network(tmp_path / f"n.{suffix}") == network
    assert [as_name(name) for name in AWKWARD] == AWKWARD


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a\nb\x1b[0m", r"a\nb\x1b[0m"),
        ("\udcff\u202e", r"\udcff\u202e"),
        (" a ", "a"),
        (" ", "unnamed"),
        ("a" * 300, "a" * 167 + "..." + "a" * 85),
    ],
)
def test_a_file_gives_a_name_whatever_it_is_called(text: str, name: str) -> None:
    assert as_name(text) == name
    assert network_named([as_name(text)]).name == name


@pytest.mark.parametrize("size", [10, 200, 10_000, 1_000_000])
def test_a_line_is_one_and_bounded(size: int) -> None:
    for text in ("x" * size, "\x1b" * size, "a\n" * size, "\ud800" * size):
        assert one_line(text).isprintable()
        assert len(one_line(text)) <= 2_000
        assert len(escaped(text, 80)) <= 80
    assert one_line("begins " + "x" * size + " ends").startswith("begins x")
    assert one_line("begins " + "x" * size + " ends").endswith("x ends")


def test_a_cell_is_a_line_of_the_table() -> None:
    table = text_of(["layer"], [["a\nb\r\x1b[2J"], ["[b]:smile:"]], title="two\nlines")
    assert table.splitlines() == ["two lines", "", "layer", r"a\nb\r\x1b[2J", "[b]:smile:"]


def test_a_run_shows_and_writes_every_name(
    traced: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the terminal a name is cut; files have all of it."""
    out = tmp_path / "$out [b]\n\x1b[31m"
    assert main(["run", "--trace", str(traced), "--tables", "all", "--out", str(out)]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert all(line.isprintable() for line in told.out.split("\n"))
    for name in (*AWKWARD[:-1], FILE_SHOWN, r"$out [b] \x1b[31m"):
        assert name in told.out
    layers = pd.read_csv(out / "layers.csv", keep_default_na=False)
    for frame in (layers, pd.read_parquet(out / "layers.parquet")):
        assert list(frame["layer"].unique()) == AWKWARD
        assert set(frame["trace"]) == {FILE_SHOWN}
        assert set(frame["method"]) == {AWKWARD[1]}
    report = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert {row["trace"] for row in report["schemes"]} == {FILE_SHOWN}
    assert list(report["provenance"]["traces"]) == [FILE_SHOWN]


def test_json_that_is_printed_is_valid(traced: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--trace", str(traced), "--json", "-", "--scheme", "dense"]) == 0
    (row, *_) = json.loads(capsys.readouterr().out)["schemes"]
    assert (row["trace"], row["method"]) == (FILE_SHOWN, AWKWARD[1])


@pytest.mark.parametrize(
    "command",
    [["trace", "inspect"], ["trace", "verify"], ["network", "show"], ["network", "check"]],
)
def test_other_commands_show_lines_that_can_be_printed(
    command: list[str], traced: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, str(traced)]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert all(line.isprintable() for line in told.out.split("\n"))
    shown = AWKWARD[1:-1] if command[1] in ("inspect", "show") else [FILE_SHOWN.replace("\\n", " ")]
    for name in shown:
        assert name in told.out


@pytest.mark.parametrize("action", ["inspect", "verify"])
def test_a_name_that_no_file_has_is_shown(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = refusal(capsys, main, ["trace", action, "no\x1b[31m\udcff\u202e"])
    assert line.startswith(r"hwsim trace: no\x1b[31m\udcff\u202e: no such file")
    line = refusal(capsys, main, ["trace", action, "x" * 100_000])
    assert len(line) < 2_100


@pytest.mark.parametrize("option", ["--arch", "--set", "--scheme", "--trace", "--tables", "--x"])
def test_whatever_is_asked_for_a_refusal_is_one_short_line(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in ("\x1b[31m[b]$x^", "\udcff", "x" * 100_000):
        line = refusal(capsys, main, ["run", option, text])
        assert line.removesuffix("\n").isprintable()
        assert len(line) < 2_100


def test_a_terminal_without_letters_gets_escapes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of ASCII; YAML that is printed has escapes of its own, and is read as the same network."""
    network = network_named(["ü", "層"])
    save_network(network, tmp_path / "n.yaml")
    printed = {}
    for name, command in {
        "show": ["network", "show", str(tmp_path / "n.yaml")],
        "yaml": ["import", str(tmp_path / "t.csv")],
    }.items():
        (tmp_path / "t.csv").write_text("Layer,IH,IW,FH,FW,C,N,S,\n層,8,8,3,3,4,4,1,\n")
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
        assert main(command) == 0
        printed[name] = sys.stdout.buffer.getvalue()  # type: ignore[attr-defined]
    assert rb"\xfc" in printed["show"]
    assert rb"\u5c64" in printed["show"]
    (tmp_path / "printed.yaml").write_bytes(printed["yaml"])
    (layer,) = load_network(tmp_path / "printed.yaml").layers
    assert layer.name == "層"
    assert layer.input == f"{INPUT}:層"
