"""The campaign of `make faults` in small: it finds nothing, and what is wrong does not pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.faults import campaign, found, judge
from tools.faults.campaign import main
from tools.faults.disturb import Place, Trial
from tools.faults.judge import Undisturbed
from tools.faults.running import Ended
from tools.faults.subjects import subjects

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("command", "faults"),
    [
        ("run --json", ["SIGINT", "SIGTERM", "kill -9"]),
        ("sweep --workers 1", ["SIGINT", "kill -9"]),
    ],
)
def test_a_few_faults(command: str, faults: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", command, *faults, "--faults", "3"]) == 0
    printed = capsys.readouterr().out
    assert "| faults | 3 |" in printed
    assert "| of them with complaints | 0 |" in printed


def test_the_same_seed_draws_the_same() -> None:
    options = campaign._parse(["--faults", "60", "--seed", "3"])
    chosen = subjects(Path())
    peace = {each.name: Undisturbed({}, "", frozenset(), 4.0, 0) for each in chosen}
    drawn = list(campaign._trials(options, chosen, peace, True))
    assert list(campaign._trials(options, chosen, peace, True)) == drawn
    assert len(drawn) == 60
    assert len({trial.moment for trial in drawn}) == 60
    options.trial = 17
    assert list(campaign._trials(options, chosen, peace, True)) == [drawn[17]]


def test_a_round_holds_every_command_with_each_of_its_faults() -> None:
    chosen = subjects(Path())
    number = sum(len(each.round) for each in chosen)
    peace = {each.name: Undisturbed({}, "", frozenset(), 1.0, 0) for each in chosen}
    drawn = campaign._trials(campaign._parse(["--faults", str(number)]), chosen, peace, True)
    pairs = {(trial.subject.name, trial.fault) for trial in drawn}
    assert pairs == {(each.name, fault) for each in chosen for fault in each.faults}


NEW, OLD = {"a": "1", "provenance.json": "2"}, {"a": "3", "b": "4", "provenance.json": "5"}


def complaints(
    fault: str, end: Ended, files: dict[str, str], folder: Path, earlier: bool = True
) -> set[str]:
    """Kinds of what is said against `run --out`, whose items are a file's text here."""
    (subject,) = (each for each in subjects(folder) if each.name == "run --out")
    object.__setattr__(subject, "look", lambda out, done: _texts(out))
    trial = Trial(0, subject, fault, 0.0, 0.0, earlier)
    peace = Undisturbed(NEW, "", frozenset(["a note"]), 1.0, 0, folder, OLD)
    out = folder / "out"
    out.mkdir()
    for name, text in files.items():
        (out / name).write_text(text)
    where = Place(out)
    of_end = judge._of_end(trial, end, peace, where)
    return {kind for kind, _ in [*of_end, *judge._of_folder(trial, [end], peace, where)]}


def _texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in found.visible(folder)}


@pytest.mark.parametrize(
    ("fault", "status", "said", "files", "expected"),
    [
        ("SIGINT", 130, "hwsim run: interrupted\n", OLD, set()),
        ("SIGINT", 130, "a note\nhwsim run: interrupted\n", NEW, set()),
        ("SIGINT", 0, "a note\n", NEW, set()),
        ("SIGINT", 0, "", OLD, {"mixed"}),
        ("SIGINT", 1, "", OLD, {"status"}),
        ("SIGINT", 130, "one\ntwo\n", OLD, {"words"}),
        ("SIGINT", 130, "Traceback (most recent call last):\n", OLD, set()),
        ("SIGTERM", 143, "Traceback (most recent call last):\n", OLD, {"traceback"}),
        ("SIGTERM", 143, "", OLD | {".a.x": ""}, {"left", }),
        ("SIGTERM", 143, "", {}, {"left", "lost"}),
        ("SIGTERM", 143, "", NEW | {"b": "4"}, {"mixed"}),
        ("SIGTERM", 143, "", {"a": "1", "b": "4"}, set()),
        ("SIGTERM", 143, "", {"a": "half", "b": "4"}, {"mixed"}),
        ("kill -9", -9, "", OLD | {".a.x": ""}, set()),
        ("full disk", 2, "hwsim run: {out}/a: No space left on device\n", OLD, set()),
        ("full disk", 2, "hwsim run: : No space left on device\n", OLD, {"words"}),
        ("full disk", 2, "", OLD, {"words"}),
        ("stdout closed", 2, "hwsim run: x\n", NEW, {"status"}),
    ],
)  # fmt: skip
def test_what_is_held_against_a_command(
    fault: str, status: int, said: str, files: dict[str, str], expected: set[str], tmp_path: Path
) -> None:
    end = Ended(status, "", said.replace("{out}", str(tmp_path / "out")))
    assert complaints(fault, end, files, tmp_path) == expected


def test_a_signal_before_the_first_line_of_the_package_is_pythons() -> None:
    trace = (
        'Traceback (most recent call last):\n  File "{0}", line 1, in <module>\nKeyboardInterrupt'
    )
    assert judge._before_ours(trace.format("/usr/lib/python3/site.py"))
    assert judge._before_ours(trace.format(ROOT / "hwsim/__init__.py"))
    assert not judge._before_ours(trace.format(ROOT / "hwsim/run/__main__.py"))
    assert not judge._before_ours("hwsim run: interrupted")


def test_files_that_are_not_whole_are_seen(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG half")
    with pytest.raises(found.Broken, match=r"a\.png: not a whole PNG"):
        found.of_files(tmp_path, True)
    (tmp_path / "a.png").rename(tmp_path / "part-0.parquet")
    with pytest.raises(found.Broken, match=r"part-0\.parquet"):
        found.of_rows(tmp_path, True)
    (tmp_path / "part-0.parquet").rename(tmp_path / "config.json")
    with pytest.raises(found.Broken, match=r"config\.json"):
        found.of_training(tmp_path, True)


def test_what_is_unknown_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--only", "SIGINTT"])
    assert left.value.code == 2
    assert "nearest valid: 'SIGINT'" in capsys.readouterr().err
