"""Random layers on random machines, kernel and oracle against the RTL.

A machine is built once and plays ``LAYERS`` cases in one simulation: building Icarus Verilog anew
for each would take most of the time. Machine and layer are functions of the seed all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from layer_run import LayerRun
from rtl.layers import difference, play
from rtl.simulator import Observation
from rtl.tiles import passes_of

from hwsim.network import ConvLayer

from .cases import PARAMETERS, Value, acting, build, draw_value
from .compare import Outcome

RTL_CASES = 1_110
LAYERS = 15
"""Cases of one machine."""

MACHINE = {
    name: PARAMETERS[name]
    for name in ("R", "C", "P", "A", "B", "V", "W", "E", "decoders", "run-ahead")
} | {"zero skipping": ("none", "word")}
"""What the RTL is built for: each set of values is a compilation."""

LAYER = {
    "scheme": tuple(name for name in PARAMETERS["scheme"] if name != "dense-zero-gated"),
    **{
        name: PARAMETERS[name]
        for name in ("G", "mask group", "density", "masks", "inputs", "kernel", "stride", "padding")
    },
    "images": PARAMETERS["images"],
    "window": PARAMETERS["window"],
}
"""What each layer has of its own; the window is an input of the RTL."""

RTL_PARAMETERS = LAYER | MACHINE
"""Those that a tile's passes depend on; all others are at their first value or out of the way."""

BESIDE_THE_RTL: dict[str, Value] = {
    **{name: values[0] for name, values in PARAMETERS.items() if name not in RTL_PARAMETERS},
    "activation KiB": 512,
    "weight KiB": 160,
}

MOST_WORK = 30_000
"""Steps of the array if all passes were dense, times pointers and beats under way: what a case
costs to simulate."""


@lru_cache(maxsize=1)
def machines(count: int = -(-RTL_CASES // LAYERS)) -> list[dict[str, Value]]:
    """Machines that meet new pairs of values, for as long as there are any."""
    met: set[tuple] = set()
    chosen = []
    for number in range(count):
        rng = Random(f"machine {number}")
        drawn = [{name: rng.choice(values) for name, values in MACHINE.items()} for _ in range(200)]
        best = max(drawn, key=lambda values: len(set(_pairs(values)) - met))
        met.update(_pairs(best))
        chosen.append(best)
    return chosen


def _pairs(values: dict[str, Value]) -> Iterator[tuple]:
    """Pairs of values; P <= A*B is taken for a value of its own."""
    small = {"P <= A*B": values["P"] <= values["A"] * values["B"]}
    return combinations((values | small).items(), 2)


def draw_run(seed: int) -> tuple[dict[str, Value], LayerRun]:
    """The values of a case and its layer; the scheme is kept until the rest fits it."""
    rng = Random(f"rtl {seed}")
    known = machines()
    machine = known[seed // LAYERS % len(known)]
    lists = ("unstructured",) if machine["V"] == 1 else ("structured", "lockstep")
    scheme = rng.choice(("dense", "clock-gated", *lists * (6 // len(lists))))
    while True:
        layer = {name: draw_value(name, rng) for name in LAYER} | {"scheme": scheme}
        values = BESIDE_THE_RTL | layer | machine | {"batch": layer["images"]}
        if (case := build(values, rng)) and _work(case.network.layers[0], values) <= MOST_WORK:
            (conv,) = case.network.layers
            (masks,) = case.masks.values()
            return values, LayerRun(
                case.arch, conv, case.scheme, case.mask_group, case.images, masks,
                case.inputs.get(conv.name),
            )  # fmt: skip


def _work(layer: ConvLayer, v: dict) -> int:
    groups = -(-layer.out_channels // layer.groups // v["C"]) * layer.groups
    rounds = -(-v["images"] * layer.out_pixels // v["R"]) * groups
    return rounds * layer.steps * v["R"] * -(-v["C"] // v["V"]) * (1 + v["run-ahead"])


def run_rtl_seeds(seeds: Sequence[int]) -> list[Outcome]:
    """Cases of one machine, in order; if the simulation fails, each alone, to tell which did."""
    drawn = [draw_run(seed) for seed in seeds]
    outcomes = [_outcome(seed, *case) for seed, case in zip(seeds, drawn, strict=True)]
    runs = [run for _, run in drawn]
    try:
        with TemporaryDirectory() as folder:
            observed = play(runs, Path(folder))
        for outcome, run, seen in zip(outcomes, runs, observed, strict=True):
            outcome.difference = difference(run, seen)
            _measure(run, seen, outcome)
    except Exception as error:
        if len(seeds) > 1:
            return [outcome for seed in seeds for outcome in run_rtl_seeds([seed])]
        outcomes[0].difference = f"{type(error).__name__}: {error}"
    return outcomes


def _outcome(seed: int, values: dict[str, Value], run: LayerRun) -> Outcome:
    acted = {name: v for name, v in acting(values).items() if name in RTL_PARAMETERS}
    return Outcome(seed, acted, run.scheme, against_oracle=True, rtl=True)


def _measure(run: LayerRun, observed: Sequence[Observation], outcome: Outcome) -> None:
    """A tile's conditional pass is its last one."""
    causes = passes_of(run.layer, run.scheme)
    rounds = [passes[-1]["rounds"] for passes in observed if causes[-1] == "conditional"]
    outcome.rounds, outcome.longest = sum(rounds), max(rounds, default=0)
    outcome.tiles = len(observed)
    outcome.channel_tiles = len({channels[0] for channels, _ in run.tiles()})
