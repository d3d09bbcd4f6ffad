"""The fast path of training in bf16 on a CPU: small maps packed, what follows a convolution fused.

It computes what ``networks.models`` defines, rounded in another order. ``refusal`` says where it
cannot run; the plain path then does the work.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from hwsim.train.fast import native
from hwsim.train.networks.models import ResNet18


def refusal(device: torch.device, precision: str, gate_norm: str) -> str | None:
    """Why the fast path cannot run here; None where it can, its code then loaded."""
    if device.type != "cpu":
        return f"it is for CPUs, not {device.type}"
    if precision != "bf16":
        return f"it is for --precision bf16, not {precision}"
    if gate_norm != "batch":
        return f"it has no {gate_norm} normalisation of gates"
    if not native.multiplies_bf16():
        return "this processor does not multiply in bf16"
    return native.load()


@contextmanager
def fast(encoder: ResNet18) -> Iterator[None]:
    """Training passes inside take the fast path, for which ``refusal`` must have given None."""
    from hwsim.train.fast.layers import conv_norm

    before, encoder.conv_norm = encoder.conv_norm, conv_norm
    try:
        yield
    finally:
        encoder.conv_norm = before
