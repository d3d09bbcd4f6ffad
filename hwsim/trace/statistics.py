"""How far a trace's masks are from independent bits: densities, lockstep density, correlations.

Hardware of lane group V runs a lane group at a pixel where any of its V columns is open. Were the
bits of a mask independent, that would be a share 1 - (1 - d)^V of all pixels; were they all equal,
d (docs/guide/traces.md, "Statistics of masks").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum, gcd, nan, prod, sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hwsim.cli import Advance, progress
from hwsim.errors import UserError
from hwsim.network import ConvLayer
from hwsim.trace.format.layout import CHUNK_IMAGES
from hwsim.trace.mask_trace import MaskTrace

if TYPE_CHECKING:
    import pandas as pd

ALL_LAYERS = "(all gated layers)"
"""In the place of a layer's name: the row of all of them together."""


class MaskCounts(NamedTuple):
    """What is counted of a layer's masks over all images; int64 arrays and Python integers.

    ``pixels``: output pixels, of all images; ``ones`` (lists,): set bits of each mask list.
    ``pairs``: neighbouring pixels, horizontal and vertical, of all images; ``both`` (lists,): those
    with both bits set; ``ends`` (lists,): set bits at the two ends of each pair, summed.
    ``open_lists`` (lists of a lane group + 1,): entry n: (lane group, pixel) pairs with n bits set.
    """

    pixels: int
    ones: np.ndarray
    pairs: int
    both: np.ndarray
    ends: np.ndarray
    open_lists: np.ndarray


DENSITIES = (
    "density",
    "lockstep_density",
    "expected_lockstep_density",
    "expected_lockstep_density_channels",
)
"""Columns that are shares of bits, or of lane groups' pixels."""


class _Sums(NamedTuple):
    """Sums over pairs of bits, which layers add up; see :func:`mask_statistics`."""

    bits: int
    spatial_covariance: float
    spatial_variance: float
    channel_covariance: float
    channel_variance: float


def expected_lockstep_density(density: Any, lists: int) -> Any:
    """Share of pixels at which a lane group of ``lists`` independent lists runs: 1 - (1 - d)^lists.

    All are closed with a chance of (1 - d)^lists. ``density``: a float or an array of them.
    """
    return 1 - (1 - density) ** lists


def mask_statistics(trace: MaskTrace, lanes: int = 8) -> pd.DataFrame:
    """One row per gated layer, and a last one, ``layer`` = ALL_LAYERS, for all together.

    A lane group is ``lanes`` consecutive output channels of one gating group, k = lanes /
    mask_group mask lists. Columns, all shares float64 from exact counts over all images:

    - ``trace``, ``method``, ``label``, ``layer``, ``images``, ``lanes``
    - ``lists_per_lane_group``: k
    - ``density``: d, share of mask bits that are 1
    - ``lockstep_density``: share of (lane group, pixel, image) with any of the k bits set
    - ``expected_lockstep_density``: 1 - (1 - d)^k, of independent bits of one density
    - ``expected_lockstep_density_channels``: mean over lane groups of 1 - prod(1 - d_l) over their
      lists l, d_l the list's share of ones over all pixels and images: of independent bits that
      keep each list's density
    - ``spatial_correlation``: of the bits of a list at two neighbouring pixels of an image.
      Covariances and variances about the list's own mean over the ends of all such pairs,
      horizontal and vertical, each summed over pairs and lists; their ratio
    - ``channel_correlation``: of the bits of two lists l, m of a lane group at one pixel. Sum over
      pixels and pairs l < m of the covariance about d_l and d_m, by that of the mean of their two
      variances d (1 - d). Its limits are 1 and -1 / (k - 1)
    - ``channel_spread``: standard deviation of d_l over the lists of the layer

    What images, or places on the map, have in common counts as correlation. A list without variance
    adds nothing to the sums of variances. NaN: the correlations where all lists are constant; the
    spatial one of maps of one pixel; the channel one at k = 1.

    In the last row densities are shares of all bits, or of all lane groups' pixels; expected ones
    the means of the layers' weighted by their bits; correlations the ratios of the layers' sums
    (over pairs of bits, so that large maps weigh more); the spread the root of the mean of squares,
    weighted by bits: that inside the layers, without what tells layers apart.

    Raises UserError for masks of channels, and for ``lanes`` that are no multiple of the mask group
    or do not divide a gating group.
    """
    lists = lists_per_lane_group(trace, lanes)
    layers = trace.network.gated_layers
    with progress("counting mask bits", trace.images * len(layers)) as advance:
        counted = [count_masks(trace, layer, lists, advance) for layer in layers]
    return _frame(trace, lanes, lists, counted)


