"""Figures from data frames; nothing is computed here but positions.

Colours are Okabe and Ito's palette, which colour-blind readers can tell apart; what differs by
colour differs by marker, line or hatch as well. Every figure takes a frame of
:mod:`hwsim.comparison`, :mod:`hwsim.results` or :mod:`hwsim.mask_statistics`, and raises UserError
where a column is missing.
"""

from hwsim.plots.energy import energy_breakdown, energy_vs_sparsity
from hwsim.plots.layers import cycles_by_cause, roofline, utilisation_by_layer
from hwsim.plots.masks import lockstep_density, mask_overlay
from hwsim.plots.paths import path_maps
from hwsim.plots.style import png
from hwsim.plots.tradeoffs import pareto, realised_speedup
from hwsim.plots.training import accuracy_against_cost, learning_curves

__all__ = [
    "accuracy_against_cost",
    "cycles_by_cause",
    "energy_breakdown",
    "energy_vs_sparsity",
    "learning_curves",
    "lockstep_density",
    "mask_overlay",
    "pareto",
    "path_maps",
    "png",
    "realised_speedup",
    "roofline",
    "utilisation_by_layer",
]
