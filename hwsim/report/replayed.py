"""Traces replayed for a page, as ``hwsim run`` replays them."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.report.figures.masks import Pictures
from hwsim.report.inputs import Replay
from hwsim.report.runs import RunData
from hwsim.run.comparison import density_sweep
from hwsim.run.record import record_run
from hwsim.run.results import layers_frame
from hwsim.trace.mask_trace import MaskTrace


def replayed_run(
    replay: Replay, traces: Sequence[MaskTrace], pictures: Pictures | None = None
) -> RunData:
    """All schemes asked for, at the machine's batch and at 1, and the density axis."""
    record = record_run(replay.arch, traces, replay.schemes, changed=replay.changed, cells=False)
    return RunData(
        replay.arch, record.summary(), layers_frame(record.comparison.results()),
        density_sweep(replay.arch, traces, replay.schemes), traces, pictures or {},
    )  # fmt: skip
