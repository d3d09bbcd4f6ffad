"""Gates for a network that has none: which of its convolutions are gated."""

from __future__ import annotations

from collections.abc import Iterable

from hwsim.errors import UserError, nearest
from hwsim.network.layers import ConvLayer
from hwsim.network.network import Network

ALL = "all"


class GateError(UserError):
    """Gates that a network cannot have; one line naming the layer."""


def gateable(network: Network, groups: int, mask_group: int = 1) -> list[str]:
    """Convolutions that can be gated with G ``groups``: all but the first, and no linear layers.

    Linear are those with one output pixel, and pointwise ones on rows of tokens. Left out are also
    products of two activations, and layers whose channels (of each of their own groups) G does not
    divide, or whose gating groups' the mask group does not.
    """
    return [
        layer.name
        for layer in network.convolutions[1:]
        if layer.out_pixels > 1
        and not (layer.taps == 1 and layer.in_width == 1)
        and not layer.multiplies
        and not (layer.in_channels % (layer.conv_groups * groups))
        and not (layer.out_channels % (layer.conv_groups * groups * mask_group))
    ]


def with_gates(network: Network, names: Iterable[str], groups: int) -> Network:
    """The network with these convolutions gated, with G ``groups``, and no others.

    Raises GateError for a layer that is not there, or cannot be cut into so many groups.
    """
    known = [layer.name for layer in network.convolutions]
    wanted = list(names)
    for name in wanted:
        if name not in known:
            raise GateError(f"{network.name}: no convolution {name!r}{nearest(name, known)}")
    layers = [
        layer if not isinstance(layer, ConvLayer) else _gated(layer, layer.name in wanted, groups)
        for layer in network.layers
    ]
    return Network(name=network.name, layers=tuple(layers))


def _gated(layer: ConvLayer, gated: bool, groups: int) -> ConvLayer:
    fields = layer.model_dump() | {"gated": gated, "groups": groups if gated else 1}
    try:
        return ConvLayer(**fields)
    except UserError as error:
        what = str(error).removeprefix(f"{ConvLayer.__name__} {layer.name!r}: ")
        raise GateError(what) from None
