"""Images and MACs per second of every scheme, and how they scale with images and threads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hwsim.arch.load import load_arch
from hwsim.counters import C
from hwsim.run.simulate import simulate, usable_schemes
from hwsim.trace.mask_trace import MaskTrace

from .masks import MAIN_SCHEMES, Settings, label, of_images
from .measure import Figure, alone, cores, keep_to, median_spent

MACHINE = "pe16x16-baseline"

SCALING_IMAGES = (64, 640, 2_560)
"""And as many as the settings say at most."""


def schemes(settings: Settings) -> Iterator[Figure]:
    """Every scheme that can use a trace's masks, on one core."""
    for method, path in settings.traces.items():
        for scheme in usable_schemes(load_arch(MACHINE), MaskTrace.open(path)):
            # Dense runs read no masks: one method's are enough.
            if method == "cdg" or not scheme.startswith("dense"):
                yield from _replay(path, scheme, settings.images, 1, settings.repeats)


def scaling(settings: Settings) -> Iterator[Figure]:
    """The main schemes by images, on one core, and by threads."""
    for method, path in settings.traces.items():
        for images in (*SCALING_IMAGES, settings.most_images):
            yield from _replay(path, MAIN_SCHEMES[method], images, 1, settings.repeats)
        for threads in range(2, cores() + 1):
            images = settings.most_images
            yield from _replay(path, MAIN_SCHEMES[method], images, threads, settings.repeats)


def _replay(path: Path, scheme: str, images: int, threads: int, repeats: int) -> Iterator[Figure]:
    """One scheme in a process of its own."""
    (masks, wall, cpu, macs), peak = alone(_timed, path, scheme, images, threads, repeats)
    for name, value, unit in (
        ("speed", images / wall, "images/s"),
        ("speed", images / cpu, "images/CPU s"),
        ("simulated", macs / cpu / 1e9, "GMAC/CPU s"),
        ("peak memory", peak, "MiB"),
    ):
        yield Figure(scheme, masks, images, threads, name, value, unit)


def _timed(
    path: Path, scheme: str, images: int, threads: int, repeats: int
) -> tuple[str, float, float, int]:
    """Label of the masks, seconds on the clock and on cores, MACs that the machine executed."""
    keep_to(threads)
    arch, recorded = load_arch(MACHINE), MaskTrace.open(path)
    trace = of_images(recorded, images)
    runs = []
    work = lambda: runs.append(simulate(arch, trace, scheme, threads=threads))  # noqa: E731
    wall, cpu = median_spent(work, repeats)
    executed = runs[-1].counters[:, [C["macs_base"], C["macs_conditional"]]]
    return label(recorded, images), wall, cpu, int(executed.sum())
