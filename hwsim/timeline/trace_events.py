"""A timeline as Chrome's trace-event JSON, which https://ui.perfetto.dev opens.

A group of tracks is a process, a track a thread, a cycle a microsecond.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hwsim.timeline.slices import GROUPS, Sample, Timeline, Track

Event = dict[str, Any]


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
    tracks = timeline.tracks()
    numbers = {track: number for number, track in enumerate(tracks, 1)}
    yield from _names(timeline, numbers)
    for each in timeline.slices:
        yield {
            "ph": "X",
            "name": each.name,
            "ts": each.since,
            "dur": each.cycles,
            **_place(each.track, numbers),
            "args": {"tile": each.visit, **each.counts, **each.facts},
        }
    by_name: dict[str, list[Sample]] = {}
    for sample in timeline.samples:
        by_name.setdefault(sample.name, []).append(sample)
    for samples in by_name.values():
        yield from _counts(samples)


def _names(timeline: Timeline, numbers: dict[Track, int]) -> Iterator[Event]:
    subject = timeline.subject
    what = f"{subject['layer']}, {subject['scheme']} on {subject['machine']}"
    for number, group in enumerate(GROUPS, 1):
        if all(track.group != group for track in numbers):
            continue
        name = f"{group}: {what}" if number == 1 else group
        yield _metadata("process_name", {"name": name}, pid=number)
        yield _metadata("process_sort_index", {"sort_index": number}, pid=number)
    for track, number in numbers.items():
        yield _metadata("thread_name", {"name": track.name}, **_place(track, numbers))
        yield _metadata("thread_sort_index", {"sort_index": number}, **_place(track, numbers))


def _metadata(name: str, said: dict[str, object], **place: int) -> Event:
    return {"ph": "M", "name": name, **place, "args": said}


def _place(track: Track, numbers: dict[Track, int]) -> dict[str, int]:
    return {"pid": GROUPS.index(track.group) + 1, "tid": numbers[track]}


def _counts(samples: list[Sample]) -> Iterator[Event]:
    """The values of one count, and 0 wherever it has none."""
    for sample, after in zip(samples, [*samples[1:], None], strict=True):
        yield _count(sample, sample.since, sample.value)
        if after is None or after.since > sample.until:
            yield _count(sample, sample.until, 0)


def _count(sample: Sample, at: int, value: int) -> Event:
    pid = GROUPS.index(sample.track.group) + 1
    return {"ph": "C", "name": sample.name, "ts": at, "pid": pid, "args": {"value": value}}
