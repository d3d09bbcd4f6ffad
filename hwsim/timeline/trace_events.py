"""A timeline as Chrome's trace-event JSON, which https://ui.perfetto.dev opens.

A track is a thread of the one process, a cycle a microsecond.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hwsim.timeline.slices import Sample, Timeline

Event = dict[str, Any]

PROCESS = 1

FIRST_TRACK = 2
"""A thread of its process's number would be shown as the process's first one."""


def write_json(timeline: Timeline) -> str:
    """One event a line."""
    head = {"cycle": "1 us", **timeline.subject}
    if timeline.visit is not None:
        head["tile"] = timeline.visit
    lines = ",\n".join(json.dumps(each, separators=(",", ":")) for each in events(timeline))
    said = json.dumps(head)
    return f'{{"displayTimeUnit": "ns", "otherData": {said},\n"traceEvents": [\n{lines}\n]}}\n'


def events(timeline: Timeline) -> Iterator[Event]:
    """Names of tracks first; then slices, and counts."""
    numbers = {track: number for number, track in enumerate(timeline.tracks(), FIRST_TRACK)}
    subject = timeline.subject
    what = f"{subject['layer']}, {subject['scheme']} on {subject['machine']}"
    yield {"ph": "M", "name": "process_name", "pid": PROCESS, "args": {"name": what}}
    for track, number in numbers.items():
        place = {"pid": PROCESS, "tid": number}
        yield {"ph": "M", "name": "thread_name", **place, "args": {"name": track.name}}
        yield {"ph": "M", "name": "thread_sort_index", **place, "args": {"sort_index": number}}
    for each in timeline.slices:
        yield {
            "ph": "X",
            "name": each.name,
            "ts": each.since,
            "dur": each.cycles,
            "pid": PROCESS,
            "tid": numbers[each.track],
            "args": {"tile": each.visit, **each.counts, **each.facts},
        }
    by_name: dict[str, list[Sample]] = {}
    for sample in timeline.samples:
        by_name.setdefault(sample.of, []).append(sample)
    for samples in by_name.values():
        yield from _counts(samples)


def _counts(samples: list[Sample]) -> Iterator[Event]:
    """The values of one count, and 0 wherever it has none."""
    for sample, after in zip(samples, [*samples[1:], None], strict=True):
        yield _count(sample, sample.since, sample.value)
        if after is None or after.since > sample.until:
            yield _count(sample, sample.until, 0)


def _count(sample: Sample, at: int, value: int) -> Event:
    args = {sample.what: value}
    return {"ph": "C", "name": sample.of, "ts": at, "pid": PROCESS, "args": args}
