"""Dynamic group convolution against its definition, image by image and head by head, in fp64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from near import assert_near
from torch import Tensor

from hwsim.train.networks import dgc
from hwsim.train.networks.dgc import HEADS, DGCConv2d, head_order, one_squeeze

CHANNELS, OUTPUTS = 16, 8


def layer_and_input(stride: int = 1, share: float = 0.5) -> tuple[DGCConv2d, Tensor]:
    torch.manual_seed(5)
    layer = DGCConv2d(CHANNELS, OUTPUTS, stride).double()
    layer.keep(share)
    return layer, torch.randn(3, CHANNELS, 5, 5, dtype=torch.float64).relu().requires_grad_()


def saliency(layer: DGCConv2d, image: Tensor, head: int) -> Tensor:
    """(C,): two dense layers, the first without bias, a ReLU behind each."""
    middle = CHANNELS // 8
    squeeze = layer.squeeze.weight[head * middle : (head + 1) * middle]
    bias = layer.excite_bias[head * CHANNELS : (head + 1) * CHANNELS]
    averages = image.mean((1, 2))
    inner = torch.relu(squeeze @ (averages / averages.mean()))
    return torch.relu(layer.excite[head] @ inner + bias)


def literal(layer: DGCConv2d, x: Tensor, kept: int) -> tuple[Tensor, list[list[set[int]]]]:
    """Output and, per image and head, the input channels read."""
    images, chosen = [], []
    for image in x:
        heads, reads = [], []
        for head in range(HEADS):
            g = saliency(layer, image, head)
            best = sorted(range(CHANNELS), key=lambda c: -float(g[c].detach()))[:kept]
            rows = layer.weight[head * OUTPUTS // HEADS : (head + 1) * OUTPUTS // HEADS]
            read = torch.stack([image[c] * g[c] for c in best])[None]
            heads.append(F.conv2d(read, rows[:, best], stride=layer.stride, padding=1)[0])
            reads.append(set(best))
        # Channel c of the output is output c div 4 of head c mod 4.
        shuffled = [heads[c % HEADS][c // HEADS] for c in range(OUTPUTS)]
        images.append(torch.stack(shuffled))
        chosen.append(reads)
    return torch.stack(images), chosen


@pytest.mark.parametrize("stride", [1, 2])
def test_forward_and_gradients_equal_the_definition(stride: int) -> None:
    layer, x = layer_and_input(stride)
    found = layer(x)
    wanted, chosen = literal(layer, x, CHANNELS // 2)
    marked = [[set(torch.nonzero(m).flatten().tolist()) for m in image] for image in layer.mask]
    assert marked == chosen
    assert len({frozenset(s) for image in chosen for s in image}) > 4
    assert_near(found, wanted)
    leaves = (x, layer.weight, layer.squeeze.weight, layer.excite, layer.excite_bias)
    upstream = torch.randn_like(found)
    for got, want in zip(
        torch.autograd.grad(found, leaves, upstream),
        torch.autograd.grad(wanted, leaves, upstream),
        strict=True,
    ):
        assert_near(got, want)


@pytest.mark.parametrize(("share", "kept"), [(1.0, 16), (0.47, 8), (0.25, 4)])
def test_every_head_keeps_the_share(share: float, kept: int) -> None:
    layer, x = layer_and_input(share=share)
    layer(x)
    assert layer.mask.sum(2).tolist() == [[kept] * HEADS] * 3
    assert float(layer.density) == pytest.approx(kept / CHANNELS)


def test_lasso_is_the_heads_mean_saliency() -> None:
    layer, x = layer_and_input()
    layer(x)
    means = [
        sum(float(saliency(layer, image, head).detach().mean()) for image in x) / len(x)
        for head in range(HEADS)
    ]
    assert float(layer.lasso.detach()) == pytest.approx(1e-5 * sum(means))


def test_pruning_starts_at_a_twelfth_and_ends_at_three_quarters() -> None:
    points = [0, 1 / 12, 1 / 12 + 1 / 3, 3 / 4, 1]
    assert [dgc.ramped_share(p, 0.4) for p in points] == pytest.approx([1, 1, 0.7, 0.4, 0.4])


def test_squeeze_follows_the_published_code() -> None:
    assert [dgc.squeezed(c) for c in (4, 16, 64, 128)] == [1, 2, 8, 8]


def test_outputs_that_cannot_be_cut_into_heads() -> None:
    with pytest.raises(ValueError, match="4 heads"):
        DGCConv2d(8, 6)


def test_the_order_of_heads_is_a_numbering_that_spares_the_shuffle() -> None:
    layer, x = layer_and_input()
    y = layer(x)
    kept = head_order(layer.mask)
    # Position s of a tensor holds its channel order[s]: those that head 0 makes first.
    read, made = (sorted(range(n), key=lambda c: c % HEADS) for n in (CHANNELS, OUTPUTS))
    weight = layer.weight[:, read]
    for image in range(len(x)):
        for head in range(HEADS):
            chosen = kept[image, head].nonzero().flatten().tolist()
            scales = saliency(layer, x[image], head)[read][chosen]
            inputs = x[image, read][chosen] * scales[:, None, None]
            rows = slice(head * OUTPUTS // HEADS, (head + 1) * OUTPUTS // HEADS)
            outputs = F.conv2d(inputs[None], weight[rows][:, chosen], padding=1)[0]
            assert_near(outputs, y[image, made[rows]])


def test_one_squeeze_comes_nearest_to_the_predictors_macs() -> None:
    # Hidden units 8, 8 of 64, 128: 1,536 MACs per head and way. Squeeze 16: 4 and 8, 1,280;
    # 13: 5 and 10, 1,600; 14: the same; 12: 6 and 11, 1,792.
    assert one_squeeze([64, 128]) == 13
    assert one_squeeze([128, 256]) == 16
    assert one_squeeze([32, 64]) == 8
    # ResNet-18: the five layers of 64 channels cannot have the half that they squeeze less.
    assert one_squeeze([64] * 5 + [128] * 4 + [256] * 4 + [512] * 3) == 16


def test_a_head_keeps_a_channel_at_least() -> None:
    layer, _ = layer_and_input(share=0.001)
    assert float(layer.kept) == 1
