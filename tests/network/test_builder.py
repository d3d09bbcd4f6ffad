"""Networks told to a builder operator by operator; layers by hand."""

from __future__ import annotations

import pytest

from hwsim.network import ConvLayer, MapLayer, Network
from hwsim.network.builder import LayerListError, NetworkBuilder, Value


def start(*shape: int) -> tuple[NetworkBuilder, Value]:
    builder = NetworkBuilder(shape[0])
    return builder, builder.input(shape)


def edges(network: Network) -> list[tuple]:
    """(name, inputs, residual, pool) of each layer."""
    return [(layer.name, layer.inputs, layer.residual, layer.pool) for layer in network.layers]


def test_a_residual_block_is_two_layers() -> None:
    builder, x = start(1, 4, 8, 8)
    y = builder.convolution("a", x, 4, 3, padding=1)
    z = builder.convolution("b", y, 4, 3, padding=1)
    z = builder.pool("p", builder.add("s", z, y), (1, 4, 4, 4), 2)
    assert edges(builder.build("n", [z])) == [
        ("a", ("input",), None, 1), ("b", ("a",), "a", 2)
    ]  # fmt: skip


def test_the_later_convolution_adds_unless_somebody_reads_it_without() -> None:
    builder, x = start(1, 4, 8, 8)
    a = builder.convolution("a", x, 4, 1)
    b = builder.convolution("b", x, 4, 1)
    total = builder.add("", a, b)
    assert edges(builder.build("n", [total]))[1] == ("b", ("input",), "a", 1)
    # b is read, too, and a runs before it.
    assert edges(builder.build("n", [total, b])) == [
        ("a", ("input",), None, 1), ("b", ("input",), None, 1), ("add", ("a",), "b", 1)
    ]  # fmt: skip


def test_an_earlier_convolution_adds_what_is_only_moved() -> None:
    builder, x = start(1, 4, 8, 8)
    a = builder.convolution("a", x, 4, 1)
    shortcut = builder.part("s", x, {1: 4})
    assert edges(builder.build("n", [builder.add("", a, shortcut)])) == [
        ("s.rearrange", ("input",), None, 1), ("a", ("input",), "s.rearrange", 1)
    ]  # fmt: skip


def test_two_additions_to_one_convolution_are_one_and_a_layer() -> None:
    builder, x = start(1, 4, 8, 8)
    a = builder.convolution("a", x, 4, 1)
    b = builder.convolution("b", a, 4, 1)
    total = builder.add("m", builder.add("m", b, a), x)
    assert edges(builder.build("n", [total])) == [
        ("a", ("input",), None, 1), ("b", ("a",), "a", 1), ("m.add", ("b",), "input", 1)
    ]  # fmt: skip


def test_pooling_before_an_addition_is_kept_apart() -> None:
    builder, x = start(1, 4, 8, 8)
    a = builder.convolution("a", x, 4, 1)
    pooled = builder.pool("p", a, (1, 4, 4, 4), 2)
    small = builder.convolution("c", x, 4, 1, stride=2)
    network = builder.build("n", [builder.add("", pooled, small)])
    assert edges(network) == [("a", ("input",), None, 2), ("c", ("input",), "a", 1)]


@pytest.mark.parametrize(
    ("size", "pooled", "stride", "expected"),
    [
        (7, 3, 2, (2, False)),
        (7, 4, 2, (2, True)),
        (8, 4, None, (2, False)),
        (7, 1, 3, (7, False)),
        (7, 3, None, None),
        (7, 7, 1, None),
    ],
)
def test_factors_of_pooling(size: int, pooled: int, stride: int | None, expected: tuple) -> None:
    builder, x = start(1, 4, size, size)
    y = builder.convolution("a", x, 4, 1)
    layers = builder.build("n", [builder.pool("p", y, (1, 4, pooled, pooled), stride)]).layers
    if expected is None:
        assert [layer.name for layer in layers] == ["a", "p.pool"]
        assert (layers[1].out_height, layers[1].in_height) == (pooled, size)
    else:
        (layer,) = layers
        assert (layer.pool, layer.ceil_mode) == expected


