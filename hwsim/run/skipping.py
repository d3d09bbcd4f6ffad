"""Schemes beside the same with zeros skipped (docs/model/zero_skipping.md)."""

from __future__ import annotations

from pathlib import Path

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import as_arch
from hwsim.arch.schemes import lane_group_scheme, with_suffixes
from hwsim.cli import progress
from hwsim.run.comparison import Comparison, Traces, simulated
from hwsim.run.results import SimResult
from hwsim.run.simulate import runs_needed
from hwsim.trace.files import as_traces
from hwsim.trace.mask_trace import MaskTrace


def compare_skipping(
    arch: str | Path | ArchConfig, traces: Traces, threads: int | None = None
) -> Comparison:
    """Schemes beside the same with zeros skipped, and their bound, on the images with input bits.

    Of each trace that has any: dense, and hardware of the masks' own lane group, at the machine's
    batch.
    Empty on a machine that skips zeros itself.
    """
    arch = as_arch(arch)
    runs: list[tuple[SimResult, SimResult]] = []
    some = [trace.head(trace.input_images) for trace in as_traces(traces) if trace.input_images]
    work = [(trace, _skipping(arch, trace)) for trace in some]
    total = runs_needed(arch) * sum(trace.images * len(names) for trace, names in work)
    with progress("skipping zeros", total) as advance:
        for trace, names in work:
            dense: SimResult | None = None
            for name in names:
                result = simulated(arch, trace, name, arch.batch, advance, threads=threads)
                dense = dense or result
                runs.append((result, dense))
    return Comparison(runs)


def _skipping(arch: ArchConfig, trace: MaskTrace) -> list[str]:
    """Dense, and the hardware that the masks are made for, each with its forms that skip zeros."""
    own = "unstructured" if trace.header.has_masks else "dense"
    if trace.mask_group > 1:
        own = lane_group_scheme(arch, trace.mask_group, trace.network.layers)
    if not with_suffixes([own], arch):
        return []
    return [
        each
        for name in dict.fromkeys(("dense", own))
        for each in (name, *with_suffixes([name], arch))
    ]
