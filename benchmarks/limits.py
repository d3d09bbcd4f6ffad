"""Ratios to simpler programs on the same masks: a popcount, a loop over indices, the reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from hwsim.arch.load import load_arch
from hwsim.model.kernel.bits import popcount
from hwsim.model.kernel.jit import compiled
from hwsim.run.simulate import simulate
from hwsim.trace.mask_trace import MaskTrace

from .loop import gated_layers
from .masks import MAIN_SCHEMES, Settings, label, of_images
from .measure import Figure, alone, keep_to, median_spent, spent
from .schemes import MACHINE

POPCOUNT_IMAGES, LOOP_IMAGES = 256, 64
"""As many as the simulator holds at once; as many as are shipped."""


def popcounts(settings: Settings) -> Iterator[Figure]:
    """The whole replay against counting the ones of its mask words."""
    yield from _each(settings, _popcount)


def loops(settings: Settings) -> Iterator[Figure]:
    """The kernel against the plain loop, gated layers' visits alone, on words that are ready."""
    yield from _each(settings, _loop)


def references(settings: Settings) -> Iterator[Figure]:
    """The kernel against the SimPy reference, one image, the same call."""
    yield from _each(settings, _reference)


def _each(settings: Settings, work: Callable[[Path, str, int], list[Figure]]) -> Iterator[Figure]:
    for method, path in settings.traces.items():
        figures, _ = alone(work, path, MAIN_SCHEMES[method], settings.repeats)
        yield from figures


@compiled
def _ones(words):
    total = 0
    for word in words:
        total += popcount(word)
    return total


def _popcount(path: Path, scheme: str, repeats: int) -> list[Figure]:
    keep_to(1)
    arch, recorded = load_arch(MACHINE), MaskTrace.open(path)
    trace = of_images(recorded, POPCOUNT_IMAGES)
    layers = [trace.packed(layer.name).ravel() for layer in trace.network.gated_layers]
    words = np.concatenate(layers).view(np.uint64)
    bare = median_spent(lambda: _ones(words), repeats).cpu
    replay = median_spent(lambda: simulate(arch, trace, scheme, threads=1), repeats).cpu
    return _ratio(
        (scheme, label(recorded, POPCOUNT_IMAGES), POPCOUNT_IMAGES, 1),
        ("popcount", bare),
        ("hwsim", replay),
        "hwsim / popcount",
        replay / bare,
    )


def _loop(path: Path, scheme: str, repeats: int) -> list[Figure]:
    keep_to(1)
    arch, recorded = load_arch(MACHINE), MaskTrace.open(path)
    trace = of_images(recorded, LOOP_IMAGES)
    layers = list(gated_layers(arch, trace, scheme, arch.batch))
    for layer in layers:
        for expected, found in zip(layer.by_kernel(), layer.by_index(), strict=True):
            np.testing.assert_array_equal(found, expected, f"plain loop, {layer.plan.name}")
    kernel = median_spent(lambda: [layer.by_kernel() for layer in layers], repeats).cpu
    plain = median_spent(lambda: [layer.by_index() for layer in layers], repeats).cpu
    return _ratio(
        (scheme, label(recorded, LOOP_IMAGES), LOOP_IMAGES, 1),
        ("plain loop", plain),
        ("kernel", kernel),
        "plain loop / kernel",
        plain / kernel,
    )


def _reference(path: Path, scheme: str, repeats: int) -> list[Figure]:
    keep_to(1)
    arch, recorded = load_arch(MACHINE), MaskTrace.open(path)
    trace = recorded.head(1)
    results = {}

    def run(engine):
        results[engine] = simulate(arch, trace, scheme, engine=engine, threads=1)

    kernel = median_spent(lambda: run("kernel"), repeats).cpu
    reference = spent(lambda: run("reference")).cpu
    for name in ("causes", "counters"):
        found, expected = (getattr(results[engine], name) for engine in ("kernel", "reference"))
        np.testing.assert_array_equal(found, expected, f"reference, {scheme}, {name}")
    return _ratio(
        (scheme, label(recorded, 1), 1, 1),
        ("reference", reference),
        ("hwsim", kernel),
        "reference / hwsim",
        reference / kernel,
    )


def _ratio(
    where: tuple[str, str, int, int],
    one: tuple[str, float],
    other: tuple[str, float],
    name: str,
    ratio: float,
) -> list[Figure]:
    """CPU seconds of both for all images, and their ratio."""
    times = [Figure(*where, what, seconds, "CPU s") for what, seconds in (one, other)]
    return [*times, Figure(*where, name, ratio, "x")]
