"""Networks of the zoo, exported: the layers of the file are those of the model that ran."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx")
torch = pytest.importorskip("torch")

from zoo.families import FAMILIES  # noqa: E402

from hwsim.network import Network  # noqa: E402
from hwsim.network.from_onnx import read_onnx  # noqa: E402
from hwsim.train.derive.derivation import derive_network  # noqa: E402

HELD = [name for name, family in FAMILIES.items() if family.onnx]


def exported(name: str, path: Path, dynamo: bool) -> None:
    family = FAMILIES[name]
    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(
            family.build(), (family.example(),), str(path), dynamo=dynamo, opset_version=18,
            **({"verbose": False} if dynamo else {}),
        )  # fmt: skip


def unnamed(network: Network) -> list[dict[str, Any]]:
    """The layers with the places of the layers that they read for names."""
    places = {"input": -1} | {layer.name: at for at, layer in enumerate(network.layers)}
    found = []
    for layer in network.layers:
        fields = layer.model_dump() | {"name": type(layer).__name__}
        fields["input"] = [places[tensor] for tensor in layer.inputs]
        for key in ("residual", "scale", "weights_from"):
            if fields.get(key) is not None:
                fields[key] = places[fields[key]]
        found.append(fields)
    return found


@pytest.mark.parametrize("name", HELD)
def test_layers_and_names_are_those_of_the_forward_pass(name: str, tmp_path: Path) -> None:
    """Of the exporter that traces: it keeps the names of modules in those of nodes."""
    exported(name, tmp_path / "m.onnx", dynamo=False)
    family = FAMILIES[name]
    torch_network = derive_network(family.build(), family.example())
    network = read_onnx(tmp_path / "m.onnx")
    assert unnamed(network) == unnamed(torch_network)
    assert network.macs == torch_network.macs
    own = [[layer.name for layer in each.convolutions] for each in (network, torch_network)]
    assert own[0] == own[1]


@pytest.mark.parametrize("name", ["resnet", "mobilenet_v2", "vit"])
def test_the_exporter_by_dynamo_gives_the_same(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    exported(name, tmp_path / "m.onnx", dynamo=True)
    family = FAMILIES[name]
    torch_network = derive_network(family.build(), family.example())
    assert unnamed(read_onnx(tmp_path / "m.onnx")) == unnamed(torch_network)


def test_a_file_without_its_weights_is_read(tmp_path: Path) -> None:
    """Large weights lie beside it; their shapes do not."""
    pytest.importorskip("onnxscript")
    exported("vgg", tmp_path / "m.onnx", dynamo=True)
    whole = read_onnx(tmp_path / "m.onnx")
    (beside,) = tmp_path.glob("*.data")
    beside.unlink()
    assert read_onnx(tmp_path / "m.onnx") == whole
