"""One case on all models: equal to the unit, or the first place where two of them differ."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from by_hand import BETWEEN_TILES
from oracle.cases import Case
from oracle.network import run as run_oracle
from oracle.residency import DoesNotFit
from test_against_oracle import in_memory_trace
from test_reference_against_kernel import Case as Replayed
from test_reference_against_kernel import replay

from hwsim.counts import CAUSES, COUNTERS
from hwsim.residency import map_network
from hwsim.simulate import simulate
from hwsim.tiling import MappingError, tile_layer
from hwsim.timing import first_divergence

from .cases import Value, acting, draw_case

ORACLE_EVERY = 10
"""The oracle counts the cases whose seed this divides."""

WITHIN = tuple(name for name in CAUSES if name not in BETWEEN_TILES)


@dataclass
class Outcome:
    """What became of one case; ``rtl`` where it was played on the RTL.

    ``rounds`` are conditional ones, of all tiles and batches; ``longest``: of its longest tile.
    """

    seed: int
    values: dict[str, Value]
    scheme: str
    difference: str | None = None
    refused: bool = False
    against_oracle: bool = False
    rtl: bool = False
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
        _compare(case, outcome)
    except Exception as error:
        outcome.difference = f"{type(error).__name__}: {error}"
    return outcome


def run_seeds(seeds: range) -> list[Outcome]:
    """Several cases, in order."""
    return [run_seed(seed) for seed in seeds]


def _compare(case: Case, outcome: Outcome) -> None:
    trace = in_memory_trace(case)
    replayed = Replayed(case.arch, trace, case.scheme, case.batch)
    expected = _oracle(case) if outcome.against_oracle else None
    try:
        kernel = replay(replayed, "kernel")
    except MappingError:
        outcome.refused = True
        if expected:
            outcome.difference = "the kernel's side refuses what the oracle's maps"
        return
    reference = replay(replayed, "reference")
    outcome.difference = _against_reference(case, kernel, reference)
    if outcome.against_oracle and not outcome.difference:
        result = simulate(case.arch, trace, case.scheme, batch=case.batch)
        outcome.difference = _against_oracle(case, (result.causes, result.counters), expected)
    _measure(case, kernel, outcome)


def _oracle(case: Case) -> tuple[np.ndarray, np.ndarray] | None:
    """Causes and counters by layer; None where the machine cannot hold one."""
    try:
        return run_oracle(
            case.network, case.arch, case.scheme, case.masks, case.mask_group, case.batch,
            case.images, case.zero_operand_macs,
        )  # fmt: skip
    except DoesNotFit:
        return None


def _against_reference(case: Case, kernel: list[Any], reference: list[Any]) -> str | None:
    """The stalls between tiles compare by layer: the kernel does not say beside which they fell."""
    within, between = ([CAUSES.index(name) for name in names] for names in (WITHIN, BETWEEN_TILES))
    layers = case.network.layers
    for number, runs in enumerate(zip(reference, kernel, strict=True)):
        batch, layer = divmod(number, len(layers))
        where = f"kernel against reference, batch {batch}, layer {layers[layer].name}"
        by_tile = [np.hstack([cycles[:, within], counts]) for cycles, counts in runs]
        if found := first_divergence(*by_tile, WITHIN + COUNTERS):
            return f"{where}, {found}"
        by_layer = [cycles[:, between].sum(axis=0, keepdims=True) for cycles, _ in runs]
        if found := first_divergence(*by_layer, BETWEEN_TILES):
            return f"{where}: {found.name}: expected {found.expected}, found {found.actual}"
    return None


def _against_oracle(case: Case, kernel: Any, oracle: Any) -> str | None:
    if oracle is None:
        return "the kernel's side maps what the oracle's refuses"
    right, mine = np.hstack(oracle), np.hstack(kernel)
    for layer, rows in zip(case.network.layers, zip(right, mine, strict=True), strict=True):
        if found := first_divergence(*(row[None] for row in rows), CAUSES + COUNTERS):
            where = f"kernel against oracle, layer {layer.name}"
            return f"{where}: {found.name}: expected {found.expected}, found {found.actual}"
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
    gating = not case.scheme.startswith("dense")
    for mapping in map_network(case.network, case.arch, min(case.batch, case.images), gating):
        tiles = tile_layer(mapping, case.arch)
        outcome.tiles += len(tiles)
        outcome.met |= {f"input: {mapping.input}", f"weights: {mapping.weights}"}
        if mapping.residual:
            outcome.met.add(f"residual: {mapping.residual}")
        if mapping.prefetches:
            outcome.met.add("weights of the next layer prefetched")
        if mapping.pixel_tiles > 1 and len(set(tiles.channel_start)) > 1:
            outcome.met.add(f"outer loop: {mapping.order}")
        if mapping.layer.gated:
            outcome.channel_tiles = len(set(tiles.channel_start.tolist()))
            ragged = {"channel": tiles.width, "pixel": tiles.pixels}
            outcome.met |= {f"ragged {name} tiles" for name, n in ragged.items() if np.ptp(n)}
            if any(tiles.pixels % case.arch.array.rows):
                outcome.met.add("part-filled rounds of consecutive pixels")
            if "V" in outcome.values and any(tiles.width % int(outcome.values["V"])):
                outcome.met.add("lane groups with idle columns")
