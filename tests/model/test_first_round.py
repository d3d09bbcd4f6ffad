"""A broken model is told by layer, tile, round, name, expected and actual."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from by_hand import machine
from oracle.cases import Case
from oracle.machines import conv, network
from rtl.layers import LayerRun, play
from rtl.layers import difference as difference_of_rtl
from rtl.simulator import missing_tools

from hwsim.counters import CAUSES
from hwsim.model import Engine
from hwsim.model import replay as engines
from hwsim.model.engines import ENGINES
from hwsim.model.kernel.pipeline import Transfers
from hwsim.network import ConvLayer
from hwsim.trace.format.header import TraceHeader
from hwsim.trace.mask_trace import MaskTrace
from rtl import layers
from tools.verification.compare import Outcome, compare
from tools.verification.replay import Replayed, difference, replay

STEPS = 2
"""Of either pass of the gated layer."""


def two_tiles_of_16(scheme: str) -> Replayed:
    """R = 4, P = 16; a dense layer, and a gated one of 32 pixels a batch: 8 tiles of 16.

    A round of 2 steps takes 4 cycles, as the drain does, and a pass ends with 4: four base rounds
    have 4 * 2 + 4 = 12 cycles of drain. Of the second image's masks, tile 0 has two rounds of the
    lists (2 * 2 + 4 cycles of drain), tile 1 four (4 * 2 + 4); the first image's have none.
    """
    edges = {"size": (1, 32), "groups": 1}
    layers = network(
        conv("stem", (4, 4), **edges), conv("gated", (4, 4), **{**edges, "groups": 2}, input="stem")
    )
    header = TraceHeader(
        network=layers, method="synthetic", mask_group=1, dataset="drawn", image_ids=(0, 1),
        synthetic=True,
    )  # fmt: skip
    masks = np.zeros((2, 4, 1, 32), bool)
    masks[1, 0, 0, :8] = masks[1, 0, 0, 16:] = True
    trace = MaskTrace.from_masks(header, {"gated": masks})
    return Replayed(machine(tile_pixels=16), trace, scheme, batch=1)


def break_the_third_round(monkeypatch: pytest.MonkeyPatch, engine: Engine, cause: str) -> None:
    """Of a pass: it drains one cycle longer."""
    intact = ENGINES[engine]

    def broken(*arguments: Any) -> Any:
        cycles, counts = intact(*arguments)
        if arguments[0].mapping.layer.gated:
            rounds = cycles[:, CAUSES.index(cause)] // STEPS
            cycles[rounds >= 3, CAUSES.index("drain")] += 1
        return cycles, counts

    monkeypatch.setitem(ENGINES, engine, broken)


def told(case: Replayed) -> str | None:
    engines: tuple[Engine, Engine] = ("reference", "kernel")
    return difference(case, *(replay(case, engine) for engine in engines), engines)


def test_the_third_round_of_the_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    break_the_third_round(monkeypatch, "kernel", "conditional")
    assert told(two_tiles_of_16("unstructured")) == (
        f"batch 1, layer gated, tile 1: drain: expected {12 + 12}, found {12 + 12 + 1}; first in "
        f"round 2 of its lists (drain: expected {12 + 10}, found {12 + 10 + 1} up to there)"
    )


def test_the_third_round_of_consecutive_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first image has no ones; what the third round costs is there in its first tile."""
    break_the_third_round(monkeypatch, "reference", "base")
    assert told(two_tiles_of_16("lockstep-2")) == (
        "batch 0, layer gated, tile 0: drain: expected 13, found 12; first in round 2 of its "
        "consecutive pixels (drain: expected 11, found 10 up to there)"
    )


def test_both_passes_of_the_gated_scheme_are_of_consecutive_pixels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    break_the_third_round(monkeypatch, "kernel", "conditional")
    assert told(two_tiles_of_16("clock-gated")) == (
        "batch 0, layer gated, tile 0: drain: expected 24, found 25; first in round 2 of its "
        "consecutive pixels (drain: expected 20, found 21 up to there)"
    )


def test_intact_models_are_equal() -> None:
    assert told(two_tiles_of_16("unstructured")) is None


def test_an_error_that_both_engines_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracle compares layers; its tiles are looked at where one differs."""
    for engine in ("kernel", "reference"):
        break_the_third_round(monkeypatch, engine, "conditional")
    intact = engines.run_kernel

    def in_all(plan: Any, packed: Any, inputs: Any, batches: int, *, by_tile: bool) -> Any:
        """The totals of the broken tiles; what stalls between them is added elsewhere."""
        whole = intact(plan, packed, inputs, batches, by_tile=by_tile)
        if packed is None:
            return whole
        nothing, none = np.zeros((1, len(plan.tiles)), np.int64), np.zeros((1, 1), np.int64)
        edges = np.array([0, len(plan.tiles)])
        idle = Transfers(edges, nothing[0], nothing, nothing, nothing, none, none)
        runs = [ENGINES["kernel"](plan, packed[at : at + 1], None, idle) for at in range(batches)]
        cycles, counts = (
            np.array([tiles.sum(axis=0) for tiles in of]) for of in zip(*runs, strict=True)
        )
        return cycles, counts, whole[2]

    monkeypatch.setattr(engines, "run_kernel", in_all)
    case = two_tiles_of_16("unstructured")
    masks = {"gated": case.trace.masks("gated")}
    drawn = Case(case.arch, case.trace.network, case.scheme, 1, 1, 2, masks, {})
    outcome = Outcome(0, {}, case.scheme, against_oracle=True)
    compare(drawn, outcome)
    # The gated layer's 8 base passes, and the conditional ones of the docstring above.
    drain = 8 * 12 + 8 + 12
    assert outcome.difference == (
        f"kernel against oracle, layer gated: drain: expected {drain}, found {drain + 1} in all; "
        "batch 1, tile 1: drain: expected 24, found 25; first in round 2 of its lists "
        "(drain: expected 22, found 23 up to there)"
    )


@pytest.mark.skipif(missing_tools() is not None, reason=f"RTL not run: {missing_tools()}")
@pytest.mark.parametrize("model", ["oracle", "kernel"])
def test_the_third_round_of_the_rtl(
    model: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same layer; where the RTL costs a cycle more, the oracle has the right count."""
    case = two_tiles_of_16("unstructured")
    gated = case.trace.network.layers[1].model_copy(update={"input": "input"})
    arch = machine(tile_pixels=16, lane_group=1)
    run = LayerRun(arch, gated, "unstructured", 1, 2, case.trace.masks("gated"))
    (observed,) = play([run], tmp_path)
    assert difference_of_rtl(run, observed) is None
    if model == "oracle":
        intact = layers.causes_and_counts

        def broken(observed: list[dict[str, int]], layer: ConvLayer, scheme: str) -> Any:
            causes, counts = intact(observed, layer, scheme)
            causes["drain"] += observed[1]["rounds"] >= 3
            return causes, counts

        monkeypatch.setattr(layers, "causes_and_counts", broken)
    else:
        break_the_third_round(monkeypatch, "kernel", "conditional")
    more = {"oracle": "expected {0}, found {1}", "kernel": "expected {1}, found {0}"}[model]
    assert difference_of_rtl(run, observed) == (
        f"RTL against {model}, layer gated, tile 3: drain: {more.format(24, 25)}; first in round 2 "
        f"of its lists (drain: {more.format(22, 23)} up to there)"
    )
