"""Gates for networks without: which convolutions can have them."""

from __future__ import annotations

import pytest

from hwsim.errors import UserError
from hwsim.network import ConvLayer, Network
from hwsim.network.gates import gateable, with_gates


def conv(name: str, **changes: object) -> ConvLayer:
    shape = {"in_channels": 16, "out_channels": 16, "kernel_size": 3, "padding": 1,
             "in_height": 4, "in_width": 4}  # fmt: skip
    return ConvLayer(name=name, **{**shape, **changes})  # type: ignore[arg-type]


def network() -> Network:
    return Network(
        name="n",
        layers=(
            conv("stem"),
            conv("plain", input="stem"),
            conv("two", input="plain", conv_groups=2),
            conv("depthwise", input="two", conv_groups=16),
            conv("odd", input="depthwise", out_channels=18),
            conv("pointwise", input="depthwise", kernel_size=1, padding=0, pool=4),
            conv("tokens", input="two", kernel_size=1, padding=0, in_height=16, in_width=1),
            conv("fc", input="pointwise", kernel_size=1, padding=0, in_height=1, in_width=1),
        ),
    )


def test_all_that_can_be_gated() -> None:
    """Not the first, no linear ones; channels of each group divide by G, and by the mask group."""
    assert gateable(network(), 4) == ["plain", "two", "pointwise"]
    assert gateable(network(), 1) == ["plain", "two", "depthwise", "odd", "pointwise"]
    assert gateable(network(), 4, mask_group=4) == ["plain", "pointwise"]
    assert gateable(network(), 2, mask_group=8) == ["plain", "pointwise"]


def test_gates_replace_those_there() -> None:
    gated = with_gates(network(), ["plain", "two"], 4)
    assert [layer.name for layer in gated.gated_layers] == ["plain", "two"]
    assert {layer.groups for layer in gated.gated_layers} == {4}
    again = with_gates(gated, ["pointwise"], 2)
    assert [(layer.name, layer.groups) for layer in again.gated_layers] == [("pointwise", 2)]
    assert with_gates(again, [], 4) == network()


def test_gates_that_cannot_be_are_named() -> None:
    with pytest.raises(UserError, match="no convolution 'plane'; nearest valid: 'plain'"):
        with_gates(network(), ["plane"], 4)
    with pytest.raises(UserError, match=r"^layer odd: 16 -> 18 channels cannot be cut into 4"):
        with_gates(network(), ["odd"], 4)
