"""Layer lists of small models, each worked out by hand; MACs are those that torch counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from told import Told, images
from torch import Tensor, nn
from zoo.flops import flops_of_torch

from hwsim.network import MapLayer, Network, resnet18
from hwsim.train.derive.derivation import LayerListError, derive_network
from hwsim.train.networks import models
from hwsim.train.networks.gating import gated_layers


def derived(model: nn.Module, example: Tensor, **options: Any) -> Network:
    """Its list, the same for one image and for the batch, with torch's MACs."""
    network = derive_network(model, example, **options)
    assert network.macs == flops_of_torch(model.requires_grad_(False), example)
    assert derive_network(model, example[:1], **options) == network
    return network


def conv(*channels: int, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(*channels, **options)


def layers(network: Network) -> dict[str, str]:
    """Name: what it reads, "+" what it adds, "*" what it takes beside."""
    found = {}
    for layer in network.layers:
        words = [*layer.inputs, *([f"+{layer.residual}"] if layer.residual else [])]
        found[layer.name] = " ".join([*words, *([f"*{layer.aside}"] if layer.aside else [])])
    return found


def map_layer(network: Network, name: str) -> MapLayer:
    (layer,) = (layer for layer in network.layers if layer.name == name)
    assert isinstance(layer, MapLayer)
    return layer


def test_resnet18_is_the_list_of_the_shipped_masks() -> None:
    class Classifier(models.ResNet18):
        def __init__(self) -> None:
            super().__init__("cdg", 64)
            self.fc = nn.Linear(512, 10)

        def forward(self, x: Tensor, branch: Any = "diagonal") -> Tensor:
            return self.fc(super().forward(x, branch))

    model = Classifier()
    gates = gated_layers(model)
    assert derive_network(model, images(1, 3, 32, 32), gates, name="resnet18-32") == resnet18()


def test_a_transposed_convolution_between_two_others_loses_nothing() -> None:
    model = nn.Sequential(
        conv(3, 16, 3, padding=1),
        nn.ConvTranspose2d(16, 8, 3, 2, 1, output_padding=1),
        conv(8, 8, 3, padding=1),
    )
    network = derived(model, images(2, 3, 16, 16))
    # 27 * 16 * 256, then 9 * 16 * 8 for each of 256 pixels, then 9 * 8 * 8 * 1024.
    assert [layer.macs for layer in network.layers] == [110_592, 294_912, 0, 589_824]
    assert network.macs == 995_328
    assert layers(network) == {"0": "input", "1": "0", "1.rearrange": "1", "2": "1.rearrange"}
    spread, moved = network.by_name["1"], map_layer(network, "1.rearrange")
    assert (spread.kernel_size, spread.out_channels, spread.out_height) == (1, 9 * 8, 16)
    assert (moved.out_channels, moved.out_height, moved.out_width) == (8, 32, 32)


def test_functions_with_free_parameters_are_layers_of_the_module_that_calls_them() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        y = F.conv2d(x, m.w, padding=1)
        y = F.conv2d(y, m.v)
        return F.linear(m.c(y).mean((2, 3)), m.u)

    shapes = {"w": (4, 3, 3, 3), "v": (4, 4, 1, 1), "u": (2, 5)}
    free = {name: nn.Parameter(torch.ones(shape)) for name, shape in shapes.items()}
    network = derived(Told(forward, c=conv(4, 5, 1), **free), images(2, 3, 6, 6))
    assert layers(network) == {
        "conv2d": "input", "conv2d.2": "conv2d", "c": "conv2d.2", "linear": "c"
    }  # fmt: skip
    assert [layer.macs for layer in network.layers] == [27 * 4 * 36, 16 * 36, 20 * 36, 10]
    assert (network.by_name["c"].pool, network.by_name["linear"].in_height) == (6, 1)


@pytest.mark.parametrize("equation", ["nchw,oc->nohw", "nchw,oc->nhwo"])
def test_einsum_with_a_matrix_is_a_pointwise_convolution(equation: str) -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        return torch.einsum(equation, m.a(x), m.w)

    model = Told(forward, a=conv(3, 4, 1), w=nn.Parameter(torch.ones(5, 4)))
    network = derived(model, images(2, 3, 6, 7))
    assert [(c.in_channels, c.out_channels, c.kernel_size) for c in network.convolutions] == [
        (3, 4, 1), (4, 5, 1)
    ]  # fmt: skip
    assert network.macs == (3 * 4 + 4 * 5) * 42


def test_attention_is_four_products_of_which_two_bring_their_weights() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        q, k, v = m.qkv(x).reshape(n, tokens, 3, 2, width // 2).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) * 0.5).softmax(-1)
        return x + m.proj((weights @ v).transpose(1, 2).reshape(n, tokens, width))

    model = Told(forward, qkv=nn.Linear(8, 24), proj=nn.Linear(8, 8))
    network = derived(model, images(3, 5, 8))
    assert layers(network) == {
        "qkv": "input",
        "rearrange": "qkv",
        "rearrange.2": "qkv",
        "rearrange.3": "qkv",
        "matmul": "rearrange *rearrange.2",
        "matmul.2": "matmul *rearrange.3",
        "proj": "matmul.2 +input",
    }
    # T = 5 tokens of 8: 3 T 8 8, twice T T 8, T 8 8.
    assert [c.macs for c in network.convolutions] == [960, 200, 200, 320]
    scores = network.by_name["matmul"]
    assert (scores.in_channels, scores.out_channels, scores.conv_groups) == (8, 2 * 5, 2)
    assert (scores.in_height, scores.in_width) == (5, 1)


@pytest.mark.parametrize("layout", ["batch_first", "sequence_first", "function"])
def test_torchs_own_attention_is_followed(layout: str) -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        if layout == "function":
            q = x.unflatten(2, (2, 4)).transpose(1, 2)
            return m.o(F.scaled_dot_product_attention(q, q, q).transpose(1, 2).flatten(2))
        y = x if layout == "batch_first" else x.transpose(0, 1)
        z = m.attention(y, y, y)[0]
        return z if layout == "batch_first" else z.transpose(0, 1)

    attention = nn.MultiheadAttention(8, 2, batch_first=layout == "batch_first")
    model = Told(forward, attention=attention, o=nn.Linear(8, 8))
    network = derived(model, images(3, 5, 8))
    own = 0 if layout == "function" else 960
    assert network.macs == own + 200 + 200 + 320
    assert sum(c.weights_from is not None for c in network.convolutions) == 2


def test_a_squeeze_scales_channels_and_the_addition_behind_it_is_a_layer() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        x = m.a(x)
        y = m.b(x)
        return x + y * m.up(m.down(y.mean((2, 3), keepdim=True)).relu()).sigmoid()

    model = Told(
        forward, a=conv(3, 8, 1), b=conv(8, 8, 3, padding=1), down=conv(8, 2, 1), up=conv(2, 8, 1)
    )
    network = derived(model, images(2, 3, 6, 6))
    assert layers(network) == {
        "a": "input", "b": "a", "pool": "b", "down": "pool", "up": "down",
        "multiply": "b *up", "add": "a +multiply",
    }  # fmt: skip
    assert (map_layer(network, "pool").out_height, map_layer(network, "pool").out_width) == (1, 1)


def test_a_zero_padded_shortcut_is_moved_and_then_added_by_the_convolution() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        x = m.stem(x)
        y = m.second(m.first(x).relu())
        return m.fc((y + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2))).relu().mean((2, 3)))

    model = Told(
        forward, stem=conv(3, 4, 3, padding=1), first=conv(4, 8, 3, stride=2, padding=1),
        second=conv(8, 8, 3, padding=1), fc=nn.Linear(8, 2),
    )  # fmt: skip
    network = derived(model, images(2, 3, 8, 8))
    assert layers(network) == {
        "stem": "input", "first": "stem", "rearrange": "stem", "second": "first +rearrange",
        "fc": "second",
    }  # fmt: skip
    moved = map_layer(network, "rearrange")
    assert (moved.in_channels, moved.out_channels, moved.out_height) == (4, 8, 4)
    assert network.by_name["second"].pool == 4


