"""Random small runs whose maps are coded in DRAM, and which transfers they meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import numpy as np

from hwsim.arch.config import Shape
from hwsim.network import Network

from .cases import Case, changed, draw_case, draw_machine, draw_scheme, with_shapes
from .coded_maps import adds, coded, units_of
from .machines import conv, network
from .network import batches
from .residency import LayerPlan, plan
from .zero_draws import draw_inputs

MOVED = ("input", "residual", "output")

MET = frozenset(
    {f"coded {which}" for which in MOVED}
    | {f"longer {which}" for which in MOVED}
    | {"an input loaded whole", "a tiled input", "a pooled map", "several images"}
    | {"parts of a residual's units", "a residual beside visits that do not add it"}
)


def draw_coded(kind: str, seed: int) -> Case:
    """A case with input bits on a machine of little buffer that codes maps; each third a block."""
    rng = Random(f"coded {kind} {seed}")
    case = draw_block(rng, kind) if seed % 3 == 0 else draw_case(kind, seed)
    inputs = case.inputs or draw_inputs(rng, case.network, case.arch, case.images)
    # Counts of conditional zeros go with the input bits of gated layers.
    none = {name: np.zeros(case.images, np.int64) for name in case.zero_operand_macs}
    kib = rng.choice([1, 1, case.arch.activation.buffer_kib])
    arch = changed(case.arch, activation={"dram_format": "run-length", "buffer_kib": kib})
    conditional = case.zero_operand_macs_conditional or none
    return replace(case, arch=arch, inputs=inputs, zero_operand_macs_conditional=conditional)


def draw_block(rng: Random, kind: str) -> Case:
    """A residual block whose input is also what it adds; its layers' tiles are cut differently."""
    arch = with_shapes(rng, draw_machine(rng), rng.choice([0, 0, 1]))
    size = (rng.choice([6, 8, 12]), rng.choice([4, 5, 7]))
    wide, inside = rng.choice([4, 8, 12]), rng.choice([4, 8])
    groups = [rng.choice([1, 2, 4]) for _ in range(3)]
    kernel = rng.choice([1, 3])
    layers = network(
        conv("stem", (4, wide), size, groups=groups[0]),
        conv("first", (wide, inside), size, kernel, groups=groups[1], gated=True, input="stem"),
        conv("second", (inside, wide), size, 1, groups=groups[2], input="first", residual="stem"),
        conv("last", (wide, 2), size, input="second"),
    )
    images, noise = rng.randint(1, 3), np.random.default_rng(rng.getrandbits(32))
    density = rng.choice([0.1, 0.5])
    masks = {
        layer.name: noise.random((images, layer.out_channels, *size)) < density
        for layer in layers.gated_layers
    }
    zeros = {name: np.zeros(images, np.int64) for name in masks}
    scheme = draw_scheme(rng, kind, layers, arch, 1)
    norm = rng.choice(["batch", "instance"])
    return Case(arch, layers, scheme, 1, rng.randint(1, 2), images, masks, zeros, norm)


def met(case: Case, shapes: Sequence[Shape]) -> set[str]:
    """What the coded maps of the first batch meet."""
    numbers = batches(case.images, case.batch)[0]
    dense = plan(case.network, case.arch, case.scheme, len(numbers), case.gate_norm, shapes)
    found = set[str]()
    for before, after in zip(dense, coded(dense, case.inputs, numbers), strict=True):
        moved = {which: moved_bytes(after, which) - moved_bytes(before, which) for which in MOVED}
        found |= {f"coded {which}" for which, more in moved.items() if more}
        found |= {f"longer {which}" for which, more in moved.items() if more > 0}
        if moved["input"]:
            whole = after.placement.input_resident
            found.add("an input loaded whole" if whole else "a tiled input")
            if len(numbers) > 1:
                found.add("several images")
        if moved["output"] and after.layer.pool > 1:
            found.add("a pooled map")
        if moved["residual"] and loads_parts(case.network, dense, after):
            found.add("parts of a residual's units")
        if moved["residual"] and not all(tile.visit.rest for tile in after.tiles):
            found.add("a residual beside visits that do not add it")
    return found


def moved_bytes(planned: LayerPlan, which: str) -> int:
    """Bytes of a kind that all visits of a layer move."""
    return sum(getattr(tile, f"{which}_bytes") for tile in planned.tiles)


def loads_parts(layers: Network, dense: Sequence[LayerPlan], reader: LayerPlan) -> bool:
    """Whether a visit loads values of a unit that it does not add."""
    names = [layer.name for layer in layers.layers]
    assert reader.layer.residual is not None
    maker = dense[names.index(reader.layer.residual)]
    layer = maker.layer
    images = 1 + max(image for tile in maker.tiles for image, _, _ in tile.pixels)
    shape = images, layer.out_channels, layer.pooled_height, layer.pooled_width
    units = units_of(maker, np.ones(shape, bool))
    return any(
        not set(unit.channels) <= set(tile.channels)
        or any((unit.image, unit.row, x) not in tile.pixels for x in unit.columns)
        for tile in reader.tiles
        for unit in units
        if tile.visit.rest and adds(tile, unit)
    )
