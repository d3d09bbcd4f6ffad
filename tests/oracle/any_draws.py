"""Random small runs of networks with layers of any shape: machine, network, masks, scheme."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np

from hwsim.arch.config import ArchConfig

from .any_layers import HEAVY, SMALL, Sizes, draw_network
from .cases import (
    KINDS,
    Case,
    changed,
    draw_machine,
    draw_masks,
    draw_scheme,
    with_shapes,
    with_zeros,
)
from .zero_draws import draw_inputs


def draw_any(seed: int) -> Case:
    """A run of a network of any layers; kinds of schemes take turns, seed by seed."""
    kind = KINDS[seed % len(KINDS)]
    rng = Random(f"any {seed}")
    mask_group = rng.choice([1, 1, 2, 8])
    sizes = rng.choice([SMALL, SMALL, SMALL, HEAVY])
    arch = draw_small_buffers(rng, sizes)
    network = draw_network(rng, mask_group, sizes)
    while not network.gated_layers:
        network = draw_network(rng, mask_group, sizes)
    images = rng.randint(1, 3)
    noise = np.random.default_rng(rng.getrandbits(32))
    density = rng.choice([0.0, 0.05, 0.2, 0.5, 0.8, 1.0])
    masks, zeros, conditional = draw_masks(noise, network, mask_group, images, density)
    case = Case(
        arch=with_shapes(rng, arch, rng.choice([0, 0, 0, 1, 2])),
        network=network,
        scheme=draw_scheme(rng, kind, network, arch, mask_group),
        mask_group=mask_group,
        batch=rng.randint(1, 3),
        images=images,
        masks=masks,
        zero_operand_macs=zeros,
        zero_operand_macs_conditional=conditional if rng.random() < 0.8 else {},
        gate_norm=rng.choice(["batch", "instance"]),
    )
    case = with_zeros(rng, case, conditional)
    return with_codes(rng, case) if rng.random() < 0.3 else case


def draw_small_buffers(rng: Random, sizes: Sizes) -> ArchConfig:
    """A machine, most often of one KiB of activations, and now and then of tiles of few pixels.

    Heavy layers find little room for their weights.
    """
    arch = draw_machine(rng)
    while sizes is HEAVY and arch.array.columns < 6:
        arch = draw_machine(rng)
    columns, rows = arch.array.columns, arch.array.rows
    if rng.random() < 0.4:
        few = min(rng.randint(rows, rows + 6), arch.partial_sums.entries // columns)
        arch = changed(arch, partial_sums={"entries": columns * few})
    kib = rng.choice([2, 4, 8] if sizes is HEAVY else [1, 1, 1, arch.activation.buffer_kib])
    weight_kib = rng.choice([1, 1, 2] if sizes is HEAVY else [1, 1, 2, 4, 16])
    return changed(arch, activation={"buffer_kib": kib}, weight={"buffer_kib": weight_kib})


def with_codes(rng: Random, case: Case) -> Case:
    """The case on a machine that codes maps, with input bits of some layers at least."""
    if not case.network.convolutions:
        return case
    inputs = case.inputs or draw_inputs(rng, case.network, case.arch, case.images)
    none = {name: np.zeros(case.images, np.int64) for name in case.zero_operand_macs}
    arch = changed(case.arch, activation={"dram_format": "run-length"})
    conditional = case.zero_operand_macs_conditional or none
    return replace(case, arch=arch, inputs=inputs, zero_operand_macs_conditional=conditional)
