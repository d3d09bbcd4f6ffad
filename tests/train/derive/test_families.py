"""Every network of the zoo: its layers have torch's MACs, or its operator and module are named."""

from __future__ import annotations

import pytest
import torch
from zoo.families import FAMILIES
from zoo.flops import flops_of_torch
from zoo.gating import GATING, gated_network, images
from zoo.hand_counted import GATED_HAND_COUNTED, HAND_COUNTED, total
from zoo.harder import HARDER
from zoo.harder_hand_counted import HARDER_HAND_COUNTED

from hwsim.train.derive import LayerListError, derive_network

ALL = FAMILIES | HARDER
BY_HAND = HAND_COUNTED | HARDER_HAND_COUNTED
JOINED = ("yolo",)
"""Whose hand counts two layers as one."""
DERIVED = [name for name, family in ALL.items() if not family.refused]


@pytest.mark.parametrize("name", DERIVED)
def test_macs_are_torchs(name: str) -> None:
    family = ALL[name]
    model = family.build()
    network = derive_network(model, family.example())
    assert network.macs == flops_of_torch(model, family.example())
    # Neither the number of images nor what they show changes the list.
    assert derive_network(model, family.example(1)) == network
    assert derive_network(model, torch.zeros(3, *family.shape[1:])) == network


@pytest.mark.parametrize("name", [name for name in BY_HAND if name in DERIVED])
def test_each_layer_has_the_macs_that_a_hand_counts(name: str) -> None:
    network = derive_network(ALL[name].build(), ALL[name].example())
    by_hand = [steps * channels * pixels for steps, channels, pixels in BY_HAND[name]]
    assert network.macs == sum(by_hand)
    if name not in JOINED:
        assert sorted(layer.macs for layer in network.convolutions) == sorted(by_hand)


@pytest.mark.parametrize("name", [name for name, family in ALL.items() if family.refused])
def test_what_is_refused_names_operator_and_module(name: str) -> None:
    family = ALL[name]
    with pytest.raises(LayerListError) as caught:
        derive_network(family.build(), family.example())
    place = f"module {family.refused_in}" if family.refused_in else "the model"
    operator, rest = str(caught.value).split(" in ", 1)
    assert rest.startswith(f"{place}: ")
    assert str(family.refused).lower() in f"{operator} {rest}".lower()


def test_attention_of_torch_is_that_written_out() -> None:
    written, own = (
        derive_network(FAMILIES[name].build(), FAMILIES[name].example())
        for name in ("vit", "vit_torch")
    )
    assert [layer.macs for layer in written.layers] == [layer.macs for layer in own.layers]
    assert len(own.convolutions) == len(HAND_COUNTED["vit"])


@pytest.mark.parametrize("family", GATING)
def test_gated_modules_are_one_layer_each_and_deciders_none(family: str) -> None:
    model = gated_network(family)
    layers, deciders = map(total, GATED_HAND_COUNTED[family])
    options = {"groups": 4 if family == "channel" else 1, "ignored": model.deciding}
    network = derive_network(model, images(2), list(model.gates), **options)
    assert [layer.name for layer in network.gated_layers] == list(model.gates)
    assert network.macs == layers
    # With neither gates nor deciders told, all that runs is listed.
    assert derive_network(model, images(2)).macs == layers + deciders
