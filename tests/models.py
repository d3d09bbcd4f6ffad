"""One interface to every model of a layer: what it is given, what it tells, what options it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from layer_run import LayerRun
from rtl.layers import Counted, counted, engine_tiles
from rtl.layers import play as play_rtl
from rtl.simulator import missing_tools

from hwsim.arch.config import ArchConfig
from tools.verification.replay import NAMES, WITHIN


@dataclass(frozen=True)
class Model:
    """Counts the tiles of layers, one after the other, channels outside, pixels inside.

    ``names`` are the causes and counters that it tells of a tile; ``options`` the values it has of
    those options of a machine of which it has not all; ``examples`` as many of a random kind as
    take it a second or two.
    """

    name: str
    count: Callable[[Sequence[LayerRun]], list[list[Counted]]]
    names: tuple[str, ...]
    examples: int
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    missing: str | None = None

    def has(self, arch: ArchConfig) -> bool:
        """Whether the model can be this machine."""
        there = {
            "feed": arch.array.feed,
            "bank conflicts": arch.activation.bank_conflicts,
            "format": arch.index.format,
            "zero skipping": arch.array.zero_skipping,
        }
        return all(there[name] in values for name, values in self.options.items())

    def run(self, run: LayerRun) -> list[Counted]:
        """The tiles of one layer."""
        return self.count([run])[0]


def _engine(name: str, runs: Sequence[LayerRun]) -> list[list[Counted]]:
    return [engine_tiles(run, name) for run in runs]


def _rtl(runs: Sequence[LayerRun]) -> list[list[Counted]]:
    """One simulation for all layers that need the same build."""
    with TemporaryDirectory() as folder:
        observed = play_rtl(runs, Path(folder))
    return [
        [counted(passes, run) for passes in tiles]
        for run, tiles in zip(runs, observed, strict=True)
    ]


COUNTED_BY_RTL = (
    "activation_word_reads", "line_fills", "weight_word_reads", "steps_skipped", "decoder_cycles",
    "window_compares", "psum_base_writes", "psum_conditional_reads",
)  # fmt: skip

KERNEL = Model("kernel", partial(_engine, "kernel"), NAMES, examples=120)
REFERENCE = Model("reference", partial(_engine, "reference"), NAMES, examples=40)
RTL = Model(
    "rtl", _rtl, WITHIN + COUNTED_BY_RTL, examples=2,
    options={
        "feed": ("broadcast",), "bank conflicts": ("exact",), "format": ("bitmap",),
        "zero skipping": ("none", "word"),
    },
    missing=missing_tools(),
)  # fmt: skip
"""Gates normalised by batch; neither output stage nor DMA."""

MODELS = (KERNEL, REFERENCE, RTL)


def parameter(model: Model, *values: object, name: str = "") -> object:
    """The model as a test's parameter, alone or with values; skipped where it cannot be run."""
    skip = pytest.mark.skipif(
        model.missing is not None, reason=f"RTL not run: {model.missing}; make rtl-test installs it"
    )
    return pytest.param(model, *values, id=f"{model.name} {name}".strip(), marks=skip)
