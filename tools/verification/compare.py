"""One case on all models: equal to the unit, or the first place where two of them differ."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from divergence import first_divergence
from in_memory import in_memory_trace
from oracle.cases import Case

from hwsim.arch.config import Shape
from hwsim.arch.schemes import parse_scheme
from hwsim.counters import CAUSES, COUNTERS
from hwsim.mapping.residency import map_network
from hwsim.mapping.tiles import MappingError, tile_layer
from hwsim.run.simulate import simulate

from .cases import Value, acting, draw_case
from .naive import against_oracle, oracle_totals
from .replay import Replayed, difference, replay

ORACLE_EVERY = 10
"""The oracle counts the cases whose seed this divides."""


@dataclass
class Outcome:
    """What became of one case; ``rtl`` where it was played on the RTL, ``any_layers`` where its
    network has layers of any kind.

    ``rounds`` are conditional ones, of all tiles and batches; ``longest``: of its longest tile.
    """

    seed: int
    values: dict[str, Value]
    scheme: str
    difference: str | None = None
    refused: bool = False
    against_oracle: bool = False
    rtl: bool = False
    any_layers: bool = False
    tiles: int = 0
    channel_tiles: int = 0
    rounds: int = 0
    longest: int = 0
    met: set[str] = field(default_factory=set)


def run_seed(seed: int) -> Outcome:
    """Draw the case and compare; an exception of any model is a difference, too."""
    values, case = draw_case(seed)
    outcome = Outcome(seed, acting(values), case.scheme, against_oracle=seed % ORACLE_EVERY == 0)
    try:
        compare(case, outcome)
    except Exception as error:
        outcome.difference = f"{type(error).__name__}: {error}"
    return outcome


def run_seeds(seeds: range) -> list[Outcome]:
    """Several cases, in order."""
    return [run_seed(seed) for seed in seeds]


def compare(case: Case, outcome: Outcome) -> None:
    """Run a case on the models; what they say of it goes into the outcome."""
    trace = in_memory_trace(case)
    replayed = Replayed(case.arch, trace, case.scheme, case.batch)
    expected = oracle_totals(case) if outcome.against_oracle else None
    try:
        kernel = replay(replayed, "kernel")
    except MappingError:
        outcome.refused = True
        if expected:
            outcome.difference = "the kernel's side refuses what the oracle's maps"
        return
    reference = replay(replayed, "reference")
    if found := difference(replayed, reference, kernel, ("reference", "kernel")):
        outcome.difference = f"kernel against reference, {found}"
    result = simulate(case.arch, trace, case.scheme, batch=case.batch)
    if not outcome.difference:
        outcome.difference = _in_all(case, kernel, result.causes)
    if outcome.against_oracle and not outcome.difference:
        totals = result.shapes, result.causes, result.counters
        if found := against_oracle(case, replayed, totals, expected):
            outcome.difference = f"kernel against oracle, {found}"
    _measure(case, kernel, outcome)
    _measure_shapes(case, result.shapes, outcome)
    if result.counters[:, COUNTERS.index("dram_psum_bytes")].any():
        outcome.met.add("partial sums stored and reloaded")


def _in_all(case: Case, kernel: list[Any], causes: np.ndarray) -> str | None:
    """A whole run of the kernel beside what its visits add up to."""
    layers = len(case.network.layers)
    visits = np.array([cycles.sum(axis=0) for cycles, _ in kernel]).reshape(-1, layers, len(CAUSES))
    if found := first_divergence(visits.sum(axis=0), causes, CAUSES):
        told = f"{found.name}: expected {found.expected}, found {found.actual}"
        return f"whole run, layer {case.network.layers[found.tile].name}: {told}"
    return None


def _measure(case: Case, kernel: list[Any], outcome: Outcome) -> None:
    """What the case was large enough for, and which situations it met."""
    layers = case.network.layers
    total = sum(cycles.sum(axis=0) for cycles, _ in kernel)
    outcome.met |= {f"cycles: {name}" for name, spent in zip(CAUSES, total, strict=True) if spent}
    (at,) = (number for number, layer in enumerate(layers) if layer.gated)
    spent = [cycles[:, CAUSES.index("conditional")] for cycles, _ in kernel[at :: len(layers)]]
    rounds = np.concatenate(spent) // layers[at].conditional_steps
    outcome.rounds, outcome.longest = int(rounds.sum()), int(rounds.max())


def _measure_shapes(case: Case, shapes: tuple[Shape, ...], outcome: Outcome) -> None:
    """Which shapes the layers took, and what a batch's residencies and tiles in them met."""
    if any(shape != case.arch.array.shapes[0] for shape in shapes):
        outcome.met.add("another shape than the array's own")
    if len(set(shapes)) > 1:
        outcome.met.add("layers of several shapes")
    mappings = map_network(
        case.network, case.arch, min(case.batch, case.images),
        parse_scheme(case.scheme, case.arch).gating(case.gate_norm), shapes,
    )  # fmt: skip
    for mapping, (rows, _) in zip(mappings, shapes, strict=True):
        tiles = tile_layer(mapping)
        outcome.tiles += len(tiles)
        outcome.met |= {f"input: {mapping.input}", f"weights: {mapping.weights}"}
        if mapping.residual:
            outcome.met.add(f"residual: {mapping.residual}")
        if mapping.prefetches:
            outcome.met.add("weights of the next layer prefetched")
        if len(mapping.pixel_tiles) > 1 and len(set(tiles.channel_start)) > 1:
            outcome.met.add(f"outer loop: {mapping.order}")
        if mapping.layer.gated:
            outcome.channel_tiles = len(set(tiles.channel_start.tolist()))
            ragged = {"channel": tiles.width, "pixel": tiles.pixels}
            outcome.met |= {f"ragged {name} tiles" for name, n in ragged.items() if np.ptp(n)}
            if any(tiles.pixels % rows):
                outcome.met.add("part-filled rounds of consecutive pixels")
            if "V" in outcome.values and any(tiles.width % int(outcome.values["V"])):
                outcome.met.add("lane groups with idle columns")
