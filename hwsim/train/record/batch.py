"""One batch while it runs: what gates decided when, which layers ran when, and whose mask is whose.

A batch is taken as a whole once the model has returned; one that breaks off is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from torch import Tensor, nn

from hwsim.train.record.masks.gates import Decision, Source
from hwsim.train.record.masks.layouts import Layout
from hwsim.train.record.masks.recording_error import RecordingError


class Reading(NamedTuple):
    """What a layer read: of how many ``images``, its ``zeros`` among operands, bits where the input
    is not zero (``inputs``, packed, or None), and until masks are checked ``x`` itself."""

    images: int
    zeros: Tensor
    inputs: np.ndarray | None = None
    x: Tensor | None = None


class Made(NamedTuple):
    """What a layer made: how it lies in memory, and until masks are checked the map itself."""

    layout: Layout
    output: Tensor | None


@dataclass
class Run:
    """A layer's run. ``inside``: what the one convolution in its module read, each time."""

    entered: int
    outside: Reading | None = None
    inside: list[Reading] = field(default_factory=list)
    left: int = 0
    made: Made | None = None


class Call(NamedTuple):
    """A gate's call: when, and by layer what it decided."""

    at: int
    decisions: Mapping[str, Decision]


@dataclass
class Batch:
    """``images``: as many as the layers that have run so far read, None before the first."""

    now: int = 0
    calls: dict[nn.Module, list[Call]] = field(default_factory=dict)
    told: dict[str, Decision] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)

    def tick(self) -> int:
        self.now += 1
        return self.now

    def decisions(self, sources: Mapping[str, Source]) -> dict[str, Decision]:
        """Each layer's, in the order of ``sources``. Raises RecordingError where none is sure."""
        for name in sources:
            if name not in self.runs or self.runs[name].made is None:
                raise RecordingError(
                    f"layer {name}: did not run in this batch; its zero operands are not known"
                )
        of_gate: dict[nn.Module, list[str]] = {}
        for name, source in sources.items():
            if source.module is not None:
                of_gate.setdefault(source.module, []).append(name)
        found = dict(self.told)
        for module, names in of_gate.items():
            found |= self._of_gate(self.calls.get(module, []), names)
        return {name: found[name] for name in sources}

    def _of_gate(self, calls: Sequence[Call], names: Sequence[str]) -> dict[str, Decision]:
        if not calls:
            raise RecordingError(f"layer {names[0]}: its gate did not run in this batch")
        if len(calls) == 1:
            return dict(calls[0].decisions)
        by_run = sorted(names, key=lambda name: self.runs[name].entered)
        chosen = self._within(calls, by_run) or self._in_turn(calls, by_run)
        if chosen:
            return {name: call.decisions[name] for name, call in zip(by_run, chosen, strict=True)}
        for name in names:
            first = calls[0].decisions[name]
            if not all(first.same(call.decisions[name]) for call in calls[1:]):
                raise RecordingError(
                    f"layer {name}: its gate ran {len(calls)} times in this batch for "
                    f"{len(names)} layer{'s' if len(names) > 1 else ''}, in no order that says "
                    "which mask is its own; give a function of the layer instead"
                )
        return dict(calls[0].decisions)

    def _within(self, calls: Sequence[Call], names: Sequence[str]) -> list[Call]:
        """Each layer's one call while it ran; none where one had no call or several."""
        found = []
        for run in (self.runs[name] for name in names):
            inside = [call for call in calls if run.entered < call.at < run.left]
            if len(inside) != 1:
                return []
            found += inside
        return found

    def _in_turn(self, calls: Sequence[Call], names: Sequence[str]) -> list[Call]:
        """As many calls as layers, one just before or one just after each; else none."""
        if len(calls) != len(names):
            return []
        runs = [self.runs[name] for name in names]
        pairs = list(zip(calls, runs, strict=True))
        before = all(call.at < run.entered for call, run in pairs) and all(
            run.left < call.at for run, call in zip(runs, calls[1:], strict=False)
        )
        after = all(run.left < call.at for call, run in pairs) and all(
            call.at < following.entered for call, following in zip(calls, runs[1:], strict=False)
        )
        return list(calls) if before or after else []

    def readings(self, inside: Mapping[str, bool], by_input: bool) -> dict[str, Reading]:
        """What each layer read: its convolution's own input where that ran once, else its module's.

        ``inside``: which of both it was in the first batch. With ``by_input`` it is the module's:
        a mask of input channels lies between. Raises RecordingError where it is not known, and
        where layers read another number of images.
        """
        found: dict[str, Reading] = {}
        for name, run in self.runs.items():
            own = inside.get(name, len(run.inside) == 1 and not by_input)
            if own and len(run.inside) != 1:
                raise RecordingError(
                    f"layer {name}: its convolution ran {len(run.inside)} times in this batch, "
                    "and once in the first"
                )
            reading = run.inside[0] if own else run.outside
            if reading is None:
                raise RecordingError(
                    f"layer {name}: is not called with the map that its convolution reads, and "
                    f"that runs {len(run.inside)} times in it"
                )
            found[name] = reading
        for (one, first), (other, second) in pairwise(found.items()):
            if first.images != second.images:
                raise RecordingError(
                    f"layer {other}: reads {second.images} images, but layer {one} reads "
                    f"{first.images} of the same batch"
                )
        return found
