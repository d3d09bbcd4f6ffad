"""What a random run met within its rounds: banks, run-ahead, windows; and gates that zero."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from hwsim.arch.config import Shape
from hwsim.counters import CAUSES, COUNTERS
from hwsim.network import ConvLayer

from .cases import Case, changed
from .cycles import decoders_of, lane_bits
from .decoders import Decoder, fill
from .layout import ceil_div
from .network import batches, run_shaped
from .residency import LayerPlan, Tile, plan, uses_masks
from .schemes import SKIP, hardware
from .window import choose

MASKED = ("gated", "sparse", "lockstep")
FEEDS = ("broadcast", "systolic")
FORMATS = ("bitmap", "coordinate", "run-length")
FOLLOWING = ("unstructured", "structured", "lockstep")
"""Schemes that follow lists."""

KINDS = ("dense", "clock-gated", *FOLLOWING)

AHEAD = {
    *(f"run-ahead, {feed}" for feed in FEEDS),
    *(f"run-ahead, {masks}" for masks in ("none", *MASKED)),
    *(f"run-ahead of {beats}" for beats in (1, 2, 4)),
    *(f"run-ahead beside {conflicts}" for conflicts in ("bandwidth", "none")),
    "run-ahead, taps of several phases",
    "run-ahead, groups on both sides of the tile's own",
    "run-ahead, short beats",
    "run-ahead in another shape",
    "run-ahead in batches of several sizes",
    "run-ahead, no base path",
    "run-ahead, banks no power of two",
}
"""Where it saved cycles, but beside the other ``bank_conflicts``."""

BANKS = {
    *(f"{banks}, {masks}" for banks in ("one bank", "banks no power of two")
      for masks in ("none", *MASKED)),
    "one bank, run-ahead",
    *(f"P {sign} A * B, {masks}" for sign in ("<=", ">") for masks in ("sparse", "lockstep")),
    *(f"P {sign} A * B, bank stall" for sign in ("<=", ">")),
}  # fmt: skip
"""Where rounds waited for them; of P beside A * B, where there were rounds of lists."""

WINDOW = {
    *(f"window of {form}, {scheme}" for form in FORMATS for scheme in ("unstructured", "shared")),
    *(f"window, {decoders} decoders" for decoders in ("private", "shared")),
    *(f"window, {feed}" for feed in FEEDS),
    *(f"window, {scheme}" for scheme in FOLLOWING),
    "window, several a cycle",
    "window, a list hands over nothing",
    "window, a full buffer waits",
    "window, a buffer is handed over in part",
    "window, more rounds than without",
    "window as wide as a tile",
    "window, run-ahead",
    "window, no base path",
}
"""Where it held an index back, but where it is as wide as a tile."""

BASELESS = {
    *(f"no base path, {kind}" for kind in KINDS),
    *(f"no base path, {feed}" for feed in FEEDS),
    "no base path, beside a layer that has one",
    "no base path, an empty tile",
    "no base path, masks of several channels",
    "no base path, several images in a tile beside instance gates",
}

ZEROS = {
    *(f"zero gating, {kind}" for kind in KINDS),
    "zero gating, no base path",
    "zero gating without conditional counts",
}

WITHIN_ROUNDS = AHEAD | BANKS | WINDOW | BASELESS | ZEROS


def within_rounds(
    case: Case, shapes: Sequence[Shape], causes: np.ndarray, counts: np.ndarray
) -> set[str]:
    """Which of WITHIN_ROUNDS a case met in these shapes; ``causes``, ``counts``: of the oracle."""
    stalls = causes[:, CAUSES.index("bank_stall")].tolist()
    met = run_ahead(case, shapes, stalls) | banks(case, shapes, stalls)
    met |= baseless(case, shapes, causes)
    zeros = counts[:, COUNTERS.index("macs_zero_gated")].tolist()
    return met | windows(case, shapes) | zero_gating(case, zeros)


def kind(case: Case) -> str:
    """The scheme's name without its lanes, and without zero gating or skipping."""
    plain = case.scheme.removesuffix(SKIP)
    return plain if plain == "clock-gated" else plain.split("-")[0]


