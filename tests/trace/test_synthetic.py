"""``hwsim trace synthetic``: masks drawn for a network file."""

from __future__ import annotations

from pathlib import Path

import pytest
from refusal import refusal

from hwsim.network import Network, resnet18, save_network
from hwsim.network.gates import with_gates
from hwsim.trace.__main__ import main
from hwsim.trace.files import verify


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ResNet-18 of 8x8 images without gates."""
    path = tmp_path_factory.mktemp("plain") / "net.yaml"
    save_network(with_gates(resnet18(input_size=8), [], 1), path)
    return path


def test_a_networks_own_gates_are_taken(
    small_network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_network(small_network, tmp_path / "net.json")
    out = tmp_path / "masks.h5"
    asked = ["synthetic", "--network", str(tmp_path / "net.json"), "--out", str(out)]
    more = ["--density", "0.3", "--mask-group", "8", "--images", "3", "--seed", "5"]
    assert main([*asked, *more]) == 0
    assert capsys.readouterr().out == (
        f"wrote {out}: 16 of 21 convolutions gated, 3 images, synthetic\n"
    )
    trace = verify(out)
    assert trace.network == small_network
    assert (trace.mask_group, trace.images) == (8, 3)
    assert trace.header.label == "synthetic"
    ones = trace.ones()
    assert trace.header.density_elements(ones) == pytest.approx(0.3, abs=0.01)
    assert main([*asked, *more]) == 0
    assert verify(out).sha256 == trace.sha256
    assert main([*asked, *more[:-1], "6"]) == 0
    assert verify(out).sha256 != trace.sha256


def test_gates_are_chosen(plain: Path, tmp_path: Path) -> None:
    """All but the stem and the classifier: shortcuts are convolutions, too."""
    out = tmp_path / "masks.h5"
    asked = ["synthetic", "--network", str(plain), "--density", "0.5", "--images", "1"]
    assert main([*asked, "--out", str(out)]) == 0
    names = [layer.name for layer in resnet18(input_size=8).layers]
    # Of the last stage 8x8 images leave one pixel: those are as linear layers.
    last = [name for name in names if name.startswith("layer4")]
    assert [layer.name for layer in verify(out).network.gated_layers] == [
        name for name in names if name not in ("conv1", "fc", *last)
    ]
    some = ["layer1.0.conv1", "layer4.0.conv1"]
    assert main([*asked, "--gate", *some, "--groups", "2", "--out", str(out)]) == 0
    gated = verify(out).network.gated_layers
    assert [(layer.name, layer.groups) for layer in gated] == [(name, 2) for name in some]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--density", "1.5"], "--density: expected a number from 0 to 1, found '1.5'"),
        (["--correlation", "2"], "--correlation: expected a number from 0 to 1"),
        (["--gate", "layer1.0.conv"], "no convolution 'layer1.0.conv'; nearest valid"),
        (["--gate", "conv1"], "layer conv1: 3 -> 64 channels cannot be cut into 4"),
        (["--groups", "5"], "--groups takes fewer"),
        (["--gate", "layer1.0.conv1", "--mask-group", "7"], "mask group 7 does not divide the 16"),
        (["--seed", "-1"], "--seed: expected an integer from 0 to"),
        (["--out", "/none/such/x.h5"], "no such folder: /none/such"),
        (["--network", "none.yaml"], "none.yaml: no such file"),
    ],
)
def test_a_mistake_is_one_line(
    more: list[str], said: str, plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["synthetic", "--network", str(plain), "--density", "0.5",
             "--out", str(tmp_path / "m.h5")]  # fmt: skip
    assert said in refusal(capsys, main, [*asked, *more])
    assert not (tmp_path / "m.h5").exists()
