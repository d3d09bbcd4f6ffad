"""The parts of the campaign: which sources are changed, and how their mutants are tried."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from hwsim.model import Engine

from .benches import SOURCES, prepare
from .held import held_cases
from .models import SUITE, trial_of
from .modules import modules_of, path_of, reached
from .mutant import Mutant
from .python_mutants import python_mutants
from .trials import Trial
from .verilog_mutants import verilog_mutants

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"

CASES = (
    "tests/by_hand.py",
    "tests/in_memory.py",
    "tools/verification/cases.py",
    "tools/verification/replay.py",
)
"""What makes cases and compares."""


@dataclass(frozen=True)
class Part:
    """Sources of one kind; ``prepare`` makes their trial, and takes its time."""

    name: str
    files: tuple[Path, ...]
    mutants_of: Callable[[str, str], list[Mutant]]
    prepare: Callable[[], Trial]
    killers: tuple[Path, ...]

    def mutants(self, only: str | None) -> list[Mutant]:
        """Those of all files, or of those whose path in the repository begins or ends with this."""
        named = ((str(path.relative_to(ROOT)), path) for path in self.files)
        return [
            mutant
            for name, path in named
            if only is None or name.endswith(only) or name.startswith(only)
            for mutant in self.mutants_of(name, path.read_text(encoding="utf-8"))
        ]

    @property
    def sources(self) -> Iterable[Path]:
        """What verdicts depend on."""
        return {*self.files, *self.killers}


def parts(with_rtl: bool) -> list[Part]:
    return [_model("kernel"), _model("reference"), *([_rtl()] if with_rtl else [])]


def _model(model: Engine) -> Part:
    return Part(
        name=model,
        files=tuple(map(path_of, modules_of(model))),
        mutants_of=python_mutants,
        prepare=lambda: trial_of(model, held_cases(model)),
        killers=(
            *map(path_of, reached("hwsim.run.simulate", "hwsim.model.reference.machine")),
            *(TESTS / name.partition("::")[0] for name in SUITE[model]),
            *(ROOT / name for name in CASES),
            *(TESTS / "oracle").glob("*.py"),
            *_own("mutant", "python_mutants", "held", "models", "modules", "trials"),
        ),
    )


def _rtl() -> Part:
    """The simulator need not be hashed: what the benches expect, the unchanged RTL has to meet."""
    return Part(
        name="RTL",
        files=SOURCES,
        mutants_of=verilog_mutants,
        prepare=prepare,
        killers=(
            *(TESTS / "oracle").glob("*.py"),
            *(TESTS / "rtl").glob("*.py"),
            *_own("mutant", "verilog_mutants", "benches", "trials"),
        ),
    )


def _own(*names: str) -> Iterable[Path]:
    return (Path(__file__).with_name(f"{name}.py") for name in names)