def masks_of(layer: ConvLayer, case: Case) -> str:
    return hardware(case.scheme).masks if uses_masks(layer, case.scheme) else "none"


def run_ahead(case: Case, shapes: Sequence[Shape], stalls: list[int]) -> set[str]:
    """Where banks that are ahead saved cycles."""
    arch, beats = case.arch, case.arch.activation.run_ahead
    if not beats:
        return set()
    if arch.activation.bank_conflicts != "exact":
        return {f"run-ahead beside {arch.activation.bank_conflicts}"}
    causes, _ = run_shaped(
        shapes, case.network, changed(arch, activation={"run_ahead": 0}), case.scheme,
        case.masks, case.mask_group, case.batch, case.images, case.gate_norm, case.inputs,
    )  # fmt: skip
    met = set()
    for layer, shape, stall in zip(case.network.layers, shapes, stalls, strict=True):
        if causes[layer.name]["bank_stall"] == stall:
            continue
        masks = masks_of(layer, case)
        words = layer.in_channels // layer.groups
        met |= {f"run-ahead, {arch.array.feed}", f"run-ahead, {masks}", f"run-ahead of {beats}"}
        facts = {
            "run-ahead, taps of several phases": min(layer.stride, layer.kernel_size) > 1,
            "run-ahead, groups on both sides of the tile's own": layer.groups > 2
            and masks != "none",
            "run-ahead, short beats": words % arch.activation.word_channels > 0,
            "run-ahead in another shape": shape != arch.array.shapes[0],
            "run-ahead in batches of several sizes": case.images % case.batch > 0
            and case.images > case.batch,
            "run-ahead, no base path": masks != "none" and layer.groups == 1,
            "run-ahead, banks no power of two": not power_of_two(arch.activation.banks),
        }
        met |= {name for name, holds in facts.items() if holds}
    return met


def power_of_two(banks: int) -> bool:
    return banks & (banks - 1) == 0


def banks(case: Case, shapes: Sequence[Shape], stalls: list[int]) -> set[str]:
    """Numbers of banks for which rounds waited."""
    arch = case.arch
    met = set()
    if arch.activation.bank_conflicts != "exact":
        return met
    number = arch.activation.banks
    for layer, shape, stall in zip(case.network.layers, shapes, stalls, strict=True):
        masks = masks_of(layer, case)
        if masks in ("sparse", "lockstep"):
            pixels = arch.partial_sums.entries // shape[1]
            sign = "<=" if pixels <= arch.activation.word_channels * number else ">"
            met |= {f"P {sign} A * B, {name}" for name in (masks, *["bank stall"] * (stall > 0))}
        if not stall:
            continue
        if number == 1:
            met.add(f"one bank, {masks}")
            if arch.activation.run_ahead:
                met.add("one bank, run-ahead")
        if not power_of_two(number):
            met.add(f"banks no power of two, {masks}")
    return met


def masked_tiles(case: Case, shapes: Sequence[Shape]) -> Iterator[tuple[LayerPlan, Tile, list]]:
    """Every visit with a conditional pass, and the mask bits of its columns."""
    for numbers in batches(case.images, case.batch):
        planned = plan(case.network, case.arch, case.scheme, len(numbers), case.gate_norm, shapes)
        for this in planned:
            if not uses_masks(this.layer, case.scheme):
                continue
            mask = case.masks[this.layer.name][numbers.start :]
            for part in (part for part in this.tiles if part.visit.rest):
                yield (
                    this,
                    part,
                    [
                        lane_bits(mask, case.mask_group, channel, part.pixels)
                        for channel in part.channels
                    ],
                )


