"""Layers as the RTL plays them, tile by tile, and where it differs from oracle or kernel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from divergence import first_divergence
from layer_run import LayerRun
from oracle.cycles import tile as oracle_tile
from oracle.layout import conv_layout
from oracle.machines import conv, network

from hwsim.arch.config import ArchConfig
from hwsim.arch.schemes import SKIP, parse_scheme
from hwsim.mapping.residency import map_network
from hwsim.mapping.tiles import tile_layer
from hwsim.model import Engine
from tools.verification.replay import NAMES, WITHIN, Place, Replayed, alone, replay, within_tiles
from tools.verification.rounds import Cut, Work, first_round

from .buffers import activation_words
from .simulator import Case, Observation, observe
from .tiles import causes_and_counts, parameters, passes_of, tile_case

CAUSES_OF_A_PASS = ("steps", "bank_stall_cycles", "drain_cycles", "decode_stall_cycles")

Counted = Counter[str]
"""Causes and counters of one tile, by name; what was never counted is 0."""


def draw(rng: np.random.Generator, arch: ArchConfig) -> LayerRun:
    """A random layer, scheme and mask for this machine; gates of a single group zero."""
    lanes, columns = arch.index.lane_group, arch.array.columns
    schemes = ["unstructured"] if lanes == 1 else [f"lockstep-{lanes}"]
    mask_group = 1
    if lanes > 1 and columns % lanes == 0 and rng.random() < 0.5:
        schemes, mask_group = [f"structured-{lanes}x"], lanes
    scheme = str(rng.choice([*schemes * 4, "clock-gated", "dense"]))
    groups = int(rng.choice([1, 2, 2, 3, 4]))
    kernel = int(rng.choice([1, 1, 2, 3, 3]))
    width = mask_group * int(rng.integers(1, max(2, 2 * columns // mask_group + 1)))
    layer = conv(
        channels=(groups * int(rng.integers(1, 7)), groups * width),
        size=(int(rng.integers(max(1, kernel - 1), 9)), int(rng.integers(max(1, kernel - 1), 9))),
        kernel=kernel,
        stride=int(rng.choice([1, 1, 2])),
        groups=groups,
        gated=groups > 1 or bool(rng.random() < 0.7),
    )
    images = int(rng.integers(1, 3))
    masks = None
    if layer.gated:
        shape = (images, layer.out_channels // mask_group, layer.out_height, layer.out_width)
        density = rng.choice([0.0, 0.02, 0.1, 0.3, 0.6, 0.9, 1.0])
        masks = rng.random(shape) < density
    return LayerRun(arch, layer, scheme, mask_group, images, masks)


def skipping(rng: np.random.Generator, run: LayerRun) -> LayerRun:
    """The same on the machine that skips zeros, with random input bits."""
    shape = (run.images, run.layer.in_channels, run.layer.in_height, run.layer.in_width)
    inputs = rng.random(shape) < rng.choice([0.0, 0.05, 0.2, 0.5, 0.8, 1.0])
    return replace(run, scheme=run.scheme + SKIP, inputs=inputs)


def cases(run: LayerRun) -> list[Case]:
    """The inputs of the RTL for every tile; the first one's ``nonzero`` is that of all of them."""
    run = replace(run, scheme=run.scheme.removesuffix(SKIP), inputs=_inputs(run))
    layout = conv_layout(run.layer, run.arch, run.images)
    tiles = [
        tile_case(
            run.layer, run.arch, run.scheme, run.masks, run.mask_group,
            channels, pixels, layout,
        )
        for channels, pixels in run.tiles()
    ]  # fmt: skip
    if run.inputs is not None:
        tiles[0]["nonzero"] = activation_words(run.layer, run.arch, layout, run.inputs, bits=1)
    return tiles


def _inputs(run: LayerRun) -> np.ndarray | None:
    """The input bits by which the run skips zeros; None where it does not."""
    skipping = parse_scheme(run.scheme, run.arch).skipping
    if run.inputs is None or skipping == "none":
        return None
    assert skipping == "word", "a bound is no machine"
    return run.inputs


def play(runs: Sequence[LayerRun], folder: Path) -> list[list[Observation]]:
    """A simulation for each build that the runs need: per run and tile the passes as observed."""
    builds: dict[tuple, list[int]] = {}
    for number, run in enumerate(runs):
        builds.setdefault(tuple(build_of(run).items()), []).append(number)
    observed: list[list[Observation]] = [[] for _ in runs]
    for at, (machine, numbers) in enumerate(builds.items()):
        inputs = {number: cases(runs[number]) for number in numbers}
        flat = [case for of_run in inputs.values() for case in of_run]
        there = folder / str(at)
        seen = iter(observe("counted_tile_pass", "tile_bench", dict(machine), flat, there))
        for number, of_run in inputs.items():
            observed[number] = [next(seen) for _ in of_run]
    return observed


def build_of(run: LayerRun) -> dict[str, int]:
    """The machine, with the lane groups of the scheme where it follows lists."""
    machine = parameters(run.arch)
    if _inputs(run) is not None:
        machine["SKIP"] = 1
    return {**machine, "V": 1} if run.scheme.removesuffix(SKIP) == "unstructured" else machine


