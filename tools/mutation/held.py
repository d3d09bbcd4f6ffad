"""The cases that mutants of kernel and reference are tried on, counted by the other model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, count, islice
from random import Random

import numpy as np
from by_hand import BETWEEN_TILES
from in_memory import in_memory_trace
from oracle.cases import Case as Drawn

from hwsim.arch.schemes import parse_scheme
from hwsim.counters import CAUSES, C
from hwsim.mapping.tiles import MappingError
from hwsim.model import Engine
from hwsim.model.replay import replay as run_batches
from hwsim.run.simulate import chosen_shapes
from tools.verification.cases import (
    GATHERING,
    MASKED,
    PARAMETERS,
    Value,
    acting,
    build,
    draw_case,
    draw_value,
)
from tools.verification.replay import Replayed, replay, within_tiles

CASES, WIDE_CASES, WINDOWED_CASES, FULL = 500, 500, 300, 4

WIDE = (31, 32, 33, 63, 64, 65, 95, 96, 97, 100, 127, 128, 130)
"""Pixels of a tile, around the 64 bits of the kernel's words and the 32 of the index memory's."""

BY_MASKS = [C[name] for name in ("macs_conditional", "psum_conditional_reads", "decoder_cycles")]

Counts = tuple[np.ndarray, ...]
Counted = list[Counts]
"""Per batch and layer: what models tell by tile, and what they tell by layer (campaign.replay).

