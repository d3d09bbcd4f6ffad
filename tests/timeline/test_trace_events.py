"""What Perfetto is given."""

from __future__ import annotations

import json

import pytest

from hwsim.counters import CAUSES
from hwsim.timeline.observed import observe
from hwsim.timeline.trace_events import write_json

from .event_rules import checked_events
from .small_layers import LAYERS, Small


@pytest.mark.parametrize("tile", [None, 0, 1])
@pytest.mark.parametrize("small", LAYERS, ids=lambda small: small.name)
def test_files_keep_to_the_rules(small: Small, tile: int | None) -> None:
    timeline = observe(small.arch, small.trace, small.scheme, "conv", tile=tile)
    events = checked_events(write_json(timeline))
    slices = [event for event in events if event["ph"] == "X"]
    assert len(slices) == len(timeline.slices)
    spent = sum(event["dur"] for event in slices if event["name"] in CAUSES)
    if tile is None:
        assert spent == timeline.cycles.sum()


def test_tracks_are_in_the_order_of_the_machine() -> None:
    small = Small("four banks", "unstructured")
    events = checked_events(write_json(observe(small.arch, small.trace, small.scheme, "conv")))
    names = [event["args"]["name"] for event in events if event["name"] == "thread_name"]
    decoders = [f"decoder, lane group {group}" for group in range(4)]
    front = ["tiles", "rounds", "cycles by cause", "accumulator drain", "output stage", "DMA"]
    assert names == [*front, *decoders]
    one = observe(small.arch, small.trace, small.scheme, "conv", tile=0)
    events = checked_events(write_json(one))
    names = [event["args"]["name"] for event in events if event["name"] == "thread_name"]
    assert names == [*front, *decoders, "bank 0", "bank 1", "bank 2", "bank 3"]
    counts = {event["name"] for event in events if event["ph"] == "C"}
    assert counts == {"PEs", "bank 0", "bank 1", "bank 2", "bank 3"}


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", 'a "quoted" name', "back\\slash", "größer 層"]
)
def test_names_are_text(name: str) -> None:
    small = Small("named", "dense", layer=name)
    timeline = observe(small.arch, small.trace, small.scheme, name, tile=0)
    text = write_json(timeline)
    assert json.loads(text)["otherData"]["layer"] == name
    (process,) = [event for event in checked_events(text) if event["name"] == "process_name"]
    assert process["args"]["name"] == f"{name}, dense on small"


def test_a_file_says_what_it_shows() -> None:
    small = Small("said", "clock-gated")
    timeline = observe(small.arch, small.trace, small.scheme, "conv", tile=1, batch=1, image=1)
    said = json.loads(write_json(timeline))["otherData"]
    shown = {name: said[name] for name in ("cycle", "machine", "scheme", "layer", "images", "tile")}
    assert shown == {
        "cycle": "1 us", "machine": "small", "scheme": "clock-gated", "layer": "conv",
        "images": "1", "tile": 1,
    }  # fmt: skip
