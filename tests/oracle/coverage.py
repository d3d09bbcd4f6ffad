"""What a random run met: of all runs together, these must leave nothing out."""

from __future__ import annotations

import numpy as np

from hwsim.counts import CAUSES, COUNTERS

from .cases import Case, lists_of_lane_groups
from .cycles import decoders_of, lane_bits
from .decoders import fill
from .network import both_fit
from .residency import plan
from .schemes import hardware

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

FORMATS = ("bitmap", "coordinate", "run-length")

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
}  # fmt: skip


def residencies(case: Case) -> set[str]:
    """Which residencies the first batch of a case meets."""
    plans = plan(case.network, case.arch, case.scheme, min(case.batch, case.images))
    seen = set()
    for at, this in enumerate(plans):
        there = this.placement
        seen.add("input whole" if there.input_resident else "input tiled")
        seen.add(f"weights {this.weights}")
        if len(this.tiles) > 1 and this.tiles[0].channels != this.tiles[1].channels:
            several = {part.pixels[0] for part in this.tiles}
            seen.add("pixels outer" if len(several) > 1 else "one pixel tile")
        if there.input_on_chip:
            seen.add("output kept")
        if this is not plans[-1]:
            if there.output_stored:
                seen.add("output stored in between")
            seen.add("prefetched" if both_fit(this, plans[at + 1], case.arch) else "not prefetched")
        if this.layer.residual is not None:
            seen.add("residual on chip" if there.residual_on_chip else "residual spilled")
    return seen


def options(case: Case, causes: np.ndarray, counts: np.ndarray) -> set[str]:
    """Which machine options a case meets and, as far as its counts tell, exercises."""
    arch, masks = case.arch, hardware(case.scheme).masks
    index, form = case.arch.index, case.arch.index.format
    spent = dict(zip(CAUSES, causes.sum(axis=0).tolist(), strict=True))
    counted = dict(zip(COUNTERS, counts.sum(axis=0).tolist(), strict=True))
    seen = {f"{arch.array.feed}, {masks}"}
    if spent["bank_stall"] or arch.activation.bank_conflicts == "none":
        seen.add(f"bank conflicts {arch.activation.bank_conflicts}")
    if masks == "gated":
        seen.add(f"gated beside {form}")
    if masks not in ("sparse", "lockstep") or not spent["conditional"]:
        return seen
    tiles = lists_of_lane_groups(case.scheme, case.network, arch, case.mask_group)
    if spent["decode_stall"] and max(len(groups) for groups in tiles) > 1:
        seen.add(f"{index.decoders} decoders of {form}, {masks}")
    if spent["decode_stall"] > first_fills(case):
        seen.add(f"{index.decoders} decoders stall a {arch.array.feed} round")
    if index.indices_per_cycle > 1:
        seen.add(f"{form}, several a cycle")
    if form == "run-length":
        seen.add(f"run-length of {index.run_length_bits} bits")
        symbols = counted["mask_bits_written"] // index.run_length_bits
        if masks == "sparse" and symbols > counted["psum_conditional_reads"]:
            seen.add("escapes")
    return seen


def first_fills(case: Case) -> int:
    """Cycles before the first rounds: a decoder that is not slower than the array costs no more."""
    cycles = 0
    for first in range(0, case.images, case.batch):
        images = min(case.batch, case.images - first)
        for this in plan(case.network, case.arch, case.scheme, images):
            if not this.layer.gated:
                continue
            mask = case.masks[this.layer.name][first:]
            for part in this.tiles:
                lanes = [
                    lane_bits(mask, case.mask_group, channel, part.pixels)
                    for channel in part.channels
                ]
                groups = hardware(case.scheme).lane_groups(len(lanes))
                cycles += fill(decoders_of(lanes, groups, case.arch), case.arch)
    return cycles
