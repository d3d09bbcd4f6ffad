"""Shapes and totals against design figures worked out by hand."""

from __future__ import annotations

import pytest

from hwsim.errors import UserError
from hwsim.network import ConvLayer, Network, executed_share, resnet18


def test_resnet18_for_cifar_has_the_published_totals() -> None:
    network = resnet18()
    # Gated: layer1 4 x 37,748,736; layers 2 to 4 18,874,368 + 3 x 37,748,736 each.
    assert network.gated_macs == 4 * 37_748_736 + 3 * (18_874_368 + 3 * 37_748_736)
    # Beside them the stem, three shortcuts of 2,097,152 and a classifier of 512 x 10.
    assert network.macs == network.gated_macs + 1_769_472 + 3 * 2_097_152 + 5_120
    assert round(network.macs / 1e6, 1) == 555.4
    assert round(network.gated_macs / 1e6, 1) == 547.4
    assert network.mask_bits() == 491_520
    assert network.mask_bits(8) == 61_440
    assert len(network.gated_layers) == 16


def test_resnet18_for_imagenet_has_the_published_totals() -> None:
    network = resnet18(224, classes=100)
    assert round(network.macs / 1e6, 1) == 1813.6
    assert round(network.gated_macs / 1e6, 1) == 1676.3
    assert network.mask_bits() == 1_505_280


def test_steps_divide_into_base_and_conditional() -> None:
    layer = resnet18().by_name["layer4.1.conv2"]
    assert (layer.steps, layer.base_steps, layer.conditional_steps) == (4608, 1152, 3456)


def test_last_convolution_pools_to_one_pixel() -> None:
    layer = resnet18().by_name["layer4.1.conv2"]
    assert (layer.out_height, layer.pooled_height) == (4, 1)


def conv(name: str, **changes: object) -> ConvLayer:
    shape = {"in_channels": 8, "out_channels": 8, "kernel_size": 1, "in_height": 4, "in_width": 4}
    return ConvLayer(name=name, **{**shape, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ([conv("a"), conv("a", input="a")], "used twice"),
        ([conv("a", input="b")], "reads 'b'"),
        ([conv("a"), conv("b", input="a", in_channels=4)], "expects"),
        ([conv("a"), conv("b", input="a", out_channels=4, residual="a")], "adds a of shape"),
        ([conv("a", residual="c")], "adds 'c'"),
    ],
)
def test_edges_that_do_not_fit_are_named(layers: list[ConvLayer], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        Network(name="broken", layers=tuple(layers))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"groups": 2}, "groups must be 1"),
        ({"gated": True, "groups": 3}, "cannot be cut"),
        ({"kernel_size": 5}, "kernel is larger"),
        ({"pool": 9}, "pool 9 is larger"),
    ],
)
def test_layers_that_cannot_exist_are_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        conv("a", **changes)


def test_executed_macs_by_hand() -> None:
    # 64 input channels under a 3x3 kernel: 16 always, and half of the other 48.
    assert executed_share(0.5, 4) == (16 + 24) / 64
    assert [executed_share(density, 2) for density in (0.0, 1.0)] == [0.5, 1.0]


def test_four_paddings_are_written_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    """Of a network with several layers, as a trace's header holds it."""
    sides = ConvLayer(
        name="a", in_channels=3, in_height=5, in_width=5, out_channels=4, kernel_size=1,
        padding=(1, 1, 2, 0),
    )  # fmt: skip
    after = ConvLayer(
        name="b", in_channels=4, in_height=8, in_width=6, out_channels=4, kernel_size=1, input="a"
    )
    network = Network(name="n", layers=(sides, after))
    written = network.model_dump_json()
    assert '"padding":[1,1,2,0]' in written
    assert Network.model_validate_json(written) == network
    assert not recwarn.list
