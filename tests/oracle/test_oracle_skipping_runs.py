"""Whole runs of the oracle that skip zeros: where MACs go, and which layers and schemes skip."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from hwsim.counters import CAUSES, COUNTERS
from oracle.machines import conv, machine, network, random_masks, row
from oracle.network import chosen_shapes, run
from oracle.skipping import zero_macs

GATED = conv(channels=(4, 4), size=(1, 2), groups=2)
"""1x1, G = 2: 2 pixels, 4 outputs, 4 steps each, 2 of them conditional: 32 MACs."""

NOTHING = {"conv": np.zeros((1, 4, 1, 2), bool)}
MASKS = {"conv": np.ones((1, 4, 1, 2), bool)}
COUNTED = {
    "zero_operand_macs": {"conv": np.array([10])},
    "zero_operand_macs_conditional": {"conv": np.array([3])},
}


def counted(scheme: str, layer=GATED, **options) -> dict[str, int]:
    """MACs of a run of the gated layer, by where they went."""
    of_run = {name: options.pop(name) for name in ("inputs", *COUNTED) if name in options}
    _, counts = run(
        network(layer), machine(**options), scheme, MASKS, 1, 1, 1, **{**COUNTED, **of_run}
    )
    return {name: value for name, value in row(counts, COUNTERS).items() if "macs" in name}


class TestWhereTheMacsGo:
    @pytest.mark.parametrize("kind", ["word", "free-rows"])
    @pytest.mark.parametrize("zero_gating", [False, True])
    def test_as_zero_gatings(self, kind: str, zero_gating: bool) -> None:
        # Z = 10, Z / G = 5 and Z_c = 3, whatever the bits are. Nothing is gated beside it.
        options = {"zero_skipping": kind, "zero_gating": zero_gating, "inputs": NOTHING}
        assert counted("dense", **options) == {"macs_base": 22, "macs_zero_skipped": 10}
        for scheme in ("clock-gated", "unstructured"):
            assert counted(scheme, **options) == {
                "macs_base": 16 - 5, "macs_conditional": 16 - 3, "macs_zero_skipped": 8
            }  # fmt: skip

    def test_no_base_path(self) -> None:
        # All 32 MACs are conditional, and of Z nothing is taken but Z_c; under dense it is Z.
        layer = conv(channels=(4, 4), size=(1, 2), gated=True)
        options = {"zero_skipping": "word", "inputs": NOTHING}
        assert counted("unstructured", layer, **options) == {
            "macs_conditional": 29, "macs_zero_skipped": 3
        }  # fmt: skip
        assert counted("dense", layer, **options) == {"macs_base": 22, "macs_zero_skipped": 10}

    def test_without_input_bits_they_are_gated(self) -> None:
        for scheme, gated in (("dense", 10), ("unstructured-skip", 8)):
            found = counted(scheme, zero_gating=True)
            assert found["macs_zero_gated"] == gated
            assert "macs_zero_skipped" not in found

    def test_a_machine_that_skips_nothing_gates(self) -> None:
        # Input bits alone change nothing.
        assert counted("dense", inputs=NOTHING) == {"macs_base": 32}
        found = counted("dense-zero-gated", inputs=NOTHING)
        assert found == {"macs_base": 22, "macs_zero_gated": 10}

    def test_of_layers_that_are_not_gated(self) -> None:
        # Counted from the bits: pixel 0 has one zero and pixel 1 three, for four outputs.
        layer = conv(channels=(4, 4), size=(1, 2))
        bits = np.array([[[[1, 0]], [[1, 0]], [[0, 1]], [[1, 0]]]], bool)
        for kind in ("word", "free-rows"):
            _, counts = run(
                network(layer), machine(zero_skipping=kind), "dense", {}, 1, 1, 1,
                inputs={"conv": bits},
            )  # fmt: skip
            found = row(counts, COUNTERS)
            assert (found["macs_base"], found["macs_zero_skipped"]) == (16, 16)


class TestSchemes:
    def test_the_suffix_is_the_key(self) -> None:
        layers = network(conv(channels=(8, 8), size=(3, 3), kernel=3, groups=2))
        masks = random_masks(layers, 0.4, images=3)
        inputs = {"conv": np.random.default_rng(2).random((3, 8, 3, 3)) < 0.4}
        zeros = {"conv": np.zeros(3, np.int64)}
        for scheme in ("dense", "clock-gated", "unstructured", "lockstep-2"):
            told = [
                run(
                    layers, machine(weight_kib=4, zero_skipping=kind), name, masks, 1, 2, 3,
                    zero_operand_macs=zeros, zero_operand_macs_conditional=zeros, inputs=inputs,
                )
                for kind, name in (
                    ("word", scheme), ("none", f"{scheme}-skip"), ("free-rows", f"{scheme}-skip"),
                )
            ]  # fmt: skip
            for others in told[1:]:
                for one, other in zip(told[0], others, strict=True):
                    np.testing.assert_array_equal(one, other)
            assert told[0][1][0, COUNTERS.index("steps_skipped")] > 0

    def test_a_layer_without_input_bits(self) -> None:
        # 1x1, 4 channels, one round of two words: four steps, or two where all is zero.
        layers = network(
            conv("a", channels=(4, 4), size=(1, 2)),
            conv("b", channels=(4, 4), size=(1, 2), input="a"),
        )
        inputs = {"b": np.zeros((1, 4, 1, 2), bool)}
        causes, counts = run(
            layers, machine(zero_skipping="word"), "dense", {}, 1, 1, 1, inputs=inputs
        )
        assert [row(causes, CAUSES, at)["base"] for at in (0, 1)] == [4, 2]
        assert [row(counts, COUNTERS, at)["weight_word_reads"] for at in (0, 1)] == [4, 2]
        assert [row(counts, COUNTERS, at).get("steps_skipped", 0) for at in (0, 1)] == [0, 2]
        assert "macs_base" not in row(counts, COUNTERS, 1)

    def test_a_shape_is_chosen_by_what_is_spent(self) -> None:
        # 1x1 on 1x8 pixels, 8 -> 2 channels, in 2 x 4 or 4 x 2 PEs: 4 rounds of 8 steps and 2 to
        # drain, or 2 rounds of 8 and 4. All is zero: 4 rounds of 4 beats and 2, or 2 of 4 and 4.
        # Free rows take a cycle, and rounds as long as the drain: 4 x 2 + 2 or 2 x 4 + 4.
        layers = network(conv(channels=(8, 2), size=(1, 8)))
        inputs = {"conv": np.zeros((1, 8, 1, 8), bool)}
        for kind, shape in (("none", (4, 2)), ("word", (4, 2)), ("free-rows", (2, 4))):
            arch = machine(reshape=[(4, 2)], bandwidth_gb_per_s=100.0, zero_skipping=kind)
            assert chosen_shapes(layers, arch, "dense", {}, 1, 1, 1, inputs=inputs) == [shape]


@pytest.mark.parametrize("seed", range(60))
def test_bounds(seed: int) -> None:
    """Free rows spend no more steps than words, words no more than all; what is fetched stays."""
    rng = Random(seed)
    layers = network(
        conv(
            channels=(rng.choice([2, 4, 6]), 4), size=(3, rng.randint(2, 4)),
            kernel=rng.choice([1, 3]), stride=rng.choice([1, 2]), groups=rng.choice([1, 2]),
            gated=True,
        )
    )  # fmt: skip
    layer = layers.layers[0]
    shape = (2, layer.in_channels, layer.in_height, layer.in_width)
    bits = np.random.default_rng(seed).random(shape) < rng.random()
    masks = random_masks(layers, 0.5, images=2, seed=seed)
    scheme = rng.choice(["dense", "clock-gated", "unstructured", "lockstep-2"])
    zeros = {"conv": np.array([zero_macs(layer, bits, image) for image in range(2)])}
    none = {"conv": np.zeros(2, np.int64)}
    options = {"word_channels": rng.choice([1, 2, 3]), "run_ahead": rng.choice([0, 1])}
    told = {}
    for kind in ("none", "word", "free-rows"):
        causes, counts = run(
            layers, machine(zero_skipping=kind, **options), scheme, masks, 1, 2, 2,
            zero_operand_macs=zeros, zero_operand_macs_conditional=none, inputs={"conv": bits},
        )  # fmt: skip
        spent, found = row(causes, CAUSES), row(counts, COUNTERS)
        told[kind] = spent.get("base", 0) + spent.get("conditional", 0), found
    steps = {kind: of[0] for kind, of in told.items()}
    assert steps["free-rows"] <= steps["word"] <= steps["none"]
    all_steps = told["none"][1]["weight_word_reads"]
    for kind in ("word", "free-rows"):
        found = told[kind][1]
        assert found.get("steps_skipped", 0) == all_steps - steps[kind]
        for name in ("activation_word_reads", "line_fills", "psum_output_reads"):
            assert found[name] == told["none"][1][name]
    if options["word_channels"] == 1:
        assert steps["word"] == steps["none"]
