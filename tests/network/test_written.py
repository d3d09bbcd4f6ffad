"""What strangers write: which values there are, and one line for everything else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from hwsim.errors import UserError, shown
from hwsim.network.written import parse_json, parse_yaml, read_mapping


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("[~, null, yes, off, 0, -7, 1_000, 2.5, -1.0e+3]",
         [None, None, True, False, 0, -7, 1000, 2.5, -1000.0]),
        ("[1e5, '7', a b, \"\\n\", 2026-11-28, =, <<]",
         ["1e5", "7", "a b", "\n", "2026-11-28", "=", "<<"]),
        ("a: &x {k: 1, l: 2}\nb: {<<: *x, l: 3}\nc: *x",
         {"a": {"k": 1, "l": 2}, "b": {"k": 1, "l": 3}, "c": {"k": 1, "l": 2}}),
        ("a: &x {k: 1}\nb: &y {k: 2, m: 5}\nc: {k: 9}\nd: {<<: [*x, *y]}",
         {"a": {"k": 1}, "b": {"k": 2, "m": 5}, "c": {"k": 9}, "d": {"k": 1, "m": 5}}),
        ("9" * 40, int("9" * 40)),
        ("[" * 32 + "1" + "]" * 32, None),
    ],
)  # fmt: skip
def test_yaml_builds_what_is_accepted(text: str, value: Any) -> None:
    found = parse_yaml(text)
    if text.startswith("[["):
        while isinstance(found, list):
            (found,) = found
        assert found == 1
    else:
        assert found == value
        assert repr(found) == repr(value)


def nested(levels: int, text: str) -> str:
    """References by which a few lines stand for 10^levels of a text."""
    lines = [f"a0: &a0 {text}"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels + 1)]
    return "\n".join(lines)


def merged(levels: int) -> str:
    """The same of merged keys: each mapping takes over the one before ten times."""
    lines = ["a0: &a0 {k: 1}"]
    lines += [
        f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, levels + 1)
    ]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("0x_", "0x_ is no decimal number"),
        ("a: 0x10", "line 1: 0x10 is no decimal number"),
        ("0b1", "no decimal number"),
        ("017", "no decimal number"),
        ("1:30", "no decimal number"),
        ("9" * 41, "a number of 41 digits; at most 40"),
        ("[1,\n.inf]", "line 2: '.inf' is no finite number"),
        (".NaN", "no finite number"),
        ("1" * 400 + ".0", "no finite number"),
        ("!!int 5", "tags such as 'tag:yaml.org,2002:int' are not read"),
        ("!!python/object/apply:os.system [ls]", "are not read"),
        ("! a", "are not read"),
        ("a: 1\nb: 2\na: 3", r"duplicate key 'a' \(line 3\)"),
        ("a: &x {}\nb: {<<: *x, <<: *x}", r"duplicate key '<<' \(line 2\)"),
        ("b: {<<: [1]}", "<< takes a mapping"),
        ("a: 1\n5: 2", "line 2: expected a key that is text, found '5'"),
        ("on: 1", "expected a key that is text, found 'on'"),
        ("? [a]\n: 1", "found a list or mapping"),
        ("[" * 33 + "]" * 33, "more than 32 lists or mappings in each other"),
        ("[" * 100_000, "more than 32 lists"),
        ("a: &a [*a]", "line 1: what is named here refers to itself"),
        ("a: &a {<<: *a}", "refers to itself"),
        (nested(8, "x"), "more than 1,000,000 values"),
        ("*x", "not valid YAML .found undefined alias"),
        ("a: [1", "not valid YAML"),
        ("'\\0' : \"\\0\"", "holds a character that is none"),
        ('"\\ud800"', "holds a character that is none"),
        ("\udc80", "not valid YAML"),
        ("--- 1\n--- 2", "not valid YAML"),
    ],
)
def test_yaml_refuses_the_rest_in_one_line(text: str, told: str) -> None:
    with pytest.raises(UserError, match=told) as refused:
        parse_yaml(text)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400


def test_chains_of_references_are_as_deep_as_what_they_stand_for() -> None:
    chain = "\n".join(["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 40))])
    with pytest.raises(UserError, match="more than 32 lists or mappings in each other"):
        parse_yaml(chain)


def test_merged_keys_do_not_multiply() -> None:
    assert parse_yaml(merged(20))["a20"] == {"k": 1}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("NaN", "'NaN' is no finite number"),
        ("[-Infinity]", "no finite number"),
        ("1e999", "no finite number"),
        ("9" * 5000, "a number of 5,000 digits"),
        ('{"a": 1, "a": 2}', "duplicate key 'a'"),
        ("[" * 33 + "]" * 33, "more than 32 lists"),
        ("[" * 33 + "1" + "]" * 33, "more than 32 lists"),
        ("[" * 100_000, "not valid JSON"),
        ('{"\\ud800": 1}', "holds a character that is none"),
        ('"\\u0000"', "holds a character that is none"),
        ("", "not valid JSON"),
    ],
)
def test_json_has_the_same_limits(text: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        parse_json(text)
    assert parse_json('{"a": [1, 2.5, null, true, "x"]}') == {"a": [1, 2.5, None, True, "x"]}


@pytest.mark.parametrize("name", ["net.yaml", "net.json"])
def test_a_pipe_or_a_folder_is_no_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    os.mkfifo(path)
    with pytest.raises(UserError, match="expected a file, and not a folder, a pipe or a device"):
        read_mapping(path)
    with pytest.raises(UserError, match="expected a file, and not a folder"):
        read_mapping(tmp_path)


def test_what_is_shown_is_short() -> None:
    assert shown("a\x1b[31m\n") == "'a\\x1b[31m\\n'"
    assert shown(7) == "7"
    for long in ("x" * 100_000, 10**5000, 10**1000, [["x" * 50] * 50] * 50, {"x" * 9000: 1}):
        assert 20 < len(shown(long)) <= 80
        assert "..." in shown(long) or "thousands of digits" in shown(long)
