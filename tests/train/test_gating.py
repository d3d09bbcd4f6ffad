"""The gated convolution against its definition: block by block, Y = Yb + M * Yc, in fp64."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from hwsim.train.gating import GatedConv2d, penalty

GROUPS = 4
CASES = list(itertools.product(["diagonal", "inverse"], [1, 2], [1, 8]))


class LiteralStep(torch.autograd.Function):
    """[z > 0] forward; the gradient of sigmoid(2 z) backward."""

    @staticmethod
    def forward(ctx, z):
        ctx.save_for_backward(z)
        return (z > 0).to(z.dtype)

    @staticmethod
    def backward(ctx, grad):
        (z,) = ctx.saved_tensors
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            (slope,) = torch.autograd.grad(torch.sigmoid(2 * z).sum(), z)
        return grad * slope


def literal(
    x: Tensor, weight: Tensor, tau: Tensor, branch: str, stride: int, mask_group: int
) -> tuple[Tensor, Tensor, Tensor]:
    """(Y, Yb, M expanded to channels) from the definition, with batch statistics."""
    outputs, inputs = weight.chunk(GROUPS), x.chunk(GROUPS, 1)
    base, conditional = [], []
    for g in range(GROUPS):
        own = g if branch == "diagonal" else GROUPS - 1 - g
        blocks = outputs[g].chunk(GROUPS, 1)
        sums = [F.conv2d(inputs[i], blocks[i], stride=stride, padding=1) for i in range(GROUPS)]
        base.append(sums[own])
        conditional.append(sum(sums[i] for i in range(GROUPS) if i != own))
    yb, yc = torch.cat(base, 1), torch.cat(conditional, 1)
    decisions = []
    for d in range(len(tau)):
        mean = sum(yb[:, d * mask_group + j] for j in range(mask_group)) / mask_group
        centred = mean - mean.mean()
        z = centred / torch.sqrt((centred**2).mean() + 1e-5)
        decisions += [LiteralStep.apply(z - tau[d])] * mask_group
    mask = torch.stack(decisions, 1)
    return yb + mask * yc, yb, mask


def layer_and_input(stride: int, mask_group: int) -> tuple[GatedConv2d, Tensor]:
    torch.manual_seed(3)
    layer = GatedConv2d(8, 32, 3, stride, gate_groups=GROUPS, mask_group=mask_group).double()
    with torch.no_grad():
        layer.tau.uniform_(-0.5, 0.8)
    return layer, torch.randn(3, 8, 6, 6, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize(("branch", "stride", "mask_group"), CASES)
def test_forward_and_gradients_equal_the_definition(
    branch: str, stride: int, mask_group: int
) -> None:
    layer, x = layer_and_input(stride, mask_group)
    leaves = (x, layer.weight, layer.tau)
    found = layer(x, branch)
    wanted, _, mask = literal(*leaves, branch, stride, mask_group)
    assert 0.1 < float(mask.detach().mean()) < 0.9, "the case must exercise both sides of the gate"
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-10)
    upstream = torch.randn_like(wanted)
    gradients = torch.autograd.grad(found, leaves, upstream)
    for got, want in zip(gradients, torch.autograd.grad(wanted, leaves, upstream), strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("branch", "stride", "mask_group"), CASES)
def test_masked_off_outputs_keep_their_base_partial_sum(
    branch: str, stride: int, mask_group: int
) -> None:
    layer, x = layer_and_input(stride, mask_group)
    found = layer(x, branch)
    _, base, mask = literal(x, layer.weight, layer.tau, branch, stride, mask_group)
    off = mask == 0
    torch.testing.assert_close(found[off], base[off], rtol=0, atol=1e-12)
    assert float((found[~off] - base[~off]).detach().abs().min()) > 0


@pytest.mark.parametrize("tau", [-1e9, 1e9])
def test_extreme_thresholds_give_the_full_and_the_base_convolution(tau: float) -> None:
    layer, x = layer_and_input(1, 1)
    with torch.no_grad():
        layer.tau.fill_(tau)
    full = F.conv2d(x, layer.weight, padding=1)
    grouped = F.conv2d(
        x,
        torch.cat([b.chunk(GROUPS, 1)[g] for g, b in enumerate(layer.weight.chunk(GROUPS))]),
        padding=1,
        groups=GROUPS,
    )
    torch.testing.assert_close(layer(x), full if tau < 0 else grouped)
    assert float(layer.density) == (tau < 0)


def test_each_branch_keeps_its_own_running_statistics() -> None:
    layer, x = layer_and_input(1, 1)
    layer(x, "diagonal")
    assert float(layer.gate_norm["diagonal"].running_mean.abs().max()) > 0
    assert float(layer.gate_norm["inverse"].running_mean.abs().max()) == 0


def test_gate_arithmetic_stays_fp32_under_autocast() -> None:
    layer = GatedConv2d(8, 32)
    with torch.autocast("cpu", torch.bfloat16):
        base = layer.base_sum(torch.randn(2, 8, 6, 6), "diagonal")
        assert base.dtype == torch.bfloat16
        assert layer.margin(base, "diagonal").dtype == torch.float32


def test_penalty_by_hand() -> None:
    model = torch.nn.Sequential(GatedConv2d(4, 4), GatedConv2d(4, 32, mask_group=8))
    with torch.no_grad():
        model[0].tau.copy_(torch.tensor([0.0, 1.0, 2.0, 0.5]))
    # (0.25 + 0.25 + 2.25 + 0) + 4 * 0.25
    assert float(penalty(model, 0.5)) == pytest.approx(3.75)


@pytest.mark.parametrize(
    ("channels", "mask_group", "word"), [((6, 8), 1, "cut into 4"), ((8, 16), 8, "does not divide")]
)
def test_channels_that_cannot_be_grouped(
    channels: tuple[int, int], mask_group: int, word: str
) -> None:
    with pytest.raises(ValueError, match=word):
        GatedConv2d(*channels, mask_group=mask_group)
