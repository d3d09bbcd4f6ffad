"""What Chrome's trace-event format asks of a file, written from its description.

The format: a JSON object whose ``traceEvents`` are objects with ``ph``, ``name``, ``pid``; complete
slices (X) have ``tid``, ``ts`` and ``dur`` in microseconds, counts (C) ``ts`` and numbers in
``args``, metadata (M) a name for a process or thread. Slices of one thread nest or do not touch.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

KEYS = {
    "X": {"ph", "name", "ts", "dur", "pid", "tid", "args"},
    "C": {"ph", "name", "ts", "pid", "args"},
    "M": {"ph", "name", "pid", "args"},
}


def checked_events(text: str) -> list[dict[str, Any]]:
    """The file's events, all of which keep to the rules."""
    events = json.loads(text)["traceEvents"]
    for event in events:
        kind = event["ph"]
        assert KEYS[kind] <= set(event) <= KEYS[kind] | {"tid"}, event
        assert isinstance(event["name"], str), event
        assert event["name"], event
        assert isinstance(event["pid"], int), event
        if kind != "M":
            assert isinstance(event["ts"], int), event
            assert event["ts"] >= 0, event
        if kind == "C":
            assert event["args"], event
            assert all(isinstance(value, int) for value in event["args"].values()), event
    _check_names(events)
    _check_nesting(events)
    _check_counts(events)
    return events


def _check_names(events: list[dict[str, Any]]) -> None:
    """Every process has a name, every track a name and a place of its own."""
    tracks = {(event["pid"], event["tid"]) for event in events if event["ph"] == "X"}
    named = defaultdict(list)
    for event in events:
        if event["ph"] == "M":
            (said,) = event["args"].values()
            named[event["name"]].append(((event["pid"], event.get("tid")), said))
    assert {pid for (pid, _), _ in named["process_name"]} == {pid for pid, _ in tracks}
    for kind in ("thread_name", "thread_sort_index"):
        places, said = zip(*named[kind], strict=True)
        assert set(places) == tracks
        assert len(set(places)) == len(places)
        assert len(set(said)) == len(said)
    # Perfetto takes a thread of its process's number for the process's first one.
    assert all(pid != tid for pid, tid in tracks)


def _check_nesting(events: list[dict[str, Any]]) -> None:
    by_track = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            assert isinstance(event["dur"], int), event
            assert event["dur"] >= 0, event
            by_track[event["pid"], event["tid"]].append(event)
    for slices in by_track.values():
        open_until: list[int] = []
        for event in sorted(slices, key=lambda each: (each["ts"], -each["dur"])):
            while open_until and open_until[-1] <= event["ts"]:
                open_until.pop()
            end = event["ts"] + event["dur"]
            assert not open_until or end <= open_until[-1], event
            open_until.append(end)


def _check_counts(events: list[dict[str, Any]]) -> None:
    """A count has one value at a time, later ones behind earlier ones, and ends with 0."""
    series = defaultdict(list)
    for event in events:
        if event["ph"] == "C":
            ((what, value),) = event["args"].items()
            series[event["name"], what].append((event["ts"], value))
    for found in series.values():
        times = [at for at, _ in found]
        assert times == sorted(set(times))
        assert found[-1][1] == 0
