"""What a random run met: of all runs together, these must leave nothing out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwsim.arch.config import Shape
from hwsim.counters import CAUSES, COUNTERS

from .cases import Case
from .decoders import fill
from .network import batches, both_fit
from .residency import LayerPlan, compares, plan, uses_masks
from .round_coverage import FORMATS, MASKED, WITHIN_ROUNDS, tile_decoders, within_rounds
from .schemes import hardware
from .shapes import held_shapes, keeps_structure, mask_lists
from .visits import ALONE

RESIDENCIES = {
    "input whole",
    "input tiled",
    "weights all",
    "weights two",
    "weights one",
    "one pixel tile",
    "pixels outer",
    "output kept",
    "output stored in between",
    "residual on chip",
    "residual spilled",
    "prefetched",
    "not prefetched",
    "refused",
}

OPTIONS = {
    *(f"{feed}, {masks}" for feed in ("broadcast", "systolic")
      for masks in ("none", "gated", "sparse", "lockstep")),
    *(f"bank conflicts {kind}" for kind in ("exact", "bandwidth", "none")),
    *(f"{decoders} decoders of {form}, {masks}" for decoders in ("private", "shared")
      for form in FORMATS for masks in ("sparse", "lockstep")),
    *(f"gated beside {form}" for form in FORMATS),
    *(f"{form}, several a cycle" for form in FORMATS),
    *(f"run-length of {bits} bits" for bits in range(2, 9)),
    "escapes",
    *(f"{decoders} decoders stall a {feed} round" for decoders in ("private", "shared")
      for feed in ("broadcast", "systolic")),
    *WITHIN_ROUNDS,
}  # fmt: skip

INSTANCE = {
    *(
        f"instance, {masks}, {tiles} of an image"
        for masks in MASKED
        for tiles in ("one", "several")
    ),
    *(f"instance, several, input {kind}" for kind in ("whole", "tiled")),
    *(f"instance, several, weights {kind}" for kind in ("all", "two", "one")),
    *(f"instance, several images, {order} outer" for order in ("weights", "pixels")),
    "instance, several, residual spilled",
}

RESHAPE = {
    *(f"{masks} takes {shape}" for masks in ("none", *MASKED)
      for shape in ("its own of several", "fewer columns", "more columns")),
    "layers of several shapes",
    "shape refused by a buffer",
    "shape refused by the masks",
}  # fmt: skip


def plan_batch(case: Case, shapes: Sequence[Shape], images: int) -> list[LayerPlan]:
    """One batch of a case in these shapes."""
    return plan(case.network, case.arch, case.scheme, images, case.gate_norm, shapes)


def outer(this: LayerPlan) -> str:
    """Which loop of a layer with several channel tiles is outside."""
    changes = sum(
        one.channels != other.channels
        for one, other in zip(this.tiles, this.tiles[1:], strict=False)
    )
    return "weights" if changes < len({part.channels for part in this.tiles}) else "pixels"


def residencies(case: Case, shapes: Sequence[Shape]) -> set[str]:
    """Which residencies the first batch of a case meets."""
    plans = plan_batch(case, shapes, min(case.batch, case.images))
    seen = set()
    for at, this in enumerate(plans):
        there = this.placement
        seen.add("input whole" if there.input_resident else "input tiled")
        seen.add(f"weights {this.weights}")
        if len({part.channels for part in this.tiles}) > 1:
            if len({part.pixels[0] for part in this.tiles}) == 1:
                seen.add("one pixel tile")
            elif outer(this) == "pixels":
                seen.add("pixels outer")
        if there.input_on_chip:
            seen.add("output kept")
        if this is not plans[-1]:
            if there.output_stored:
                seen.add("output stored in between")
            seen.add("prefetched" if both_fit(this, plans[at + 1], case.arch) else "not prefetched")
        if this.layer.residual is not None:
            seen.add("residual on chip" if there.residual_on_chip else "residual spilled")
    return seen


def instances(case: Case, shapes: Sequence[Shape]) -> set[str]:
    """What the first batch's instance gates meet."""
    images = min(case.batch, case.images)
    masks = hardware(case.scheme).masks
    seen: set[str] = set()
    for this in plan_batch(case, shapes, images):
        if case.gate_norm == "batch" or not compares(this.layer, case.scheme):
            continue
        several = this.tiles[0].visit != ALONE
        seen.add(f"instance, {masks}, {'several' if several else 'one'} of an image")
        if images > 1 and len({part.channels for part in this.tiles}) > 1:
            seen.add(f"instance, several images, {outer(this)} outer")
        if several:
            there = this.placement
            seen.add(f"instance, several, input {'whole' if there.input_resident else 'tiled'}")
            seen.add(f"instance, several, weights {this.weights}")
            if this.layer.residual is not None and not there.residual_on_chip:
                seen.add("instance, several, residual spilled")
    return seen


