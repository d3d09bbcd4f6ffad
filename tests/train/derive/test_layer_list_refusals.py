"""What a layer list cannot say, or a gated layer cannot be, is one line that names it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from told import Told, images
from torch import Tensor, nn

from hwsim.train.derive.derivation import LayerListError, derive_network

KERNEL = torch.ones(4, 4, 1, 1)


def model(middle: Any, **modules: nn.Module) -> Told:
    """A convolution to 4 channels, the middle, another convolution."""
    convolutions = {"a": nn.Conv2d(3, 4, 1), "b": nn.Conv2d(4, 2, 1)}
    return Told(lambda m, x: m.b(middle(m, m.a(x))), **convolutions, **modules)


def mixed(m: nn.Module, x: Tensor) -> Tensor:
    return x - x.mean(0, keepdim=True)


@pytest.mark.parametrize(
    ("middle", "modules", "words"),
    [
        (lambda m, x: m.c(x.unsqueeze(2)).squeeze(2), {"c": nn.Conv3d(4, 4, 1)},
         "operator convolution in module c: a 3-D convolution"),
        (lambda m, x: F.conv2d(x, KERNEL * x.mean(), None), {},
         "operator mean in the model, which a network"),
        (lambda m, x: F.conv2d(x, KERNEL * x[:, :, :1, :1].reshape(2, 4, 1, 1)[:1]), {},
         "operator slice in the model: takes parts of the batch"),
        (lambda m, x: m.c(x.flatten(2))[0].reshape(x.shape), {"c": nn.LSTM(36, 36)},
         "operator lstm in module c: recurrent"),
        (lambda m, x: m.c(x.flatten(1))[:, :, None, None], {"c": nn.GRUCell(144, 4)},
         "operator grucell in module c: recurrent"),
        (lambda m, x: m.c(x.mean((2, 3)), x.amax((2, 3)))[:, :, None, None],
         {"c": nn.Bilinear(4, 4, 4)}, "operator _trilinear in module c: torch does not count"),
        (lambda m, x: x * (x.flatten(2) @ torch.ones(36))[:, :, None, None], {},
         "operator mv in the model: torch does not count"),
        (lambda m, x: torch.fft.rfft2(x).abs(), {}, "operator _fft_r2c in the model: not followed"),
        (lambda m, x: F.grid_sample(x, torch.zeros(2, 6, 6, 2), align_corners=False), {},
         "operator grid_sampler_2d in the model: not followed"),
        (lambda m, x: (x[:, :, None] * KERNEL[0]).sum(1), {},
         r"operator mul in the model: makes \(2, 4, 4, 6, 6\) of \(2, 4, 1, 6, 6\), times a const"),
        (lambda m, x: (x[:, :, None] - KERNEL[0]).square().sum(1), {},
         "operator sum in the model: reduces what was multiplied or spread"),
        (lambda m, x: (x[:, :, None] * m.a(x[:, :3])[:, None]).sum(1), {},
         "operator sum in the model: reduces what was multiplied or spread"),
        (lambda m, x: x.cumsum(1), {},
         "operator convolution in module b: reads operator cumsum in the model"),
        (lambda m, x: x.cumsum(1) + x, {}, "operator convolution in module b: reads operator cum"),
        (lambda m, x: torch.from_numpy(x.numpy().copy()), {},
         "operator convolution in module b: multiplies what does not stem from the model's input"),
        (lambda m, x: x + F.conv2d(torch.ones(1, 4, 6, 6), KERNEL), {},
         "operator convolution in the model: multiplies what does not stem"),
        (lambda m, x: x.reshape(4, 2, 6, 6).repeat(1, 2, 1, 1), {},
         "operator convolution in module b: reads 4 maps where there are 2 images"),
        (lambda m, x: x @ x.flip(0).transpose(2, 3), {},
         "operator flip in the model: takes parts of the batch"),
    ],
)  # fmt: skip
def test_what_is_not_followed_is_named(middle: Any, modules: dict, words: str) -> None:
    with pytest.raises(LayerListError, match=words) as caught:
        derive_network(model(middle, **modules), images(2, 3, 6, 6))
    assert "\n" not in str(caught.value)
    assert "network=" not in str(caught.value)


def test_statistics_of_a_batch_are_no_layers_input() -> None:
    with pytest.raises(LayerListError, match="module b: reads operator mean in the model"):
        derive_network(model(mixed), images(2, 3, 6, 6))


def test_an_operator_of_ones_own_is_refused() -> None:
    @torch.library.custom_op("hwsim_test::twice", mutates_args=())
    def twice(x: Tensor) -> Tensor:
        return x * 2

    with pytest.raises(LayerListError, match="operator twice in the model: not followed"):
        derive_network(model(lambda m, x: twice(x)), images(2, 3, 6, 6))


def test_what_the_model_itself_refuses_is_one_line() -> None:
    with pytest.raises(LayerListError, match=r"not run on an example of shape \(1, 5, 6, 6\)") as e:
        derive_network(model(lambda m, x: x), images(1, 5, 6, 6))
    assert "\n" not in str(e.value)
    with pytest.raises(LayerListError, match="no layer with MACs"):
        derive_network(nn.ReLU(), images(1, 3, 6, 6))


def test_decisions_are_constants_to_layers() -> None:
    def best(m: nn.Module, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        index = tokens.sum(-1).topk(5).indices
        return torch.gather(tokens, 1, index[..., None].expand(-1, -1, 4)).transpose(1, 2)[
            ..., None
        ]

    network = derive_network(model(best), images(2, 3, 6, 6))
    assert [(layer.name, layer.out_channels) for layer in network.layers] == [
        ("a", 4), ("rearrange", 4), ("b", 2)
    ]  # fmt: skip
    assert network.by_name["b"].in_height == 5


def test_paths_are_checked() -> None:
    told = model(lambda m, x: x)
    for options in ({"gated": ["aa"]}, {"ignored": ["aa"]}):
        with pytest.raises(LayerListError, match="no module 'aa' in the model; nearest valid: 'a'"):
            derive_network(told, images(1, 3, 6, 6), **options)
    told = model(lambda m, x: x, unused=nn.Conv2d(4, 4, 1))
    with pytest.raises(LayerListError, match="layer unused: gated, but it did not run"):
        derive_network(told, images(1, 3, 6, 6), ["unused"])


class Around(nn.Module):
    """A convolution and the base path's grouped one, and a mask of its own."""

    def __init__(self, full: nn.Module, base: nn.Module) -> None:
        super().__init__()
        self.full, self.base, self.decide = full, base, nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(self.decide(x) > 0, self.full(x), self.base(x))