@pytest.mark.parametrize(
    ("pooling", "pooled", "ceil_mode"),
    [
        (nn.MaxPool2d(3, 2, 1), 57, True),
        (nn.MaxPool2d(3, 2), 56, False),
        (nn.AvgPool2d(2), 56, False),
        (nn.MaxPool2d(2, ceil_mode=True), 57, True),
        (nn.AdaptiveAvgPool2d(1), 1, False),
    ],
)
def test_pooling_by_a_factor_is_rounded_as_torch_does(
    pooling: nn.Module, pooled: int, ceil_mode: bool
) -> None:
    # The stem of an ImageNet network at 225 pixels makes 113.
    model = nn.Sequential(conv(3, 2, 7, stride=2, padding=3), pooling, conv(2, 2, 1))
    network = derived(model, images(2, 3, 225, 225))
    stem, reader = network.convolutions
    assert len(network.layers) == 2
    assert (stem.pooled_height, reader.in_height, stem.ceil_mode) == (pooled, pooled, ceil_mode)


def test_what_an_output_stage_does_not_pool_is_a_layer() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        x = m.a(x)
        overlapping = F.avg_pool2d(x, 3, 1, 1)
        return m.b(overlapping) + m.b(
            F.adaptive_max_pool2d(m.c(x), 3).repeat(1, 1, 3, 3)[..., :7, :7]
        )

    model = Told(forward, a=conv(3, 4, 1), b=conv(4, 4, 1), c=conv(4, 4, 1))
    network = derived(model, images(2, 3, 7, 7))
    assert layers(network) == {
        "a": "input", "pool": "a", "b": "pool", "c": "a", "pool.2": "c",
        "rearrange": "pool.2", "b.2": "rearrange +b",
    }  # fmt: skip


