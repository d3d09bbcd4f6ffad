"""A replay held to NumPy, to torch and to the kernel's counts."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.counters import CAUSES, COUNTERS
from hwsim.run.simulate import simulate

from .data import base_and_conditional, decide
from .replay import Replay

TOUCHED = (
    "base", "conditional", "bank_stall",
    "macs_base", "macs_conditional", "macs_gated_off",
    "activation_word_reads", "line_fills", "weight_word_reads",
    "psum_base_writes", "psum_conditional_reads", "psum_conditional_writes",
    "comparator_ops", "adder_ops",
)  # fmt: skip


def flat(sums: np.ndarray) -> np.ndarray:
    """(images, channels, rows, columns) as (channels, pixels of all images)."""
    return sums.swapaxes(0, 1).reshape(sums.shape[1], -1)


def check(run: Replay) -> None:
    """Right sums, every part once, and what the kernel counted for it."""
    arch, scheme, data = run.arch, run.scheme, run.data
    base, conditional = base_and_conditional(data)
    np.testing.assert_array_equal(run.base_parts, 1)
    if scheme.kind == "dense":
        np.testing.assert_array_equal(run.sums, flat(base + conditional))
    else:
        bits = decide(data, base)
        np.testing.assert_array_equal(np.repeat(run.mask, data.mask_group, axis=0), flat(bits))
        np.testing.assert_array_equal(run.conditional_parts, flat(bits))
        np.testing.assert_array_equal(run.sums, flat(base + bits * conditional))
    result = simulate(arch, data.trace(run.mask), scheme.name, batch=data.images)
    counted = dict(zip(CAUSES + COUNTERS, [*result.causes[0], *result.counters[0]], strict=True))
    assert {name: run.counts[name] for name in TOUCHED} == {name: counted[name] for name in TOUCHED}


def check_torch(run: Replay) -> None:
    """The sums against torch's: grouped convolution, comparison, masked rest."""
    torch = pytest.importorskip("torch", reason="torch is not installed: sums held to NumPy only")
    data, layer = run.data, run.data.layer
    x = torch.from_numpy(data.activations).double()  # exact: every sum is below 2^53
    weight = torch.from_numpy(data.weights).double()
    shape = {"stride": layer.stride, "padding": layer.padding}
    blocks = weight.chunk(layer.groups)
    inputs = list(x.chunk(layer.groups, 1))
    order = [data.base_group(len(blocks[0]) * g) for g in range(layer.groups)]
    own = [block.chunk(layer.groups, 1)[g] for block, g in zip(blocks, order, strict=True)]
    base_input = torch.cat([inputs[g] for g in order], 1)
    conv2d = torch.nn.functional.conv2d
    base = conv2d(base_input, torch.cat(own), groups=layer.groups, **shape)
    full = conv2d(x, weight, **shape)
    added = base.unflatten(1, (-1, data.mask_group)).sum(2)
    mask = added > torch.from_numpy(data.thresholds)[:, None, None]
    mask = mask.repeat_interleave(data.mask_group, 1)
    gated = full if run.scheme.kind == "dense" else torch.where(mask, full, base)
    np.testing.assert_array_equal(run.sums, flat(gated.to(torch.int64).numpy()))
