"""Traces that are in memory alone."""

from __future__ import annotations

from oracle.cases import Case

from hwsim.trace.format.header import TraceHeader
from hwsim.trace.mask_trace import MaskTrace


def in_memory_trace(case: Case) -> MaskTrace:
    """The masks of a case drawn for the oracle, as a trace in memory."""
    header = TraceHeader(
        network=case.network,
        method="synthetic",
        mask_group=case.mask_group,
        branch="diagonal",
        gate_norm=case.gate_norm,
        dataset="synthetic",
        image_ids=list(range(case.images)),
        training={},
        synthetic=True,
    )
    return MaskTrace.from_masks(
        header, case.masks, case.zero_operand_macs, case.zero_operand_macs_conditional, case.inputs
    )