def test_concatenations_are_read_part_by_part() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        x = m.a(x)
        for block in (m.b, m.c):
            x = torch.cat([x, block(x)], 1)
        return m.d(x[:, 1:])

    model = Told(
        forward, a=conv(3, 4, 1), b=conv(4, 2, 3, padding=1), c=conv(6, 2, 1), d=conv(7, 2, 1)
    )
    network = derived(model, images(2, 3, 5, 5))
    assert layers(network) == {
        "a": "input", "b": "a", "c": "a b", "rearrange": "a b c", "d": "rearrange"
    }  # fmt: skip


def test_directions_dilation_and_groups_are_kept() -> None:
    model = nn.Sequential(
        conv(4, 4, (3, 1), stride=(2, 1), padding=(1, 0), groups=4),
        conv(4, 6, 3, dilation=(1, 2), padding="same", groups=2),
        nn.ZeroPad2d((0, 1, 0, 1)),
        conv(6, 2, 3, stride=2),
        nn.Flatten(),
        nn.Linear(2 * 3 * 4, 3),
    )
    network = derived(model, images(2, 4, 12, 9))
    first, second, third, last = network.convolutions
    assert (first.kernel_size, first.stride, first.padding, first.conv_groups) == (
        (3, 1), (2, 1), (1, 0), 4
    )  # fmt: skip
    assert (second.dilation, second.padding, second.conv_groups) == ((1, 2), (1, 2), 2)
    assert (third.input, third.padding, third.in_height) == (second.name, (0, 0, 1, 1), 6)
    assert (last.kernel_size, last.in_channels) == ((3, 4), 2)
    assert network.macs == 3 * 4 * 6 * 9 + 9 * 2 * 6 * 54 + 9 * 6 * 2 * 12 + 24 * 3


def test_one_direction_is_a_map_of_width_one() -> None:
    model = nn.Sequential(
        nn.Conv1d(3, 8, 5, stride=2, padding=2), nn.MaxPool1d(2),
        nn.Conv1d(8, 4, 3, dilation=2), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 2),
    )  # fmt: skip
    network = derived(model, images(2, 3, 40))
    first, second, _ = network.convolutions
    assert (first.kernel_size, first.stride, first.padding) == ((5, 1), (2, 1), (2, 0))
    assert (first.in_height, first.in_width, first.pool) == (40, 1, (2, 1))
    assert (second.dilation, second.in_height, second.pooled_height) == ((2, 1), 10, 1)
    assert network.macs == 15 * 8 * 20 + 24 * 4 * 6 + 8


def test_values_written_into_a_part_are_moved_by_one_layer() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        x = m.a(x)
        shifted = torch.zeros_like(x)
        shifted[:, :2] = x[:, 2:]
        shifted[:, 2:, 1:] = x[:, :2, :-1]
        return m.b(shifted)

    network = derived(Told(forward, a=conv(3, 4, 1), b=conv(4, 2, 1)), images(2, 3, 5, 5))
    assert network.layers[-1].name == "b"
    assert network.by_name["b"].inputs[0].startswith("rearrange")
    assert network.macs == (3 * 4 + 4 * 2) * 25


