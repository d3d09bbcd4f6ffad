"""hwsim timeline: what it writes, and what it says of mistakes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from refusal import refusal

from hwsim.timeline.__main__ import main

from .event_rules import checked_events


@pytest.fixture(scope="module")
def trace(trace_folder: Path) -> str:
    return str(trace_folder / "small-scdg.h5")


def test_a_tile_is_written(trace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "tile.json"
    arguments = ["--trace", trace, "--layer", "layer4.1.conv2", "--tile", "1", "--out", str(out)]
    assert main([*arguments, "--batch", "2", "--image", "3", "--set", "activation.banks=8"]) == 0
    said = json.loads(out.read_text())["otherData"]
    assert (said["scheme"], said["images"], said["tile"]) == ("structured-8x", "2 to 3", 1)
    assert said["machine"] == "pe16x16 with activation.banks=8"
    events = checked_events(out.read_text())
    spent = sum(
        event["dur"]
        for event in events
        if event["ph"] == "X" and event["name"] in ("base", "conditional")
    )
    printed = capsys.readouterr().out
    assert printed.startswith(f"wrote {out}: tile 1 of layer4.1.conv2, structured-8x on pe16x16, ")
    numbers = re.findall(r"(?:base|conditional) ([\d,]+\d)", printed)
    assert spent == sum(int(number.replace(",", "")) for number in numbers)


def test_a_layer_that_is_not_gated(trace: str, tmp_path: Path) -> None:
    layer = ["--trace", trace, "--layer", "fc", "--set", "array.rows=4", "--batch", "1"]
    assert main([*layer, "--out", str(tmp_path / "layer.json")]) == 0
    checked_events((tmp_path / "layer.json").read_text())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--layer", "layer4.1.conv"], "--layer 'layer4.1.conv': no such layer; nearest valid: "),
        (["--layer", "fc", "--tile", "9"], "--tile 9: fc has 1 tile in this batch, 0 to 0"),
        (["--layer", "fc", "--image", "4"], "--image 4: {trace} holds 4 images, 0 to 3"),
        (
            ["--layer", "fc", "--scheme", "structred"],
            "scheme 'structred': unknown on pe16x16 (index.lane_group = 8); nearest valid: ",
        ),
        (["--layer", "fc", "--scheme", "channels"], "{trace}: scheme 'channels' cannot use"),
        (["--layer", "layer4.1.conv2", "--tile", "0", "--out", "{folder}/x.png"], "a picture"),
        (["--layer", "fc", "--out", "{folder}/x.jsn"], "--out {folder}/x.jsn: unknown suffix"),
        (["--layer", "fc", "--out", "{folder}/no/x.json"], "--out {folder}/no/x.json: no such"),
        (["--layer", "fc", "--tile", "-1"], "argument --tile: expected an integer from 0"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], said: str, trace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--trace", trace, "--out", str(tmp_path / "x.json"), "--batch", "1"]
    given = [each.replace("{folder}", str(tmp_path)) for each in arguments]
    told = refusal(capsys, main, [*out, *given])
    expected = said.replace("{trace}", trace).replace("{folder}", str(tmp_path))
    assert told.startswith(f"hwsim timeline: {expected}")
    assert list(tmp_path.iterdir()) == []
