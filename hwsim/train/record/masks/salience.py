"""Margins of gates as int8 steps."""

from __future__ import annotations

import numpy as np

UNCLIPPED = 0.999
"""Share of a layer's margins that an int8 step must reach."""


def salience_steps(margins: np.ndarray) -> tuple[np.ndarray, float]:
    """Margins Z - tau as int8 steps and the step in units of Z.

    Rounded away from zero, so that q > 0 exactly where the margin is; margins beyond 127 steps
    (one in a thousand, and infinite ones, which have no say in the step) are clipped.
    """
    size = np.abs(margins)
    finite = size if np.isfinite(size).all() else size[np.isfinite(size)]
    scale = float(np.quantile(finite, UNCLIPPED)) / 127 if finite.size else 1.0
    if scale < np.finfo(margins.dtype).tiny:
        scale = 1.0  # a quotient by less would not be a number
    with np.errstate(over="ignore"):
        steps = np.clip(np.ceil(size / scale), 1, 127) * np.sign(margins)
    return steps.astype(np.int8), scale
