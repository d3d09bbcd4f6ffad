"""Feature boosting and suppression against its definition, image by image, in fp64."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from near import assert_near
from torch import Tensor

from hwsim.train.networks import fbs
from hwsim.train.networks.fbs import FBSConv2d
from hwsim.train.networks.methods import conv3x3


def layer_and_input(stride: int = 1, share: float = 0.5) -> tuple[FBSConv2d, Tensor]:
    torch.manual_seed(4)
    layer = FBSConv2d(6, 10, stride).double()
    with torch.no_grad():
        layer.shift.normal_()
    layer.keep(share)
    return layer, torch.randn(3, 6, 5, 5, dtype=torch.float64).relu().requires_grad_()


def literal(layer: FBSConv2d, x: Tensor, kept: int) -> tuple[Tensor, list[set[int]]]:
    """Output and the active channels of each image."""
    y = F.conv2d(x, layer.weight, stride=layer.stride, padding=1)
    channels = []
    for c in range(y.shape[1]):
        mean = y[:, c].mean()
        variance = ((y[:, c] - mean) ** 2).mean()
        channels.append((y[:, c] - mean) / torch.sqrt(variance + 1e-5) + layer.shift[c])
    images, active = [], []
    for n in range(len(x)):
        averages = [x[n, i].abs().mean() for i in range(x.shape[1])]
        averages = [s * len(averages) / sum(averages) for s in averages]
        saliency = []
        for c in range(y.shape[1]):
            terms = [layer.predictor.weight[c, i] * s for i, s in enumerate(averages)]
            saliency.append(torch.relu(sum(terms) + layer.predictor.bias[c]))
        best = sorted(range(len(saliency)), key=lambda c: -float(saliency[c].detach()))[:kept]
        active.append(set(best))
        zero = torch.zeros_like(channels[0][n])
        images.append(
            torch.stack(
                [channels[c][n] * saliency[c] if c in best else zero for c in range(y.shape[1])]
            )
        )
    return torch.stack(images), active


@pytest.mark.parametrize("stride", [1, 2])
def test_forward_and_gradients_equal_the_definition(stride: int) -> None:
    layer, x = layer_and_input(stride)
    found = layer(x)
    wanted, active = literal(layer, x, 5)
    assert len({frozenset(a) for a in active}) > 1, "the images must choose differently"
    assert [set(torch.nonzero(m).flatten().tolist()) for m in layer.mask] == active
    assert_near(found, wanted)
    leaves = (x, layer.weight, layer.shift, layer.predictor.weight, layer.predictor.bias)
    upstream = torch.randn_like(found)
    for got, want in zip(
        torch.autograd.grad(found, leaves, upstream),
        torch.autograd.grad(wanted, leaves, upstream),
        strict=True,
    ):
        assert_near(got, want)


@pytest.mark.parametrize(("share", "kept"), [(1.0, 10), (0.7, 7), (0.62, 7), (0.01, 1)])
def test_exactly_the_share_is_kept_and_the_rest_is_zero(share: float, kept: int) -> None:
    layer, x = layer_and_input(share=share)
    y = layer(x)
    assert layer.mask.sum(1).tolist() == [kept] * 3
    assert float(layer.density) == pytest.approx(kept / 10)
    assert float(y[~layer.mask].detach().abs().max() if kept < 10 else 0) == 0


def test_saliency_starts_at_a_bias_of_one() -> None:
    layer, _ = layer_and_input()
    saliency = layer.saliency(torch.zeros(2, 6, 5, 5, dtype=torch.float64))
    assert saliency.tolist() == [[1.0] * 10] * 2


def test_lasso_is_the_mean_l1_norm() -> None:
    layer, x = layer_and_input()
    layer(x)
    norms = [float(row.abs().sum()) for row in layer.saliency(x).detach()]
    assert float(layer.lasso.detach()) == pytest.approx(1e-8 * sum(norms) / 3)


def test_density_falls_in_steps_to_its_value() -> None:
    shares = [fbs.stepped_share(p / 100, 0.62) for p in range(101)]
    assert shares[0] == 1
    assert shares[12] == 1
    assert sorted(set(shares), reverse=True) == pytest.approx([1, 0.9, 0.8, 0.7, 0.62])
    assert shares == sorted(shares, reverse=True)
    assert set(shares[50:]) == {0.62}
    assert math.isclose(fbs.stepped_share(0.3, 1.0), 1)


@pytest.mark.parametrize("method", ["fbs", "dgc"])
def test_scale_of_the_input_is_only_the_outputs(method: str) -> None:
    """A thousand times an image gives the same channels: nothing runs away."""
    torch.manual_seed(0)
    layer = conv3x3(method, 8, 8, 1, mask_group=1, gate_norm="batch").double()
    layer.keep(0.5)
    x = torch.rand(2, 8, 6, 6, dtype=torch.float64)
    assert_near(layer.saliency(1000 * x), layer.saliency(x))
    assert torch.isfinite(layer.saliency(0 * x)).all()
