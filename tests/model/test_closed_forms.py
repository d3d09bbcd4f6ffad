"""Whole layers whose cycles have a closed form, and masks that two kinds of hardware run alike."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from by_hand import machine
from hand_worked import EMIT, PASS, ROW, STEP
from layer_run import LayerRun
from models import KERNEL, MODELS, REFERENCE, Model, parameter
from oracle.machines import conv

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import load_arch
from hwsim.network import ConvLayer, resnet18
from tools.verification.replay import WITHIN


@dataclass(frozen=True)
class Even:
    """A layer cut into full tiles of full lane groups, rounds of neighbours, V = 1, E = 1.

    Lists that run in step have rounds of R pixels of one row: no bank conflict.
    """

    arch: ArchConfig
    layer: ConvLayer

    @property
    def pixels(self) -> int:
        """Of a tile: P."""
        return self.arch.tile_pixels

    @property
    def rounds(self) -> int:
        return self.pixels // self.arch.array.rows

    def run(self, masks: np.ndarray, scheme: str = "unstructured") -> LayerRun:
        return LayerRun(self.arch, self.layer, scheme, 1, 1, masks)

    def filled(self, bit: bool) -> LayerRun:
        layer = self.layer
        return self.run(np.full((1, layer.out_channels, layer.out_height, layer.out_width), bit))


SMALL = Even(
    machine(columns=4, tile_pixels=32, word_channels=4, lane_group=1),
    conv("conv", channels=(8, 8), size=(8, 8), kernel=3, groups=2),
)
"""R = 4: 2 channel tiles of 2 pixel tiles; L_b = L_c = 36, nine beats of 4 steps."""

DEFAULT = Even(
    load_arch("pe16x16"),
    resnet18().by_name["layer1.1.conv1"].model_copy(update={"input": "input", "residual": None}),
)
"""64 -> 64 channels at 32x32, four gating groups: L_b = 144, L_c = 432, 16 tiles of 256 pixels."""

each_layer = pytest.mark.parametrize(
    ("model", "even"),
    [
        *(parameter(model, SMALL, name="small") for model in MODELS),
        parameter(KERNEL, DEFAULT, name="default"),
    ],
)


@each_layer
def test_all_ones(model: Model, even: Even) -> None:
    """The first round waits for R indices of each list; the others are decoded meanwhile."""
    rows, columns, layer = even.arch.array.rows, even.arch.array.columns, even.layer
    for tile in model.run(even.filled(True)):
        assert {name: tile[name] for name in WITHIN} == {
            "base": even.rounds * layer.base_steps * STEP,
            "conditional": even.rounds * layer.conditional_steps * STEP,
            "bank_stall": 0,
            "drain": 2 * rows * ROW,
            "decode_stall": rows * EMIT,
        }
        assert tile["decoder_cycles"] == columns * even.pixels * EMIT
        assert tile["psum_conditional_reads"] == columns * even.pixels
        if "macs_conditional" in model.names:
            assert tile["macs_conditional"] == columns * even.pixels * layer.conditional_steps


@each_layer
def test_all_zeros(model: Model, even: Even) -> None:
    """Only the scan of a list's words is left of the conditional pass."""
    words = even.pixels // even.arch.index.word_bits
    for tile in model.run(even.filled(False)):
        assert {name: tile[name] for name in WITHIN} == {
            "base": even.rounds * even.layer.base_steps * STEP,
            "conditional": 0,
            "bank_stall": 0,
            "drain": even.arch.array.rows * ROW,
            "decode_stall": words * PASS,
        }
        assert tile["decoder_cycles"] == even.arch.array.columns * words * PASS


@each_layer
def test_dense(model: Model, even: Even) -> None:
    for tile in model.run(replace(even.filled(True), scheme="dense")):
        assert {name: tile[name] for name in WITHIN if tile[name]} == {
            "base": even.rounds * even.layer.steps * STEP,
            "drain": even.arch.array.rows * ROW,
        }


@each_layer
def test_one_bit(model: Model, even: Even) -> None:
    """In the third word of one list: it is scanned to the end before the round.

    Two empty words, an index, the other words: as long as the other lists' scans.
    """
    bits, layer = even.arch.index.word_bits, even.layer
    run = even.filled(False)
    run.masks[0, 1].ravel()[2 * bits + 7] = True
    tiles, zeros = model.count([run, even.filled(False)])
    spent = {
        "conditional": layer.conditional_steps * STEP,
        "drain": even.arch.array.rows * ROW,
        "macs_conditional": layer.conditional_steps,
        "activation_word_reads": beats(even),
        "line_fills": beats(even),
        "weight_word_reads": layer.conditional_steps,
        "psum_conditional_reads": 1,
        "psum_conditional_writes": 1,
    }
    assert {name: (tiles[0] - zeros[0])[name] for name in model.names} == {
        name: spent.get(name, 0) for name in model.names
    }
    assert tiles[0]["decode_stall"] == zeros[0]["decode_stall"]
    assert tiles[1:] == zeros[1:]


