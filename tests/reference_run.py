"""A layer on the reference alone: no trace, no plan, and nothing to transfer."""

from __future__ import annotations

from collections import Counter

import numpy as np
from layer_run import LayerRun
from oracle.machines import network
from rtl.layers import Counted

from hwsim.arch.config import ArchConfig
from hwsim.arch.schemes import Gating, parse_scheme
from hwsim.counters import CAUSES, COUNTERS
from hwsim.mapping.residency import map_network
from hwsim.mapping.tiles import tile_layer
from hwsim.model.reference.machine import run_layer
from hwsim.model.reference.tile import Layer


def on_reference(run: LayerRun, norm: Gating = "batch") -> list[Counted]:
    """Causes and counters of each visit in the order of the layer's loop, without zeros."""
    scheme = parse_scheme(run.scheme, run.arch)
    gating: Gating = "off" if scheme.kind == "dense" else norm
    (mapping,) = map_network(network(run.layer), run.arch, run.images, gating)
    masks = None
    if mapping.gating and run.masks is not None:
        masks = run.masks.swapaxes(0, 1).reshape(run.masks.shape[1], -1)
    tiles = tile_layer(mapping)
    idle = np.zeros(len(tiles) + 1, np.int64)
    inputs = None if scheme.skipping == "none" else run.inputs
    layer = Layer(scheme, mapping, tiles, masks, run.mask_group, inputs)
    tables = run_layer(layer, idle, idle[1:], idle[1:])
    names = (*CAUSES, *COUNTERS)
    return [+Counter(dict(zip(names, row, strict=True))) for row in np.hstack(tables).tolist()]


def with_keys(arch: ArchConfig, part: str, **keys: object) -> ArchConfig:
    """The machine with other values of these keys of one part."""
    return arch.model_copy(update={part: getattr(arch, part).model_copy(update=keys)})
