"""Anchors: their parts on cases worked out by hand, and the real ones where their files are.

HWSIM_ANCHORS names the folder that `make anchors ANCHORS=DIR` reads.
"""

from __future__ import annotations

import csv
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from benchmarks.anchors import channel_gating, eyeriss_v2, page, scalesim
from benchmarks.anchors.__main__ import main
from benchmarks.anchors.eyeriss_v2 import Layer, cycles_of, macs_of, one_pe
from benchmarks.anchors.row import Row, Settings, not_run, verdict_of
from benchmarks.scalesim import compute_cycles
from hwsim.arch.config import ArchConfig
from hwsim.counters import CAUSES
from hwsim.errors import UserError
from hwsim.model.kernel.jit import DISABLED
from hwsim.network import ConvLayer, Network
from hwsim.run.simulate import simulate
from hwsim.trace.format.header import TraceHeader
from hwsim.trace.mask_trace import MaskTrace

FOLDER = os.environ.get("HWSIM_ANCHORS")

# Two channels of two pixels, three outputs: a non-zero operand per channel is 2 and 1, weights per
# channel are 2 and 2, so 2 * 2 + 1 * 2 = 6 MACs.
ACTIVATIONS = np.array([[[1, 1]], [[1, 0]]], bool)
WEIGHTS = np.array([[1, 0], [1, 1], [0, 1]], bool)


def one_layer(channels: int = 16, groups: int = 4, pixels: int = 16) -> Network:
    layer = ConvLayer(
        name="conv", in_channels=channels, out_channels=channels, kernel_size=1,
        in_height=1, in_width=pixels, gated=True, groups=groups,
    )  # fmt: skip
    return Network(name="one layer", layers=(layer,))


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [
        (1_000, "exact"),
        (1_001, "within 0.1 %"),
        (998.5, "within 0.2 %"),
        (950, "within 5 %"),
        (1_060, "missed: 6 % too many"),
        (900, "missed: 10 % too few"),
    ],
)
def test_verdicts(ours: float, verdict: str) -> None:
    assert verdict_of(ours, 1_000) == verdict


def test_one_pe_takes_a_cycle_for_each_pair_without_a_zero() -> None:
    result = one_pe(ACTIVATIONS, WEIGHTS, "free-rows")
    assert macs_of(result) == 6
    # The third output has no operand at the second pixel, where a round takes its one cycle.
    assert cycles_of(result) == 7


@pytest.mark.parametrize(("word", "cycles"), [(1, 12), (2, 7)])
def test_a_word_without_operands_takes_a_cycle(word: int, cycles: int) -> None:
    """A word of one channel: 2 words, 2 pixels, 3 outputs. Of both: max(1, operands) a pixel."""
    assert cycles_of(one_pe(ACTIVATIONS, WEIGHTS, "word", word)) == cycles


def test_layout_of_the_files(tmp_path: Path) -> None:
    layer = Layer("L01", outputs=3, size=2, channels=2, cycles=0)
    # Pixels (0, 0), (0, 1), (1, 0), (1, 1), two channels each; then three outputs.
    (tmp_path / "L01_iacts.txt").write_text("10110001\n")
    (tmp_path / "L01_weights.txt").write_text("100111")
    activations, weights = eyeriss_v2.read_layer(tmp_path, layer)
    assert activations.astype(int).tolist() == [[[1, 1], [0, 0]], [[0, 1], [0, 1]]]
    assert weights.astype(int).tolist() == [[1, 0], [0, 1], [1, 1]]


@pytest.mark.parametrize("text", ["1011000", "1011000x"])
def test_a_file_that_does_not_fit_is_named(tmp_path: Path, text: str) -> None:
    layer = Layer("L01", outputs=1, size=2, channels=2, cycles=0)
    (tmp_path / "L01_iacts.txt").write_text(text)
    with pytest.raises(UserError, match=r"L01_iacts\.txt: expected 8 characters, each 0 or 1"):
        eyeriss_v2.read_layer(tmp_path, layer)


