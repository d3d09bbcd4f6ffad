"""What became of a run: the right result, one line that refuses, or a failure."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.fuzz.case import Case
from tools.fuzz.runner import MEMORY, Ended

RIGHT, LINE = "right result", "one line"
"""Outcomes that are no failure."""

NOT_DRAWN = "not drawn"
"""A fault of this program, not of hwsim."""

MOST_CHARACTERS = 2_000
"""Of a line that refuses, without the name of the program before it."""

SHOWN = 160
"""Characters of a failure's detail."""


@dataclass(frozen=True)
class Verdict:
    """``what``: RIGHT, LINE or the kind of failure; ``where``: its innermost function of hwsim, or
    the line that was printed, without names and numbers; ``detail``: an example of it."""

    what: str
    where: str = ""
    detail: str = ""

    @property
    def failed(self) -> bool:
        return self.what not in (RIGHT, LINE)


def judge(case: Case, ended: Ended, clean: Ended | None, resident: int) -> Verdict:
    """``clean``: the run of the same command on the reference; ``resident``: bytes of a clean
    run at most."""
    error = ended.stderr.decode(errors="replace").strip()
    if ended.hung:
        return Verdict("hang", innermost(ended.stack), f"after {ended.seconds:.0f} s")
    if "Traceback (most recent call last)" in error:
        return Verdict("traceback", innermost(error), error.splitlines()[-1][:SHOWN])
    if ended.status < 0:
        return Verdict("signal", innermost(ended.stack), f"signal {-ended.status}")
    if ended.resident > resident + MEMORY or "too little memory" in error:
        grown = f"{(ended.resident - resident) >> 20:,} MiB more than a clean run; {error}"
        return Verdict("memory", _shape(error), grown[:SHOWN])
    if ended.status == 0:
        return _of_result(case, ended, clean, error)
    if ended.status == 2:
        return _of_refusal(ended, error)
    return Verdict("status", f"{ended.status}: {_shape(error)}", error[:SHOWN])


def _of_refusal(ended: Ended, error: str) -> Verdict:
    """Of status 2: whether it is one line of clean text on standard error, and nothing else."""
    if ended.stdout.strip():
        return Verdict("result and refusal", _shape(error), error[:SHOWN])
    if not error:
        return Verdict("no line", "status 2")
    if len(error.splitlines()) > 1:
        return Verdict("several lines", _shape(error), error[:SHOWN])
    if wrong := _unclean(ended.stderr):
        return Verdict("text", f"{wrong}: {_shape(error)}", ascii(error[:SHOWN]))
    if len(error.partition(": ")[2]) > MOST_CHARACTERS:
        return Verdict("long line", _shape(error), f"{len(error):,} characters: {error[:SHOWN]}")
    return Verdict(LINE)


def _of_result(case: Case, ended: Ended, clean: Ended | None, error: str) -> Verdict:
    if "Warning:" in error:
        return Verdict("warning", _shape(error.splitlines()[0]), error[:SHOWN])
    for stream in (ended.stdout, ended.stderr):
        if wrong := _unclean(stream):
            return Verdict("text", f"{wrong}: {case.argv[0]}", ascii(stream[:SHOWN]))
    if case.refused:
        return Verdict(
            "accepted", f"{case.argv[0]}: {case.sort or _shape(case.change)}", case.change
        )
    told = _json(ended.stdout)
    if isinstance(told, dict):
        for path, wrong in _senseless(told):
            return Verdict("senseless result", path, f"{path} = {wrong}; {case.change}"[:SHOWN])
    if clean is None or clean.status != 0:
        return Verdict(RIGHT)
    if difference := _difference(ended.stdout, clean.stdout, case.skipped):
        where = f"{case.argv[0]}: {case.sort or _shape(case.change)}"
        return Verdict("other result", where, f"{case.change}: {difference}"[:SHOWN])
    return Verdict(RIGHT)


