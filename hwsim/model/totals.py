"""Whether a run's counts fit in 63 bits (docs/model/machine.md#limits), before it begins."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.arch.config import ArchConfig
from hwsim.mapping.tiles import MappingError, dma_ratio
from hwsim.model.channel_plan import ChannelPlan
from hwsim.model.plan import LayerPlan

MOST_MACS = 1 << 51
"""Of a run. A MAC is a thousand cycles at the most: of each round's 1,024 pointers all may wait for
one bank."""

MOST_CYCLES = 1 << 60
"""Of a run's transfers from and to DRAM."""


def require_countable(
    plans: Sequence[LayerPlan | ChannelPlan], arch: ArchConfig, batches: int
) -> None:
    """Raise MappingError where so many batches cannot be counted on ``arch``."""
    macs, cycles = 0, 0.0
    spent, moved = dma_ratio(arch)
    per_byte = spent / moved
    for plan in plans:
        macs += batches * plan.mapping.images * plan.mapping.layer.macs
        found = _of_channels(plan) if isinstance(plan, ChannelPlan) else _of_layer(plan)
        cycles += batches * found * per_byte
        if macs > MOST_MACS:
            raise MappingError(
                f"layer {plan.name}: {macs:,} MACs with the layers before it, in all images; at "
                f"most {MOST_MACS:,} can be run: take fewer images (--images)"
            )
        if cycles > MOST_CYCLES:
            raise MappingError(
                f"layer {plan.name}: about {cycles:.1e} cycles of DRAM with the layers before it, "
                f"in all images; at most {MOST_CYCLES:.1e} can be counted: take fewer images "
                "(--images), more dram.bandwidth_gb_per_s or less clock_mhz"
            )


def _of_layer(plan: LayerPlan) -> float:
    """Bytes of a batch, were each transfer the largest."""
    return float(len(plan.tiles) * plan.moves.longest)


def _of_channels(plan: ChannelPlan) -> float:
    """Bytes of a batch with every channel active, and more."""
    layer, mapping = plan.layer, plan.mapping
    rows = float(layer.lacking.sum(dtype=float)) * mapping.layer.in_channels
    outputs = 2.0 * float(layer.pixels.sum(dtype=float)) * layer.columns
    weights = float(layer.pixels.size) * layer.steps * layer.columns
    visits = float(mapping.images * layer.tile_start.size)
    return visits * (rows + outputs + weights)