For mutants of the kernel also the totals of a run, which it makes of many batches at once.
"""


@dataclass(frozen=True)
class Held:
    """A case, and what the other model counts."""

    name: str
    case: Replayed
    expected: Counted


def held_cases(model: Engine, number: int = CASES, wide: int = WIDE_CASES) -> list[Held]:
    """Seeded cases; those first that show a value which none before them has shown."""
    other: Engine = "reference" if model == "kernel" else "kernel"
    early, late, shown = [], [], set()
    drawn = ((f"seed {seed}", *draw_case(seed)) for seed in count())
    wider = ((f"wide {seed}", *draw_wide(seed)) for seed in count())
    windowed = ((f"windowed {seed}", *draw_windowed(seed)) for seed in count())
    full = ((f"full {seed}", *draw_full(seed)) for seed in count())
    several = (
        _held(drawn, number, other),
        _held(wider, wide, other),
        _held(windowed, WINDOWED_CASES if wide else 0, other),
        _held(full, FULL, other),
    )
    for values, held in chain.from_iterable(several):
        options = set(acting(values).items())
        (late if options <= shown else early).append(held)
        shown |= options
    everything = {(name, value) for name, values in PARAMETERS.items() for value in values}
    if number >= CASES and (missing := everything - shown):
        raise ValueError(f"no case has {missing}: more cases are needed")
    return early + late


def _held(
    drawn: Iterator[tuple[str, dict[str, Value], Drawn]], number: int, model: Engine
) -> Iterator[tuple[dict[str, Value], Held]]:
    """So many of the cases that the machine can hold."""

    def fitting() -> Iterator[tuple[dict[str, Value], Held]]:
        for name, values, one in drawn:
            case = Replayed(one.arch, in_memory_trace(one), one.scheme, one.batch)
            try:
                yield values, Held(name, case, counted(case, model, model == "reference"))
            except MappingError:
                continue

    return islice(fitting(), number)


def draw_wide(seed: int) -> tuple[dict[str, Value], Drawn]:
    """As ``draw_case``, with tiles of about a word or two in a buffer that does not cut them.

    Many are of what the kernel has code of its own for, an index a cycle and words of 32 or 64
    bits; some lists have as many rounds as there can be, a one at the very end alone, or runs of
    zeros across the end of a word.
    """
    rng = Random(f"wide {seed}")
    kinds = ("any", "one a cycle", "full", "last", "symbols")
    kind = rng.choices(kinds, (3, 5, 1, 1, 2))[0]
    while True:
        values = {name: draw_value(name, rng) for name in PARAMETERS}
        values |= {"scheme": rng.choice(MASKED), "P": rng.choice(WIDE), "activation KiB": 512}
        values |= {"images": 3, "batch": 3, "R": rng.choice([1, 2, 3])}
        if kind == "one a cycle":
            values |= {"format": "bitmap", "E": 1, "W": rng.choice([32, 32, 64])}
            values["density"] = rng.choice([0.0, 0.02, 0.05, 0.2, 1.0])
        elif kind == "full":
            values |= {"R": rng.choice([1, 3]), "P": rng.choice([64, 128]), "density": 1.0}
            values |= {"format": "bitmap", "E": 1, "W": 32} if rng.random() < 0.5 else {}
        elif kind == "last":
            values |= {"P": rng.choice([16, 32, 64]), "gate normalisation": "batch"}
            values["format"] = rng.choice(["coordinate", "coordinate", values["format"]])
        elif kind == "symbols":
            values |= {"P": rng.choice([97, 127, 128, 130]), "gate normalisation": "batch"}
            values |= {"format": f"run-length {rng.choice([2, 2, 3])}"}
            values["density"] = rng.choice([0.05, 0.2, 0.3])
        if case := build(values, rng):
            return values, _last_ones(case, int(values["P"])) if kind == "last" else case


def draw_windowed(seed: int) -> tuple[dict[str, Value], Drawn]:
    """Rounds that a window chooses, an index a cycle more often, with empty words between."""
    rng = Random(f"windowed {seed}")
    while True:
        values = {name: draw_value(name, rng) for name in PARAMETERS}
        values |= {"scheme": rng.choice(GATHERING), "activation KiB": 512, "zero skipping": "none"}
        values |= {"window": rng.choice([1, 2, 3, 5, 8, 63, 64, 65]), "kernel": 1}
        values |= {"P": rng.choice(WIDE), "images": 3, "batch": 3, "network": "alone"}
        values |= {"density": rng.choice([0.02, 0.1, 0.3, 0.6, 1.0]), "format": "bitmap"}
        if rng.random() < 0.6:
            values |= {"E": 1, "W": rng.choice([8, 16, 32, 64])}
        if seed % 50 == 0:  # index words of 8 bits, of which lists have an empty one
            values |= {"scheme": "unstructured", "P": 64, "E": 1, "W": 8}
        if not (case := build(values, rng)):
            continue
        if seed % 50:
            return values, case
        if case.images * case.network.gated_layers[0].out_pixels >= 64:
            return values, _hollow(case)


def _hollow(case: Drawn) -> Drawn:
    """Of 64 pixels each eighth, and the 17th; but none of the second eight."""
    row = np.arange(64) % 8 == 7
    row[15], row[16] = False, True
    masks = {}
    for name, bits in case.masks.items():
        images, lists, height, width = bits.shape
        flat = np.resize(row, images * height * width).reshape(images, 1, height, width)
        masks[name] = np.repeat(flat, lists, axis=1)
    return replace(case, masks=masks)


def draw_full(seed: int) -> tuple[dict[str, Value], Drawn]:
    """Lists of three words with every bit set, a round each: as many rounds as there can be."""
    rng = Random(f"full {seed}")
    while True:
        values = {name: draw_value(name, rng) for name in PARAMETERS}
        values |= {"scheme": "unstructured", "P": 192, "activation KiB": 512, "R": 1, "C": 1}
        values |= {"images": 3, "batch": 3, "density": 1.0, "masks": "independent", "kernel": 1}
        values |= {"gate normalisation": "batch", "reshape": "none"}
        if (case := build(values, rng)) and case.network.gated_layers[0].out_pixels >= 64:
            return values, case


def _last_ones(case: Drawn, pixels: int) -> Drawn:
    """The case with ones at the last pixels of tiles alone."""
    masks = {}
    for name, bits in case.masks.items():
        images, lists, height, width = bits.shape
        flat = np.zeros((lists, images * height * width), bool)
        flat[:, pixels - 1 :: pixels] = True
        masks[name] = flat.reshape(lists, images, height, width).swapaxes(0, 1)
    return replace(case, masks=masks)


def counted(case: Replayed, model: Engine, with_totals: bool) -> Counted:
    """What a model counts, in the form in which models compare."""
    between = [CAUSES.index(name) for name in BETWEEN_TILES]
    runs = replay(case, model)
    found: Counted = [(within_tiles(run), run[0][:, between].sum(axis=0)) for run in runs]
    return [*found, _totals(case, model, runs)] if with_totals else found


def _totals(case: Replayed, model: Engine, runs: list[tuple[np.ndarray, np.ndarray]]) -> Counts:
    """Causes and counters by layer, cycles by batch: the kernel's of a whole run, others' summed.

    Counters are those that masks decide, before zero operands are moved, which no model does.
    """
    if model == "kernel":
        batch = min(case.batch, case.trace.images)
        shapes = chosen_shapes(case.arch, case.trace, case.scheme, batch=batch)
        scheme = parse_scheme(case.scheme, case.arch)
        run = run_batches(case.arch, case.trace, scheme, batch, shapes, threads=1)
        return run.causes, run.counters[:, BY_MASKS], run.batch_cycles
    layers = len(case.trace.network.layers)
    cycles = np.array([cycles.sum(axis=0) for cycles, _ in runs]).reshape(-1, layers, len(CAUSES))
    counts = np.array([counts.sum(axis=0) for _, counts in runs])[:, BY_MASKS]
    by_layer = counts.reshape(-1, layers, len(BY_MASKS)).sum(axis=0)
    return cycles.sum(axis=0), by_layer, cycles.sum(axis=(1, 2))


def equal(found: Counted, expected: Counted) -> bool:
    return all(
        np.array_equal(mine, right)
        for several, others in zip(found, expected, strict=True)
        for mine, right in zip(several, others, strict=True)
    )