@pytest.mark.parametrize(
    ("layer", "wanted"),
    [
        (nn.Conv2d(8, 8, (3, 1), padding=(1, 0), groups=2),
         {"kernel_size": (3, 1), "conv_groups": 2}),
        (nn.Conv2d(8, 8, 3, padding="same", dilation=2), {"dilation": 2, "padding": 2}),
        (Around(nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1, groups=2)),
         {"kernel_size": 3, "padding": 1, "conv_groups": 1}),
    ],
)  # fmt: skip
def test_gated_layers_are_one_convolution_each(layer: nn.Module, wanted: dict) -> None:
    told = Told(lambda m, x: x + m.layer(x), layer=layer)
    ignored = ["layer.decide"] if isinstance(layer, Around) else []
    network = derive_network(told, images(2, 8, 6, 6), ["layer"], 2, ignored=ignored)
    (found,) = network.convolutions
    assert (found.gated, found.groups, found.residual) == (True, 2, "input")
    assert {key: getattr(found, key) for key in wanted} == wanted


def test_gated_lines_and_tokens() -> None:
    told = Told(lambda m, x: m.layer(x), layer=nn.Conv1d(8, 8, 3, padding=1))
    (found,) = derive_network(told, images(2, 8, 9), ["layer"], 2).convolutions
    assert (found.gated, found.kernel, found.in_height) == (True, (3, 1), 9)
    told = Told(lambda m, x: m.layer(x), layer=nn.Linear(8, 4))
    (found,) = derive_network(told, images(2, 5, 8), ["layer"], 4).convolutions
    assert (found.gated, found.groups, found.in_height, found.out_channels) == (True, 4, 5, 4)


