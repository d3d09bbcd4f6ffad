"""Two machines: their keys, and the areas of the schemes that both can build."""

from __future__ import annotations

import json

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import dotted
from hwsim.arch.schemes import scheme_names
from hwsim.diff.results import Results, Run, family
from hwsim.energy.area import area
from hwsim.energy.table import EnergyTable, PriceError


def of_machine(arch: ArchConfig) -> Results:
    """Schemes are paired by name, else by family: structured-8x with structured-4x."""
    keys = dict(dotted(json.loads(arch.model_dump_json())))
    # Gating zeros adds no hardware that has an area.
    names = [name for name in scheme_names(arch) if name != "dense-zero-gated"]
    return Results(keys, [_hardware(arch, name) for name in names])


def _hardware(arch: ArchConfig, scheme: str) -> Run:
    labels, keys = {"scheme": scheme}, (scheme, family(scheme))
    try:
        areas = area(arch, scheme, EnergyTable.load(arch.pricing.table))
    except PriceError as error:
        return Run(labels, keys, {}, no_figures=str(error))
    return Run(labels, keys, {"area": dict(areas)})
