"""Statistics of zero inputs: by hand, at their limits, and against plain loops over channels."""

from __future__ import annotations

from math import isnan, sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hwsim.network import ConvLayer, Network
from hwsim.trace.__main__ import main
from hwsim.trace.files import open_traces, write_trace
from hwsim.trace.format.header import TraceHeader
from hwsim.trace.format.packing import pack_bits
from hwsim.trace.input_statistics import count_beats, input_statistics
from hwsim.trace.mask_trace import MaskTrace
from hwsim.trace.statistics import ALL_LAYERS


def convolution(channels: int, height: int, width: int, **more: int | str) -> ConvLayer:
    fields: dict = {"name": "conv", "kernel_size": 3, "padding": 1, "groups": 2} | more
    return ConvLayer(
        in_channels=channels, out_channels=4, in_height=height, in_width=width, gated=True, **fields
    )


def trace_of(inputs: dict[str, np.ndarray], *layers: ConvLayer, images: int = 2) -> MaskTrace:
    """Masks without a bit of ``images`` images; ``inputs``: bool (images, C_in, H, W) by layer."""
    header = TraceHeader(
        network=Network(name="made up", layers=layers), method="made up", mask_group=1,
        dataset="none", image_ids=tuple(range(images)), synthetic=True,
    )  # fmt: skip
    shut = {
        layer.name: np.zeros((images, *header.mask_shape(layer)), bool)
        for layer in layers
        if layer.gated
    }
    none = {name: np.zeros(images, np.int64) for name in shut}
    return MaskTrace.from_masks(header, shut, none, none, inputs)


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < 0.4


def test_by_hand() -> None:
    """Four channels of 1x3 pixels in two groups: a word of A = 2 each; rounds of two and one."""
    bits = np.array([[[[1, 1, 0]], [[1, 0, 0]], [[0, 1, 0]], [[0, 1, 1]]]], bool)
    layer = convolution(4, 1, 3)
    # Word 0 has 2, 1, 0 channels that are not zero, word 1 has 0, 2, 1. Only the middle row of taps
    # reads the map: from the left neighbour (0 2 1, 0 0 2), the pixel itself (2 1 0, 0 2 1), the
    # right one (1 0 0, 2 1 0). The fullest of pixels 0 and 1, and of pixel 2:
    # 2 1, 0 2; 2 0, 2 1; 1 0, 2 0. The other six taps have 4 beats each without any.
    counts = count_beats(bits, layer, 2, 2)
    assert counts.words == 9 * 2 * 3
    assert counts.nonzero == 15
    assert counts.beats == 9 * 2 * 2
    assert counts.largest == 13
    assert counts.steps == 36 * 2
    assert counts.spent == 17 + 24
    row = input_statistics(trace_of({"conv": bits}, layer), 2, 2).iloc[0]
    assert (row["layer"], row["images"], row["word_channels"], row["pointers"]) == ("conv", 1, 2, 2)
    assert row["zero_inputs"] == 0.5
    assert row["nonzero_channels"] == 15 / 54
    assert row["largest_nonzero_channels"] == 13 / 36
    assert row["dense_speedup"] == 72 / 41
    # Pairs of pixels 11 10, 10 00, 01 10, 01 11: of 8 the left is set in 5, the right in 4, both 2.
    assert row["horizontal_correlation"] == pytest.approx((8 * 2 - 5 * 4) / sqrt(5 * 3 * 4 * 4))
    # Pairs of channels 11 10 00, 10 01 11, 00 00 01: of 9 the first in 4, the second in 4, both 2.
    assert row["channel_correlation"] == pytest.approx((9 * 2 - 4 * 4) / sqrt(4 * 5 * 4 * 5))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("word_channels", "pointers"), [(4, 16), (4, 7), (1, 5), (8, 64)])
