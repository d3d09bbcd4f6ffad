"""What a campaign of faults found, and the page that says so."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence

from tools.faults.judge import KINDS, Verdict
from tools.verification.report import _versions as versions


class Report:
    """Counts trials by command and fault, and complaints by kind.

    ``left_out``: what this machine cannot do; ``mounts``: whether disks are mounted; ``seconds``:
    what each command takes undisturbed.
    """

    def __init__(self, left_out: Sequence[str], mounts: bool, seconds: Mapping[str, float]) -> None:
        self.left_out, self.mounts, self.seconds = left_out, mounts, seconds
        self.trials: Counter[tuple[str, str]] = Counter()
        self.complaints: list[tuple[Verdict, str, str]] = []
        self.kinds: Counter[tuple[str, str]] = Counter()
        self.early = self.before_ours = self.first_second = 0
        self.writing = self.unsealed = 0
        self.statuses: dict[str, Counter[int]] = {}

    def add(self, verdict: Verdict) -> None:
        trial = verdict.trial
        self.trials[trial.subject.name, trial.fault] += 1
        self.early += not verdict.met
        self.before_ours += verdict.before_ours
        self.unsealed += verdict.unsealed
        self.first_second += trial.moment < 1 and not trial.writing
        self.writing += trial.writing
        self.statuses.setdefault(trial.fault, Counter()).update(verdict.statuses)
        self.complaints += [(verdict, kind, what) for kind, what in verdict.complaints]
        for kind in {kind for kind, _ in verdict.complaints}:
            self.kinds[kind, trial.fault] += 1

    def page(self, seed: int, jobs: int, seconds: float) -> str:
        minutes, rest = divmod(round(seconds), 60)
        number = sum(self.trials.values())
        disk = "a tmpfs of a drawn size" if self.mounts else "a limit on the size of files"
        lines = [
            "# Faults",
            "",
            "Written by `make faults WRITE=--write`: commands on tiny inputs are killed, stopped,",
            "starved of disk and of streams, then run again. What is there after the fault is",
            "whole, of one run, and what the undisturbed command leaves. The command says at most",
            "one line, which names the file where a disk is at fault, and status 0 means that all",
            "is there. Run again it ends with the undisturbed results (rows, weights and traces",
            "equal bit for bit) and computes no finished row again.",
            "",
            "| | |",
            "|---|---|",
            f"| faults | {number} |",
            f"| of them with complaints | {len({id(each[0]) for each in self.complaints})} |",
            f"| run time | {minutes} min {rest} s, {jobs} at a time |",
            f"| seed | {seed} |",
            f"| machine | {os.cpu_count()} cores, {platform.system()} {platform.machine()} |",
            f"| versions | {versions()} |",
            f"| a full disk is | {disk} |",
            f"| moments in the first second | {self.first_second} |",
            f"| signals while results are written | {self.writing} |",
            f"| commands that had ended before their moment | {self.early} |",
            f"| signals before the first line of the package had run | {self.before_ours} |",
            "| folders of a run left with whole files and without their manifest, which says so |"
            f" {self.unsealed} |",
            "",
            *(f"Not done: {line}.\n" for line in self.left_out),
            "## Commands and faults",
            "",
            *self._grid(),
            "",
            "## Complaints",
            "",
            *self._kinds(),
            "",
            *self._listed(),
            "## Exit statuses",
            "",
            "A negative one is the signal's.",
            "",
            "| fault | statuses: how often |",
            "|---|---|",
            *(f"| {fault} | {_counts(found)} |" for fault, found in sorted(self.statuses.items())),
        ]
        return "\n".join(lines) + "\n"

    def _grid(self) -> list[str]:
        faults = list(dict.fromkeys(fault for _, fault in sorted(self.trials)))
        names = list(self.seconds)
        cells = [[self.trials[name, fault] or "" for name in names] for fault in faults]
        took = " | ".join(f"{seconds:.1f} s" for seconds in self.seconds.values())
        return [
            f"| | {' | '.join(names)} |",
            f"|---|{'---|' * len(names)}",
            f"| undisturbed | {took} |",
            *(f"| {fault} | {' | '.join(map(str, row))} |"
              for fault, row in zip(faults, cells, strict=True)),
        ]  # fmt: skip

    def _kinds(self) -> list[str]:
        rows = []
        for kind, what in KINDS.items():
            of_kind = {fault: n for (k, fault), n in self.kinds.items() if k == kind}
            where = ", ".join(f"{fault} {n}" for fault, n in sorted(of_kind.items()))
            rows.append(f"| {what} | {sum(of_kind.values())} | {where} |")
        return ["| | faults | |", "|---|---|---|", *rows]

    def _listed(self) -> list[str]:
        if not self.complaints:
            return []
        lines = []
        for verdict, kind, what in self.complaints:
            last = what.strip().splitlines()[-1][:200] if what.strip() else ""
            lines.append(f"- {verdict.trial}: {KINDS[kind]}: `{last}`")
        return [*lines, ""]


def _counts(found: Counter[int]) -> str:
    return ", ".join(f"{status}: {number}" for status, number in sorted(found.items()))
