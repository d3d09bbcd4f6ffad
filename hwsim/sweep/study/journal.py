"""The journal of a search: held by one process, checked and mended before Optuna reads it."""

from __future__ import annotations

import fcntl
import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.errors import UserError, one_line

if TYPE_CHECKING:
    import optuna

STUDY, JOURNAL = "hwsim", "_search.journal"
"""Readers of Parquet folders pass over names with an underscore."""

LINE = b'{"op_code":'
"""How each begins."""

MOST_BYTES = 1 << 30


class SearchError(UserError):
    """A search that cannot begin or go on; one line for the user."""


def damaged(journal: Path, why: str) -> SearchError:
    """Without its journal a search proposes the same again, and finds the rows there."""
    return SearchError(f"{journal}: {why}; delete it and run the same again: no row is lost")


@contextmanager
def held_study(
    folder: Path, asked: Mapping[str, Any], objectives: int, parameters: int
) -> Iterator[optuna.Study]:
    """The study of a folder, made or gone on with; no other search has it open meanwhile.

    ``asked`` (JSON values) is what it searches: SearchError where the folder's was another.
    """
    # In a notebook its progress bars, which are not shown, warn that they need a package more.
    with warnings.catch_warnings(action="ignore"):
        import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    folder.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    journal = folder / JOURNAL
    with open(folder / f"{JOURNAL}.held", "a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SearchError(f"{folder}: another search is under way in this folder") from None
        trim(journal)
        # Whoever was killed holds its lock no more.
        for left in folder.glob(f"{JOURNAL}.lock*"):
            left.unlink()
        try:
            study = optuna.create_study(
                storage=JournalStorage(JournalFileBackend(str(journal))),
                study_name=STUDY,
                directions=["minimize"] * objectives,
                load_if_exists=True,
            )
            known = study.user_attrs.get("asked")
            if known is None:
                study.set_user_attr("asked", json.loads(json.dumps(asked)))
            elif other := [name for name, value in asked.items() if known[name] != value]:
                raise SearchError(
                    f"{folder}: holds a search with another {', '.join(other)}; take another --out"
                )
            _drop_half_written(study, parameters)
        except (UserError, OSError):
            raise
        # Lines that are JSON and no journal: Optuna replays them with whatever error comes first.
        except Exception as error:
            why = f"not the journal of a search ({type(error).__name__} {one_line(error)[:100]})"
            raise damaged(journal, why) from None
        yield study


def trim(journal: Path) -> None:
    """Cut what a kill left of a last line: Optuna cannot read a journal with half a line.

    Raises SearchError, and cuts nothing, where another line is none of a journal.
    """
    if not journal.exists():
        return
    if not journal.is_file() or journal.stat().st_size > MOST_BYTES:
        raise damaged(journal, "not the journal of a search")
    with open(journal, "rb+") as file:
        contents = file.read()
        *lines, last = contents.split(b"\n")
        for number, line in enumerate(lines, 1):
            try:
                whole = line.startswith(LINE) and isinstance(json.loads(line), dict)
            except (ValueError, RecursionError):
                whole = False
            if not whole:
                raise damaged(journal, f"line {number} is damaged")
        if not (last.startswith(LINE) or LINE.startswith(last)):
            raise damaged(journal, f"line {len(lines) + 1} is damaged")
        file.truncate(len(contents) - len(last))


def _drop_half_written(study: optuna.Study, parameters: int) -> None:
    """A trial whose parameters are not all there is proposed anew."""
    from optuna.trial import TrialState

    for trial in under_way(study):
        if len(trial.params) < parameters:
            study.tell(trial.number, state=TrialState.FAIL)


def good(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """All trials but those that a kill left half written."""
    from optuna.trial import TrialState

    return [trial for trial in study.get_trials() if trial.state != TrialState.FAIL]


def under_way(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Proposed, not told yet."""
    return [trial for trial in good(study) if not trial.state.is_finished()]