def test_plain_loops_find_the_same(stride: int, word_channels: int, pointers: int) -> None:
    """Six channels a group: a word of four and one of two at A = 4."""
    layer = convolution(12, 5, 6, stride=stride)
    bits = drawn(3, 12, 5, 6)
    words = [
        list(range(first, min(first + word_channels, group + 6)))
        for group in (0, 6)
        for first in range(group, group + 6, word_channels)
    ]
    pixels = [(y, x) for y in range(layer.out_height) for x in range(layer.out_width)]
    found = dict.fromkeys(("words", "nonzero", "beats", "largest", "steps", "spent"), 0)
    for image in bits:
        for start in range(0, len(pixels), pointers):
            for ky, kx, word in ((y, x, w) for y in range(3) for x in range(3) for w in words):
                held = []
                for y, x in pixels[start : start + pointers]:
                    row, column = y * stride + ky - 1, x * stride + kx - 1
                    inside = 0 <= row < 5 and 0 <= column < 6
                    held.append(sum(image[c, row, column] for c in word) if inside else 0)
                found["words"] += len(held)
                found["nonzero"] += sum(held)
                found["beats"] += 1
                found["largest"] += max(held)
                found["steps"] += len(word)
                found["spent"] += max(1, *held)
    assert count_beats(bits, layer, word_channels, pointers)._asdict() == found


@pytest.mark.parametrize(("value", "speedup", "held"), [(False, 4, 0), (True, 1, 4)])
def test_all_zero_and_none(value: bool, speedup: float, held: float) -> None:
    layer = convolution(16, 4, 4, kernel_size=1, padding=0)
    frame = input_statistics(trace_of({"conv": np.full((2, 16, 4, 4), value)}, layer))
    for _, row in frame.iterrows():
        assert row["dense_speedup"] == speedup
        assert row["zero_inputs"] == 1 - value
        assert row["nonzero_channels"] == row["largest_nonzero_channels"] == held
        assert isnan(row["horizontal_correlation"])
        assert isnan(row["channel_correlation"])


def test_equal_pixels_and_equal_channels_are_correlated() -> None:
    layer = convolution(8, 4, 4)
    flat = np.broadcast_to(drawn(2, 8, 1, 1), (2, 8, 4, 4))
    row = input_statistics(trace_of({"conv": flat}, layer)).iloc[0]
    assert row["horizontal_correlation"] == pytest.approx(1)
    alike = np.broadcast_to(drawn(2, 1, 4, 4), (2, 8, 4, 4))
    row = input_statistics(trace_of({"conv": alike}, layer)).iloc[0]
    assert row["channel_correlation"] == pytest.approx(1)


def test_the_last_row_weights_layers_by_their_macs() -> None:
    """Of 9 to 1: the second layer has a kernel of one tap. It has no correlation of its own."""
    first = convolution(4, 4, 4, name="a")
    second = convolution(4, 4, 4, name="b", kernel_size=1, padding=0, input="a")
    inputs = {"a": drawn(2, 4, 4, 4), "b": np.zeros((2, 4, 4, 4), bool)}
    frame = input_statistics(trace_of(inputs, first, second))
    assert list(frame["layer"]) == ["a", "b", ALL_LAYERS]
    one, other, together = (frame.loc[at] for at in range(3))
    for name in ("zero_inputs", "nonzero_channels", "largest_nonzero_channels"):
        assert together[name] == pytest.approx(0.9 * one[name] + 0.1 * other[name])
    times = 0.9 / one["dense_speedup"] + 0.1 / other["dense_speedup"]
    assert together["dense_speedup"] == pytest.approx(1 / times)
    assert together["channel_correlation"] == pytest.approx(one["channel_correlation"])


def test_layers_without_input_bits_have_no_row() -> None:
    layer = convolution(4, 4, 4)
    assert not len(input_statistics(trace_of({}, layer)))
    shortcut = ConvLayer(
        name="short", in_channels=4, out_channels=4, kernel_size=1, in_height=4, in_width=4,
        input="conv",
    )  # fmt: skip
    only = trace_of({"short": drawn(2, 4, 4, 4)}, layer, shortcut)
    assert not len(input_statistics(only))