def innermost(text: str) -> str:
    """The innermost function of hwsim in a traceback or in a stack of faulthandler."""
    frames = re.findall(r'File "[^"]*/(hwsim/[^"]+)", line (\d+),? in (\S+)', text)
    if not frames:
        last = text.strip().splitlines()
        return f"outside hwsim: {last[-1][:SHOWN]}" if last else "unknown"
    file, _, function = frames[0 if "most recent call first" in text else -1]
    return f"{file}: {function}"


def _unclean(stream: bytes) -> str:
    try:
        text = stream.decode()
    except UnicodeDecodeError:
        return "not UTF-8"
    for character in text:
        if character not in "\n\t" and unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
            return f"character {ord(character):#06x}"
    return ""


def _shape(line: str) -> str:
    """A line without what differs from input to input: names in quotes, files, numbers."""
    line = re.sub(r"in/\S+", "FILE", line)
    line = re.sub(r"'(?:[^'\\]|\\.)*'?|\"[^\"]*\"?", "'...'", line)
    line = re.sub(r"[-+]?\d[\d.,_e+]*", "N", line)
    return line[:SHOWN]


def _json(stdout: bytes) -> Any:
    try:
        return json.loads(stdout)
    except ValueError:
        return None


def _senseless(told: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Numbers that no run can give: not finite ones, negative counts, cycles below the MACs'."""
    if isinstance(told, Mapping):
        for name, value in told.items():
            yield from _senseless(value, f"{path}.{name}" if path else str(name))
    elif isinstance(told, list):
        for value in told:
            yield from _senseless(value, f"{path}[]")
    elif (isinstance(told, float) and not math.isfinite(told)) or (
        isinstance(told, int | float) and told < 0 and not MAY_BE_NEGATIVE.search(path)
    ):
        yield path, told


MAY_BE_NEGATIVE = re.compile(r"image_ids|provenance|share|saving|change|difference|training|shift")
"""Names of numbers for which less than zero has a meaning."""


def _difference(found: bytes, right: bytes, skipped: int) -> str:
    """Where two outputs differ; machines, files and hashes of the provenance may."""
    ours, theirs = _json(found), _json(right)
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for told in (ours, theirs):
            told.pop("provenance", None)
        return next(_differences(ours, theirs), "")
    lines, others = (_lines(each)[skipped:] for each in (found, right))
    if lines == others:
        return ""
    pairs = [(a, b) for a, b in zip(lines, others, strict=False) if a != b]
    return f"{pairs[0][0]!r}, not {pairs[0][1]!r}" if pairs else f"{len(lines)} lines"


def _lines(stdout: bytes) -> list[str]:
    """A trace of equal contents has another hash where hwsim wrote it anew."""
    return re.sub(r"\b[0-9a-f]{64}\b", "HASH", stdout.decode(errors="replace")).splitlines()


def _differences(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in [*ours, *(name for name in theirs if name not in ours)]:
            yield from _differences(ours.get(name), theirs.get(name), f"{path}.{name}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for mine, other in zip(ours, theirs, strict=True):
            yield from _differences(mine, other, f"{path}[]")
    elif ours != theirs:
        yield f"{path[1:]} {ours!r}, not {theirs!r}"


def changed(case: Case, before: Mapping[str, bytes], folder: Path) -> Iterator[str]:
    """Inputs that are not as they were, or not there, and were not to be written to."""
    for name, digest in before.items():
        asked = any(name == each or name.startswith(f"{each}/") for each in case.changes)
        if not asked and digest != digest_of(folder / name):
            yield name


def digest_of(path: Path) -> bytes:
    """Of a file's bytes; what is no file has a name of its own."""
    import hashlib

    if path.is_symlink() or not path.is_file():
        return f"{path.is_symlink()} {path.is_dir()} {path.exists()}".encode()
    return hashlib.sha256(path.read_bytes()).digest()