def test_constants_change_values_one_by_one() -> None:
    builder, x = start(1, 4, 8, 8)
    y = builder.add("", builder.multiply("", x, (1, 4, 1, 1)), ())
    assert isinstance(y, Value)
    assert builder.add("", (3, 1), (4,)) == (3, 4)
    joined = builder.concatenate("", [y, (1, 2, 8, 8)], 1)
    assert isinstance(joined, Value)
    (moved, layer) = builder.build("n", [builder.convolution("a", joined, 2, 1)]).layers
    assert isinstance(moved, MapLayer)
    assert (moved.in_channels, moved.out_channels, layer.in_channels) == (4, 6, 6)


def test_concatenations_of_concatenations_are_one_list() -> None:
    builder, x = start(2, 4, 6, 6)
    a, b, c = (builder.convolution(name, x, 2, 1) for name in "abc")
    joined = builder.concatenate("", [builder.concatenate("", [a, b], 1), c, x], 1)
    network = builder.build("n", [builder.convolution("d", joined, 2, 3)])
    assert network.layers[-1].input == ("a", "b", "c", "input")


def test_tokens_of_unequal_numbers_are_joined_by_way_of_what_divides_them() -> None:
    builder, x = start(1, 4, 6, 6)
    a, b = builder.convolution("a", x, 4, 1), builder.convolution("b", x, 4, 1, stride=2)
    tokens = [
        builder.permute(builder.reshape("", y, (1, 4, count)), (0, 2, 1))
        for y, count in ((a, 36), (b, 9))
    ]
    joined = builder.concatenate("m", tokens, 1)
    assert joined.shape == (1, 45, 4)
    network = builder.build("n", [builder.linear("fc", joined, 3)])
    # 36 pixels of 4 channels are read as 9 of 16.
    assert [(layer.name, layer.in_channels, layer.out_channels) for layer in network.layers] == [
        ("a", 4, 4), ("b", 4, 4), ("m.rearrange", 4, 16), ("m.rearrange.2", 20, 4), ("fc", 4, 3)
    ]  # fmt: skip
    assert network.layers[-1].in_height == 45


def test_a_product_takes_the_operand_that_lies_as_a_map() -> None:
    builder, x = start(2, 6, 8)
    q = builder.convolution("q", x, 4, 1)
    k = builder.convolution("k", x, 4, 1)
    # (N, T, d) x (N, d, T), and the other way round.
    turned = builder.permute(q, (0, 2, 1))
    scores = builder.product("s", turned, k)
    assert (scores.shape, scores.macs) == ((2, 8, 8), 4 * 64)
    context = builder.product("c", builder.permute(scores, (0, 2, 1)), turned)
    network = builder.build("n", [context])
    layer = network.by_name["s"]
    assert (layer.input, layer.weights_from, layer.out_channels) == ("q", "k", 8)
    assert network.macs == 2 * 6 * 4 * 8 + 2 * 4 * 64


def test_a_scale_of_any_other_shape() -> None:
    builder, x = start(2, 4, 6, 6)
    squeezed = builder.reduce("m", x, (2, 3), keepdims=True)
    gate = builder.convolution("g", squeezed, 4, 1)
    mask = builder.convolution("k", x, 1, 1)
    y = builder.multiply("m", builder.multiply("m", x, gate), mask)
    asides = [(layer.name, layer.aside) for layer in builder.build("n", [y]).layers]
    assert asides == [
        ("m.pool", None), ("g", None), ("k", None), ("m.multiply", "g"), ("m.multiply.2", "k")
    ]  # fmt: skip


