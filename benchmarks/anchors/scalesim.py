"""SCALE-Sim: compute cycles of a dense, output-stationary 16x16 array, layer by layer.

What SCALE-Sim 3.0.0 gave is kept in ``tests/data/``: cycles of ResNet-18's layers, and of layers
drawn at random. hwsim's cycles have to be SCALE-Sim's plus one: its count ends one cycle earlier.
It rounds the number of outputs up where a stride does not divide, hwsim down; the drawn layers show
it, those of ResNet-18 were given inputs without a remainder.
"""

from __future__ import annotations

import csv
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from hwsim.network import ConvLayer, resnet18

from ..scalesim import VERSION, compute_cycles, install, run_scalesim
from .row import Row, Settings, not_run, verdict_of

NAME = "scale-sim"
SOURCE = f"SCALE-Sim {VERSION} (arXiv 2504.15377, 2025), run for this page"

_DATA = Path(__file__).parents[2] / "tests" / "data"
RESNET18 = _DATA / "scalesim_os_16x16_resnet18_cifar.csv"
DRAWN = _DATA / "scalesim_os_16x16_drawn.csv"
COLUMN = "os_compute_cycles"

SEED, LAYERS = 1, 15


def rows(settings: Settings) -> Iterator[Row]:
    """ResNet-18, then the drawn layers with outputs rounded down, as hwsim does, and up."""
    by_name = resnet18().by_name
    yield _row(
        f"ResNet-18 on 32x32, {len(resnet18_cycles())} layers",
        [(compute_cycles(by_name[name]), cycles) for name, cycles in resnet18_cycles().items()],
    )
    layers = drawn_layers()
    drawn = f"{LAYERS} layers drawn at random, output sizes rounded"
    whats = f"{drawn} down", f"{drawn} up, as SCALE-Sim does"
    try:
        if settings.measure:
            write(measured(layers), layers)
        theirs = recorded(DRAWN)
    except subprocess.CalledProcessError as error:
        why = f"SCALE-Sim could not be installed or run ({error})"
        yield from (not_run(NAME, f"{what}: cycles of all", "-", SOURCE, why) for what in whats)
        return
    down = [(compute_cycles(layer), theirs[layer.name]) for layer in layers]
    up = [(compute_cycles(rounded_up(layer)), theirs[layer.name]) for layer in layers]
    yield from map(_row, whats, (down, up))


def _row(what: str, pairs: list[tuple[int, int]]) -> Row:
    """``pairs``: our cycles and theirs, of each layer."""
    equal = sum(ours == theirs + 1 for ours, theirs in pairs)
    total = sum(theirs + 1 for _, theirs in pairs)
    ours = sum(ours for ours, _ in pairs)
    verdict = verdict_of(ours, total)
    if equal < len(pairs):
        worst = max(abs(ours / (theirs + 1) - 1) for ours, theirs in pairs)
        missed = len(pairs) - equal
        verdict = f"missed: {missed} of {len(pairs)} layers, by up to {100 * worst:.0f} %"
    return Row(
        NAME, f"{what}: cycles of all", f"{total:,} (one more per layer)",
        f"{ours:,}; equal on {equal} of {len(pairs)} layers", SOURCE, verdict,
    )  # fmt: skip


def resnet18_cycles() -> dict[str, int]:
    """SCALE-Sim's cycles by hwsim's names of layers; the classifier was not run."""
    return {_layer_name(name): cycles for name, cycles in recorded(RESNET18).items()}


def recorded(file: Path) -> dict[str, int]:
    """SCALE-Sim's compute cycles by layer, from a file of columns ``layer`` and COLUMN."""
    with file.open(encoding="utf-8", newline="") as opened:
        return {row["layer"]: int(row[COLUMN]) for row in csv.DictReader(opened)}


def _layer_name(short: str) -> str:
    """The name hwsim gives a layer of the file: l2b1c2 is layer2.0.conv2, l2b1sc its shortcut."""
    block = re.fullmatch(r"l(\d)b(\d)(c\d|sc)", short)
    if block is None:
        return short
    part = "shortcut" if block[3] == "sc" else f"conv{block[3][1]}"
    return f"layer{block[1]}.{int(block[2]) - 1}.{part}"


def drawn_layers(number: int = LAYERS, seed: int = SEED) -> list[ConvLayer]:
    """Layers small enough for SCALE-Sim: kernels of 1, 3 or 5, strides of 1 to 3, any padding."""
    generator = np.random.default_rng(seed)

    def draw(low: int, high: int) -> int:
        return int(generator.integers(low, high + 1))

    layers = []
    for at in range(number):
        kernel = (1, 3, 5)[draw(0, 2)]
        layer = ConvLayer(
            name=f"drawn{at}", kernel_size=kernel, stride=draw(1, 3), padding=draw(0, kernel // 2),
            in_channels=draw(1, 32), out_channels=draw(1, 64),
            in_height=draw(7, 24), in_width=draw(7, 24),
        )  # fmt: skip
        layers.append(layer)
    return layers


def rounded_up(layer: ConvLayer) -> ConvLayer:
    """The layer on an input so large, its padding included, that every started stride counts.

    Its output has ceil((size - kernel) / stride) + 1 rows and columns.
    """

    def grown(size: int) -> int:
        strides = -(-(size + 2 * layer.padding - layer.kernel_size) // layer.stride)
        return strides * layer.stride + layer.kernel_size

    sizes = {"in_height": grown(layer.in_height), "in_width": grown(layer.in_width)}
    return layer.model_copy(update={**sizes, "padding": 0})


def measured(layers: list[ConvLayer]) -> dict[str, int]:
    """SCALE-Sim's compute cycles of each layer, by its name: minutes; installs it first."""
    install()
    return {layer.name: run_scalesim(layer, whole=True).cycles for layer in layers}


def write(cycles: Mapping[str, int], layers: list[ConvLayer], file: Path = DRAWN) -> None:
    """The record, with the layers' shapes for a reader."""
    shape = ("kernel_size", "stride", "padding", "in_channels", "out_channels", "in_height",
             "in_width")  # fmt: skip
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        writer.writerow(["layer", *shape, COLUMN])
        for layer in layers:
            sizes = [getattr(layer, name) for name in shape]
            writer.writerow([layer.name, *sizes, cycles[layer.name]])
