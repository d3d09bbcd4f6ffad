"""The gated networks: their record is what was used, whatever happens around a gate."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from zoo.flops import flops_of_torch  # noqa: E402
from zoo.gates import Gate, GatedNetwork, Variant  # noqa: E402
from zoo.gating import GATING, gated_network, images  # noqa: E402
from zoo.hand_counted import GATED_HAND_COUNTED, total  # noqa: E402

FIRST_SHAPES: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("channel", {}, (4, 8, 16, 16)),
    ("channel", {"groups": 2, "masked_weights": True}, (4, 8, 16, 16)),
    ("channel", {"learned": True}, (4, 8, 16, 16)),
    ("channel", {"groups": 2, "conv_groups": 2}, (4, 8, 16, 16)),
    ("spatial", {}, (4, 1, 16, 16)),
    ("spatial", {"dilated": True}, (4, 1, 16, 16)),
    ("spatial", {"inside": True}, (4, 1, 16, 16)),
    ("output_channel", {}, (4, 8, 1, 1)),
    ("output_channel", {"flat": True}, (4, 8)),
    ("input_channel", {}, (4, 8, 1, 1)),
    ("input_channel", {"flat": True}, (4, 8)),
    ("block", {}, (4, 1, 1, 1)),
    ("block", {"flat": True}, (4, 1)),
    ("token", {}, (4, 1, 16)),
    ("token", {"flat": True}, (4, 16)),
    ("token", {"width": 24}, (4, 1, 16)),
]
"""Of the first gated module's decisions for four images."""


def run(network: GatedNetwork, x: Tensor) -> Any:
    with torch.no_grad():
        return network(x)


@pytest.mark.parametrize(("family", "options", "shape"), FIRST_SHAPES)
def test_decisions_have_the_shape_that_is_told(
    family: str, options: dict[str, Any], shape: tuple[int, ...]
) -> None:
    network = gated_network(family, **options)
    assert run(network, images()).shape == (4, 10)
    assert network.decided(next(iter(network.gates))).shape == shape
    run(network, images(12, seed=5))
    modules = dict(network.named_modules())
    for layer, gate in network.gates.items():
        assert layer in modules
        assert isinstance(modules[gate], Gate)
        decided = network.decided(layer)
        assert len(decided) == 16
        assert 0.05 < float(decided.float().mean()) < 0.95
    assert set(network.deciding) <= set(modules)


@pytest.mark.parametrize("family", ["channel", "spatial", "output_channel", "token"])
def test_masked_off_outputs_hold_what_is_told(family: str) -> None:
    network = gated_network(family, Variant(kind="bool"))
    modules = dict(network.named_modules())
    outputs: dict[str, Tensor] = {}
    bases: dict[str, Tensor] = {}

    def keep(where: dict[str, Tensor], path: str) -> Any:
        return lambda _, __, output: where.__setitem__(path, output.clone())

    for layer in network.gates:
        modules[layer].register_forward_hook(keep(outputs, layer))
        if network.masked_off == "base":
            modules[f"{layer}.conv_base"].register_forward_hook(keep(bases, layer))
    run(network, images())
    for layer, output in outputs.items():
        decided = network.decided(layer)
        if family == "token":
            decided = decided.transpose(1, 2)
        off = ~decided.expand_as(output)
        expected = bases[layer] if network.masked_off == "base" else torch.zeros_like(output)
        assert torch.equal(output[off], expected[off])
        assert not torch.isclose(output[~off], expected[~off]).all()


@pytest.mark.parametrize(("groups", "conv_groups"), [(4, 1), (2, 1), (2, 2), (1, 4)])
def test_the_base_convolution_is_a_part_of_the_full_one(groups: int, conv_groups: int) -> None:
    """As masked weights: the block diagonal."""
    grouped, masked = (
        gated_network("channel", groups=groups, conv_groups=conv_groups, masked_weights=flag)
        for flag in (False, True)
    )
    masked.load_state_dict(grouped.state_dict(), strict=False)
    torch.testing.assert_close(run(grouped, images()), run(masked, images()))


def test_weights_off_the_diagonal_have_no_part_in_the_base() -> None:
    """Two groups of two: output 0 reads input channels 0 to 3, its base path 0 and 1."""
    conv = gated_network("channel", groups=2, conv_groups=2).blocks[0].conv1
    x = torch.zeros(1, 8, 3, 3)
    read = []
    for channel in range(8):
        x.zero_()[0, channel, 1, 1] = 1
        with torch.no_grad():
            read.append((bool(conv.conv(x)[0, 0].any()), bool(conv.conv_base(x)[0, 0].any())))
    assert read == [(True, True)] * 2 + [(True, False)] * 2 + [(False, False)] * 4


def test_input_channels_that_are_left_out_change_nothing() -> None:
    network = gated_network("input_channel")
    block = network.blocks[0]
    assert isinstance(block, nn.Module)
    read: list[Tensor] = []
    block.conv1.conv.register_forward_hook(lambda _, args, __: read.append(args[0]))
    run(network, images())
    decided = network.decided("blocks.0.conv1")
    assert torch.equal(read[0].abs().amax((2, 3), keepdim=True) > 0, decided)


