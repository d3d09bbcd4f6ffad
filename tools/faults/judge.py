"""What is asked of a command that was disturbed, and of the same command once more."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tools.faults import places
from tools.faults.disturb import Place, Trial, disturb, place
from tools.faults.found import Broken, Items, keys_of_parts, temporary, visible
from tools.faults.running import Ended, Process
from tools.faults.subjects import ROOT

STATUSES = {
    "kill -9": {-9}, "SIGTERM": {143, -15}, "SIGINT": {130, -2}, "full disk": {0, 2},
    "read-only disk": {0, 2}, "folder removed": {0, 2}, "folder made a file": {0, 2},
    "stdout on a full disk": {2}, "worker killed": {0, 2},
}  # fmt: skip
"""Exit statuses; 0 unless said."""

AFTER_DISKS = ("full disk", "read-only disk", "folder removed", "folder made a file")
"""Faults of which the command has to name a file."""


@dataclass(frozen=True)
class Undisturbed:
    """A command run in peace: what it left, printed and said, how long it took, how many bytes.

    ``earlier``: a folder with the results of the run before it, and its items.
    """

    items: Items
    printed: str
    said: frozenset[str]
    seconds: float
    size: int
    earlier: Path | None = None
    earlier_items: Items = field(default_factory=dict)
    earlier_size: int = 0


@dataclass(frozen=True)
class Verdict:
    """Complaints, each with its kind first (KINDS), and whether the fault met the command."""

    trial: Trial
    complaints: list[tuple[str, str]]
    met: bool
    before_ours: bool
    unsealed: bool
    statuses: tuple[int, ...]


KINDS = {
    "traceback": "a traceback",
    "words": "more than a line, or the wrong one",
    "status": "another exit status",
    "half": "a file that is not whole",
    "mixed": "files of two runs in one folder",
    "left": "temporary files or an empty folder left",
    "lost": "other results once it was run again",
    "again": "finished rows computed again or changed",
    "hangs": "did not end",
}


def tried(trial: Trial, peace: Undisturbed, folder: Path, mounts: bool) -> Verdict:
    """The command disturbed, judged, run again and judged again."""
    with place(trial, folder, peace.earlier_size, peace.size, mounts) as where:
        if trial.earlier:
            assert peace.earlier
            shutil.copytree(peace.earlier, where.out)
        elif not trial.subject.makes:
            where.out.mkdir()
        ends = disturb(trial, where)
        if where.disk:
            places.grow(where.disk)
        complaints = [complaint for end in ends for complaint in _of_end(trial, end, peace, where)]
        complaints += _of_folder(trial, ends, peace, where)
        torn = _unsealed(trial, where.out)
        complaints += _again(trial, peace, where)
    met = not all(end.early for end in ends)
    ours = any(_before_ours(end.said) for end in ends)
    return Verdict(trial, complaints, met, ours, torn, tuple(end.status for end in ends))


def _of_end(
    trial: Trial, end: Ended, peace: Undisturbed, where: Place
) -> Iterator[tuple[str, str]]:
    """Status and standard error."""
    fault = trial.fault
    if end.hangs:
        yield "hangs", "had to be killed"
        return
    if fault == "SIGINT" and _before_ours(end.said):
        return
    if "Traceback" in end.said or "Error" in end.said.partition(":")[0]:
        yield "traceback", end.said
        return
    lines = [line for line in end.said.splitlines() if line and line not in peace.said]
    if end.killed or fault == "kill -9":
        # Python's tracker of semaphores outlives what was killed, and says so.
        lines = [line for line in lines if "resource_tracker" not in line and "warn" not in line]
    allowed = STATUSES.get(fault, {0}) | ({-9} if end.killed else set())
    refused = trial.subject.name == "search" and "another search is under way" in end.said
    if fault == "several writers" and refused:
        allowed = {2}
    # Status 0: it had done all before it was disturbed, or the fault did not touch it.
    if end.status not in allowed | ({0} if fault in ("kill -9", "SIGTERM", "SIGINT") else set()):
        yield "status", f"status {end.status}: {end.said}"
    elif len(lines) > 1 or (end.status == 2 and not lines):
        yield "words", f"status {end.status}: {end.said!r}"
    elif end.status == 2 and fault in AFTER_DISKS and str(where.out) not in end.said:
        yield "words", f"no name of a file: {end.said!r}"


def _of_folder(
    trial: Trial, ends: list[Ended], peace: Undisturbed, where: Place
) -> Iterator[tuple[str, str]]:
    """What is there after the fault."""
    subject, out = trial.subject, where.out
    killed = trial.fault == "kill -9" or any(end.killed for end in ends)
    if not killed and (left := temporary(out)):
        yield "left", ", ".join(left)
    gone = trial.fault in ("folder removed", "folder made a file")
    if not gone and not out.is_dir() and trial.earlier:
        yield "lost", "the folder of the earlier run is gone"
    if not killed and not gone and subject.at_once and subject.makes and _is_empty(out):
        yield "left", "an empty folder"
    done = not gone and all(end.status == 0 for end in ends)
    try:
        items = subject.look(out, done)
    except Broken as error:
        yield "half", str(error)
        return
    kind = "mixed" if subject.at_once and len(items) > 1 else "lost"
    if done and items != peace.items:
        yield kind, f"status 0: {_difference(items, peace.items)}"
    elif not done and subject.at_once:
        earlier = peace.earlier_items if trial.earlier else {}
        if items not in (peace.items, {} if gone else earlier) and not (
            # Each of them whole, in a folder that says that they may not be of one run.
            _unsealed(trial, out)
            and all(items[name] in (peace.items.get(name), earlier.get(name)) for name in items)
        ):
            yield kind, _difference(items, peace.items)
    elif strange := [name for name in items if items[name] != peace.items.get(name)]:
        yield "half", f"not what the undisturbed run left: {', '.join(strange)}"


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _unsealed(trial: Trial, folder: Path) -> bool:
    """Whether files that belong together are there without the manifest that names one run's."""
    manifest = trial.subject.manifest
    return manifest is not None and bool(visible(folder)) and not (folder / manifest).exists()


