"""The campaign of `make mutate` in small: what is changed, and that a changed model is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.mutation.explained import explanations, stale
from tools.mutation.held import held_cases
from tools.mutation.models import trial_of
from tools.mutation.modules import modules_of, path_of
from tools.mutation.mutant import Key, Mutant
from tools.mutation.python_mutants import python_mutants
from tools.mutation.trials import DIFFERENCE, SURVIVED, Verdict, run_trials

FIVE_LINES = """\
def f(a: int = 0) -> int | None:
    if a < 1 and not g(a, strict=True):
        return -(-a // 2)
    a += a & min(a, 3)
    return a == 4 if a else None
"""

CHANGES = [
    "0 -> 1", "0 -> -1",
    "a < 1 and (not g(a, strict=True)) -> a < 1 or not g(a, strict=True)",
    "a < 1 and (not g(a, strict=True)) -> not (a < 1 and (not g(a, strict=True)))",
    "a < 1 -> a <= 1", "1 -> 2", "1 -> 0",
    "not g(a, strict=True) -> g(a, strict=True)",
    "-(-a // 2) -> -a // 2", "-a // 2 -> -a * 2", "-a -> a", "2 -> 3", "2 -> 1",
    "a += a & min(a, 3) -> a -= a & min(a, 3)", "a & min(a, 3) -> a | min(a, 3)", "min -> max",
    "3 -> 4", "3 -> 2",
    "a == 4 -> a != 4", "4 -> 5", "4 -> 3", "a -> not a",
]  # fmt: skip


def test_every_operator_comparison_constant_and_condition_is_changed() -> None:
    mutants = python_mutants("five.py", FIVE_LINES)
    assert [mutant.key.change for mutant in mutants] == CHANGES
    assert {mutant.key.scope for mutant in mutants} == {"f"}
    assert len({mutant.source for mutant in mutants}) == len(mutants)


def test_equal_changes_of_equal_lines_are_told_apart() -> None:
    mutants = python_mutants("two.py", "a = 0\na = 0\n")
    assert [m.key.change for m in mutants] == ["0 -> 1", "0 -> -1", "0 -> 1 (2)", "0 -> -1 (2)"]
    assert [m.row for m in mutants] == [1, 1, 2, 2]


def test_models_are_found_by_what_they_import() -> None:
    kernel, reference = set(modules_of("kernel")), set(modules_of("reference"))
    rooms = "hwsim.model.kernel", "hwsim.model.reference"
    assert {f"{rooms[0]}.{name}" for name in ("gated_layers", "decoders", "passes")} < kernel
    assert {
        f"{rooms[1]}.{name}"
        for name in ("machine", "parts", "decoder", "feed", "index_memory", "tile")
    } < reference
    assert not kernel & {"hwsim.counters", "hwsim.mapping.tiles", *reference}


def test_a_bad_kernel_is_seen_and_a_good_one_survives() -> None:
    source = path_of("hwsim.model.kernel.passes").read_text(encoding="utf-8")
    mutants = python_mutants("hwsim/model/kernel/passes.py", source)
    bad = next(mutant for mutant in mutants if mutant.key.change.endswith(" -> np.minimum"))
    good = Mutant(bad.key, bad.row, bad.column, source)
    trial = trial_of("kernel", held_cases("kernel", 12, wide=0))
    verdicts = {m: verdict for m, verdict in run_trials([bad, good], trial, jobs=1)}
    assert verdicts[bad].how == DIFFERENCE
    assert verdicts[good] == Verdict(SURVIVED)


def test_an_explanation_of_what_does_not_survive_is_stale(tmp_path: Path) -> None:
    entry = "- {file: a.py, scope: f, line: a = 0, changes: [0 -> 1, 0 -> -1], reason: never read}"
    path = tmp_path / "explained.yaml"
    path.write_text(entry)
    reasons = explanations(path)
    keys = [Key("a.py", "f", "a = 0", change) for change in ("0 -> 1", "0 -> -1")]
    assert reasons == dict.fromkeys(keys, "never read")
    assert stale(reasons, {keys[0]}, {"a.py"}) == keys[1:]
    assert stale(reasons, {keys[0]}, {"b.py"}) == []
    path.write_text(f"{entry}\n{entry}")
    with pytest.raises(ValueError, match="twice"):
        explanations(path)


def test_survivors_are_explained_in_one_readable_file() -> None:
    reasons = explanations()
    assert all(reasons.values())
    assert all(key.file.startswith(("hwsim/", "rtl/")) for key in reasons)
