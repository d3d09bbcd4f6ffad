"""Waves of the worked example's tile: every signal that is listed, and every cycle by hand."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from refusal import refusal
from rtl.simulator import missing_tools

from hwsim.network import ConvLayer, Network
from hwsim.trace.files import write_trace
from hwsim.trace.format.header import TraceHeader
from tools.rtl_wave.__main__ import main

MACHINE = {
    "array.rows": 4, "array.columns": 2, "partial_sums.entries": 32, "activation.banks": 2,
    "activation.word_channels": 2, "index.lane_group": 1, "index.word_bits": 8, "batch": 1,
}  # fmt: skip


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """docs/model/worked_example.md, its layer named after what no file should be."""
    name = 'a "layer"/<b>'
    layer = ConvLayer(
        name=name, in_channels=8, out_channels=4, kernel_size=1, in_height=4, in_width=4,
        gated=True, groups=2,
    )  # fmt: skip
    masks = np.zeros((1, 4, 16), bool)
    masks[0, 0, [0, 1, 2, 5, 9]] = masks[0, 1, [0, 3]] = True
    header = TraceHeader(
        network=Network(name="one layer", layers=(layer,)), method="by hand", mask_group=1,
        dataset="by hand", image_ids=(0,),
    )  # fmt: skip
    packed = np.packbits(masks.reshape(1, -1), axis=1, bitorder="little")
    write_trace(tmp_path / "tile.h5", header, {name: packed})
    keys = [word for key, value in MACHINE.items() for word in ("--set", f"{key}={value}")]
    trace = ["--trace", str(tmp_path / "tile.h5"), "--layer", name]
    return [*trace, "--arch", "pe16x16-baseline", *keys, "--out", str(tmp_path / "waves")]


def cycles(vcd: str) -> dict[str, list[str]]:
    """Each signal in the middle of every cycle, where the clock falls."""
    head, body = vcd.split("$enddefinitions $end")
    names = dict(re.findall(r"\$var \w+ \d+ (\S+) (\w+)(?: \[\d+:0\])? \$end", head))
    now = dict.fromkeys(names, "x")
    seen: dict[str, list[str]] = {name: [] for name in names.values()}
    (clock,) = (code for code, name in names.items() if name == "clk")
    for block in re.split(r"^#\d+$", body, flags=re.MULTILINE)[1:]:
        before = now[clock]
        for scalar, code, vector, wide in re.findall(
            r"^([01xz])(\S+)$|^b(\S+) (\S+)$", block, re.MULTILINE
        ):
            now[code or wide] = scalar or vector
        if (before, now[clock]) == ("1", "0"):
            for code, name in names.items():
                seen[name].append(now[code])
    return seen


def test_waves_are_the_tile_by_hand(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if missing := missing_tools():
        pytest.skip(f"RTL not run: {missing}")
    assert main(arguments) == 0
    assert (
        "base 16, conditional 8, bank_stall 2, drain 8, decode_stall 4" in capsys.readouterr().out
    )
    folder = tmp_path / "waves"
    assert sorted(file.name for file in folder.iterdir()) == ["tile.gtkw", "tile.json", "tile.vcd"]
    seen = cycles((folder / "tile.vcd").read_text())
    spent = {name: values.count("1") for name, values in seen.items()}
    expected = {
        "base": 16, "conditional": 8, "bank_stall": 2, "drain": 8, "decode_stall": 4,
        "round_starts": 4 + 2, "beat_ends": 8 + 4, "decoder_0_works": 5, "decoder_1_works": 3,
        "bank_0_reads": 16 + 4, "bank_1_reads": 16 + 8,
    }  # fmt: skip
    assert {name: spent[name] for name in expected} == expected
    words = [word for word in seen["bank_1_word"] if word != "z"][16:]
    assert sorted(int(word, 2) for word in words) == [33, 35, 37, 41, 49, 51, 53, 57]
    listed = re.findall(r"^bench\.tile\.(\w+)", (folder / "tile.gtkw").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(seen)


def test_what_the_rtl_lacks_is_one_line(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if missing := missing_tools():
        pytest.skip(f"RTL not run: {missing}")
    told = refusal(capsys, main, [*arguments, "--set", "array.feed=systolic"])
    assert "the RTL that is played here has not: a systolic feed" in told
    assert "--tile 5: a " in refusal(capsys, main, [*arguments, "--tile", "5"])
    assert not (tmp_path / "waves").exists()
