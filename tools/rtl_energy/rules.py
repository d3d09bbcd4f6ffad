"""Straight lines through measured energies and areas: what prices can be made of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tools.rtl_energy.measure import Measured

ARBITER = re.compile(r"bank arbiter, (\d+) pointers, (\d+) banks, Q = 0")

BANKS_READ = (1, 4, 8, 16)


@dataclass(frozen=True)
class Line:
    """``start`` + ``slope`` x; ``off`` is the largest distance of a point, as a share of it."""

    start: float
    slope: float
    off: float


def line(points: Mapping[float, float]) -> Line:
    """Through all points, with the least sum of squares."""
    across, up = np.array(list(points)), np.array(list(points.values()))
    slope, start = np.polyfit(across, up, 1)
    off = np.abs(start + slope * across - up) / np.abs(up)
    return Line(float(start), float(slope), float(off.max()))


def by_banks(pointer: Measured, name: str) -> dict[float, float]:
    """pJ without the clock of a pointer that ``name`` (filled, waits), by banks that read."""
    rows = ((number, f"{name}, {number} of 16 banks read") for number in BANKS_READ)
    found = {number: pointer.row(condition) for number, condition in rows}
    return {number: row.bare_pj for number, row in found.items()}


def by_pointers(arbiters: Sequence[Measured], per: str) -> dict[float, float]:
    """pJ of what is counted ``per``, by pointers, of the arbiters of 16 banks with Q = 0."""
    return {number: found.row("works", per).pj for number, found in _sizes(arbiters).items()}


def areas_by_pointers(arbiters: Sequence[Measured]) -> dict[float, float]:
    """um2."""
    return {number: found.area for number, found in _sizes(arbiters).items()}


def areas_by_pairs(arbiters: Sequence[Measured]) -> list[float]:
    """um2 for each pair of a pointer and a bank, of all arbiters with Q = 0."""
    sizes = {measured.unit: measured.area for measured in arbiters}
    return [
        area / (int(found[1]) * int(found[2]))
        for unit, area in sizes.items()
        if (found := ARBITER.fullmatch(unit))
    ]


def _sizes(arbiters: Sequence[Measured]) -> dict[float, Measured]:
    names = {number: f"bank arbiter, {number} pointers, 16 banks, Q = 0" for number in (16, 32, 64)}
    found = {measured.unit: measured for measured in arbiters}
    return {number: found[name] for number, name in names.items() if name in found}
