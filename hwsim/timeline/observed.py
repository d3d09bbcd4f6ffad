"""One layer of one batch on the reference, watched."""

from __future__ import annotations

from dataclasses import fields, replace
from importlib import metadata

import numpy as np

from hwsim.arch.config import ArchConfig
from hwsim.arch.schemes import lane_group_scheme
from hwsim.cli import progress
from hwsim.errors import UserError, nearest
from hwsim.mapping.tiles import Tiles
from hwsim.model.engines import run_reference
from hwsim.model.plan import LayerPlan
from hwsim.model.reference.observer import Observer
from hwsim.model.segment import Segment, segments
from hwsim.model.stalls import transfers_of
from hwsim.run.simulate import checked, chosen_shapes, require_model
from hwsim.text_table import counted
from hwsim.timeline.recorder import Recorder
from hwsim.timeline.slices import Timeline
from hwsim.trace.mask_trace import MaskTrace


class TimelineError(UserError):
    """What was asked for is not there: a layer, an image, a tile."""


def observe(
    arch: ArchConfig,
    trace: MaskTrace,
    scheme: str,
    layer: str,
    *,
    batch: int | None = None,
    image: int = 0,
    tile: int | None = None,
) -> Timeline:
    """The layer in the batch of ``batch`` images (the machine's) that holds ``image``.

    ``tile``: only that visit, in every detail. Raises TimelineError where there is no such layer,
    image or tile, SchemeError where the masks or the reference do not fit the scheme.
    """
    names = [each.name for each in trace.network.layers]
    if layer not in names:
        raise TimelineError(f"--layer {layer!r}: no such layer{nearest(layer, names)}")
    if not 0 <= image < trace.images:
        raise TimelineError(
            f"--image {image}: {trace.path or trace.name} holds {counted(trace.images, 'image')}, "
            f"0 to {trace.images - 1}"
        )
    chosen, size = checked(arch, trace, scheme, batch)
    require_model(chosen, trace, "reference")
    shapes = chosen_shapes(arch, trace, scheme, batch=batch)
    for segment in segments(arch, trace, chosen, size, shapes, at_once=size):
        if image < segment.start + segment.images:
            break
    position = names.index(layer)
    plan = segment.plans[position]
    assert isinstance(plan, LayerPlan), "the reference was refused a scheme that it lacks"
    visits = len(plan.tiles)
    if tile is not None and not 0 <= tile < visits:
        raise TimelineError(
            f"--tile {tile}: {layer} has {counted(visits, 'tile')} in this batch, 0 to {visits - 1}"
        )
    # What is shown of one visit depends on that before it, and on that behind it.
    few = slice(0, visits) if tile is None else slice(max(0, tile - 1), min(tile + 2, visits))
    with progress(f"{layer} on the reference", few.stop - few.start + 1) as advance:
        recorder = Recorder(plan.tiles, tile, few.start, advance)
        cycles, counters = _run(segment, position, trace, few, recorder)
    if tile is not None:
        cycles, counters = cycles[tile - few.start, None], counters[tile - few.start, None]
    subject = _subject(arch, trace, chosen.name, segment) | {"layer": layer}
    began = min((each.since for each in recorder.slices), default=0)
    slices = [
        replace(each, since=each.since - began, until=each.until - began)
        for each in recorder.slices
    ]
    samples = [
        each._replace(since=each.since - began, until=each.until - began)
        for each in recorder.samples
    ]
    return Timeline(subject, tile, slices, samples, cycles, counters)


def _run(
    segment: Segment, position: int, trace: MaskTrace, few: slice, observer: Observer
) -> tuple[np.ndarray, np.ndarray]:
    """These visits of a layer in the segment's only batch."""
    plan, bits = segment.plans[position], segment.read(trace)
    assert isinstance(plan, LayerPlan), "the reference was refused a scheme that it lacks"
    moved = transfers_of(segment.moved(bits, [position]), segment.arch)
    loads = np.concatenate([moved.first[0], moved.loads[0, 1:], moved.ahead[0]])[None]
    transfers = moved._replace(
        loads=loads[:, few],
        stores=moved.stores[:, few],
        exposed=moved.exposed[:, few],
        first=loads[:, few][:, :1],
        ahead=loads[:, few.stop :][:, :1],
    )
    arrays = {each.name: getattr(plan.tiles, each.name)[few] for each in fields(plan.tiles)}
    own = segment.of_layer(bits, plan)
    return run_reference(replace(plan, tiles=Tiles(**arrays)), *own, transfers, observer)


def own_scheme(arch: ArchConfig, trace: MaskTrace) -> str:
    """The hardware that the masks are made for; dense without masks of the array's columns."""
    if not trace.header.has_masks or trace.header.of_channels:
        return "dense"
    if trace.mask_group > 1:
        return lane_group_scheme(arch, trace.mask_group, trace.network.layers)
    return "unstructured"


def _subject(
    arch: ArchConfig, trace: MaskTrace, scheme: str, segment: Segment
) -> dict[str, object]:
    last = segment.start + segment.images - 1
    return {
        "machine": arch.name,
        "scheme": scheme,
        "trace": trace.name,
        "trace_sha256": trace.sha256,
        "network": trace.network.name,
        "images": f"{segment.start} to {last}" if segment.images > 1 else str(last),
        "hwsim": metadata.version("hwsim"),
    }
