"""What figures show beyond the columns of a frame: break-evens, fronts, roofs, open gates.

Each is a function of data alone; :mod:`hwsim.plots` draws what they return.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np

from hwsim.arch.config import ArchConfig
from hwsim.counters import DRAM_COUNTERS
from hwsim.errors import UserError, nearest
from hwsim.trace.mask_trace import MaskTrace

if TYPE_CHECKING:
    import pandas as pd

MacsCounted = Literal["executed", "dense-equivalent"]
"""MACs that the array did, or the dense network's."""


class BreakEven(NamedTuple):
    """Where two lines cross: ``sparsity`` a share, ``value`` in the unit of the column compared."""

    trace: str
    scheme: str
    against: str
    sparsity: float
    value: float


def break_even(
    frame: pd.DataFrame, against: str = "dense", value: str = "energy_uj_per_image"
) -> list[BreakEven]:
    """Where a scheme's line crosses that of ``against``, over sparsity 1 - ``density_macs``.

    ``frame`` as :func:`hwsim.density_sweep` gives it. Between measured points lines are
    taken as straight. Lines that only touch do not cross.
    """
    found = []
    for trace, of_trace in frame.groupby("trace", sort=False):
        reference = of_trace[of_trace["scheme"] == against].sort_values("density_macs")
        for scheme, line in of_trace.groupby("scheme", sort=False):
            if reference.empty or scheme == against:
                continue
            line = line.sort_values("density_macs", ascending=False)
            density = line["density_macs"].to_numpy(float)
            height = line[value].to_numpy(float)
            level = np.interp(density, reference["density_macs"], reference[value])
            for position in _crossings(height - level):
                at = np.interp(position, range(len(line)), 1 - density)
                reached = np.interp(position, range(len(line)), height)
                found.append(BreakEven(str(trace), str(scheme), against, float(at), float(reached)))
    return found


def _crossings(gap: np.ndarray) -> list[float]:
    """Positions, counted in points, at which straight lines through ``gap`` change sign."""
    positions = []
    signed = np.flatnonzero(gap)
    for before, after in pairwise(signed):
        if (gap[before] > 0) == (gap[after] > 0):
            continue
        if after > before + 1:
            positions.append(float(before + 1))
        else:
            positions.append(float(before + gap[before] / (gap[before] - gap[after])))
    return positions


def pareto_front(
    frame: pd.DataFrame, least: Sequence[str], most: Sequence[str] = ()
) -> pd.Series[bool]:
    """Which rows no other row beats: as good in every column and better in one.

    ``least`` and ``most``: columns where less, or more, is better. Equal rows are kept or dropped
    together; a row without a figure in one of the columns is not on the front.
    """
    import pandas as pd

    costs = np.column_stack(
        [
            *(frame[name].to_numpy(float) for name in least),
            *(-frame[name].to_numpy(float) for name in most),
        ]
    )
    known = ~np.isnan(costs).any(axis=1)
    front = [
        not ((costs[known] <= cost).all(axis=1) & (costs[known] < cost).any(axis=1)).any()
        for cost in costs
    ]
    return pd.Series(known & np.array(front, bool), index=frame.index)


def operating_points(frame: pd.DataFrame, macs: MacsCounted = "executed") -> pd.DataFrame:
    """Each layer under the roofline: ``macs_per_dram_byte`` and ``macs_per_cycle``, added.

    ``frame`` as :func:`hwsim.layers_frame` gives it. Infinite where no byte moved. Weights
    that are loaded ahead count in the layer that they belong to, their time in the one before.
    Raises UserError for other ``macs``.
    """
    if macs not in get_args(MacsCounted):
        raise UserError(f"macs {macs!r}{nearest(macs, get_args(MacsCounted))}")
    counted = frame["dense_macs"]
    if macs == "executed":
        counted = frame["macs_base"] + frame["macs_conditional"]
    moved = frame[list(DRAM_COUNTERS)].sum(axis=1)
    return frame.assign(
        macs_per_dram_byte=counted / moved, macs_per_cycle=counted / frame["cycles"]
    )


def dram_bytes_per_cycle(arch: ArchConfig) -> float:
    """What DRAM sustains: bandwidth x efficiency / clock."""
    return arch.dram.bytes_per_s * arch.dram.efficiency_percent / 100 / arch.clock_hz


def open_gates(trace: MaskTrace, layer: str, images: Sequence[int]) -> np.ndarray:
    """Share of a gated layer's gates open at each output pixel: float (images, height, width).

    ``images`` are positions in the trace. Raises UserError for a layer without gates, masks of
    channels, or a position that the trace lacks.
    """
    if trace.header.of_channels:
        raise UserError(f"{trace.name}: masks of {trace.header.granularity}s know no pixels")
    if not trace.header.has_masks:
        raise UserError(f"{trace.name}: has no masks")
    names = [gated.name for gated in trace.network.gated_layers]
    if layer not in names:
        raise UserError(f"{trace.name}: no gated layer {layer!r}{nearest(layer, names)}")
    missing = [image for image in images if not 0 <= image < trace.images]
    if missing or not len(images):
        found = missing[0] if missing else "none"
        raise UserError(f"{trace.name}: image {found}: expected 0 to {trace.images - 1}")
    return np.stack([trace.masks(layer, at, at + 1)[0].mean(axis=0) for at in images])
