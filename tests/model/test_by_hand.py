"""Every model on the cases worked out by hand, each on those of the options that it has."""

from __future__ import annotations

from functools import lru_cache

import pytest
from hand_options import BANKS, LISTS_OF_SYMBOLS, SYSTOLIC_FEED
from hand_passes import PASSES
from hand_worked import Hand
from models import MODELS, RTL, Model, parameter
from rtl.layers import Counted

from tools.verification.replay import WITHIN

CASES = [*PASSES, *LISTS_OF_SYMBOLS, *SYSTOLIC_FEED, *BANKS]


@lru_cache
def tiles(name: str) -> dict[str, list[Counted]]:
    """All cases of a model at once."""
    (model,) = (model for model in MODELS if model.name == name)
    cases = [case for case in CASES if model.has(case.arch)]
    counted = model.count([case.run for case in cases])
    return {case.name: found for case, found in zip(cases, counted, strict=True)}


@pytest.mark.parametrize(
    ("model", "case"),
    [
        parameter(model, case, name=case.name)
        for model in MODELS
        for case in CASES
        if model.has(case.arch)
    ],
)
def test_a_case_worked_out_by_hand(model: Model, case: Hand) -> None:
    tile = tiles(model.name)[case.name][case.tile]
    assert {name: tile[name] for name in WITHIN if tile[name]} == {
        name: cycles for name, cycles in case.causes.items() if cycles
    }
    told = {name: count for name, count in case.counters.items() if name in model.names}
    assert {name: tile[name] for name in told} == told


def test_the_rtl_has_every_case_of_passes() -> None:
    """What it lacks are options: feed, formats, idealised banks."""
    assert all(RTL.has(case.arch) for case in PASSES)
