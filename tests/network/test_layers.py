"""Layers of any shape by hand: sizes, MACs, tiles of channels, and what cannot be."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hwsim.errors import UserError
from hwsim.network import ConvLayer, MapLayer, Network


def conv(name: str = "a", **keys: object) -> ConvLayer:
    plain = {"in_channels": 8, "out_channels": 8, "kernel_size": 3, "in_height": 9, "in_width": 7}
    return ConvLayer(name=name, **{**plain, **keys})  # type: ignore[arg-type]


def made(name: str, operator: str, **keys: object) -> MapLayer:
    plain = {"in_channels": 8, "in_height": 7, "in_width": 5, "input": "a"}
    plain |= {"out_channels": 8, "out_height": 7, "out_width": 5}
    return MapLayer(name=name, operator=operator, **{**plain, **keys})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("keys", "size"),
    [
        ({}, (7, 5)),
        ({"padding": 1}, (9, 7)),
        # A kernel of 3 taps, two apart, covers 5 pixels.
        ({"dilation": 2}, (5, 3)),
        ({"kernel_size": (1, 7)}, (9, 1)),
        # Top 1, bottom 0: rows 0, 2, 4, 6 of ten; left 2, right 0: columns 0, 3, 6 of nine.
        ({"padding": (1, 2, 0, 0), "stride": (2, 3)}, (4, 3)),
        ({"stride": 2, "padding": 1, "pool": 2}, (2, 2)),
        ({"stride": 2, "padding": 1, "pool": 2, "ceil_mode": True}, (3, 2)),
        ({"pool": (7, 5)}, (1, 1)),
    ],
)
def test_sizes_follow_kernel_stride_padding_dilation_and_pooling(
    keys: dict[str, object], size: tuple[int, int]
) -> None:
    layer = conv(**keys)
    assert (layer.pooled_height, layer.pooled_width) == size


def test_groups_read_a_part_of_the_channels_each() -> None:
    """Depthwise: 9 MACs an output, one column a tile; two groups of four: 36, four columns."""
    depthwise, halves = conv(conv_groups=8), conv(conv_groups=2)
    assert (depthwise.steps, depthwise.macs) == (9, 9 * 8 * 35)
    assert depthwise.channel_tiles(4, gated=False) == tuple((channel, 1) for channel in range(8))
    assert (halves.steps, halves.channel_tiles(3, gated=False)) == (
        36,
        ((0, 3), (3, 1), (4, 3), (7, 1)),
    )


def test_each_group_is_gated_by_itself() -> None:
    """Two groups of four channels, each cut into two gating groups: base paths of 2 channels."""
    layer = conv(conv_groups=2, gated=True, groups=2)
    assert (layer.steps, layer.base_steps, layer.conditional_steps) == (36, 18, 18)
    assert layer.channel_tiles(4, gated=True) == ((0, 2), (2, 2), (4, 2), (6, 2))


def test_one_layer_is_written_in_one_way() -> None:
    """Equal numbers are one; defaults that came later are not written."""
    layer = conv(kernel_size=[3, 3], padding=[1, 1, 1, 1], dilation=(1, 1))
    assert (layer.kernel_size, layer.padding) == (3, 1)
    written = json.loads(layer.model_dump_json())
    assert not {"dilation", "conv_groups", "ceil_mode", "weights_from"} & set(written)
    other = conv(dilation=(2, 1), conv_groups=4)
    assert ConvLayer(**json.loads(other.model_dump_json())) == other


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"kernel_size": (3, 0)}, "kernel_size: expected an integer from 1 to 16,777,216, or two"),
        ({"padding": (1, 2, 3)}, "padding: .* or four"),
        ({"dilation": 5}, "larger than the padded input"),
        ({"conv_groups": 3}, "8 -> 8 channels cannot be cut into 3 groups"),
        (
            {"conv_groups": 4, "gated": True, "groups": 4},
            "cannot be cut into 4 equal gating groups in each of 4 groups",
        ),
        ({"pool": (8, 1)}, "pool .* is larger than the 7x5 output"),
        ({"gated": True, "weights_from": "input"}, "cannot be gated"),
    ],
)
def test_what_cannot_be_is_one_line(keys: dict[str, object], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        conv(**keys)


@pytest.mark.parametrize(
    ("operator", "keys", "reason"),
    [
        ("add", {}, "add takes a residual"),
        ("multiply", {"scale": "a", "residual": "a"}, "a residual or a scale"),
        ("multiply", {}, "a residual or a scale"),
        ("pool", {"scale": "a"}, "a scale belongs to multiply"),
        ("poll", {}, "operator: Input should be 'pool'"),
    ],
)
def test_a_map_layer_has_the_operands_of_its_operator(
    operator: str, keys: dict[str, object], reason: str
) -> None:
    with pytest.raises(UserError, match=reason):
        made("b", operator, **keys)


def test_edges_concatenate_reshape_multiply_and_scale() -> None:
    scale = conv("s", kernel_size=1, in_height=1, in_width=1, input="p")
    layers = (
        conv("a"),
        made("p", "pool", out_height=1, out_width=1),
        scale,
        made("m", "multiply", scale="s"),
        # 35 pixels as a column, of the channels of two tensors.
        conv("t", input=("m", "a"), in_channels=16, kernel_size=1, in_height=35, in_width=1),
        # 8 channels by 35 outputs: as many values as t has.
        conv(
            "w", input="t", out_channels=35, kernel_size=1, in_height=35, in_width=1,
            weights_from="t",
        ),
    )  # fmt: skip
    network = Network(name="edges", layers=layers)
    assert network.shapes["w"] == (35, 35, 1)
    # Nine taps; factors; 16 inputs; 8 x 35 x 35.
    assert network.macs == 9 * 8 * 8 * 35 + 64 + 16 * 8 * 35 + 8 * 35 * 35
    assert [layer.name for layer in network.convolutions] == ["a", "s", "t", "w"]


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (made("b", "add", residual="c"), "adds 'c', which no layer before it makes"),
        (made("b", "multiply", scale="c"), "reads 'c', which no layer before it makes"),
        (made("b", "add", residual="input"), "adds input of shape"),
        (made("b", "pool", in_channels=4), "expects"),
        (conv("b", input="a", in_height=5, in_width=5), "expects"),
        (
            conv("b", input="a", in_height=7, in_width=5, kernel_size=1, weights_from="a"),
            "multiplies by 64 values, but a of shape .* has 280",
        ),
    ],
)
def test_edges_that_do_not_fit_are_one_line(layer: ConvLayer | MapLayer, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        Network(name="broken", layers=(conv("a"), layer))


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("in_channels", True, "expected an integer, found True"),
        ("in_channels", "4", "expected an integer, found '4'"),
        ("out_channels", 4.0, "expected an integer, found 4.0"),
        ("groups", True, "expected an integer"),
        ("conv_groups", "2", "expected an integer"),
        ("gated", "yes", "valid boolean"),
        ("gated", 1, "valid boolean"),
        ("ceil_mode", "off", "valid boolean"),
    ],
)
def test_what_only_looks_like_a_number_or_a_truth_is_refused(
    key: str, value: object, told: str
) -> None:
    keys = {"in_channels": 4, "in_height": 4, "in_width": 4, "out_channels": 4, "kernel_size": 1}
    with pytest.raises(UserError, match=f"{key}: .*{told}"):
        ConvLayer(name="a", **{**keys, key: value})
    assert ConvLayer(name="a", **{**keys, "in_channels": np.int64(4)}).in_channels == 4
