"""The networks of the zoo: they run, their shapes, what torch counts of them."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from zoo.families import FAMILIES  # noqa: E402
from zoo.flops import flops_of_torch  # noqa: E402
from zoo.hand_counted import HAND_COUNTED, total  # noqa: E402
from zoo.harder import HARDER  # noqa: E402
from zoo.harder_hand_counted import HARDER_HAND_COUNTED  # noqa: E402

ALL = FAMILIES | HARDER
COUNTED = HAND_COUNTED | HARDER_HAND_COUNTED

OUTPUTS = {
    "unet": (2, 16, 16),
    "unet_nearest": (2, 16, 16),
    "aspp": (5, 32, 32),
    "autoencoder": (3, 16, 16),
    "ds_cnn": (12,),
    "m5": (1, 10),
    "forked": (4, 30, 30),
    "yolo": (13, 80),
    "high_resolution": (4, 16, 16),
    "wave": (5, 40),
    "larger": (3, 32, 32),
    "decoder": (8, 12),
}
"""Of an image; ten scores where nothing is said."""


# One network has an even kernel with "same" padding.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")


@pytest.mark.parametrize("name", sorted(ALL.keys() - {"pyramid"}))
def test_it_runs_and_images_do_not_depend_on_each_other(name: str) -> None:
    family = ALL[name]
    model, example = family.build(), family.example()
    with torch.no_grad():
        out = model(example)
        alone = model(example[1:])
    assert out.shape == (2, *OUTPUTS.get(name, (10,)))
    assert bool(torch.isfinite(out).all())
    assert out.std() > 1e-3
    torch.testing.assert_close(out[1:], alone, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", COUNTED)
def test_torch_counts_what_a_hand_counts(name: str) -> None:
    family = ALL[name]
    assert flops_of_torch(family.build(), family.example()) == total(COUNTED[name])


def test_a_pyramid_returns_a_dict_of_two_sizes_and_features() -> None:
    with torch.no_grad():
        found = HARDER["pyramid"].build()(HARDER["pyramid"].example())
    assert [m.shape for m in found["scores"]] == [(2, 4, 16, 16), (2, 4, 8, 8)]
    assert found["features"].shape == (2, 16, 8, 8)


@pytest.mark.parametrize("name", ["summed_products", "distances", "bilinear"])
def test_torch_does_not_count_every_product(name: str) -> None:
    """Of these it sees the first convolution alone."""
    family = HARDER[name]
    assert flops_of_torch(family.build(), family.example()) == 9 * 3 * 8 * 64


def test_no_name_is_in_both_tables() -> None:
    assert not FAMILIES.keys() & HARDER.keys()


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