def count_masks(
    trace: MaskTrace, layer: ConvLayer, lists: int, advance: Advance = lambda images: None
) -> MaskCounts:
    """Read a layer's masks once, some images at a time; lane groups are of ``lists`` mask lists."""
    height, width = layer.out_height, layer.out_width
    number = trace.header.mask_channels(layer)
    ones, both, ends = (np.zeros(number, np.int64) for _ in range(3))
    open_lists = np.zeros(lists + 1, np.int64)
    small = np.min_scalar_type(lists)
    for start in range(0, trace.images, CHUNK_IMAGES):
        bits = trace.masks(layer.name, start, start + CHUNK_IMAGES)
        of_chunk = _ones_by_list(bits)
        ones += of_chunk
        both += _ones_by_list(bits[..., 1:] & bits[..., :-1])
        both += _ones_by_list(bits[:, :, 1:] & bits[:, :, :-1])
        # A pixel inside the map is an end of four pairs, one for each side that has a neighbour.
        ends += 4 * of_chunk
        for edge in (bits[:, :, 0], bits[:, :, -1], bits[..., 0], bits[..., -1]):
            ends -= _ones_by_list(edge)
        groups = bits.reshape(len(bits), number // lists, lists, -1)
        held = groups.sum(axis=2, dtype=small)
        open_lists += np.bincount(held.ravel(), minlength=lists + 1)
        advance(len(bits))
    pairs = trace.images * (height * (width - 1) + (height - 1) * width)
    return MaskCounts(trace.images * layer.out_pixels, ones, pairs, both, ends, open_lists)


def _ones_by_list(bits: np.ndarray) -> np.ndarray:
    """int64 (lists,): set bits of bool (images, lists, ...), summed eight at a time."""
    images, lists = bits.shape[:2]
    packed = np.packbits(bits.reshape(images, lists, prod(bits.shape[2:])), axis=2)
    return np.bitwise_count(packed).sum(axis=(0, 2), dtype=np.int64)


def lists_per_lane_group(trace: MaskTrace, lanes: int) -> int:
    """Mask lists of a lane group of ``lanes`` channels; UserError where there is no such group."""
    header, layers = trace.header, trace.network.gated_layers
    name = trace.path or trace.name
    if not header.has_masks:
        raise UserError(f"{name}: has no masks")
    if header.of_channels:
        raise UserError(f"{name}: masks of {header.granularity}s know no pixels")
    group = header.mask_group
    common = gcd(*(layer.out_channels // layer.groups for layer in layers))
    valid = [of for of in range(group, common + 1, group) if common % of == 0]
    near = f"nearest valid: {min(valid, key=lambda of: abs(of - lanes))}"
    for layer in layers:
        wide = layer.out_channels // layer.groups
        if lanes < 1 or lanes % group or wide % lanes:
            raise UserError(
                f"{name}: layer {layer.name}: {lanes} lanes: expected a multiple of the mask group "
                f"{group} that divides the {wide} channels of a gating group; {near}"
            )
    return lanes // group


def _frame(trace: MaskTrace, lanes: int, lists: int, counted: Sequence[MaskCounts]) -> pd.DataFrame:
    import pandas as pd

    of_trace: dict[str, Any] = {
        "trace": trace.name,
        "method": trace.header.method,
        "label": trace.header.label,
        "layer": ALL_LAYERS,
        "images": trace.images,
        "lanes": lanes,
        "lists_per_lane_group": lists,
    }
    rows = [
        of_trace | {"layer": layer.name} | _figures(counts, lists)
        for layer, counts in zip(trace.network.gated_layers, counted, strict=True)
    ]
    return pd.DataFrame([*rows, of_trace | _together(rows, counted, lists)])


def _together(
    rows: Sequence[Mapping[str, Any]], counted: Sequence[MaskCounts], lists: int
) -> dict[str, float]:
    """The figures of all layers, from their rows and counts."""
    sums = [_sums(counts, lists) for counts in counted]
    total = _Sums(*(sum(column) for column in zip(*sums, strict=True)))

    def mean(name: str, power: int = 1) -> float:
        weighted = (of.bits * row[name] ** power for of, row in zip(sums, rows, strict=True))
        return fsum(weighted) / total.bits

    # Lane groups' pixels are 1/k of the bits of any layer: the shares' mean is the share of all.
    return {
        **{name: mean(name) for name in DENSITIES},
        **_correlations(total),
        "channel_spread": sqrt(mean("channel_spread", 2)),
    }


def _figures(counts: MaskCounts, lists: int) -> dict[str, float]:
    """The figures of one layer."""
    of_lists = counts.ones / counts.pixels
    density = float(counts.ones.sum() / (counts.pixels * len(of_lists)))
    closed = np.prod(1 - of_lists.reshape(-1, lists), axis=1)
    return {
        "density": density,
        "lockstep_density": float(counts.open_lists[1:].sum() / counts.open_lists.sum()),
        "expected_lockstep_density": expected_lockstep_density(density, lists),
        "expected_lockstep_density_channels": float(1 - closed.mean()),
        **_correlations(_sums(counts, lists)),
        "channel_spread": float(of_lists.std()),
    }


def _sums(counts: MaskCounts, lists: int) -> _Sums:
    pairs = max(counts.pairs, 1)
    at_ends = counts.ends / (2 * pairs)
    of_lists = (counts.ones / counts.pixels).reshape(-1, lists)
    held = np.arange(lists + 1)
    both_open = (counts.open_lists * (held * (held - 1) // 2)).sum() / counts.pixels
    squares = of_lists**2
    if_independent = ((of_lists.sum(axis=1) ** 2 - squares.sum(axis=1)) / 2).sum()
    return _Sums(
        bits=counts.pixels * of_lists.size,
        spatial_covariance=counts.pairs * float((counts.both / pairs - at_ends**2).sum()),
        spatial_variance=counts.pairs * float((at_ends - at_ends**2).sum()),
        channel_covariance=counts.pixels * float(both_open - if_independent),
        channel_variance=counts.pixels * float((of_lists - squares).sum()) * (lists - 1) / 2,
    )


def _correlations(sums: _Sums) -> dict[str, float]:
    return {
        "spatial_correlation": _ratio(sums.spatial_covariance, sums.spatial_variance),
        "channel_correlation": _ratio(sums.channel_covariance, sums.channel_variance),
    }


def _ratio(covariance: float, variance: float) -> float:
    return covariance / variance if variance else nan
