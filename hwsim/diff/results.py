"""What is compared of a side: its configuration, and figures of its runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

Figure = Fraction | float | None
"""An integer's share of an image, exactly, or a float; None where there is none."""

Figures = Mapping[str, Mapping[str, Figure]]
"""By kind, then by item: a cause, a component, a counter."""


class Kind(NamedTuple):
    """Figures of one unit: how their table is called, and when two are equal."""

    title: str
    unit: str
    exact: bool
    """Made of integers; no tolerance."""
    by_share: bool = False
    """Its items have units of their own: the largest change is the largest share."""


KINDS = {
    "cycles": Kind("cycles by cause", "cycles/image", exact=True),
    "energy": Kind("energy by component", "uJ/image", exact=False),
    "area": Kind("area by component", "mm2", exact=False),
    "traffic": Kind("traffic", "bytes/image", exact=True),
    "counts": Kind("other counters", "an image", exact=True, by_share=True),
    "derived": Kind("derived figures", "", exact=False, by_share=True),
    "spread": Kind("cycles over batches", "cycles/image", exact=False),
}
"""In the order of their tables."""


@dataclass(frozen=True)
class Run:
    """One scheme on one trace and machine, or a machine's hardware for a scheme.

    ``labels``: what it is called, by heading. ``keys``: what it is paired with the other side's by,
    the best first. ``layers``: figures by the layer's name.
    """

    labels: Mapping[str, str]
    keys: tuple[Hashable, ...]
    figures: Figures
    layers: Mapping[str, Figures] = field(default_factory=dict)
    no_figures: str | None = None


@dataclass(frozen=True)
class Results:
    """A side. ``environment`` is told and is no difference; ``tables`` are compared as they are."""

    configuration: Mapping[str, Any]
    runs: Sequence[Run]
    environment: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, Sequence[Any]] = field(default_factory=dict)


def pairs(
    left: Sequence[T], right: Sequence[T], keys: Sequence[Callable[[T], Hashable]]
) -> tuple[list[tuple[T, T]], list[T], list[T]]:
    """What belongs together, and what only one side has.

    By the first key that exactly one of each side has, of those that no key before has paired.
    """
    found: list[tuple[T, T]] = []
    for key in keys:
        ours, theirs = _unique(left, key), _unique(right, key)
        both = [(ours[each], theirs[each]) for each in ours if each in theirs]
        found += both
        taken = {id(one) for pair in both for one in pair}
        left = [one for one in left if id(one) not in taken]
        right = [one for one in right if id(one) not in taken]
    return found, list(left), list(right)


def _unique(items: Sequence[T], key: Callable[[T], Hashable]) -> dict[Hashable, T]:
    """By key, what is alone with it."""
    by_key: dict[Hashable, list[T]] = {}
    for item in items:
        by_key.setdefault(key(item), []).append(item)
    return {each: alike[0] for each, alike in by_key.items() if len(alike) == 1}


def family(scheme: str) -> str:
    """The scheme without the number of its lane group, as ``structured-skip``."""
    kind, _, rest = scheme.partition("-")
    if kind not in ("structured", "lockstep"):
        return scheme
    return "-".join([kind, *(part for part in rest.split("-")[1:] if part)])


def finite(value: Any) -> float | None:
    """The number; None of one that is none, or not finite."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