def difference(run: LayerRun, observed: Sequence[Observation]) -> str | None:
    """The first tile, name and round in which the RTL differs from the oracle, or the kernel."""
    rtl = [counted(passes, run) for passes in observed]
    for number, passes in enumerate(observed):
        _check_rounds(run, number, passes)
    models = {"oracle": oracle_tiles(run)}
    if run.masks is not None:  # a trace has a gated layer
        models["kernel"] = engine_tiles(run, "kernel")
    names = tuple(rtl[0])
    mine = np.array([_row(tile, names) for tile in rtl])
    for model, tiles in models.items():
        expected = np.array([_row(tile, names) for tile in tiles])
        if found := first_divergence(expected, mine, names):
            where = f"RTL against {model}, layer {run.layer.name}, {found}"
            return f"{where}; {_round(run, model, found.tile, names)}"
    return None


def _check_rounds(run: LayerRun, tile: int, passes: Observation) -> None:
    """Every round of a pass takes, or skips, as many steps as the pass has for an output."""
    layer, causes = run.layer, passes_of(run.layer, run.scheme)
    steps = {"base": layer.base_steps, "conditional": layer.conditional_steps}
    if len(causes) == 1:
        steps = dict.fromkeys(causes, layer.steps)
    for number, (seen, cause) in enumerate(zip(passes, causes, strict=True)):
        of_pass = steps[cause]
        assert seen["steps"] + seen["steps_skipped"] == seen["rounds"] * of_pass, (
            f"tile {tile}, pass {number}: {seen['rounds']} rounds of {of_pass} steps, "
            f"but {seen['steps']} steps, {seen['steps_skipped']} skipped"
        )


def _round(run: LayerRun, model: str, tile: int, names: tuple[str, ...]) -> str:
    """The tile alone on both, with more and more rounds."""
    channels, pixels = run.tiles()[tile]
    before = [part for first, part in run.tiles()[:tile] if first == channels]
    start = sum(map(len, before))
    flat = None
    if run.masks is not None and not run.scheme.startswith("dense"):
        flat = run.masks.swapaxes(0, 1).reshape(run.masks.shape[1], -1)
    inside = range(start, start + len(pixels))
    rows = run.arch.array.rows
    cuts = Work(rows, run.scheme, run.mask_group, flat, channels, inside).cuts()
    pieces = [run.piece(channels, pixels[: cut.pixels], cut.masks) for cut in cuts]

    def rtl(_: Sequence[Cut]) -> list[np.ndarray]:
        with TemporaryDirectory() as folder:
            observed = play(pieces, Path(folder))
        return [_row(counted(seen[0], run), names) for seen in observed]

    def oracle(_: Sequence[Cut]) -> list[np.ndarray]:
        return [_row(oracle_tiles(piece)[0], names) for piece in pieces]

    def kernel(cuts: Sequence[Cut]) -> Iterator[np.ndarray]:
        number = _engine_places(run).index((channels[0], start))
        replayed = Replayed(run.arch, run.trace(), run.scheme, run.images)
        for row in alone(replayed, "kernel", Place(0, 0, run.images, number))(cuts):
            yield _row(Counter(dict(zip(NAMES, row.tolist(), strict=True))), names)

    return first_round(cuts, {"oracle": oracle, "kernel": kernel}[model], rtl, names)


def counted(passes: Observation, run: LayerRun) -> Counted:
    """What the RTL counts of a tile, every cause of its passes among it."""
    for number, seen in enumerate(passes):
        spent = sum(seen[name] for name in CAUSES_OF_A_PASS)
        assert spent == seen["clock"], f"pass {number} took {seen['clock']} cycles, {spent} counted"
    causes, counts = causes_and_counts(passes, run.layer, run.scheme)
    return Counter({**dict.fromkeys(WITHIN, 0), **causes, **counts})


def oracle_tiles(run: LayerRun) -> list[Counted]:
    """The oracle's tiles."""
    layout = conv_layout(run.layer, run.arch, run.images)
    tiles = []
    for channels, pixels in run.tiles():
        causes, counts = oracle_tile(
            run.layer, run.arch, run.scheme, run.masks, run.mask_group, channels, pixels, layout,
            inputs=run.inputs,
        )  # fmt: skip
        tiles.append(Counter({**causes, **counts}))
    return tiles


def engine_tiles(run: LayerRun, engine: Engine) -> list[Counted]:
    """An engine's tiles in the order of ``run.tiles()``, found by their place in the layer."""
    replayed = Replayed(run.arch, run.trace(), run.scheme, run.images)
    (result,) = replay(replayed, engine)
    rows = dict(zip(_engine_places(run), within_tiles(result).tolist(), strict=True))
    found, pixel = [], 0
    for channels, pixels in run.tiles():
        row = rows.pop((channels[0], pixel))
        found.append(Counter(dict(zip(NAMES, row, strict=True))))
        pixel = (pixel + len(pixels)) % (run.images * run.layer.out_pixels)
    assert not rows, "the engine has further tiles"
    return found


def _engine_places(run: LayerRun) -> list[tuple[int, int]]:
    """First channel and first pixel of each of an engine's tiles."""
    gating = parse_scheme(run.scheme, run.arch).gating("batch")
    (mapping,) = map_network(network(run.layer), run.arch, run.images, gating)
    tiles = tile_layer(mapping)
    return list(zip(tiles.channel_start.tolist(), tiles.pixel_start.tolist(), strict=True))


def _row(tile: Counted, names: tuple[str, ...]) -> np.ndarray:
    return np.array([tile[name] for name in names])
