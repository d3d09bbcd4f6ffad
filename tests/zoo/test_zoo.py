"""The networks of the zoo: they run, their shapes, what torch counts of them."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from zoo.families import FAMILIES  # noqa: E402
from zoo.flops import flops_of_torch  # noqa: E402
from zoo.hand_counted import HAND_COUNTED, total  # noqa: E402

OUTPUTS = {
    "unet": (2, 16, 16),
    "unet_nearest": (2, 16, 16),
    "aspp": (5, 32, 32),
    "autoencoder": (3, 16, 16),
    "ds_cnn": (12,),
    "m5": (1, 10),
    "forked": (4, 30, 30),
}
"""Of an image; ten scores where nothing is said."""


@pytest.mark.parametrize("name", FAMILIES)
def test_it_runs_and_images_do_not_depend_on_each_other(name: str) -> None:
    family = FAMILIES[name]
    model, example = family.build(), family.example()
    with torch.no_grad():
        out = model(example)
        alone = model(example[1:])
    assert out.shape == (2, *OUTPUTS.get(name, (10,)))
    assert bool(torch.isfinite(out).all())
    assert out.std() > 1e-3
    torch.testing.assert_close(out[1:], alone, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", HAND_COUNTED)
def test_torch_counts_what_a_hand_counts(name: str) -> None:
    family = FAMILIES[name]
    assert flops_of_torch(family.build(), family.example()) == total(HAND_COUNTED[name])


def test_weights_are_the_same_every_time() -> None:
    first, second = (FAMILIES["resnet"].build().state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_refused_ones_name_operator_and_module() -> None:
    refused = {name: family for name, family in FAMILIES.items() if family.refused}
    assert set(refused) == {"lstm", "gru", "conv3d"}
    for family in refused.values():
        assert family.refused_in in dict(family.build().named_modules())


def test_eight_are_for_onnx() -> None:
    assert sum(family.onnx for family in FAMILIES.values()) == 8