def test_normalisation_and_activations_by_hand_are_no_layers() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        x = m.a(x)
        x = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True) + 1e-5).sqrt()
        x = x * torch.sigmoid(x) * m.scale + 1
        x = x * F.relu6(x + 3) / 6
        return m.b(x)

    model = Told(forward, a=conv(3, 4, 1), b=conv(4, 2, 1), scale=nn.Parameter(torch.ones(4, 1, 1)))
    assert layers(derived(model, images(2, 3, 5, 5))) == {"a": "input", "b": "a"}


def test_a_module_that_runs_twice_is_two_layers() -> None:
    model = Told(lambda m, x: m.c(m.c(x).relu()), c=conv(4, 4, 3, padding=1))
    network = derived(model, images(2, 4, 5, 5))
    assert layers(network) == {"c": "input", "c.2": "c"}
    with pytest.raises(LayerListError, match="layer c: runs twice; a gated layer"):
        derive_network(model, images(1, 4, 5, 5), ["c"], 2)


@dataclass
class Out:
    first: Tensor
    second: Any


@pytest.mark.parametrize("wrap", [Out, lambda a, b: {"a": a, "b": [b]}, lambda a, b: (a, (b,))])
def test_outputs_of_any_kind_are_read(wrap: Any) -> None:
    def forward(m: nn.Module, x: Tensor) -> Any:
        y = m.a(x)
        return wrap(y, m.b(x) + y)

    model = Told(forward, a=conv(3, 4, 1), b=conv(3, 4, 1))
    assert layers(derived(model, images(2, 3, 5, 5))) == {"a": "input", "b": "input +a"}


def test_compiled_models_are_followed_as_they_are_written() -> None:
    model = Told(lambda m, x: m.b(m.a(x).relu()), a=conv(3, 4, 1), b=conv(4, 2, 1))
    wanted = derive_network(model, images(1, 3, 5, 5))
    assert derive_network(torch.compile(model), images(1, 3, 5, 5)) == wanted
    model.b = torch.compile(model.b)
    assert derive_network(model, images(1, 3, 5, 5)).macs == wanted.macs


def test_embeddings_are_the_input() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        return m.head(m.table(x) + m.places(torch.arange(x.shape[1])))

    model = Told(forward, table=nn.Embedding(9, 4), places=nn.Embedding(6, 4), head=nn.Linear(4, 2))
    network = derived(model, torch.arange(12).reshape(2, 6) % 9)
    (head,) = network.convolutions
    assert (head.in_channels, head.in_height, head.in_width) == (4, 6, 1)


@pytest.mark.parametrize(
    "norm",
    [
        lambda y: F.local_response_norm(y, 3),
        lambda y: F.instance_norm(y),
        lambda y: F.normalize(y, dim=1),
        lambda y: F.layer_norm(F.group_norm(y, 2), y.shape[1:]),
        lambda y: y.div_(y.square().mean(1, keepdim=True).sqrt()).mul_(2).add_(1).clamp_(0, 6),
    ],
)
def test_normalisation_of_any_kind_is_no_layer(norm: Any) -> None:
    model = Told(lambda m, x: m.b(norm(m.a(x))), a=conv(3, 4, 1), b=conv(4, 2, 1))
    assert layers(derived(model, images(2, 3, 6, 6))) == {"a": "input", "b": "a"}


@pytest.mark.parametrize(
    ("told", "steps"),
    [
        # Weights of their own for each head, each row of pixels, all pixels; in front or behind.
        (lambda m, y: torch.einsum("nchw,hck->nkhw", y, m.w), 4 * 5 * 36),
        (lambda m, y: m.v @ y.flatten(2), 4 * 5 * 36),
        (lambda m, y: y.flatten(2) @ m.u, 36 * 5 * 4),
        (lambda m, y: torch.tensordot(y, m.v, dims=([1], [1])), 4 * 5 * 36),
        (lambda m, y: torch.baddbmm(y[:, :, 0], y.flatten(2), y.flatten(2).mT @ m.t),
         36 * 4 * 6 + 4 * 36 * 6),
    ],
)  # fmt: skip
def test_products_of_any_form_have_torchs_macs(told: Any, steps: int) -> None:
    shapes = {"w": (6, 4, 5), "v": (5, 4), "u": (36, 5), "t": (4, 6)}
    free = {name: nn.Parameter(torch.ones(shape)) for name, shape in shapes.items()}
    network = derived(
        Told(lambda m, x: told(m, m.a(x)), a=conv(3, 4, 1), **free), images(2, 3, 6, 6)
    )
    assert network.macs == 3 * 4 * 36 + steps
