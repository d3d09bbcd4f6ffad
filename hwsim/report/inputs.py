"""What a report is of: traces, networks, folders of runs and of sweeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hwsim.arch.config import ArchConfig
from hwsim.errors import UserError
from hwsim.network.file import SUFFIXES
from hwsim.report.figures.masks import Pictures, has_maps, pictures_of
from hwsim.report.figures.parts import Part
from hwsim.run.inputs import open_trace
from hwsim.run.provenance import holds_run
from hwsim.sweep.folder import PARTS
from hwsim.trace.files import find_distinct, open_network
from hwsim.trace.mask_trace import MaskTrace


@dataclass(frozen=True)
class Given:
    """Inputs by their kinds; a folder may be of several."""

    traces: list[Path] = field(default_factory=list)
    networks: list[Path] = field(default_factory=list)
    runs: list[Path] = field(default_factory=list)
    sweeps: list[Path] = field(default_factory=list)

    @property
    def replayed(self) -> bool:
        """Whether anything is replayed, for which machine, schemes and images can be chosen."""
        return bool(self.traces or self.networks)


def given(names: Sequence[str]) -> Given:
    """Raises UserError for what is none of these; without names the shipped traces are meant."""
    found = Given()
    traces: list[str] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            if not _sort_folder(path, found, traces):
                raise UserError(
                    f"{name}: neither a run (hwsim run --out), nor a sweep (hwsim sweep --out), "
                    "nor traces (*.h5) in this folder"
                )
        elif path.suffix in (*SUFFIXES, ".onnx"):
            found.networks.append(path)
        else:
            traces.append(name)
    if traces or not names:
        found.traces.extend(find_distinct(traces))
    return found


def _sort_folder(path: Path, found: Given, traces: list[str]) -> bool:
    """Whether the folder is of any kind."""
    kinds = [(found.runs, holds_run(path)), (found.sweeps, any(path.glob(PARTS)))]
    for paths, is_one in kinds:
        if is_one:
            paths.append(path)
    if any(path.glob("*.h5")):
        traces.append(str(path))
        return True
    return any(is_one for _, is_one in kinds)


@dataclass(frozen=True)
class Replay:
    """How traces and networks are replayed; ``changed``: --set, for titles."""

    arch: ArchConfig
    changed: Sequence[str] = ()
    schemes: Sequence[str] | None = None
    images: int | None = None
    data: Path | None = None


def parts_of(found: Given, replay: Replay) -> list[Part]:
    """A part for all traces together, and one for each network and folder. Raises UserError."""
    traces = [open_trace(path, replay.images) for path in found.traces]
    networks = [
        MaskTrace.of_network(open_network(path), replay.images or replay.arch.batch)
        for path in found.networks
    ]
    pictures: Pictures = {}
    if replay.data:
        pictures = pictures_of(replay.data, [trace for trace in traces if has_maps(trace)])
    # Numba and the simulator are loaded once the input is known to be good.
    from hwsim.report.folders import read_run
    from hwsim.report.replayed import replayed_run
    from hwsim.report.runs import part_of_run

    parts = []
    if traces:
        parts.append(part_of_run(replayed_run(replay, traces, pictures)))
    parts += [part_of_run(replayed_run(replay, [network])) for network in networks]
    parts += [part_of_run(read_run(path)) for path in found.runs]
    if found.sweeps:
        from hwsim.report.figures.points import read_points
        from hwsim.report.sweeps import part_of_sweep

        parts += [part_of_sweep(read_points(path)) for path in found.sweeps]
    return parts