def test_without_its_files_an_anchor_is_not_run(tmp_path: Path) -> None:
    for data, why in ((None, "no folder of data"), (tmp_path, "no eyeriss_v2/L07_iacts.txt")):
        rows = list(eyeriss_v2.rows(Settings(data)))
        assert len(rows) == 10
        assert all(row.verdict.startswith(f"not run: {why}") for row in rows)
        assert not any(row.was_run for row in rows)
        assert rows[0].theirs == "1,702,140"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--data", "nowhere"], "--data nowhere: no such folder"),
        (["--only", "eyeris-v2"], "nearest valid: 'eyeriss-v2'"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(arguments)
    except SystemExit as error:
        status = error.code
    assert status == 2
    printed = capsys.readouterr().err
    assert complaint in printed
    assert printed.count("\n") == 1


def test_the_page_keeps_the_table_of_an_anchor_that_was_not_run(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    marks = [f"<!-- {name}: written by make anchors WRITE=--write -->" for name in ("a", "b")]
    file.write_text(f"{marks[0]}\n\n<!-- end -->\nbetween\n{marks[1]}\n\nold\n\n<!-- end -->\n")
    run = Row("a", "cycles", "2", "2", "somebody", "exact")
    assert page.write([run, not_run("b", "cycles", "3", "somebody", "no data")], file) == ["b"]
    assert page.tables(file)["a"] == page.table_of([run])
    assert "| cycles | 2 | 2 | somebody | exact |" in page.tables(file)["a"]
    assert page.tables(file)["b"] == "old\n"
    once = file.read_text()
    page.write([run], file)
    assert file.read_text() == once


def test_output_sizes_rounded_down_and_up() -> None:
    """8 pixels in strides of 3: 1, 4, 7 fit, a fourth is begun. 21 steps and 30 of skew a round."""
    layer = ConvLayer(
        name="conv", in_channels=21, out_channels=36, kernel_size=1, stride=3, in_height=8,
        in_width=13,
    )  # fmt: skip
    assert (layer.out_height, layer.out_width) == (3, 5)
    assert compute_cycles(layer) == 1 * 3 * (21 + 16 + 16 - 2)
    up = scalesim.rounded_up(layer)
    assert (up.out_height, up.out_width) == (4, 5)
    assert compute_cycles(up) == 2 * 3 * (21 + 16 + 16 - 2)


def test_padding_is_part_of_the_size_that_is_rounded() -> None:
    """7 + 2 - 3 = 6 leaves no remainder of 2, so nothing changes; 8 + 2 - 3 = 7 leaves one."""
    for size, down, up in ((7, 4, 4), (8, 4, 5)):
        layer = ConvLayer(
            name="conv", in_channels=1, out_channels=1, kernel_size=3, stride=2, padding=1,
            in_height=size, in_width=size,
        )  # fmt: skip
        assert (layer.out_height, scalesim.rounded_up(layer).out_height) == (down, up)


def test_the_record_is_of_the_layers_drawn(tmp_path: Path) -> None:
    layers = scalesim.drawn_layers()
    copy = tmp_path / "copy.csv"
    scalesim.write(scalesim.recorded(scalesim.DRAWN), layers, copy)
    assert copy.read_text() == scalesim.DRAWN.read_text()


def test_the_record_is_the_formula_with_sizes_rounded_up() -> None:
    """ceil(P/16) * ceil(F/16) * (K + 16 + 16 - 2) - 1, and 11 of 15 are so rounded down as well."""
    with scalesim.DRAWN.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            size = {name: int(value) for name, value in row.items() if name != "layer"}
            outputs = 1
            for side in ("in_height", "in_width"):
                span = size[side] + 2 * size["padding"] - size["kernel_size"]
                outputs *= -(-span // size["stride"]) + 1
            steps = size["kernel_size"] ** 2 * size["in_channels"]
            rounds = -(-outputs // 16) * -(-size["out_channels"] // 16)
            assert size[scalesim.COLUMN] == rounds * (steps + 30) - 1, row["layer"]
    whole, down, up = scalesim.rows(Settings())
    assert whole.verdict == up.verdict == "exact"
    assert "equal on 11 of 15 layers" in down.ours


def test_where_scalesim_cannot_be_run_the_drawn_layers_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails() -> None:
        raise subprocess.CalledProcessError(1, "pip")

    monkeypatch.setattr(scalesim, "install", fails)
    whole, *drawn = scalesim.rows(Settings(measure=True))
    assert whole.was_run
    assert len(drawn) == 2
    assert not any(row.was_run for row in drawn)


def test_the_share_of_the_promise_is_of_the_saving() -> None:
    """2.3 of 2.8: 0.5652 of 0.6429 is saved; 2.4: 0.5833."""
    assert channel_gating.share(2.3) == pytest.approx(0.5652 / 0.6429, abs=1e-3)
    assert channel_gating.share(2.4) == pytest.approx(0.5833 / 0.6429, abs=1e-3)
    assert channel_gating.share(2.8) == 1


def test_the_density_of_a_promise() -> None:
    """One gated layer, G = 4: 1/4 + 3/4 d = 5/14, so d = 1/7."""
    assert channel_gating.density_for(one_layer()) == pytest.approx(1 / 7)


def test_the_machines_tried() -> None:
    machines = list(channel_gating.machines())
    assert len(set(machines)) == len(machines)
    # Of nine pairs of A and B four have a fitting window below 256: 56, 112 twice, 224 thrice.
    assert sorted({machine.window for machine in machines}) == [0, 56, 112, 224]
    assert len(machines) == 2 * (9 + 6)


def test_places_without_work_are_empty(pe16x16: ArchConfig) -> None:
    """Sixteen pixels and columns; one list of each gating group is full, the others are empty."""
    network = one_layer()
    mask = np.zeros((1, 16, 1, 16), bool)
    mask[:, ::4] = True
    header = TraceHeader(
        network=network, method="cdg", mask_group=1, dataset="none", image_ids=(0,)
    )
    result = simulate(pe16x16, MaskTrace.from_masks(header, {"conv": mask}), "unstructured")
    conditional = result.causes[0, CAUSES.index("conditional")]
    # A channel tile is a gating group, 4 of 16 columns wide, and takes 12 steps.
    assert conditional == 4 * 12
    # 4 lists of 16 pixels of 12 MACs are executed, three cycles of all 256 PEs.
    empty, _ = channel_gating.losses(result)
    assert empty == pytest.approx((48 - 3) / result.cycles)


def test_the_cheapest_machine_that_reaches_a_figure_is_shown() -> None:
    def point(word: int, share: float, area: float) -> channel_gating.Point:
        machine = channel_gating.Machine(word, 16, 0, 0)
        return channel_gating.Point(machine, 2.0, share, area, 0.25, 0.5)

    micro, neurips = channel_gating._rows("m", [point(4, 0.9, 0.8), point(8, 0.95, 0.9)])
    assert (micro.verdict, micro.ours) == (
        "reached", "2.00x, 90 %: A = 4, B = 16, Q = 0, no window, 0.80 mm2"
    )  # fmt: skip
    assert (neurips.verdict, neurips.ours[-8:]) == ("reached", "0.90 mm2")
    micro, _ = channel_gating._rows("m", [point(4, 0.8, 0.8), point(8, 0.8, 0.9)])
    assert micro.ours.startswith("at most 2.00x, 80 %: A = 4")
    # 87.9 - 80 % is 8 points.
    assert micro.verdict == (
        "missed: 8 points; 25 % of its cycles go to empty places, 50 % to banks"
    )


@pytest.mark.slow
@pytest.mark.skipif(not FOLDER, reason="HWSIM_ANCHORS names no folder of others' files")
@pytest.mark.skipif(DISABLED, reason="millions of cycles: hours without compiled kernels")
@pytest.mark.parametrize("layer", eyeriss_v2.LAYERS, ids=lambda layer: layer.name)
def test_eyeriss_v2_to_the_cycle(layer: Layer) -> None:
    activations, weights = eyeriss_v2.read_layer(Path(FOLDER, eyeriss_v2.FOLDER), layer)
    by_channel = activations.sum(axis=(1, 2)) * weights.sum(axis=0)
    assert by_channel.sum() == layer.cycles
    result = one_pe(activations, weights, "free-rows")
    assert (cycles_of(result), macs_of(result)) == (layer.cycles, layer.cycles)
