"""Figures from data frames; nothing is computed here but positions.

Colours are Okabe and Ito's palette, which colour-blind readers can tell apart; what differs by
colour differs by marker, line or hatch as well. Every figure takes a frame of
the comparison, of results or of mask statistics, and raises UserError where a column is missing.
"""

from hwsim.plots.columns import two_columns
from hwsim.plots.energy import energy_breakdown, energy_vs_sparsity
from hwsim.plots.layers import cycles_by_cause, roofline, utilisation_by_layer
from hwsim.plots.masks import lockstep_density, mask_overlay
from hwsim.plots.prices import turning_points
from hwsim.plots.style import png, svg
from hwsim.plots.timeline import tile_timeline
from hwsim.plots.tradeoffs import fronts, pareto, realised_speedup

__all__ = [
    "cycles_by_cause",
    "energy_breakdown",
    "energy_vs_sparsity",
    "fronts",
    "lockstep_density",
    "mask_overlay",
    "pareto",
    "png",
    "realised_speedup",
    "roofline",
    "svg",
    "tile_timeline",
    "turning_points",
    "two_columns",
    "utilisation_by_layer",
]
