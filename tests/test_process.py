"""Commands are stopped in one line, from their first import to their end; streams may be closed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

SLOW_IMPORT = "import time; print('here', flush=True); time.sleep(60)"
"""A module that is stopped in the middle of its import."""


def stopped(command: list[str], number: signal.Signals, folder: Path) -> tuple[int, str]:
    """Status and standard error of a command that gets the signal once it prints its first line."""
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
        env={"PYTHONPATH": f"{folder}:.", "PATH": ""},
        # Tests that run in the background have inherited that interrupts are ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as running:
        assert running.stdout
        assert running.stdout.readline() == "here\n"
        running.send_signal(number)
        _, said = running.communicate(timeout=60)
    return running.returncode, said


@pytest.mark.parametrize(
    ("number", "status", "said"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
@pytest.mark.parametrize("called", [["-m", "hwsim.run"], ["-m", "hwsim", "run"]])
def test_a_command_is_stopped_while_it_loads(
    called: list[str], number: signal.Signals, status: int, said: str, tmp_path: Path
) -> None:
    """argparse stands for any module that hwsim imports first."""
    (tmp_path / "argparse.py").write_text(SLOW_IMPORT)
    got = stopped([sys.executable, *called], number, tmp_path)
    assert got == (status, f"hwsim run: {said}\n")


WORK = """
import sys, time
from hwsim.cli import status_of
class Slow:
    def __del__(self):
        print("here", flush=True)
        time.sleep(0.5)
def work():
    try:
        Slow() if {swallows} else print("here", flush=True)
        time.sleep(60)
    finally:
        print("tidied", file=sys.stderr)
sys.exit(status_of("p", work, "interrupted; go on"))
"""


@pytest.mark.parametrize("swallows", [True, False])
@pytest.mark.parametrize(
    ("number", "status", "said"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_work_is_tidied_up_once(
    swallows: bool, number: signal.Signals, status: int, said: str, tmp_path: Path
) -> None:
    """Also where the signal comes in a finaliser, which nothing can be raised from."""
    code = WORK.format(swallows=swallows)
    got = stopped([sys.executable, "-c", code], number, tmp_path)
    assert got == (status, f"tidied\np: {said}; go on\n")


def test_an_exception_that_a_signal_became_is_that_signal(tmp_path: Path) -> None:
    """As NumPy makes a TypeError of what is raised inside its comparisons."""
    code = (
        "import time\nfrom hwsim.cli import status_of\ndef work():\n    try:\n"
        "        print('here', flush=True)\n        time.sleep(60)\n"
        "    except BaseException:\n        raise TypeError('cannot compare')\n"
        "raise SystemExit(status_of('p', work))"
    )
    got = stopped([sys.executable, "-c", code], signal.SIGTERM, tmp_path)
    assert got == (143, "p: terminated\n")


def test_a_library_is_loaded_to_its_end(tmp_path: Path) -> None:
    """Many libraries catch what is raised while they are loaded, or print it."""
    (tmp_path / "slow.py").write_text(
        "import time\nprint('here', flush=True)\n"
        "try:\n    time.sleep(0.5)\nexcept BaseException:\n    print('broken')\n"
    )
    code = "from hwsim.cli import status_of\ndef work():\n    import slow, time; time.sleep(60)\n"
    code += "raise SystemExit(status_of('p', work))"
    got = stopped([sys.executable, "-c", code], signal.SIGINT, tmp_path)
    assert got == (130, "p: interrupted\n")


def test_handlers_of_a_script_stay(tmp_path: Path) -> None:
    """The package changes nothing where it is only imported, and status_of puts things back."""
    code = (
        "import signal, hwsim\nfrom hwsim.cli import status_of\n"
        "before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]\n"
        "assert before == [signal.default_int_handler, signal.SIG_DFL, signal.SIG_DFL]\n"
        "assert status_of('p', lambda: None) == 0\n"
        "after = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]\n"
        "assert after == before\nprint('here', flush=True)\nimport time; time.sleep(60)"
    )
    status, _ = stopped([sys.executable, "-c", code], signal.SIGTERM, tmp_path)
    assert status == -signal.SIGTERM


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_streams_are_nobodys_mistake(closed: str, tmp_path: Path) -> None:
    """Files that are opened do not get their numbers."""
    out = tmp_path / "out"
    code = f"from hwsim.cli import status_of; status_of('p', lambda: open('{out}', 'w').fileno())"
    code += "; import os; os.write(1, b'lost'); os.write(2, b'lost')"
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, code],
        check=False, capture_output=True, text=True, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert done.returncode == 0
    assert out.read_text() == ""


def test_an_error_is_not_printed_where_results_go() -> None:
    """With standard error closed, its lines are lost: they do not go to standard output."""
    done = subprocess.run(
        ["/bin/sh", "-c", f"exec {sys.executable} -m hwsim.run --nonsense 2>&-"],
        check=False, capture_output=True, text=True, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")
