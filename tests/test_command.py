"""The command hwsim: its map, its subcommands, what it loads."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from refusal import refusal

from hwsim.__main__ import COMMANDS, main
from hwsim.cli import status_of
from hwsim.text_table import print_table

HEAVY = {"numba", "h5py", "matplotlib", "torch", "numpy", "pandas", "simpy"}


def test_the_map_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    for name, command in COMMANDS.items():
        assert f"  {name} " in printed
        assert command.what in printed
    assert main([]) == 0
    assert capsys.readouterr().out == printed


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("hwsim 0.")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["swep"], "hwsim: unknown command 'swep'; nearest valid: 'sweep'"),
        (["--versoin"], "hwsim: unknown option '--versoin'; nearest valid: '--version'"),
        (
            ["run", "--arhc", "x"],
            "hwsim run: unrecognized arguments: --arhc x; nearest valid: '--arch'",
        ),
        (["equal-area"], "hwsim equal-area: the following arguments are required: --out"),
        (["trace", "verfy"], "hwsim trace: "),
    ],
)
def test_what_is_unknown_is_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refusal(capsys, main, arguments).startswith(said)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_helps(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])
    assert left.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: hwsim {name} ")
    assert "{'" not in printed


@pytest.mark.parametrize(
    "code", ["import hwsim", "from hwsim.__main__ import main; main(['--help'])"]
)
def test_import_and_help_are_light(code: str) -> None:
    check = f"{code}; import sys; assert not {HEAVY!r} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_commands_and_options(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("shtab")
    assert main(["completion", shell]) == 0
    printed = capsys.readouterr().out
    for word in ("equal-area", "--arch", "--tables", "statistics"):
        assert word in printed


def test_closed_output_is_nobodys_mistake() -> None:
    """As a shell closes it: hwsim network show net.yaml >&-"""
    command = f"{sys.executable} -m hwsim energy >&-"
    done = subprocess.run(["/bin/sh", "-c", command], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_too_little_memory_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        np.empty(1 << 57)

    assert status_of("hwsim run", work) == 2
    told = capsys.readouterr().err
    assert told.startswith("hwsim run: too little memory (Unable to allocate")
    assert told.count("\n") == 1


def test_names_are_no_markup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a terminal, where titles are bold."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_table(["layer"], [["[/b] :smile:"]], title="[red]net[/b] :smile:")
    printed = capsys.readouterr().out
    assert "[red]net[/b] :smile:" in printed
    assert "[/b] :smile:" in printed.splitlines()[-1] + printed.splitlines()[-2]