def test_zeros_of_the_shipped_inputs_are_those_that_were_counted() -> None:
    """The recorder counted zero operands in the tensors, here they are counted in the bits."""
    for trace in open_traces():
        assert trace.input_images == 16
        for layer in trace.network.gated_layers:
            counts = count_beats(trace.inputs(layer.name), layer, 4, 16)
            operands = 16 * layer.steps * layer.out_pixels
            zeros = trace.zero_operand_macs(layer.name)[:16].sum()
            assert layer.out_channels * (operands - counts.nonzero) == zeros


def test_what_the_docs_say_of_the_shipped_traces() -> None:
    """docs/guide/traces.md."""
    told = [input_statistics(trace).iloc[-1] for trace in open_traces()]
    for name, figures in (
        ("zero_inputs", ("0.560", "0.505")),
        ("nonzero_channels", ("1.538", "1.725")),
        ("largest_nonzero_channels", ("3.035", "3.244")),
        ("dense_speedup", ("1.310", "1.224")),
        ("horizontal_correlation", ("0.451", "0.496")),
        ("channel_correlation", ("0.026", "0.056")),
    ):
        assert tuple(f"{row[name]:.3f}" for row in told) == figures, name
    alone = [input_statistics(trace, pointers=1).iloc[-1] for trace in open_traces()]
    assert [f"{row['dense_speedup']:.2f}" for row in alone] == ["2.24", "2.06"]


def test_what_the_docs_say_of_shuffled_pixels() -> None:
    """docs/guide/traces.md: without what neighbouring pixels have in common."""
    generator, found = np.random.default_rng(0), []
    for trace in open_traces():
        time = 0.0
        for layer in trace.network.gated_layers:
            bits = np.moveaxis(trace.inputs(layer.name), 1, 3)
            pixels = generator.permutation(bits.reshape(-1, layer.in_channels))
            counts = count_beats(np.moveaxis(pixels.reshape(bits.shape), 3, 1), layer, 4, 16)
            time += layer.macs * counts.spent / counts.steps
        found.append(f"{trace.network.gated_macs / time:.2f}")
    assert found == ["1.22", "1.14"]


def test_the_command_prints_and_writes_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layer = convolution(16, 4, 4)
    of = trace_of({"conv": drawn(3, 16, 4, 4)}, layer, images=4)
    none, path, out = np.zeros(4, np.int64), tmp_path / "mine.h5", tmp_path / "out"
    masks, bits = of.packed("conv"), pack_bits(of.inputs("conv"))
    write_trace(
        path, of.header, {"conv": masks}, {"conv": none}, input_bits={"conv": bits},
        zero_operand_macs_conditional={"conv": none},
    )  # fmt: skip
    options = ["--lanes", "1", "--images", "2", "--out", str(out)]
    assert main(["statistics", str(path), *options]) == 0
    printed = capsys.readouterr().out
    assert "inputs of 2 images, words of A = 4 channels, rounds of R = 16 pixels" in printed
    written = pd.read_csv(out / "input_statistics.csv")
    pd.testing.assert_frame_equal(written, input_statistics(MaskTrace.open(path).head(2)))
    assert main(["inspect", str(path)]) == 0
    assert "4 (salience for 0, input bits for 3)" in capsys.readouterr().out


def test_verify_covers_input_bits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One bit of a layer's inputs, changed behind the hash's back."""
    import h5py

    shipped = open_traces()[1].path
    copy = tmp_path / "copy.h5"
    copy.write_bytes(Path(shipped).read_bytes())
    assert main(["verify", str(copy)]) == 0
    with h5py.File(copy, "r+") as file:
        file["input_bits/fc"][0, 0] ^= 1
    assert main(["verify", str(copy)]) == 2
    said = "layer fc: data damaged: input_bits of images 0 to 0 do not match their SHA-256"
    assert said in capsys.readouterr().err
