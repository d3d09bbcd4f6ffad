"""Salience: how far each gate decision was from its threshold, and what other thresholds would do.

Margins are Z - tau in int8 steps, rounded away from zero, so that ``margin > 0`` is the recorded
mask. Moving all thresholds by one number, in units of Z, replays one real network at another
density; approximate, because later layers do not react to the change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hwsim.trace.format.header import TraceHeader

_LEVELS = np.arange(-128, 128)


@dataclass(frozen=True)
class Salience:
    """Margins int8 (images, bits) and the step's size in units of Z, per gated layer."""

    margins: Mapping[str, np.ndarray]
    scale: Mapping[str, float]

    @property
    def images(self) -> int:
        return min(len(margins) for margins in self.margins.values())

    def cut(self, layer: str, shift: float) -> np.ndarray:
        """bool (images, bits): the decisions with thresholds moved by ``shift``."""
        return self.margins[layer] * np.float64(self.scale[layer]) > shift

    def density_macs(self, header: TraceHeader) -> Callable[[float], float]:
        """MAC-weighted density as a function of the shift, from histograms of the margins."""
        few = header.head(self.images)
        histograms = {
            name: np.roll(np.bincount(margins.view(np.uint8).ravel(), minlength=256), 128)
            for name, margins in self.margins.items()
        }
        return lambda shift: few.density_macs(
            {
                name: int(counts[np.float64(self.scale[name]) * _LEVELS > shift].sum())
                for name, counts in histograms.items()
            }
        )

    def shift_for_density(self, header: TraceHeader, density_macs: float) -> float:
        """The shift whose MAC-weighted density is nearest to ``density_macs``, by bisection."""
        density = self.density_macs(header)
        cuts = np.unique(np.concatenate([_LEVELS * scale for scale in self.scale.values()]))
        low, high = 0, len(cuts) - 1
        while low < high:
            middle = (low + high) // 2
            if density(cuts[middle]) > density_macs:
                low = middle + 1
            else:
                high = middle
        near = cuts[max(low - 1, 0) : low + 1]
        return float(min(near, key=lambda cut: abs(density(cut) - density_macs)))
