"""Eyeriss v2's PE on sparse MobileNet: cycles that Sparseloop's artifact gives as ground truth.

The PE does one MAC a cycle and spends none on a zero, of activations or of weights. So a pointwise
layer takes the sum over channels of nnz(activations) * nnz(weights) cycles.

Ours is one PE with ``array.zero_skipping``, each output channel a layer of its own. The machine
knows zero activations only: an input counts as zero where the weight on it is. The files are bit
masks, one character a value: activations (pixel, channel), weights (output channel, channel).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hwsim.arch.load import load_arch
from hwsim.counters import CAUSES, C
from hwsim.errors import UserError
from hwsim.network import ConvLayer, Network
from hwsim.run.results import SimResult
from hwsim.run.simulate import simulate
from hwsim.trace.format.contents import TraceContents
from hwsim.trace.format.header import TraceHeader
from hwsim.trace.format.packing import pack_bits
from hwsim.trace.mask_trace import MaskTrace

from .row import Row, Settings, not_run, verdict_of

NAME = "eyeriss-v2"
FOLDER = "eyeriss_v2"
SOURCE = "Sparseloop (Wu et al., MICRO 2022), artifact of figure 12"

BASE = CAUSES.index("base")


class Layer(NamedTuple):
    """A 1x1 layer of MobileNet: output channels, rows and columns, channels; their cycles."""

    name: str
    outputs: int
    size: int
    channels: int
    cycles: int


LAYERS = (
    Layer("L07", 64, 32, 64, 1_702_140),
    Layer("L09", 128, 16, 64, 1_499_682),
    Layer("L13", 256, 8, 128, 1_144_158),
    Layer("L19", 256, 8, 256, 1_457_458),
    Layer("L21", 256, 8, 256, 1_677_684),
    Layer("L23", 256, 8, 256, 1_821_557),
    Layer("L25", 512, 4, 256, 948_572),
    Layer("L27", 512, 4, 512, 775_316),
)


def rows(settings: Settings) -> Iterator[Row]:
    """Each layer with operands skipped one by one; all of them where words are skipped."""
    total = sum(layer.cycles for layer in LAYERS)
    in_words = {4: 0, 16: 0}
    missing = _missing(settings.data)
    for layer in LAYERS:
        size = f"{layer.size}x{layer.size}"
        what = f"{layer.name}, {layer.channels} to {layer.outputs} channels, {size}: cycles"
        if missing:
            yield not_run(NAME, what, f"{layer.cycles:,}", SOURCE, missing)
            continue
        masks = read_layer(Path(settings.data or "", FOLDER), layer)
        result = one_pe(*masks, "free-rows")
        cycles, macs = cycles_of(result), macs_of(result)
        ours = f"{cycles:,}" + ("" if macs == cycles else f" for {macs:,} MACs")
        verdict = verdict_of(cycles, layer.cycles)
        yield Row(NAME, what, f"{layer.cycles:,}", ours, SOURCE, verdict)
        for word in in_words:
            in_words[word] += cycles_of(one_pe(*masks, "word", word))
    for word, cycles in in_words.items():
        what = f"all eight, a cycle at least for each word of {word} channels"
        if missing:
            yield not_run(NAME, what, f"{total:,}", SOURCE, missing)
        else:
            verdict = verdict_of(cycles, total)
            yield Row(NAME, what, f"{total:,}", f"{cycles:,}", SOURCE, verdict)


def _missing(data: Path | None) -> str:
    """Why it cannot be run, or nothing."""
    if data is None:
        return "no folder of data"
    for layer in LAYERS:
        for file in _files(data / FOLDER, layer):
            if not file.is_file():
                return f"no {file.relative_to(data)} in the folder"
    return ""


def _files(folder: Path, layer: Layer) -> tuple[Path, Path]:
    return folder / f"{layer.name}_iacts.txt", folder / f"{layer.name}_weights.txt"


def read_layer(folder: Path, layer: Layer) -> tuple[np.ndarray, np.ndarray]:
    """bool (channels, size, size) activations, bool (outputs, channels) weights; true: not zero.

    Raises UserError where a file is not as many characters 0 and 1 as the layer has values.
    """
    activations, weights = _files(folder, layer)
    pixels = _bits(activations, layer.size**2 * layer.channels)
    by_channel = pixels.reshape(layer.size, layer.size, layer.channels).transpose(2, 0, 1)
    return by_channel, _bits(weights, layer.outputs * layer.channels).reshape(layer.outputs, -1)


def _bits(file: Path, expected: int) -> np.ndarray:
    text = np.frombuffer(file.read_bytes().strip(), np.uint8)
    ones = text == ord("1")
    if len(text) != expected or not (ones | (text == ord("0"))).all():
        raise UserError(f"{file}: expected {expected:,} characters, each 0 or 1")
    return ones


def one_pe(
    activations: np.ndarray, weights: np.ndarray, skipping: str, word_channels: int = 16
) -> SimResult:
    """A replay on one PE, output channel by output channel.

    ``activations`` bool (channels, rows, columns), ``weights`` bool (outputs, channels);
    ``skipping`` and ``word_channels`` are the machine's ``array.zero_skipping`` and A.
    """
    channels, height, width = activations.shape
    layers = tuple(
        ConvLayer(
            name=f"output{number}", in_channels=channels, out_channels=1, kernel_size=1,
            in_height=height, in_width=width,
        )
        for number in range(len(weights))
    )  # fmt: skip
    network = Network(name="one PE", layers=layers)
    # A header is validated to hold a gated layer; a dense run needs none.
    header = TraceHeader.model_construct(
        network=network, method="dense", mask_group=1, dataset="none", image_ids=(0,)
    )
    bits = {
        layer.name: pack_bits((activations & kept[:, None, None])[None])
        for layer, kept in zip(layers, weights, strict=True)
    }
    keys = {
        "array.rows": 1, "array.columns": 1, "index.lane_group": 1,
        "array.zero_skipping": skipping, "activation.word_channels": word_channels,
    }  # fmt: skip
    trace = MaskTrace(TraceContents(header, {}, input_bits=bits))
    return simulate(load_arch("pe16x16", keys), trace, "dense", batch=1, threads=1)


def cycles_of(result: SimResult) -> int:
    """Cycles in which the PE works: no drain, output stage or DMA."""
    return int(result.causes[:, BASE].sum())


def macs_of(result: SimResult) -> int:
    """MACs that are executed: both operands are not zero."""
    return int(result.counters[:, C["macs_base"]].sum())