def tile_decoders(case: Case, shapes: Sequence[Shape]) -> Iterator[tuple[LayerPlan, Tile, list]]:
    """Every visit whose conditional pass follows lists, and their decoders at the start."""
    for this, part, lanes in masked_tiles(case, shapes):
        groups = hardware(case.scheme).lane_groups(len(lanes))
        yield this, part, decoders_of(lanes, groups, this.arch)


def windows(case: Case, shapes: Sequence[Shape]) -> set[str]:
    """What a window held back."""
    window, following = case.arch.index.window, hardware(case.scheme).masks
    if not window or following not in ("sparse", "lockstep"):
        return set()
    met: set[str] = set()
    for this, part, decoders in tile_decoders(case, shapes):
        held = held_back(this, decoders)
        if window >= len(part.pixels):
            met.add("window as wide as a tile")
        if not held:
            continue
        met |= held
        index, activation = case.arch.index, case.arch.activation
        lists = "unstructured" if kind(case) == "unstructured" else "shared"
        met |= {
            f"window of {index.format}, {lists}",
            f"window, {case.arch.array.feed}",
            f"window, {kind(case)}",
        }
        facts = {
            f"window, {index.decoders} decoders": len(decoders) > 1,
            "window, several a cycle": index.indices_per_cycle > 1,
            "window, run-ahead": activation.run_ahead and activation.bank_conflicts == "exact",
            "window, no base path": this.layer.groups == 1,
        }
        met |= {name for name, holds in facts.items() if holds}
    return met


def held_back(this: LayerPlan, decoders: list[Decoder]) -> set[str]:
    """What the rounds of a tile left in its buffers; empty where all was handed over."""
    met, rounds = set(), 0
    rows = this.arch.array.rows
    found: Counter[int] = Counter()
    fill(decoders, this.arch)
    while any(decoder.buffer for decoder in decoders):
        before = [len(decoder.buffer) for decoder in decoders]
        for at, taken in enumerate(choose(decoders, this.arch, Counter())):
            found[at] += len(taken)
            if before[at] and not taken:
                met.add("window, a list hands over nothing")
                if before[at] == rows:
                    met.add("window, a full buffer waits")
            elif len(taken) < before[at]:
                met.add("window, a buffer is handed over in part")
        rounds += 1
        fill(decoders, this.arch)
    if met and rounds > max(ceil_div(indices, rows) for indices in found.values()):
        met.add("window, more rounds than without")
    return met


def baseless(case: Case, shapes: Sequence[Shape], causes: np.ndarray) -> set[str]:
    """Gates that zero, by what runs them."""
    gated = case.network.gated_layers
    zeroing = {layer.name for layer in gated if layer.groups == 1}
    if not zeroing:
        return set()
    met = {f"no base path, {kind(case)}"}
    if hardware(case.scheme).masks == "none":
        return met
    met.add(f"no base path, {case.arch.array.feed}")
    if len(zeroing) < len(gated):
        met.add("no base path, beside a layer that has one")
    if case.mask_group > 1:
        met.add("no base path, masks of several channels")
    for this, part, lanes in masked_tiles(case, shapes):
        if this.layer.name not in zeroing:
            continue
        if not np.any(lanes):
            met.add("no base path, an empty tile")
        if case.gate_norm == "instance" and part.pixels[0][0] != part.pixels[-1][0]:
            met.add("no base path, several images in a tile beside instance gates")
    return met


def zero_gating(case: Case, zeros: list[int]) -> set[str]:
    """MACs that zero gating moved, or could not."""
    met = set()
    if any(zeros):
        met.add(f"zero gating, {kind(case)}")
    for layer, moved in zip(case.network.layers, zeros, strict=True):
        if moved and layer.groups == 1 and masks_of(layer, case) != "none":
            met.add("zero gating, no base path")
    masked = hardware(case.scheme).masks != "none"
    if case.arch.array.zero_gating and masked and not case.zero_operand_macs_conditional:
        met.add("zero gating without conditional counts")
    return met