def test_an_image_that_skips_a_block_keeps_its_map() -> None:
    network = gated_network("block")
    maps: list[tuple[Tensor, Tensor]] = []
    network.blocks[1].register_forward_hook(lambda _, args, out: maps.append((args[0], out)))
    run(network, images(8))
    before, after = maps[0]
    skipped = ~network.decided("blocks.1.conv1").flatten()
    assert 0 < int(skipped.sum()) < 8
    assert torch.equal(after[skipped], before[skipped])
    assert not torch.equal(after[~skipped], before[~skipped])


def test_dilated_masks_have_the_neighbours_too() -> None:
    network = gated_network("spatial", dilated=True)
    run(network, images())
    wide, narrow = (network.decided(f"blocks.0.{conv}").int() for conv in ("conv1", "conv2"))
    ys, xs = torch.nonzero(narrow[0, 0], as_tuple=True)
    expected = torch.zeros(18, 18, dtype=torch.int32)
    for dy in range(3):
        for dx in range(3):
            expected[ys + dy, xs + dx] = 1
    assert torch.equal(wide[0, 0], expected[1:17, 1:17])


BEHAVIOURS = [
    Variant(kind="float"),
    Variant(kind="bool"),
    Variant(kind="int"),
    Variant(overwrites="sigmoid"),
    Variant(overwrites="relu"),
    Variant(kind="bool", overwrites="invert"),
    Variant(kind="int", overwrites="invert"),
    Variant(several=True),
    Variant(returns="tuple"),
    Variant(returns="dict"),
]


@pytest.mark.parametrize("variant", BEHAVIOURS, ids=str)
@pytest.mark.parametrize("family", GATING)
def test_behaviours_decide_as_the_plain_gate_does(family: str, variant: Variant) -> None:
    plain, other = gated_network(family), gated_network(family, variant)
    run(plain, images())
    run(other, images())
    layers = list(plain.gates)
    if family == "output_channel":
        # Factors change what later layers see.
        layers = layers[:1]
    for layer in layers:
        assert torch.equal(plain.decided(layer), other.decided(layer))


@pytest.mark.parametrize("variant", [v for v in BEHAVIOURS if v.overwrites], ids=str)
def test_overwritten_decisions_are_not_what_was_decided(variant: Variant) -> None:
    network = gated_network("spatial", variant)
    modules = dict(network.named_modules())
    held: list[Tensor] = []
    modules["blocks.0.gate"].register_forward_hook(lambda _, __, output: held.append(output))
    run(network, images())
    said = network.margins["blocks.0.gate"][0]
    if variant.kind != "margins":
        said = network.decided("blocks.0.conv1").to(held[0].dtype)
    assert not torch.equal(held[0], said)


@pytest.mark.parametrize("family", GATING)
def test_a_pass_that_breaks_off_leaves_no_record(family: str) -> None:
    plain, other = gated_network(family), gated_network(family, Variant(raises=True))
    with pytest.raises(RuntimeError, match="out of memory"):
        run(other, images())
    assert not any(other.decisions.values())
    assert torch.equal(run(plain, images()), run(other, images()))
    for layer in plain.gates:
        assert torch.equal(plain.decided(layer), other.decided(layer))


@pytest.mark.parametrize("family", GATING)
def test_gates_that_are_called_twice_keep_both(family: str) -> None:
    network = gated_network(family, Variant(twice=True))
    run(network, images())
    for gate in network.gates.values():
        first, second = network.decisions[gate]
        assert not torch.equal(first, second)


@pytest.mark.parametrize("family", GATING)
def test_a_shared_block_is_listed_once_and_runs_twice(family: str) -> None:
    network = gated_network(family, Variant(shared=True))
    run(network, images())
    assert {layer.split(".")[1] for layer in network.gates} == {"0", "2"}
    assert {len(calls) for calls in network.decisions.values()} == {1, 2}


@pytest.mark.parametrize("family", GATING)
def test_what_is_not_a_number_is_off(family: str) -> None:
    network = gated_network(family, Variant(not_a_number=True))
    scores = run(network, images())
    assert bool(torch.isfinite(scores).all())
    for gate, decisions in network.decisions.items():
        assert bool(torch.isnan(network.margins[gate][0].flatten()[0]))
        assert not bool(decisions[0].flatten()[0])


@pytest.mark.parametrize("family", GATING)
def test_torch_counts_layers_and_what_decides(family: str) -> None:
    layers, deciding = GATED_HAND_COUNTED[family]
    assert flops_of_torch(gated_network(family), images(2)) == total(layers) + total(deciding)


@pytest.mark.parametrize("family", [family for family in GATING if family != "token"])
def test_maps_may_have_another_size(family: str) -> None:
    network = gated_network(family)
    assert run(network, images(2, size=20)).shape == (2, 10)
