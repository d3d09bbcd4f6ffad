"""Images and MACs per second of every scheme, and how they scale with images and threads."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from hwsim.arch.load import load_arch
from hwsim.counters import C
from hwsim.run.simulate import simulate, usable_schemes
from hwsim.trace.mask_trace import MaskTrace

from .masks import MAIN_SCHEMES, Settings, label, of_images, with_inputs
from .measure import Figure, alone, cores, keep_to, median_spent

MACHINE = "pe16x16-baseline"

RULES: dict[str, dict[str, str | int]] = {
    "": {},
    ", run-ahead 1": {"activation.run_ahead": 1},
    ", window 56": {"index.window": 56},
    ", zeros skipped": {"array.zero_skipping": "word"},
    ", zeros skipped, run-ahead 1": {"array.zero_skipping": "word", "activation.run_ahead": 1},
}
"""Rules that take the kernel longer, beside the machine without any."""

RULE_IMAGES = 64

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


def rules(settings: Settings) -> Iterator[Figure]:
    """The main schemes and dense under RULES, one after the other in one process."""
    for method, path in settings.traces.items():
        for scheme in ("dense", MAIN_SCHEMES[method]):
            (masks, times), _ = alone(_timed_rules, path, scheme, settings.repeats)
            for name, cpu in times.items():
                speed = RULE_IMAGES / cpu, "images/CPU s"
                yield Figure(scheme + name, masks, RULE_IMAGES, 1, "speed", *speed)
                slower = cpu / times[""], "x"
                yield Figure(scheme + name, masks, RULE_IMAGES, 1, "time / without", *slower)


def _timed_rules(path: Path, scheme: str, repeats: int) -> tuple[str, dict[str, float]]:
    """Label of the masks, and CPU seconds of each machine on the same repeated images."""
    keep_to(1)
    recorded = MaskTrace.open(path)
    trace = with_inputs(recorded, RULE_IMAGES)
    times = {}
    for name, keys in RULES.items():
        arch = load_arch(MACHINE, keys)
        work = partial(simulate, arch, trace, scheme, threads=1)
        times[name] = median_spent(work, repeats).cpu
    return label(recorded.head(recorded.input_images), RULE_IMAGES), times


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
