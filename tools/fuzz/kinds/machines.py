"""Machines: YAML files and --set."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any, get_args

import yaml
from pydantic import BaseModel

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import known_keys, set_keys
from hwsim.files import asset_dir
from tools.fuzz import hostile, sound
from tools.fuzz.case import INPUTS, Case, Kind

FILE, TRACE = f"{INPUTS}/m.yaml", f"{INPUTS}/t.h5"

RUN = ("run", "--trace", TRACE, "--threads", "1", "--json", "-")

KEYS = tuple(known_keys())


def prepare(base: Path) -> None:
    sound.write(base / INPUTS / "t.h5")
    (base / INPUTS / "m.yaml").write_text(_shipped())


def _shipped() -> str:
    return (asset_dir("arch_configs") / "pe16x16.yaml").read_text(encoding="utf-8")


def draw(random: Random, base: Path, folder: Path) -> Case:
    """A file, or --set; commands that read a machine with a trace, a network or nothing."""
    (folder / TRACE).write_bytes((base / TRACE).read_bytes())
    drawn = random.random()
    if drawn < 0.4:
        settings = [_setting(random) for _ in range(random.choice((1, 1, 1, 2, 3)))]
        argv = [*_command(random), *(part for each in settings for part in ("--set", each))]
        return Case(f"--set {settings[0][:60]}", tuple(argv), None, ("out",))
    contents: str | bytes
    if drawn < 0.6:
        change, contents = hostile.mutated_text(random, _shipped(), KEYS)
    elif drawn < 0.8:
        change, contents = _of_schema(random)
    else:
        change, contents = _text(random)
    raw = contents if isinstance(contents, bytes) else contents.encode("utf-8", "surrogatepass")
    (folder / FILE).write_bytes(raw)
    return Case(change, (*_command(random), "--arch", FILE), None, ("out",))


def _command(random: Random) -> tuple[str, ...]:
    return random.choice(
        (
            RUN, RUN, (*RUN, "--scheme", "dense", "unstructured"), ("energy",),
            ("network", "check", TRACE, "--arch", "pe16x16"),
            ("sweep", "--trace", TRACE, "--out", "out", "--workers", "1", "--scheme", "dense"),
        )
    )  # fmt: skip


def _setting(random: Random) -> str:
    """KEY=VALUE: mostly a key that there is."""
    key = random.choice(KEYS) if random.random() < 0.9 else hostile.text(random)
    drawn = random.random()
    value = valid(random, key) if drawn < 0.3 else hostile.scalar(random)
    return f"{key}={value}" if drawn < 0.97 else random.choice((key, f"={value}", value))


def valid(random: Random, key: str) -> str:
    """A value that the key's own type and bounds take, often at one of the bounds."""
    field: Any = None
    model: Any = ArchConfig
    for part in key.split("."):
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return hostile.scalar(random)
        field = model.model_fields.get(part)
        if field is None:
            return hostile.scalar(random)
        model = field.annotation
    if choices := get_args(model):
        plain = [choice for choice in choices if isinstance(choice, str | int)]
        if plain:
            return str(random.choice(plain))
    if model is bool:
        return random.choice(("true", "false"))
    if model is str:
        return random.choice(("cacti22", "horowitz45", "x"))
    bounds = {
        name: getattr(each, name)
        for each in field.metadata
        for name in ("gt", "ge", "le", "lt")
        if hasattr(each, name)
    }
    low = bounds.get("ge", bounds.get("gt", 0) + (model is int))
    high = bounds.get("le", bounds.get("lt", random.choice((64, 10**4, 10**9, 2**31, 2**62))))
    if model is int:
        if random.random() < 0.5:
            return str(random.choice((1, 2, 4, 8, 16, 32, 64, 128, 512, 4096)))
        return str(random.choice((low, high, random.randint(int(low), max(int(low), int(high))),
                                  random.choice((1, 2, 4, 8, 16, 32, 64)))))  # fmt: skip
    if model is float:
        return repr(
            random.choice((float(low), float(high), random.uniform(low, high), 1e-9, 1e-300))
        )
    shapes = [[random.choice((1, 4, 8, 32, 64, 256)) for _ in range(2)] for _ in range(2)]
    return json.dumps(shapes)


def _of_schema(random: Random) -> tuple[str, str]:
    """Every key, a few with another value that its type takes."""
    data = yaml.safe_load(_shipped())
    changed = random.sample(KEYS[1:], random.choice((1, 1, 2, 4, 8)))
    for key in changed:
        try:
            value = yaml.safe_load(valid(random, key))
        except (yaml.YAMLError, ValueError, TypeError, RecursionError):
            value = None
        set_keys(data, {key: value})
    if random.random() < 0.2:
        part = random.choice([data, *(each for each in data.values() if isinstance(each, dict))])
        part[hostile.text(random)] = hostile.plain(random)
    text = yaml.safe_dump(data, allow_unicode=True, sort_keys=False)
    return f"values of {', '.join(changed)}", text


def _text(random: Random) -> tuple[str, str]:
    """A file of few lines."""
    value, key = hostile.scalar(random), random.choice(KEYS)
    part, _, last = key.rpartition(".")
    inner = f"{part}:\n  {last}: {value}\n" if part else f"{last}: {value}\n"
    forms = (
        ("one value over a base", f"base: pe16x16\n{inner}"),
        ("one value over a base", f"base: pe16x16\n{inner}"),
        ("one value over a base", f"base: pe16x16\n{inner}"),
        ("a base", f"base: {value}\n{inner}"),
        ("itself as the base", f"base: m.yaml\n{inner}"),
        ("a key", f"base: pe16x16\n{value}: 3\n"),
        ("nothing but a value", value),
        ("aliases in aliases", _bomb(random)),
        ("a name", f"base: pe16x16\nname: {json.dumps(hostile.text(random))}\n"),
        ("many keys", "base: pe16x16\n" + "".join(f"k{n}: {n}\n" for n in range(20_000))),
        ("many documents", f"base: pe16x16\n---\n{inner}"),
    )
    return random.choice(forms)


def _bomb(random: Random) -> str:
    depth, width = random.choice(((3, 9), (9, 9), (30, 2), (200, 2)))
    lines = ["a0: &a0 [1]"]
    for level in range(1, depth):
        inner = ", ".join([f"*a{level - 1}"] * width)
        lines.append(f"a{level}: &a{level} [{inner}]")
    return "\n".join([*lines, f"batch: *a{depth - 1}", "base: pe16x16"])


KIND = Kind(
    "machines",
    0.18,
    "machine files and `--set`: values that the schema takes, at its bounds too, and values that "
    "it does not; scalars that YAML reads as something else (dates, `0x_`, 5,000 digits, tags, "
    "anchors, nesting, surrogates), unknown and repeated keys, bases in circles, alias bombs, "
    "damaged bytes",
    prepare,
    draw,
)