def beats(even: Even) -> int:
    """Of the conditional pass."""
    layer = even.layer
    words = layer.in_channels // layer.groups // even.arch.activation.word_channels
    return layer.kernel_size**2 * (layer.groups - 1) * words


EIGHT_LANES = machine(rows=2, columns=16, tile_pixels=20, lane_group=8, banks=2)


@pytest.fixture
def structured() -> LayerRun:
    """Tiles of two lane groups, ragged ones, bank conflicts."""
    layer = conv("conv", channels=(6, 32), size=(6, 5), groups=2)
    masks = np.random.default_rng(1).random((1, 4, 6, 5)) < 0.4
    return LayerRun(EIGHT_LANES, layer, "structured-8x", 8, 1, masks)


def test_structured_masks_take_equal_cycles_on_both_hardwares(
    model: Model, structured: LayerRun
) -> None:
    """V = 1 and V = 8, private decoders: an eighth of the pointers, decoders and lists."""
    fine, coarse = model.count([replace(structured, scheme="unstructured"), structured])
    eighths = {"line_fills", "decoder_cycles", "psum_base_writes", "psum_conditional_reads"} | {
        "index_words_read", "mask_bits_written", "psum_conditional_writes", "psum_output_reads",
    }  # fmt: skip
    for tile, expected in zip(fine, coarse, strict=True):
        assert {name: tile[name] for name in model.names} == {
            name: expected[name] * (8 if name in eighths else 1) for name in model.names
        }


def test_a_structured_mask_in_lockstep_gates_nothing_off(
    model: Model, structured: LayerRun
) -> None:
    """The same bits written per channel: lockstep hardware cannot tell, but stores every list."""
    masks = structured.masks.repeat(8, axis=1)
    written = replace(structured, scheme="lockstep-8", mask_group=1, masks=masks)
    stored = {"index_words_read", "mask_bits_written", "comparator_ops"}
    for lanes, tile in zip(*model.count([written, structured]), strict=True):
        for name in set(model.names) - {"adder_ops"}:
            assert lanes[name] == tile[name] * (8 if name in stored else 1), name
        assert lanes["macs_gated_off"] == 0


POINTS = Even(
    machine(columns=4, tile_pixels=32, word_channels=4, lane_group=1),
    conv("conv", channels=(8, 8), size=(8, 8), groups=2),
)
"""Of one tap and without padding: L_b = L_c = 4, a beat each."""


@pytest.mark.parametrize("operands", range(5))
def test_words_of_equally_many_operands(model: Model, operands: int) -> None:
    """A beat takes as many steps, at least one; a round of fewer than R waits for the drain."""
    rows, layer = POINTS.arch.array.rows, POINTS.layer
    inputs = np.zeros((1, 2, 4, 8, 8), bool)  # two words of four channels
    for place in range(operands):  # which of them are not zero differs from pixel to pixel
        inputs[:, :, (place + np.indices((8, 8)).sum(axis=0)) % 4, *np.indices((8, 8))] = True
    run = replace(
        POINTS.filled(True), scheme="unstructured-skip", inputs=inputs.reshape(1, 8, 8, 8)
    )
    steps = max(1, operands)
    for tile in model.run(run):
        assert {name: tile[name] for name in WITHIN} == {
            "base": POINTS.rounds * steps * STEP,
            "conditional": POINTS.rounds * steps * STEP,
            "bank_stall": 0,
            "drain": 2 * POINTS.rounds * (rows - steps) + 2 * rows * ROW,
            "decode_stall": rows * EMIT,
        }
        assert tile["weight_word_reads"] == 2 * POINTS.rounds
        assert tile["steps_skipped"] == 2 * POINTS.rounds * (layer.base_steps - steps)


@pytest.mark.parametrize("model", [KERNEL, REFERENCE], ids=lambda model: model.name)
def test_free_rows_wait_for_the_pointer_with_most_operands(model: Model) -> None:
    """In both words a pixel has as many operands as its column's number modulo 5."""
    inputs = np.arange(4)[:, None, None] < np.arange(8) % 5
    inputs = np.broadcast_to(np.concatenate([inputs, inputs]), (1, 8, 8, 8))
    run = replace(POINTS.filled(True), scheme="unstructured-skip-bound", inputs=inputs)
    # Rounds of columns 0 to 3 and 4 to 7: at most 3, and 4, of the one word of each pass.
    for tile in model.run(run):
        assert tile["base"] == tile["conditional"] == POINTS.rounds // 2 * (3 + 4)
        assert tile["weight_word_reads"] == 2 * POINTS.rounds // 2 * (3 + 4) * 4
        assert tile["steps_skipped"] == 2 * POINTS.rounds // 2 * (1 + 0)
