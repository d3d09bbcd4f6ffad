"""Replay a trace on a machine: batch by batch, layer by layer, on one of the models."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from hwsim.arch.config import ArchConfig, Shape
from hwsim.arch.load import as_arch
from hwsim.arch.schemes import (
    OF_CHANNELS,
    Scheme,
    SchemeError,
    lanes_align,
    parse_scheme,
    schemes_for,
    with_suffixes,
)
from hwsim.counters import C
from hwsim.mapping.channels import Gates, channel_shapes_held
from hwsim.mapping.residency import shapes_held
from hwsim.model import Engine
from hwsim.model.replay import Memories, Totals, batch_sizes, replay
from hwsim.model.segment import segments
from hwsim.model.skip_plan import operands_of_pixels
from hwsim.network import ConvLayer, Network
from hwsim.run.results import SimResult
from hwsim.trace.active_channels import hindrance, kept_macs
from hwsim.trace.mask_trace import MaskTrace


def simulate(
    arch: str | Path | ArchConfig,
    trace: MaskTrace | Network | str | Path,
    scheme: str = "dense",
    *,
    batch: int | None = None,
    engine: Engine = "kernel",
    threads: int | None = None,
    on_images: Callable[[int], None] | None = None,
    memories: Memories | None = None,
) -> SimResult:
    """Replay all images of ``trace`` under ``scheme``, ``batch`` (the machine's) at a time.

    ``arch``: a machine, a path or a shipped name; ``trace``: a trace or its file, or a network
    without masks, of which one batch runs dense. A last batch may be smaller; with fewer images
    than ``batch``, all images form one batch.

    ``engine`` chooses the model: the kernel, or the reference, thousands of times slower, which
    returns the same integers. The kernel runs in ``threads`` (as many as there are cores), which
    changes no result. ``on_images`` is called with each number of images done, of every run where
    ``array.reshape`` asks for several (see :func:`runs_needed`). ``memories``: of a sweep, whose
    machines share what their differences do not change.
    Raises SchemeError where the masks do not fit the scheme, MappingError where the machine cannot
    hold a layer.
    """
    arch = as_arch(arch)
    if isinstance(trace, Network):
        trace = MaskTrace.of_network(trace, batch or arch.batch)
    trace = trace if isinstance(trace, MaskTrace) else MaskTrace.open(trace)
    chosen, batch = checked(arch, trace, scheme, batch)
    require_model(chosen, trace, engine)
    run = partial(
        replay, arch, trace, chosen, batch, engine=engine, threads=threads, on_images=on_images,
        memories=memories,
    )  # fmt: skip
    shapes = _choose_shapes(arch, trace, chosen, batch, run)
    totals = run(shapes)
    if totals.ones is not None:
        trace.remember_ones(totals.ones)
    _move_zero_operands(arch, trace, chosen, totals.counters)
    return SimResult(
        arch=arch, header=trace.header, trace_name=trace.name, trace_sha256=trace.sha256,
        scheme=chosen, batch=batch, causes=totals.causes, counters=totals.counters,
        mask_ones=trace.ones(), batch_cycles=totals.batch_cycles, engine=engine, shapes=shapes,
        kept_macs=kept_macs(trace) if trace.header.of_channels else None,
    )  # fmt: skip


def replay_by_tile(
    arch: ArchConfig,
    trace: MaskTrace,
    scheme: str,
    *,
    batch: int | None = None,
    engine: Engine = "kernel",
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cycles by cause and counters of every visit to a tile: per batch and layer, in order.

    Under ``channels`` predictors are layers of their own, in front of the one they choose for.
    int64 (visits, CAUSES) and (visits, COUNTERS). The kernel books the stalls between visits at a
    layer's last one, the reference where they fall. Counters that shapes alone decide (DRAM bytes,
    residual reads, activation writes) are 0.
    """
    chosen, batch = checked(arch, trace, scheme, batch)
    shapes = chosen_shapes(arch, trace, scheme, batch=batch, engine=engine)
    require_model(chosen, trace, engine)
    found = []
    for segment in segments(arch, trace, chosen, batch, shapes, at_once=batch):
        bits = segment.read(trace)
        channels = segment.channels(bits.masks)
        found += [
            segment.run_by_tile(position, engine, bits, channels)
            for position in range(len(segment.plans))
        ]
    return found


def chosen_shapes(
    arch: ArchConfig,
    trace: MaskTrace,
    scheme: str,
    *,
    batch: int | None = None,
    engine: Engine = "kernel",
) -> tuple[Shape, ...]:
    """The array's shape in each layer: its own, or the fastest of those listed."""
    chosen, batch = checked(arch, trace, scheme, batch)
    run = partial(replay, arch, trace, chosen, batch, engine=engine)
    return _choose_shapes(arch, trace, chosen, batch, run)


def checked(
    arch: ArchConfig, trace: MaskTrace, scheme: str, batch: int | None
) -> tuple[Scheme, int]:
    """The scheme, and images of a batch. Raises SchemeError where the trace cannot run so."""
    chosen = parse_scheme(scheme, arch)
    require_usable(chosen, arch, trace)
    require_inputs(chosen, arch, trace, trace.images)
    if batch is not None and batch < 1:
        raise SchemeError(f"batch {batch}: expected a positive integer")
    return chosen, min(batch or arch.batch, trace.images)


def require_usable(scheme: Scheme, arch: ArchConfig, trace: MaskTrace) -> None:
    """Raise SchemeError unless the trace's masks can run under the scheme."""
    usable = usable_schemes(arch, trace)
    if scheme.name not in [*usable, *with_suffixes(usable, arch)]:
        raise SchemeError(
            f"{trace.path or trace.name}: scheme {scheme.name!r} cannot use these masks "
            f"({masks_of(trace)}) on {arch.name}; valid: {', '.join(usable)}"
        )


def require_inputs(scheme: Scheme, arch: ArchConfig, trace: MaskTrace, images: int) -> None:
    """Raise SchemeError where a run needs input bits that the first ``images`` lack.

    It does where the scheme skips zeros, and where maps are coded in DRAM: not of masks of
    channels, on which the visits themselves hang.
    """
    has = trace.input_images
    codes = arch.activation.dram_format
    if codes != "dense" and scheme.kind == "channels":
        raise SchemeError(
            f"{trace.path or trace.name}: activation.dram_format: {codes} does not go with scheme "
            "'channels'; valid: dense"
        )
    wants = f"activation.dram_format: {codes}" if codes != "dense" else ""
    if scheme.skipping != "none":
        wants = f"scheme {scheme.name!r} with zeros skipped"
    if not wants or has >= images:
        return
    advice = (
        f"{has} images have them: --images {has}"
        if has
        else ("it has none; hwsim record --input-images N records them")
    )
    raise SchemeError(
        f"{trace.path or trace.name}: {wants} needs the input bits of all {images} images; {advice}"
    )


def require_model(scheme: Scheme, trace: MaskTrace, engine: Engine) -> None:
    """Raise SchemeError unless the engine models the scheme."""
    if scheme.kind == "channels" and engine == "reference":
        raise SchemeError(
            f"{trace.path or trace.name}: --engine reference does not model scheme 'channels' "
            f"({masks_of(trace)}); take --engine kernel, or --scheme dense"
        )


def masks_of(trace: MaskTrace) -> str:
    """What a bit of the trace's masks decides, in a few words."""
    if not trace.header.has_masks:
        return "no masks"
    if trace.header.of_channels:
        return f"masks of {trace.header.granularity}s"
    group = trace.mask_group
    return "a mask bit per channel" if group == 1 else f"a mask bit per {group} channels"


def usable_schemes(arch: ArchConfig, trace: MaskTrace) -> list[str]:
    """The schemes that fit the trace's masks, and that it has the counts for; without suffixes."""
    names = list(OF_CHANNELS)
    if trace.header.of_channels and hindrance(trace.network, trace.header.granularity):
        names.remove("channels")
    if not trace.header.has_masks:
        names = ["dense", "dense-zero-gated"]
    elif not trace.header.of_channels:
        names = schemes_for(arch, trace.mask_group, trace.network.layers)
    # Where all schemes gate zeros, dense does.
    all_gate = arch.array.zero_gating and trace.counts_conditional_zeros
    if all_gate or not trace.counts_zero_operands:
        names.remove("dense-zero-gated")
    return names


def runs_needed(arch: ArchConfig) -> int:
    """How often :func:`simulate` replays a trace: once, or for every shape and the chosen ones."""
    return len(arch.array.shapes) + 1 if arch.array.reshape else 1


def _choose_shapes(
    arch: ArchConfig,
    trace: MaskTrace,
    scheme: Scheme,
    batch: int,
    run: Callable[[tuple[Shape, ...]], Totals],
) -> tuple[Shape, ...]:
    """Each layer's shape: that in whose run, everywhere it fits, the layer took least cycles."""
    layers = trace.network.layers
    own = arch.array.shapes[0]
    if not arch.array.reshape:
        return (own,) * len(layers)
    spent = np.full((len(arch.array.shapes), len(layers)), np.iinfo(np.int64).max)
    for number, shape in enumerate(arch.array.shapes):
        held = _shape_held(arch, trace, scheme, batch, shape)
        shapes = tuple(shape if fits else own for fits in held)
        spent[number, held] = run(shapes).causes.sum(axis=1)[held]
    return tuple(arch.array.shapes[number] for number in spent.argmin(axis=0))


def _shape_held(
    arch: ArchConfig, trace: MaskTrace, scheme: Scheme, batch: int, shape: Shape
) -> np.ndarray:
    """bool (layers,): whether every batch of a layer fits in this shape, and its lane groups do."""
    network, gating = trace.network, scheme.gating(trace.header.gate_norm)
    held = np.array(
        [
            not (layer.gated and scheme.kind == "sparse" and not scheme.lockstep)
            or lanes_align(layer, shape[1], scheme.lane_group, trace.mask_group)
            for layer in network.layers
        ]
    )
    if shape != arch.array.shapes[0]:
        for images in batch_sizes(trace.images, batch):
            if scheme.kind == "channels":
                held &= channel_shapes_held(network, arch, Gates.of(trace.header), images, shape)
            else:
                held &= shapes_held(network, arch, images, gating, shape)
    return held


def gates_zeros(arch: ArchConfig, trace: MaskTrace, scheme: Scheme) -> bool:
    """Whether MACs of gated layers with a zero operand are gated: asked for, and counted."""
    if scheme.zero_gated:
        return trace.counts_zero_operands
    if scheme.kind == "channels":
        return False
    return arch.array.zero_gating and trace.counts_conditional_zeros


def _move_zero_operands(
    arch: ArchConfig, trace: MaskTrace, scheme: Scheme, counters: np.ndarray
) -> None:
    """To counters of their own (docs/model/zero_gating.md, docs/model/zero_skipping.md)."""
    gates = gates_zeros(arch, trace, scheme)
    for position, layer in enumerate(trace.network.layers):
        if not isinstance(layer, ConvLayer):
            continue
        skips = scheme.skipping != "none" and trace.has_inputs(layer.name)
        if not (skips or (gates and layer.gated)):
            continue
        base, conditional = _zero_operands(trace, scheme, layer)
        counters[position, C["macs_base"]] -= base
        counters[position, C["macs_conditional"]] -= conditional
        moved = "macs_zero_skipped" if skips else "macs_zero_gated"
        counters[position, C[moved]] += base + conditional


def _zero_operands(trace: MaskTrace, scheme: Scheme, layer: ConvLayer) -> tuple[int, int]:
    """MACs of the dense or base pass, and of the conditional pass, whose operand is zero."""
    if not (layer.gated and trace.header.has_masks):
        return zero_macs(layer, trace.inputs(layer.name, 0, trace.images)), 0
    dense = int(trace.zero_operand_macs(layer.name).sum())
    if scheme.kind == "dense":
        return dense, 0
    base = 0 if layer.zeroes else dense // layer.groups
    return base, int(trace.zero_operand_macs_conditional(layer.name).sum())


def zero_macs(layer: ConvLayer, inputs: np.ndarray) -> int:
    """MACs of the dense convolution whose operand is zero; ``inputs`` bool (images, C_in, H, W).

    A tap in the zero padding is one, too.
    """
    operands = int(operands_of_pixels(layer, inputs).sum())
    # Each is an operand of all outputs of its group.
    return layer.macs * len(inputs) - operands * (layer.out_channels // layer.conv_groups)