def reshapes(case: Case, shapes: Sequence[Shape]) -> set[str]:
    """Which shapes the layers of a case chose, and which they could not."""
    own, *others = case.arch.array.shapes
    if not others:
        return set()
    seen = {"layers of several shapes"} if len(set(shapes)) > 1 else set()
    sizes = {len(numbers) for numbers in batches(case.images, case.batch)}
    held = held_shapes(case.network, case.arch, case.scheme, case.mask_group, sizes, case.gate_norm)
    for layer, shape in zip(case.network.layers, shapes, strict=True):
        masks = hardware(case.scheme).masks if uses_masks(layer, case.scheme) else "none"
        way = "fewer columns" if shape[1] < own[1] else "more columns"
        seen.add(f"{masks} takes {'its own of several' if shape == own else way}")
        for other in set(others) - set(held[layer.name]):
            arch = case.arch.shaped(other)
            structure = keeps_structure(layer, arch, case.scheme, case.mask_group)
            seen.add(f"shape refused by {'a buffer' if structure else 'the masks'}")
    return seen


def options(
    case: Case, shapes: Sequence[Shape], causes: np.ndarray, counts: np.ndarray
) -> set[str]:
    """Which machine options a case meets and, as far as its counts tell, exercises."""
    arch, masks = case.arch, hardware(case.scheme).masks
    index, form = case.arch.index, case.arch.index.format
    spent = dict(zip(CAUSES, causes.sum(axis=0).tolist(), strict=True))
    counted = dict(zip(COUNTERS, counts.sum(axis=0).tolist(), strict=True))
    seen = {f"{arch.array.feed}, {masks}", *within_rounds(case, shapes, causes, counts)}
    if spent["bank_stall"] or arch.activation.bank_conflicts == "none":
        seen.add(f"bank conflicts {arch.activation.bank_conflicts}")
    if masks == "gated":
        seen.add(f"gated beside {form}")
    if masks not in ("sparse", "lockstep") or not spent["conditional"]:
        return seen
    if spent["decode_stall"] and most_lane_groups(case, shapes) > 1:
        seen.add(f"{index.decoders} decoders of {form}, {masks}")
    if spent["decode_stall"] > first_fills(case, shapes):
        seen.add(f"{index.decoders} decoders stall a {arch.array.feed} round")
    if index.indices_per_cycle > 1:
        seen.add(f"{form}, several a cycle")
    if form == "run-length":
        seen.add(f"run-length of {index.run_length_bits} bits")
        symbols = counted["mask_bits_written"] // index.run_length_bits
        if masks == "sparse" and symbols > counted["psum_conditional_reads"]:
            seen.add("escapes")
    return seen


def most_lane_groups(case: Case, shapes: Sequence[Shape]) -> int:
    """Lane groups of the gated layers' widest tile."""
    return max(
        len(groups)
        for layer, shape in zip(case.network.layers, shapes, strict=True)
        if layer.gated
        for groups in mask_lists(layer, case.arch.shaped(shape), case.scheme, case.mask_group)
    )


def first_fills(case: Case, shapes: Sequence[Shape]) -> int:
    """Cycles before the first rounds: a decoder that is not slower than the array costs no more."""
    return sum(fill(decoders, this.arch) for this, _, decoders in tile_decoders(case, shapes))