def test_zeros_around_a_map_are_padding() -> None:
    builder, x = start(1, 3, 6, 6)
    padded = builder.pad("p", x, (0, 0, 0, 0), (0, 0, 1, 1), zeros=True)
    a = builder.convolution("a", padded, 4, 3, stride=2)
    (layer,) = builder.build("n", [a]).layers
    assert (layer.padding, layer.in_height, layer.out_height) == ((0, 0, 1, 1), 6, 3)
    mirrored = builder.pad("p", x, (0, 0, 1, 1), (0, 0, 1, 1), zeros=False)
    b = builder.convolution("b", mirrored, 4, 3)
    names = [layer.name for layer in builder.build("n", [a, b]).layers]
    assert names == ["a", "p.rearrange", "b"]


def test_what_mixes_images_or_has_no_place_is_refused() -> None:
    builder, x = start(2, 4, 6, 6)
    with pytest.raises(LayerListError, match="layer m: reduces the batch"):
        builder.reduce("m", x, (0,))
    with pytest.raises(LayerListError, match="layer c: reads 4 maps where there are 2 images"):
        builder.convolution("c", builder.reshape("", x, (4, 2, 6, 6)), 4, 1)
    with pytest.raises(LayerListError, match="layer c: the kernel is larger"):
        builder.convolution("c", x, 4, 7)
    with pytest.raises(LayerListError, match=r"layer r: a tensor of shape .* mixes the 2 images"):
        builder.reshape("r", x, (9, 32))


def test_macs_are_those_of_the_layers() -> None:
    builder, x = start(2, 4, 6, 6)
    y = builder.convolution("a", x, 8, (3, 1), padding=(1, 0), conv_groups=4)
    assert y.macs == 3 * 1 * 8 * 36
    spread = builder.transposed("t", y, 2, 2, (2, 2, 12, 12))
    z = builder.linear("fc", builder.reshape("", spread, (2, 288)), 5)
    network = builder.build("n", [z])
    assert [layer.macs for layer in network.layers] == [864, 8 * 2 * 4 * 36, 0, 1440]
    assert isinstance(network.layers[-1], ConvLayer)


def summed_in_another_shape() -> tuple[NetworkBuilder, Value]:
    """The convolution makes a row of 16 pixels; with the input it is summed as a map of 4x4."""
    builder, x = start(1, 4, 4, 4)
    row = builder.convolution("a", builder.reshape("", x, (1, 4, 16)), 4, 1)
    total = builder.add("s", x, builder.reshape("", row, (1, 4, 4, 4)))
    assert isinstance(total, Value)
    return builder, total


def test_a_sum_in_another_shape_is_pooled_as_it_lies() -> None:
    builder, total = summed_in_another_shape()
    network = builder.build("n", [builder.pool("p", total, (1, 4, 2, 2), 2)])
    assert edges(network) == [("a", ("input",), "input", 1), ("p.pool", ("a",), None, 1)]
    pool = network.layers[1]
    assert (pool.in_height, pool.in_width, pool.out_height, pool.out_width) == (4, 4, 2, 2)


def test_a_sum_in_another_shape_may_be_pooled_to_one_pixel() -> None:
    builder, total = summed_in_another_shape()
    network = builder.build("n", [builder.reduce("p", total, (2, 3))])
    assert edges(network) == [("a", ("input",), "input", (16, 1))]


def test_zeros_around_a_map_that_is_read_as_a_row_are_no_padding() -> None:
    builder, x = start(1, 4, 3, 4)
    padded = builder.pad("p", x, (0, 0, 0, 1), (0, 0, 1, 0), zeros=True)
    row = builder.convolution("a", builder.reshape("", padded, (1, 4, 20)), 4, 3, padding=1)
    first, second = builder.build("n", [row]).layers
    assert isinstance(first, MapLayer)
    assert (first.operator, first.out_height, first.out_width) == ("rearrange", 4, 5)
    assert (second.inputs, second.in_height, second.in_width) == ((first.name,), 20, 1)