def test_groups_that_do_not_divide_name_those_that_do() -> None:
    told = Told(lambda m, x: m.layer(x), layer=nn.Conv2d(6, 12, 1))
    words = r"layer layer: 6 -> 12 channels cannot be cut into 4 gating groups; .* groups=3"
    with pytest.raises(LayerListError, match=words):
        derive_network(told, images(1, 6, 4, 4), ["layer"], 4)


def test_a_gated_module_of_several_layers_is_refused() -> None:
    told = Told(
        lambda m, x: m.layer(x), layer=nn.Sequential(nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1))
    )
    with pytest.raises(
        LayerListError, match=r"layer layer: 2 convolutions .* 4 -> 4 .*expected one"
    ):
        derive_network(told, images(1, 4, 4, 4), ["layer"])
    told = Told(lambda m, x: m.layer(x), layer=nn.Sequential(nn.Conv2d(4, 4, 1), nn.MaxPool2d(2)))
    with pytest.raises(LayerListError, match=r"layer layer: gives \(1, 4, 2, 2\) where its conv"):
        derive_network(told, images(1, 4, 4, 4), ["layer"])


def test_modules_that_make_masks_are_no_layers() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        x = m.a(x)
        return m.b(x * (m.gate(x) > 0))

    told = Told(forward, a=nn.Conv2d(3, 4, 1), b=nn.Conv2d(4, 2, 1), gate=nn.Conv2d(4, 1, 1))
    names = [layer.name for layer in derive_network(told, images(1, 3, 6, 6)).layers]
    assert names == ["a", "gate", "multiply", "b"]
    for gate in ("gate", told.gate):
        network = derive_network(told, images(1, 3, 6, 6), ignored=[gate])
        assert [layer.name for layer in network.layers] == ["a", "b"]


def test_hooks_of_others_are_not_followed() -> None:
    told = model(lambda m, x: x)
    told.a.register_forward_hook(lambda m, args, out: F.conv2d(out, KERNEL).sum() and None)
    told.register_forward_pre_hook(
        lambda m, args: (torch.ones(2, 2) @ torch.ones(2, 2)).sum() and None
    )
    network = derive_network(told, images(1, 3, 6, 6))
    assert [layer.name for layer in network.layers] == ["a", "b"]
    assert [len(m._forward_hooks) for m in (told, told.a, told.b)] == [0, 1, 0]
    told.a.register_forward_hook(lambda m, args, out: out * 2)
    with pytest.raises(LayerListError, match="module b: reads what a hook of module a made"):
        derive_network(told, images(1, 3, 6, 6))


@pytest.mark.parametrize("groups", [0, -1, 2.5, True, "4"])
def test_groups_are_a_positive_integer(groups: Any) -> None:
    with pytest.raises(LayerListError, match="groups: expected a positive integer, found"):
        derive_network(model(lambda m, x: x), images(1, 3, 6, 6), ["b"], groups)


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(LayerListError, match="model: expected a torch module, found function"):
        derive_network(images, images(1, 3, 6, 6))


def test_a_gated_module_loses_no_product() -> None:
    """Beside its convolution of 4 x 4 it widens to 16 channels and back."""
    inner = {"c": nn.Conv2d(4, 4, 3, padding=1), "e": nn.Conv2d(4, 16, 1), "f": nn.Conv2d(16, 4, 1)}
    block = Told(lambda m, x: m.c(x) * m.f(m.e(x)).sigmoid(), **inner)
    net = model(lambda m, x: m.block(x), block=block)
    words = (
        r"layer block: operator convolution in it multiplies by weights of shape \(16, 4, 1, 1\)"
    )
    with pytest.raises(LayerListError, match=words):
        derive_network(net, images(1, 3, 6, 6), ["block"])
    network = derive_network(net, images(1, 3, 6, 6), ["block"], ignored=["block.e", "block.f"])
    assert network.by_name["block"].macs == 4 * 36 * 36


def test_a_gated_module_runs_its_convolution_once() -> None:
    block = Told(lambda m, x: m.c(m.c(x)), c=nn.Conv2d(4, 4, 3, padding=1))
    with pytest.raises(LayerListError, match="layer block: its convolution runs 2 times in it"):
        derive_network(model(lambda m, x: m.block(x), block=block), images(1, 3, 6, 6), ["block"])
