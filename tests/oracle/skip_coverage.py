"""What a random run met that skips zeros: of all runs together, these must leave nothing out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwsim.arch.config import Shape
from hwsim.counters import CAUSES, COUNTERS
from hwsim.network import ConvLayer

from .cases import Case
from .network import batches
from .residency import plan
from .round_coverage import KINDS, kind, masks_of
from .schemes import SKIP
from .skipping import kind_of

WAYS = ("word", "free-rows", "suffix")

SKIPPED = {
    *(f"skipping {way}, {scheme}" for way in WAYS for scheme in KINDS),
    *(f"skipping word beside {banks}" for banks in ("exact", "bandwidth", "none")),
    *(f"skipping {way}, {fact}" for way in ("word", "free-rows")
      for fact in ("no base path", "window", "several groups", "stride", "padding",
                   "a word that A does not fill", "a tile of several images",
                   "the second batch", "another shape", "instance gates")),
    "skipping word, bank stall",
    "skipping word, bank stall in spite of run-ahead",
    "skipping, A = 1",
    "skipping, everything is zero",
    "skipping, nothing is zero",
    "skipping, a layer without input bits",
    "zeros skipped beside zeros gated",
    "zeros skipped, not gated",
    "zeros skipped, dense-zero-gated",
}  # fmt: skip
"""Where steps were skipped, but for A = 1, bits that are all alike, and a layer without them."""


def skips(case: Case, shapes: Sequence[Shape], causes: np.ndarray, counts: np.ndarray) -> set[str]:
    """Which of SKIPPED a case met in these shapes; ``causes``, ``counts``: of the oracle."""
    if kind_of(case.scheme, case.arch) == "none":
        return set()
    met: set[str] = set()
    steps, skipped, gated = (
        counts[:, COUNTERS.index(name)].tolist()
        for name in ("steps_skipped", "macs_zero_skipped", "macs_zero_gated")
    )
    stalls = causes[:, CAUSES.index("bank_stall")].tolist()
    if any(skipped) and any(gated):
        met.add("zeros skipped beside zeros gated")
    if any(skipped) and case.scheme == "dense-zero-gated":
        met.add("zeros skipped, dense-zero-gated")
    for at, layer in enumerate(case.network.layers):
        if layer.name not in case.inputs:
            met.add("skipping, a layer without input bits")
            continue
        met |= of_bits(case, layer, steps[at])
        if skipped[at] and not layer.gated:
            met.add("zeros skipped, not gated")
        if steps[at]:
            met |= of_layer(case, layer, shapes, at, stalls[at])
    return met


def of_bits(case: Case, layer: ConvLayer, steps: int) -> set[str]:
    """Bits that are all alike, and words of one channel, of which no step is skipped."""
    bits = case.inputs[layer.name]
    word = kind_of(case.scheme, case.arch) == "word"
    facts = {
        "skipping, A = 1": word and case.arch.activation.word_channels == 1,
        "skipping, everything is zero": steps > 0 and not bits.any(),
        "skipping, nothing is zero": bits.all(),
    }
    return {name for name, holds in facts.items() if holds}


def of_layer(
    case: Case, layer: ConvLayer, shapes: Sequence[Shape], at: int, stall: int
) -> set[str]:
    """A layer of which steps were skipped."""
    arch, way = case.arch, kind_of(case.scheme, case.arch)
    masks, extent = masks_of(layer, case), layer.in_channels // layer.groups
    named = "suffix" if case.scheme.endswith(SKIP) else way
    met = {f"skipping {named}, {kind(case)}"}
    if way == "word":
        met.add(f"skipping word beside {arch.activation.bank_conflicts}")
    facts = {
        "no base path": masks != "none" and layer.groups == 1,
        "window": masks in ("sparse", "lockstep") and arch.index.window > 0,
        "several groups": layer.groups > 1,
        "stride": layer.stride > 1 and layer.kernel_size > 1,
        "padding": layer.padding > 0,
        "a word that A does not fill": extent % arch.activation.word_channels > 0,
        "a tile of several images": several_images(case, shapes, at),
        "the second batch": case.images > case.batch,
        "another shape": shapes[at] != arch.array.shapes[0],
        "instance gates": masks != "none" and layer.groups > 1 and case.gate_norm == "instance",
        "bank stall": stall > 0,
        "bank stall in spite of run-ahead": stall > 0
        and arch.activation.run_ahead > 0
        and arch.activation.bank_conflicts == "exact",
    }
    return met | {f"skipping {way}, {name}" for name, holds in facts.items() if holds}


def several_images(case: Case, shapes: Sequence[Shape], at: int) -> bool:
    """Whether a tile of the layer's first batch spans images."""
    first = batches(case.images, case.batch)[0]
    planned = plan(case.network, case.arch, case.scheme, len(first), case.gate_norm, shapes)[at]
    return any(part.pixels[0][0] != part.pixels[-1][0] for part in planned.tiles)
