"""Values, texts and bytes that few readers expect; each function takes a generator."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

INTEGERS = (
    0, 1, 2, 3, 7, 8, 9, 16, 63, 64, 65, 1023, 1024, 1025, 2**15, 2**16, 2**31 - 1, 2**31, 2**32,
    2**53 + 1, 2**62, 2**63 - 1, 2**63, 2**64, 10**12, 10**30, 10**308,
)  # fmt: skip
"""Beside 0 and 1 the ends of ranges; half of the draws are negative or off by one."""

FLOATS = (
    0.0, -0.0, 0.5, 1.0, 1e-300, 5e-324, 1e-9, 1e9, 1e18, 1e300, 1.7e308,
    float("inf"), float("-inf"), float("nan"),
)  # fmt: skip

TEXTS = (
    "", " ", "a", "none", "null", "true", "0x10", "1e5", "1_000", "é", "\u2028", "\u202e",
    "\ud800", "\udcff", "\x00", "\x1b[31mred\x1b[0m", "\r", "\n", "\t", "\x7f", "\x85", "\ufeff",
    "[bold]x[/bold]", "[/]", "$x_1$", "$\\frac{", "%s", "{0}", "../up", "a/b", ".", "..", "-",
    "--", "~", "a" * 300, "b" * 5000, "'", '"', "`", "\\", "\U0001f600", "e\u0301", "input",
    "input:", "first", "second", "pe16x16", "dense", "nan", "inf",
)  # fmt: skip
"""Names and words: empty, long, of control characters, of markup, of what names other things."""

SCALARS = (
    "2026-11-28", "2026-02-30", "2026-11-28 10:00:00", "0x_", "0b", "0o9", "1:30", "190:20:30.15",
    "1__0", "0x10", "010", "1e3", "1e400", "-1e400", ".inf", "-.inf", ".nan", ".NaN", "~", "null",
    "yes", "off", "on", "true", "!!python/object/apply:os.getcwd []", "!!binary aGk=",
    "!!binary '?'", "!!set {a, b}", "!!timestamp x", "!!int x", "!!float x", "!!bool x",
    "!!null x", "!!omap [a: 1]", "!!pairs [a: 1]", "!!str 3", "!local x", "!!merge x", "&a 3",
    "*a", "*none", "&a [*a]", "<<: 1", "{<<: 1}", "=", "? a", "[", "{", "]", "}", "[]", "{}",
    "[[]]", "{a: 1}", "{1: 2}", "{[1]: 2}", "{? {a: 1} : 2}", "'", '"\\ud800"', '"\\x00"',
    '"\\uD83D"', "|", ">", "@", "`", "%", "%YAML 3.0", "---", "...", "#", "- 1", "a: b: c", ",",
    "16,", "0.1", "16.0", "16.5", "+16", " 16 ", "'16'", "١٦", "１６", "1" * 5000, "-" + "9" * 4999,
    "[" * 200, "{a: " * 200, "[" * 3000 + "]" * 3000, "!!float " + "9" * 400,
)  # fmt: skip
"""YAML that is read as something else than it looks, or not at all."""


def integer(random: Random) -> int:
    value = random.choice(INTEGERS)
    return random.choice((value, value, -value, value - 1, value + 1, -value - 1))


def number(random: Random) -> int | float:
    return random.choice((integer(random), random.choice(FLOATS), -random.choice(FLOATS)))


def text(random: Random) -> str:
    """Of the list, or a few of its texts one after another."""
    if random.random() < 0.8:
        return random.choice(TEXTS)
    return "".join(random.choice(TEXTS)[:40] for _ in range(random.randint(2, 4)))


def scalar(random: Random) -> str:
    """As it stands in YAML, a file or an option."""
    drawn = random.random()
    if drawn < 0.5:
        return random.choice(SCALARS)
    if drawn < 0.8:
        return repr(number(random)).replace("nan", ".nan").replace("inf", ".inf")
    return text(random)


def plain(random: Random, depth: int = 2) -> object:
    """A JSON value."""
    drawn = random.random()
    if drawn < 0.35:
        return number(random)
    if drawn < 0.7:
        return text(random)
    if drawn < 0.8 or not depth:
        return random.choice((None, True, False))
    if drawn < 0.9:
        return [plain(random, depth - 1) for _ in range(random.randint(0, 3))]
    return {text(random): plain(random, depth - 1) for _ in range(random.randint(0, 3))}


def damaged(random: Random, contents: bytes) -> tuple[str, bytes]:
    """The bytes of a file with some changed, and what was done."""
    if not contents:
        return "empty file", b"?"
    how = random.choice(("flip", "flip", "flips", "cut", "zeros", "insert", "remove", "repeat",
                         "ones", "garbage tail"))  # fmt: skip
    found = bytearray(contents)
    at = random.randrange(len(found))
    span = min(random.choice((1, 2, 4, 8, 16, 64, 512, 4096)), len(found) - at)
    if how == "flip":
        found[at] ^= 1 << random.randrange(8)
    elif how == "flips":
        for _ in range(random.randint(2, 40)):
            found[random.randrange(len(found))] ^= 1 << random.randrange(8)
    elif how == "cut":
        del found[at:]
    elif how == "zeros":
        found[at : at + span] = bytes(span)
    elif how == "ones":
        found[at : at + span] = b"\xff" * span
    elif how == "insert":
        found[at:at] = random.randbytes(span)
    elif how == "remove":
        del found[at : at + span]
    elif how == "repeat":
        found[at:at] = found[at : at + span]
    else:
        found += random.randbytes(span)
    return f"{how} at {at}", bytes(found)


def mutated_text(random: Random, contents: str, words: Sequence[str] = ()) -> tuple[str, bytes]:
    """A text file with lines or words exchanged, or its bytes damaged; and what was done."""
    how = random.choice(("bytes", "line gone", "line twice", "lines swapped", "word", "word",
                         "word",
                         "insert", "encoding"))  # fmt: skip
    lines = contents.splitlines(keepends=True)
    if how == "bytes" or not lines:
        change, found = damaged(random, contents.encode("utf-8", "surrogatepass"))
        return change, found
    at = random.randrange(len(lines))
    if how == "line gone":
        del lines[at]
    elif how == "line twice":
        lines.insert(at, lines[at])
    elif how == "lines swapped":
        other = random.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    elif how == "word":
        parts = lines[at].split(" ")
        put = scalar(random) if random.random() < 0.7 or not words else random.choice(words)
        parts[random.randrange(len(parts))] = put
        lines[at] = " ".join(parts) + "\n" * (not parts[-1].endswith("\n"))
    elif how == "insert":
        lines.insert(at, scalar(random) + "\n")
    elif how == "encoding":
        code = random.choice(("utf-16", "utf-32", "utf-8-sig", "latin-1"))
        return f"encoded as {code}", "".join(lines).encode(code, "replace")
    return how, "".join(lines).encode("utf-8", "surrogatepass")
