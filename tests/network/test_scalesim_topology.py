"""SCALE-Sim's topologies: what a line says, and cycles that are SCALE-Sim's plus one."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from refusal import refusal

from benchmarks.anchors.scalesim import COLUMN, DRAWN, recorded
from hwsim.arch.load import load_arch
from hwsim.counters import CAUSES
from hwsim.network import ConvLayer, load_network
from hwsim.network.scalesim import main, read_topology, rounded_up
from hwsim.run.simulate import simulate

CONVOLUTIONS = """\
Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,
Conv1, 227, 227, 11, 11, 3, 96, 4,

dw_DP1, 10, 12, 3, 3, 8, 1, 1,
Conv1, 9, 7, 3, 1, 8, 5, 2, 1,
"""

HEADINGS = CONVOLUTIONS.splitlines()[0]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "topology.csv"
    path.write_text(text)
    return path


def test_convolutions_by_hand(tmp_path: Path) -> None:
    """The second is depthwise by its name; the third has strides of its own, and a name again."""
    network = read_topology(written(tmp_path, CONVOLUTIONS))
    assert network.name == "topology"
    assert network.layers == (
        ConvLayer(
            name="Conv1", input="input:Conv1", in_channels=3, in_height=227, in_width=227,
            out_channels=96, kernel_size=11, stride=4,
        ),
        ConvLayer(
            name="dw_DP1", input="input:dw_DP1", in_channels=8, in_height=10, in_width=12,
            out_channels=8, kernel_size=3, conv_groups=8,
        ),
        ConvLayer(
            name="Conv1.2", input="input:Conv1.2", in_channels=8, in_height=9, in_width=7,
            out_channels=5, kernel_size=(3, 1), stride=(2, 1),
        ),
    )  # fmt: skip
    # 55*55 outputs x 11*11*3 x 96; 8*10 x 9 x 8; 4*7 x 3*8 x 5.
    assert [layer.macs for layer in network.layers] == [105_415_200, 5_760, 3_360]


@pytest.mark.parametrize(
    ("headings", "line"),
    [("Layer, M, N, K,", "QKT, 12, 20, 64,"), ("Layer name,m,k,n", "QKT,12,64,20"),
     ("anything,", "QKT, 12, 20, 64, 1:1,")],
)  # fmt: skip
def test_matrix_products(headings: str, line: str, tmp_path: Path) -> None:
    """M rows of K values by N filters: 1x1 on a map of height M."""
    (layer,) = read_topology(written(tmp_path, f"{headings}\n{line}\n")).layers
    assert layer == ConvLayer(
        name="QKT", input="input:QKT", in_channels=64, in_height=12, in_width=1, out_channels=20,
        kernel_size=1,
    )  # fmt: skip
    assert layer.macs == 12 * 20 * 64


def test_cycles_are_scale_sims_plus_one(tmp_path: Path) -> None:
    """The layers drawn at random, padding included in their inputs, where strides divide."""
    theirs = recorded(DRAWN)
    lines = [HEADINGS]
    with DRAWN.open() as file:
        for row in csv.DictReader(file):
            del row[COLUMN]
            name = row.pop("layer")
            of = {key: int(value) for key, value in row.items()}
            height, width = (of[f"in_{side}"] + 2 * of["padding"] for side in ("height", "width"))
            values = [height, width, of["kernel_size"], of["kernel_size"], of["in_channels"],
                      of["out_channels"], of["stride"]]  # fmt: skip
            lines.append(", ".join(map(str, [name, *values])) + ",")
    network = read_topology(written(tmp_path, "\n".join(lines)))
    more = set(rounded_up(network))
    arch = load_arch("pe16x16", {"array.feed": "systolic", "activation.bank_conflicts": "none"})
    result = simulate(arch, network, batch=1)
    columns = [place for place, cause in enumerate(CAUSES) if cause not in
               ("output_stall", "dram_stall")]  # fmt: skip
    ours = dict(zip(theirs, result.causes[:, columns].sum(axis=1).tolist(), strict=True))
    assert {name for name in theirs if ours[name] != theirs[name] + 1} <= more
    assert len(more) < len(theirs) == 15


def test_layers_are_not_linked(tmp_path: Path) -> None:
    """Each input comes from DRAM whole, each output goes there: bytes by hand."""
    text = f"{HEADINGS}\na, 4, 4, 1, 1, 8, 8, 1,\nb, 4, 4, 1, 1, 8, 8, 1,\n"
    network = read_topology(written(tmp_path, text))
    result = simulate("pe16x16", network, batch=1)
    assert result.totals["dram_input_bytes"] == 2 * 4 * 4 * 8
    assert result.totals["dram_output_bytes"] == 2 * 4 * 4 * 8
    linked = network.model_copy(
        update={"layers": (network.layers[0], network.layers[1].model_copy(update={"input": "a"}))}
    )
    result = simulate("pe16x16", linked, batch=1)
    assert result.totals["dram_input_bytes"] == 4 * 4 * 8
    assert result.totals["dram_output_bytes"] == 4 * 4 * 8


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a, 4, 4, 1, 1, 8, 8,", "line 2 'a': expected 7 values behind the name"),
        ("a, 4, 4, 1, 1, 8, 8, x,", "line 2 'a': strides: expected a positive integer, found 'x'"),
        ("a, 4, 4, 1, 1, 0, 8, 1,", "line 2 'a': channels: expected a positive integer, found '0'"),
        ("a, 4, 4, 5, 1, 8, 8, 1,", "line 2 'a': the kernel is larger than the padded input"),
        ("a, 4, 4, 1, 1, 8, 8, 1, 2:4,", "line 2 'a': sparse weights (2:4) are not modelled"),
        (
            "a, " + "9" * 5000 + ", 4, 1, 1, 8, 8, 1,",
            "line 2 'a': ifmap height: expected a positive",
        ),
        ("a" * 200_000 + ", 4, 4, 1, 1, 8, 8, 1,", "line 2: field larger than field limit"),
        ("input:a, 4, 4, 1, 1, 8, 8, 1,", "Network 'topology': layer input:a: tensors from"),
        (", 4, 4, 1, 1, 8, 8, 1,", "line 2 '': name: expected a name of 1 to 255 char"),
        ("", "expected a line of headings and a line for each layer"),
    ],
)
def test_a_mistake_is_one_line(
    line: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, f"{HEADINGS}\n{line}\n")
    told = refusal(capsys, main, [str(path)])
    assert told.startswith(f"hwsim import: {path}: {said}")


def test_a_file_without_headings_loses_no_layer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, "a, 4, 4, 1, 1, 8, 8, 1,\nb, 4, 4, 1, 1, 8, 8, 1,\n")
    told = refusal(capsys, main, [str(path)])
    assert told == f"hwsim import: {path}: expected headings in the first line, found '4'\n"


def test_names_that_stand_twice_are_numbered_past_those_that_are_taken(tmp_path: Path) -> None:
    lines = [f"{name}, 4, 4, 1, 1, 8, 8, 1," for name in ("a", "a.2", "a", "input")]
    network = read_topology(written(tmp_path, "\r\n".join(["\ufeff" + HEADINGS, *lines])))
    assert [layer.name for layer in network.layers] == ["a", "a.2", "a.3", "input.2"]


def test_a_column_that_is_not_known_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, f"{HEADINGS} Batch,\na, 4, 4, 1, 1, 8, 8, 1, 2,\n")
    assert "line 2 'a': column 'Batch' is not known" in refusal(capsys, main, [str(path)])


def test_the_command_writes_a_network_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, CONVOLUTIONS)
    assert main([str(path), "--out", str(tmp_path / "net.yaml")]) == 0
    told = capsys.readouterr()
    assert told.out == f"wrote {tmp_path / 'net.yaml'}: 3 layers, 105,424,320 MACs an image\n"
    # 227 - 11 is a multiple of 4; 9 - 3 of 2.
    assert told.err == ""
    assert load_network(tmp_path / "net.yaml") == read_topology(path)
    assert main([str(written(tmp_path, CONVOLUTIONS.replace("227", "226")))]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("name: topology\nlayers:\n")
    assert "Conv1 is the first" in told.err
    assert "SCALE-Sim rounds" in told.err
