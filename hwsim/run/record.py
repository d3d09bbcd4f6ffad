"""All that one ``hwsim run`` computes, before anything of it is printed, drawn or written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hwsim.arch.config import ArchConfig
from hwsim.model import Engine
from hwsim.run.answer import notes, sentences, zeros_skipped
from hwsim.run.comparison import Comparison, compare, compare_skipping, left_out, two_by_two
from hwsim.run.price_sets import other_prices
from hwsim.run.provenance import provenance
from hwsim.run.results import SimResult
from hwsim.run.turning_points import turning_points
from hwsim.text_table import counted
from hwsim.trace.mask_trace import MaskTrace


@dataclass(frozen=True)
class Record:
    """Runs of all schemes and batches, and what is said of them.

    ``skipping``: beside zeros skipped; ``cells``: mask by hardware; ``prices`` and ``turns``: of
    the runs at the largest batch; ``left_out``: a line for each scheme that a trace cannot use.
    """

    arch: ArchConfig
    comparison: Comparison
    skipping: Comparison
    title: str
    cells: list[dict[str, Any]] = field(default_factory=list)
    prices: list[dict[str, Any]] = field(default_factory=list)
    turns: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def largest_batch(self) -> int:
        return max(run.batch for run in self.comparison.results())

    @property
    def skipping_title(self) -> str:
        """Of the table of :attr:`skipping`; empty where that is."""
        if not self.skipping.runs:
            return ""
        first, _ = self.skipping.runs[0]
        images = f"the {first.images} images with input bits"
        return f"where zeros are skipped: {images}, batch {first.batch}"

    def sentences(self) -> list[str]:
        return sentences(self.comparison.distinct(), self.prices)

    def zeros_skipped(self) -> list[str]:
        return list(zeros_skipped(self.skipping))

    def notes(self) -> list[str]:
        return notes(self.arch, self.comparison.results())

    def summary(self) -> dict[str, Any]:
        """What ``summary.json`` holds."""
        results = self.comparison.results()
        runs = [
            {"trace": run.trace_name, "scheme": run.scheme.name, "batch": run.batch}
            | {"images": run.images, "engine": run.engine}
            for run in results
        ]
        traces = {run.trace_name: run.trace_sha256 for run in results}
        return {
            "arch": self.arch.name,
            "clock_mhz": self.arch.clock_mhz,
            "energy_table": self.arch.pricing.table,
            "title": self.title,
            "answer": {
                "sentences": self.sentences(),
                "skipping_title": self.skipping_title,
                "zeros_skipped": self.zeros_skipped(),
                "notes": [*self.left_out, *self.notes()],
            },
            "schemes": self.comparison.rows(),
            "mask_by_hardware": self.cells,
            "other_prices": self.prices,
            "zero_skipping": self.skipping.rows(),
            "provenance": provenance(self.arch, traces) | {"runs": runs},
            "turning_points": self.turns,
        }


def record_run(
    arch: ArchConfig,
    traces: Sequence[MaskTrace],
    schemes: Sequence[str] | None = None,
    batches: Sequence[int] | None = None,
    engine: Engine = "kernel",
    threads: int | None = None,
    *,
    changed: Sequence[str] = (),
    cells: bool = True,
) -> Record:
    """Replay the traces as ``hwsim run`` does; ``changed``: --set, for the title.

    ``cells``: whether mask by hardware is wanted. It is empty where schemes are named, and so is
    what skips zeros.
    """
    comparison = compare(arch, traces, schemes, batches, engine, threads)
    found = two_by_two(arch, traces, threads) if cells and not schemes else []
    skipping = Comparison([])
    if not schemes and engine == "kernel":
        skipping = compare_skipping(arch, traces, threads)
    runs = comparison.distinct().results()
    largest = max(run.batch for run in runs)
    of_largest = [run for run in runs if run.batch == largest]
    return Record(
        arch, comparison, skipping, _title(arch, runs, changed), found,
        other_prices(of_largest), turning_points(of_largest), left_out(arch, traces, schemes),
    )  # fmt: skip


def _title(arch: ArchConfig, results: Sequence[SimResult], changed: Sequence[str]) -> str:
    """Network, machine and what was changed of it, images, prices."""
    first = results[0]
    machine = f"{arch.name} with {', '.join(changed)}" if changed else arch.name
    images = counted(first.images, "image")
    masked = any(result.header.has_masks for result in results)
    images += "" if masked else ", no masks"
    return f"{first.network.name} on {machine}, {images}, prices {arch.pricing.table}"
