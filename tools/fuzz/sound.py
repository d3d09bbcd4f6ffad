"""Sound inputs: a network of three layers, its traces, and everything imported and compiled."""

from __future__ import annotations

import contextlib
import io
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hwsim.__main__ import COMMANDS, main
from hwsim.network import ConvLayer, Network
from hwsim.trace.files import write_trace
from hwsim.trace.format.header import TraceHeader
from hwsim.trace.format.int8_sample import LayerSample
from hwsim.trace.format.packing import pack_bits

IMAGES = 2

LAYERS = (
    {"name": "first", "in_channels": 3, "in_height": 5, "in_width": 5, "out_channels": 8,
     "kernel_size": 3, "padding": 1},
    {"name": "second", "in_channels": 8, "in_height": 5, "in_width": 5, "out_channels": 16,
     "kernel_size": 3, "padding": 1, "gated": True, "groups": 2, "input": "first"},
    {"name": "third", "in_channels": 16, "in_height": 5, "in_width": 5, "out_channels": 16,
     "kernel_size": 3, "padding": 1, "gated": True, "groups": 2, "input": "second",
     "residual": "second"},
)  # fmt: skip
"""As in a network file."""


class Arrays(NamedTuple):
    """What :func:`hwsim.write_trace` takes, by gated layer."""

    masks: dict[str, np.ndarray]
    zero_operand_macs: dict[str, np.ndarray]
    salience: dict[str, np.ndarray]
    salience_scale: dict[str, float]
    zero_operand_macs_conditional: dict[str, np.ndarray]
    input_bits: dict[str, np.ndarray]


def network() -> Network:
    layers = (ConvLayer(**layer) for layer in LAYERS)
    return Network(name="small", layers=tuple(layers))


def header(mask_group: int = 1, granularity: str = "element") -> TraceHeader:
    return TraceHeader(
        network=network(),
        method="scdg" if mask_group > 1 else "cdg",
        granularity=granularity,
        mask_group=mask_group,
        dataset="drawn at random",
        image_ids=(3, 1),
        training={"epochs": 1.5, "seed": 7},
        synthetic=True,
    )


def arrays(told: TraceHeader, seed: int = 0) -> Arrays:
    """Random masks with margins, counts and input bits of all images."""
    generator = np.random.default_rng(seed)
    found = Arrays({}, {}, {}, {}, {}, {})
    for layer in told.network.gated_layers:
        name, shape = layer.name, (IMAGES, *told.mask_shape(layer))
        margins = generator.integers(-100, 60, shape).astype(np.int8)
        found.masks[name] = pack_bits(margins > 0)
        found.salience[name] = margins.reshape(IMAGES, -1)
        found.salience_scale[name] = 0.03
        zeros = generator.integers(0, layer.macs // 4, IMAGES) * layer.groups
        found.zero_operand_macs[name] = zeros
        found.zero_operand_macs_conditional[name] = zeros // 8
        maps = (IMAGES, layer.in_channels, layer.in_height, layer.in_width)
        found.input_bits[name] = pack_bits(generator.random(maps) < 0.6)
    first = told.network.by_name["first"]
    maps = (IMAGES, first.in_channels, first.in_height, first.in_width)
    found.input_bits["first"] = pack_bits(generator.random(maps) < 0.9)
    return found


def sample(told: TraceHeader) -> LayerSample:
    """Int8 data of the second layer."""
    layer = told.network.gated_layers[0]
    generator = np.random.default_rng(1)
    shapes = (layer.in_channels, layer.in_height, layer.in_width), (
        layer.out_channels, layer.in_channels, *layer.kernel,
    )  # fmt: skip
    maps, weights = (generator.integers(-9, 9, shape).astype(np.int8) for shape in shapes)
    lists = told.mask_channels(layer)
    mask = np.zeros(-(-layer.mask_bits(told.mask_group) // 8), np.uint8)
    return LayerSample(layer.name, 0, maps, weights, np.zeros(lists, np.int32), mask)


def write(path: Path, mask_group: int = 1, whole: bool = True, seed: int = 0) -> None:
    """A trace of element masks; ``whole``: with counts, margins, input bits and a sample."""
    told = header(mask_group)
    found = arrays(told, seed)
    if whole:
        write_trace(path, told, *found[:4], sample(told), *found[4:])
    else:
        write_trace(path, told, found.masks)


def write_channels(path: Path, granularity: str) -> None:
    """A trace of masks of channels."""
    told = header(1, granularity)
    generator = np.random.default_rng(2)
    masks = {
        layer.name: pack_bits(generator.random((IMAGES, *told.mask_shape(layer))) < 0.5)
        for layer in told.network.gated_layers
    }
    write_trace(path, told, masks)


OPTIONS = (
    ("array.feed=systolic",),
    ("array.zero_skipping=word", "activation.dram_format=run-length"),
    ("array.zero_skipping=free-rows", "array.zero_gating=false"),
    ("array.reshape=[[32, 8]]",),
    ("activation.bank_conflicts=bandwidth",),
    ("activation.bank_conflicts=none", "index.decoders=shared"),
    ("activation.run_ahead=0", "index.window=16"),
    ("activation.run_ahead=4", "index.window=16", "index.format=coordinate"),
    ("index.format=run-length", "index.decoders=shared"),
)
"""Machines that take every kernel there is: none is compiled later, when time is short."""


def warm(scratch: Path) -> None:
    """Import and compile before any process is forked: each of these takes seconds the first
    time, and nothing later. No thread is left."""
    for command, (room, _) in COMMANDS.items():
        if command not in ("train", "record", "evaluate"):
            import_module(room)
    for room in (
        "pandas",
        "pyarrow.parquet",
        "hwsim.plots",
        "hwsim.run.comparison",
        "hwsim.run.tables",
    ):
        import_module(room)
    path = scratch / "warm.h5"
    replay = ("run", "--trace", str(path), "--threads", "1")
    for mask_group in (1, 8):
        write(path, mask_group)
        _run(*replay, "--json", "-")
        for settings in OPTIONS:
            _run(*replay, *(part for each in settings for part in ("--set", each)))
    for form in ("output-channel", "input-channel-by-head"):
        write_channels(path, form)
        _run(*replay, "--json", "-")
    path.unlink()


def _run(*argv: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        status = main(argv)
    if status:
        raise RuntimeError(f"{' '.join(argv)}: status {status}")
