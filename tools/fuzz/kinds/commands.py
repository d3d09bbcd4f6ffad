"""Command lines of every subcommand: options missing, repeated, exchanged, with hostile values."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from random import Random

from hwsim.__main__ import COMMANDS
from tools.fuzz import hostile, sound
from tools.fuzz.case import INPUTS, Case, Kind
from tools.fuzz.kinds import networks

TRACE, NETWORK = f"{INPUTS}/t.h5", f"{INPUTS}/n.yaml"

SOUND: dict[str, tuple[tuple[str, ...], ...]] = {
    "run": (
        ("--trace", TRACE, "--threads", "1", "--scheme", "dense"),
        ("--trace", TRACE, "--threads", "1", "--json", "-"),
        ("--network", NETWORK, "--threads", "1", "--images", "1"),
    ),
    "energy": ((), ("--table", "cacti22"), ("--markdown",)),
    "sweep": (
        ("--trace", TRACE, "--scheme", "dense", "--vary", "activation.banks=8", "--out", "out"),
    ),
    "search": (
        ("--trace", TRACE, "--scheme", "unstructured", "--vary", "activation.banks=8,16",
         "--trials", "1", "--out", "out"),
    ),
    "equal-area": (
        ("--trace", TRACE, "--scheme", "dense", "--vary", "activation.banks=8,16", "--starts", "1",
         "--images", "2", "--out", "out"),
    ),
    "trace": (
        ("inspect", TRACE), ("verify", TRACE), ("statistics", TRACE, "--lanes", "4"),
        ("synthetic", "--network", NETWORK, "--density", "0.5", "--images", "1", "--out", "out.h5"),
    ),
    "network": (
        ("show", NETWORK), ("check", NETWORK, "--arch", "pe16x16"),
        ("derive", f"{INPUTS}/n.onnx", "--input", "1x3x8x8"),
    ),
    "import": ((f"{INPUTS}/t.csv",), (f"{INPUTS}/t.csv", "--out", "out.yaml")),
    "completion": (("bash",),),
}  # fmt: skip
"""Command lines that end well, by subcommand."""

WRITTEN = ("out", "json", "csv", "cache")
"""Options of names that are written to."""

COSTLY = (
    "starts", "trials", "random", "epochs", "steps", "minutes", "threads", "workers", "scheduler",
)  # fmt: skip
"""Options whose large values are asked for and take long, or that reach for other machines."""

FILES = (
    "t.h5", "n.yaml", "t.csv", "m.yaml", "pipe", "folder", "link", "zero", "empty", "none",
    "\udcff", "a\x1b[31mb.h5", "e\u0301.yaml", "bytes.h5", "[b]x[i].h5", "x y.yaml", "n.onnx",
)  # fmt: skip
"""Names of inputs; some are pipes, folders, links to nothing and to a device without end."""

TARGETS = (
    "out", INPUTS, f"{INPUTS}/folder", "none/x", "b" * 300, "\udcfe", "\x1b[31m", "", "é.yaml",
    "out.h5", "out.json", "out.yaml", f"{INPUTS}/empty/x", "-", "a\nb", "out/", "x\x00y",
)  # fmt: skip
"""Names of outputs."""

SHARED: tuple[tuple[str, ...], ...] = (
    ("--help",), ("-h",), ("--version",), ("--",), ("-",), ("",), ("--arch",), ("--set", "x"),
    ("--nope",), ("--images", "0"), ("--images", "-1"), ("-x",), ("--=",), ("--trace=",),
    ("@in/t.csv",),
)  # fmt: skip


def prepare(base: Path) -> None:
    sound.write(base / TRACE)
    networks.prepare(base)
    (base / INPUTS / "t.csv").write_text(networks.TOPOLOGIES[0])
    (base / INPUTS / "m.yaml").write_text("base: pe16x16\nclock_mhz: 400\n")


def fill(base: Path, folder: Path) -> None:
    """The inputs of a command: sound ones, and files that are none."""
    target = folder / INPUTS
    for path in (base / INPUTS).iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    os.mkfifo(target / "pipe")
    (target / "folder").mkdir()
    (target / "link").symlink_to("nowhere")
    (target / "zero").symlink_to("/dev/zero")
    (target / "empty").touch()
    (target / "bytes.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(range(256)))
    for name in ("\udcff", "a\x1b[31mb.h5", "e\u0301.yaml", "[b]x[i].h5", "x y.yaml"):
        like = "t.h5" if name.endswith("h5") else "n.yaml"
        (target / name).write_bytes((base / INPUTS / like).read_bytes())


def draw(random: Random, base: Path, folder: Path) -> Case:
    fill(base, folder)
    return of_commands(random, SOUND)


def of_commands(random: Random, sound_lines: dict[str, tuple[tuple[str, ...], ...]]) -> Case:
    """A sound command line with one to three changes."""
    name = random.choice(list(sound_lines))
    words = list(random.choice(sound_lines[name]))
    told = []
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        told.append(_change(random, name, words))
    if name in ("run", "sweep", "search", "equal-area") and "--network" not in words:
        # The shipped traces, which are taken otherwise, need seconds.
        words += ["--trace", TRACE] * (not any(word.startswith("--trace") for word in words))
    if name in ("sweep", "search", "equal-area"):
        words += ["--workers", "1"]
    if name == "run" and "--threads" not in words:
        words += ["--threads", "1"]
    command = name if random.random() < 0.98 else hostile.text(random)
    return Case("; ".join(told), (command, *words), None, ("*",))


def _change(random: Random, name: str, words: list[str]) -> str:
    """One change of the words behind the subcommand, in place; what it was."""
    how = random.choice(
        ("gone", "twice", "word", "option", "option", "option", "foreign", "shared", "moved")
    )
    at = random.randrange(len(words)) if words else 0
    if how == "gone" and words:
        return f"without {words.pop(at)!r}"
    if how == "twice" and words:
        words.insert(at, words[at])
        return f"{words[at]!r} twice"
    if how == "word" and words:
        before = words[at - 1] if at else ""
        words[at] = value(random, before.removeprefix("--").replace("-", "_"))
        return f"{words[at][:40]!r} behind {before!r}"
    if how == "moved" and words:
        words.append(words.pop(at))
        return f"{words[-1]!r} at the end"
    if how == "shared":
        words += random.choice(SHARED)
        return f"{words[-1]!r} at the end"
    other = random.choice(list(SOUND)) if how == "foreign" else name
    action = random.choice(options_of(other))
    if action.dest in COSTLY:
        return "as it was"
    added = [action.option_strings[-1]] if action.option_strings else []
    if action.nargs != 0:
        many = random.choice((0, 1, 1, 1, 2)) if action.nargs in ("+", "*") else 1
        added += [_of_action(random, action) for _ in range(many)]
    words[at:at] = added if random.random() < 0.3 else []
    words += added if words[at : at + len(added)] != added else []
    return f"{' '.join(added)[:60]!r} added"


def _of_action(random: Random, action: argparse.Action) -> str:
    if action.choices and random.random() < 0.5:
        return str(random.choice(list(action.choices)))
    return value(random, action.dest)


def value(random: Random, option: str) -> str:
    """A word for an option, or for a place without one; names of files stay below the folder."""
    if option in WRITTEN:
        return random.choice(TARGETS)
    drawn = random.random()
    if drawn < 0.3:
        return f"{INPUTS}/{random.choice(FILES)}"
    if drawn < 0.6 and option not in COSTLY:
        return str(hostile.number(random))
    if drawn < 0.7:
        return random.choice(
            ("x" * 100_000, "1" * 5_000, "-" * 1_000, "=" * 10, "a,b,c", "1,2", "1x2x3")
        )
    return random.choice([text for text in hostile.TEXTS if ".." not in text])


@cache
def options_of(command: str) -> Sequence[argparse.Action]:
    """Every option and place of a subcommand and its actions."""
    parsers = [import_module(COMMANDS[command].module).build_parser()]
    found: list[argparse.Action] = []
    while parsers:
        for action in parsers.pop()._actions:
            if isinstance(action, argparse._SubParsersAction):
                parsers += action.choices.values()
            elif action.dest != "help":
                found.append(action)
    return found


KIND = Kind(
    "commands",
    0.12,
    "command lines of every subcommand: words missing, repeated, moved; options of other commands; "
    "values that are empty, of 100,000 characters, not UTF-8, of control characters; pipes, "
    "folders, links and a device without end as files",
    prepare,
    draw,
)