def _again(trial: Trial, peace: Undisturbed, where: Place) -> Iterator[tuple[str, str]]:
    """The same command in peace."""
    subject, out = trial.subject, where.out
    if out.is_file():
        out.unlink()
    if not subject.makes:
        out.mkdir(exist_ok=True)
    parts = {path: path.read_bytes() for path in out.glob("part-*.parquet")}
    end = Process(subject.command(out)).ended()
    lines = [line for line in end.said.splitlines() if line and line not in peace.said]
    if end.status or lines:
        yield "lost", f"run again: status {end.status}: {end.said}"
        return
    try:
        items = subject.look(out, True)
    except Broken as error:
        yield "lost", f"run again: {error}"
        return
    if items != peace.items:
        yield (
            "mixed" if subject.at_once else "lost",
            "run again: " + _difference(items, peace.items),
        )
    if subject.prints and end.printed != peace.printed:
        yield "lost", "run again: prints something else"
    if subject.rows:
        if any(not path.exists() or path.read_bytes() != parts[path] for path in parts):
            yield "again", "a part file was changed"
        keys = [key for few in keys_of_parts(out).values() for key in few]
        if trial.fault != "several writers" and len(set(keys)) < len(keys):
            yield "again", f"{len(keys)} rows of {len(set(keys))} points"
    if trial.fault != "kill -9" and (left := temporary(out)):
        yield "left", f"run again: {', '.join(left)}"


def _difference(items: Items, others: Items) -> str:
    more = [name for name in items if name not in others]
    fewer = [name for name in others if name not in items]
    other = [name for name in items if name in others and items[name] != others[name]]
    found = (("not the new run's", more), ("missing", fewer), ("with other contents", other))
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in found if names)


def _before_ours(said: str) -> bool:
    """Whether a signal came before the package's first lines had run: Python's own traceback."""
    files = [line for line in said.splitlines() if f'File "{ROOT}/hwsim' in line]
    started = (f'File "{ROOT}/hwsim/__init__.py"', f'File "{ROOT}/hwsim/process.py"')
    return (
        ("Traceback" in said or "Fatal Python error" in said)
        and "in _ask" not in said
        and all(any(line.strip().startswith(file) for file in started) for line in files)
    )
