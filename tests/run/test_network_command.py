"""``hwsim network``: layer lists shown, checked and derived."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from named_networks import network_named
from refusal import refusal

from hwsim.network import Network, load_network, resnet18, save_network
from hwsim.run.network import main, weights


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "net.yaml"
    save_network(resnet18(), path)
    return path


def test_show_prints_every_layer_and_totals(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(file)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    by_name = {line[0]: line for line in lines if line}
    assert by_name["layer2.0.conv1"][1:] == [
        "convolution", "layer1.1.conv2", "64x32x32", "128x16x16", "3x3", "2x2", "1", "4",
        "18,874,368", "73,728",
    ]  # fmt: skip
    # 3 x 9 x 64 of the stem; 4 x 36,864; 73,728 + 3 x 147,456 and twice, four times as much of it;
    # shortcuts of 8,192, 32,768, 131,072; 5,120.
    stages = sum(4**stage * (73_728 + 3 * 147_456) for stage in range(3))
    total = 1_728 + 4 * 36_864 + stages + 8_192 + 32_768 + 131_072 + 5_120
    assert by_name["21"][1:] == ["layers", "555,422,720", f"{total:,}"]


def test_show_takes_traces_and_prints_json(
    trace_folder: Path, small_network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(trace_folder / "small-cdg.h5"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["name"], found["macs"]) == (small_network.name, small_network.macs)
    assert found["layers"][0]["output"] == [64, 8, 8]
    assert found["weights"] == sum(map(weights, small_network.layers))


def test_check_places_the_layers(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(file)]) == 0
    told = capsys.readouterr().out
    assert told == (
        f"{file}: ok, 21 layers (16 gated), 555,422,720 MACs an image, 11,164,352 weights\n"
    )
    assert main(["check", str(file), "--arch", "pe16x16"]) == 0
    assert capsys.readouterr().out == f"{told[:-1]}, all on pe16x16\n"


def test_check_names_what_is_wrong(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--arch", "pe16x16", "--set", "weight.buffer_kib=4"]
    told = refusal(capsys, main, ["check", str(file), *small])
    assert told.startswith("hwsim network: layer layer1.0.conv1: weight buffer: one channel tile")
    file.write_text(file.read_text().replace("input: conv1", "input: conv2"))
    told = refusal(capsys, main, ["check", str(file)])
    assert "layer 2 'layer1.0.conv1': reads 'conv2', which no layer before it makes" in told
    assert "--arch" in refusal(capsys, main, ["check", str(file), "--set", "batch=1"])
    assert "no such file" in refusal(capsys, main, ["show", str(tmp_path / "none.h5")])


MODEL = """
from torch import nn


def small():
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))


def number():
    return 3


def failing():
    raise RuntimeError("no weights\\nhere")
"""


def test_derive_follows_a_torch_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """8 x 27 x 36 pixels, and 8 x 72 x 36."""
    pytest.importorskip("torch")
    (tmp_path / "derived_here.py").write_text(MODEL)
    (tmp_path / "derived_wrong.py").write_text("def (")
    monkeypatch.chdir(tmp_path)
    shape = ["--input", "1x3x6x6"]
    asked = ["derive", "derived_here:small", *shape, "--gated", "2", "--groups", "2"]
    assert main([*asked, "--out", "net.yaml"]) == 0
    assert capsys.readouterr().out == "wrote net.yaml: 2 layers, 28,512 MACs an image\n"
    network = load_network("net.yaml")
    assert [(layer.name, layer.gated, layer.groups) for layer in network.layers] == [
        ("0", False, 1), ("2", True, 2),
    ]  # fmt: skip
    for arguments, said in (
        (["derived_here:small"], "--input"),
        (["derived_here:smal", *shape], "has no 'smal'; nearest valid: 'small'"),
        (["derived_here:number", *shape], "returns a int, expected a torch module"),
        (["derived_here:failing", *shape], "(RuntimeError: no weights here)"),
        (["derived_wrong:small", *shape], "cannot be imported (SyntaxError"),
        (["none_such:small", *shape], "cannot be imported"),
        (["derived_here.py:small", *shape], "a module has no .py: derived_here:small"),
        (["derived_here:small", "--input", "3x6x6"], "first size of an input is its number of im"),
        ([".small:small", *shape], "cannot be imported"),
        (["derived_here:small", "--input", "1x3x6x9999999999999"], "cannot be held"),
        (["derived_here:small", "--input", "1x3x6x99999999999999999999"], "cannot be held"),
        (["derived_here:small", *shape, "--gated", "3"], "no module '3' in the model"),
        (["net.pt", *shape], "expected FILE.onnx, or package.module:function"),
        (["derived_here:small", "--input", "3x"], "expected sizes such as 1x3x32x32"),
        (["derived_here:small", *shape, "--out", "net.txt"], "expected a name that ends in .yaml"),
    ):
        assert said in refusal(capsys, main, ["derive", *arguments])


def test_check_tells_what_nobody_reads(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The shortcut's line in the file is deleted where it is added."""
    text = file.read_text()
    assert text.count("residual: layer2.0.shortcut") == 1
    file.write_text(text.replace("residual: layer2.0.shortcut", "residual:"))
    assert main(["check", str(file)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "outputs beside the last layer's, read by nobody: layer2.0.shortcut"


def test_one_layer_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_network(network_named(["only"]), tmp_path / "n.yaml")
    assert main(["show", str(tmp_path / "n.yaml")]) == 0
    assert capsys.readouterr().out.splitlines()[-2].startswith("1 layer  ")
    assert main(["check", str(tmp_path / "n.yaml")]) == 0
    assert ": ok, 1 layer (0 gated), " in capsys.readouterr().out
