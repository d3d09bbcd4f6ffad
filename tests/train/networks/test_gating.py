"""The gated convolution against its definition: block by block, Y = Yb + M * Yc, in fp64."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from near import assert_near
from torch import Tensor

from hwsim.train.networks.gating import GatedConv2d, GateNorm, broadcasting, penalty

GROUPS = 4
CASES = list(itertools.product(["diagonal", "inverse"], [1, 2], [1, 8], ["batch", "instance"]))
PARAMETERS = ("branch", "stride", "mask_group", "norm")


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
    x: Tensor, weight: Tensor, tau: Tensor, branch: str, stride: int, mask_group: int, norm: str
) -> tuple[Tensor, Tensor, Tensor]:
    """(Y, Yb, M expanded to channels) from the definition, in training."""
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
        # Statistics of the channel over the batch, or of each image's own map.
        maps = [mean] if norm == "batch" else [image[None] for image in mean]
        centred = [part - part.mean() for part in maps]
        z = torch.cat([part / torch.sqrt((part**2).mean() + 1e-5) for part in centred])
        decisions += [LiteralStep.apply(z - tau[d])] * mask_group
    mask = torch.stack(decisions, 1)
    return yb + mask * yc, yb, mask


def layer_and_input(
    stride: int, mask_group: int, norm: GateNorm = "batch"
) -> tuple[GatedConv2d, Tensor]:
    torch.manual_seed(3)
    layer = GatedConv2d(
        8, 32, 3, stride, gate_groups=GROUPS, mask_group=mask_group, norm=norm
    ).double()
    with torch.no_grad():
        layer.tau.uniform_(-0.5, 0.8)
    return layer, torch.randn(3, 8, 6, 6, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize(PARAMETERS, CASES)
def test_forward_and_gradients_equal_the_definition(
    branch: str, stride: int, mask_group: int, norm: str
) -> None:
    layer, x = layer_and_input(stride, mask_group, norm)
    leaves = (x, layer.weight, layer.tau)
    found = layer(x, branch)
    wanted, _, mask = literal(*leaves, branch, stride, mask_group, norm)
    assert 0.1 < float(mask.detach().mean()) < 0.9, "the case must exercise both sides of the gate"
    assert_near(found, wanted)
    upstream = torch.randn_like(wanted)
    gradients = torch.autograd.grad(found, leaves, upstream)
    for got, want in zip(gradients, torch.autograd.grad(wanted, leaves, upstream), strict=True):
        assert_near(got, want)


@pytest.mark.parametrize(PARAMETERS, CASES)
def test_masked_off_outputs_keep_their_base_partial_sum(
    branch: str, stride: int, mask_group: int, norm: str
) -> None:
    layer, x = layer_and_input(stride, mask_group, norm)
    found = layer(x, branch)
    _, base, mask = literal(x, layer.weight, layer.tau, branch, stride, mask_group, norm)
    off = mask == 0
    assert_near(found[off], base[off])
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
    assert_near(layer(x), full if tau < 0 else grouped)
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
    assert float(penalty(model, 0.5).detach()) == pytest.approx(3.75)


@pytest.mark.parametrize(
    ("channels", "mask_group", "word"), [((6, 8), 1, "cut into 4"), ((8, 16), 8, "does not divide")]
)
def test_channels_that_cannot_be_grouped(
    channels: tuple[int, int], mask_group: int, word: str
) -> None:
    with pytest.raises(ValueError, match=word):
        GatedConv2d(*channels, mask_group=mask_group)


@pytest.mark.parametrize("stride", [1, 2])
def test_broadcast_gives_both_views_the_first_ones_mask(stride: int) -> None:
    layer, first = layer_and_input(stride, 1)
    second = torch.randn_like(first).requires_grad_()
    leaves = (first, second, layer.weight)
    with broadcasting(layer):
        found = [layer(first), layer(second)]
    _, yb, mask = literal(first, layer.weight, layer.tau, "diagonal", stride, 1, "batch")
    mask = mask.detach()
    full = [F.conv2d(x, layer.weight, stride=stride, padding=1) for x in (first, second)]
    _, yb2, own = literal(second, layer.weight, layer.tau, "diagonal", stride, 1, "batch")
    assert not torch.equal(mask, own)
    wanted = [yb + mask * (full[0] - yb), yb2 + mask * (full[1] - yb2)]
    upstream = torch.randn_like(wanted[0])
    for got, want in zip(found, wanted, strict=True):
        assert_near(got, want)
    # No gradient reaches the thresholds: both masks are constants.
    gradients = [
        torch.autograd.grad([*pair], [*leaves, layer.tau], [upstream] * 2, allow_unused=True)
        for pair in (found, wanted)
    ]
    assert gradients[0][-1] is None
    for got, want in zip(*[list(g)[:-1] for g in gradients], strict=True):
        assert_near(got, want)


def test_after_broadcasting_each_input_has_its_own_mask() -> None:
    layer, x = layer_and_input(1, 1)
    layer.eval()
    before = layer(x)
    with broadcasting(layer):
        layer(torch.randn_like(x))
    torch.testing.assert_close(layer(x), before, rtol=0, atol=0)


def test_instance_gates_do_not_depend_on_the_other_images() -> None:
    layer, x = layer_and_input(1, 8, "instance")
    assert_near(layer(x)[:1], layer(x[:1]))
    assert not list(layer.gate_norm.state_dict())


@pytest.mark.parametrize("step_size", [0.05, 0.2])
def test_thresholds_under_the_penalty_alone_follow_their_law(step_size: float) -> None:
    """tau(n) ~ T (1 - exp(-2 lambda eta n / (1 - momentum))), for a small lambda eta."""
    target, weight, momentum = 0.573, 1e-3, 0.9
    layer = GatedConv2d(4, 8)
    optimiser = torch.optim.SGD([layer.tau], lr=step_size, momentum=momentum)
    for step in range(1, 1001):
        optimiser.zero_grad()
        (weight * penalty(layer, target)).backward()
        optimiser.step()
        if step % 250 == 0:
            share = 1 - math.exp(-2 * weight * step_size * step / (1 - momentum))
            assert layer.tau.tolist() == pytest.approx([target * share] * 8, rel=0.05)
