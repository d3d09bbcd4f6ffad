"""ONNX models that are damaged, or made to take time and memory: one line, and no file opened."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refusal import refusal

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper  # noqa: E402
from test_onnx import Weights, conv, node, only, written  # noqa: E402

from hwsim.errors import UserError  # noqa: E402
from hwsim.network.from_onnx import read_onnx  # noqa: E402
from hwsim.run.network import main  # noqa: E402


def changed(path: Path, change: Callable[[Any], object]) -> Path:
    """The file with its model changed."""
    model = onnx.load(path, load_external_data=False)
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def elsewhere(model: Any) -> None:
    """Puts the data of the first tensor into another file."""
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def set_first(**fields: Any) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        tensor = model.graph.initializer[0]
        for name, value in fields.items():
            if name == "dims":
                tensor.dims[:] = value
            else:
                setattr(tensor, name, value)

    return change


def without_axis(model: Any) -> None:
    del model.graph.node[0].attribute[:]


DAMAGED = {
    "an element type that there is not": (set_first(data_type=0), "tensor s: its element type 0"),
    "a negative size": (set_first(dims=[-4]), "tensor s: its shape has a negative size"),
    "more values than bytes": (set_first(dims=[1 << 40]), "tensor s: its shape holds more values"),
    "no axis": (without_axis, "Concat 'n_c': Required attribute 'axis' is missing"),
    "a shape in another file": (elsewhere, "'r'"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_onnx_does_not_allow_is_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, said = DAMAGED[name]
    nodes = [
        node("Concat", "x x", "c", axis=1), node("Reshape", "c s", "r"), node("Conv", "r w", "y"),
    ]  # fmt: skip
    path = written(tmp_path, nodes, {"s": np.array([1, 16, 6, 6]), "w": (4, 16, 3, 3)})
    assert said in refusal(capsys, main, ["show", str(changed(path, change))])


def test_of_weights_in_another_file_the_shape_is_enough(tmp_path: Path) -> None:
    path = written(tmp_path, [node("Conv", "x w", "y")], {"w": (4, 8, 3, 3)})
    assert only(read_onnx(changed(path, elsewhere))) == conv()


def test_what_a_model_computes_of_constants_is_bounded(tmp_path: Path) -> None:
    """2**60 values of a shape that only onnx's evaluator would know; a loop of 2**62 rounds."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["keep"], ["go"]),
         helper.make_node("Identity", ["v"], ["u"])], "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []),
         helper.make_tensor_value_info("keep", TensorProto.BOOL, []),
         helper.make_tensor_value_info("v", TensorProto.INT64, [])],
        [helper.make_tensor_value_info("go", TensorProto.BOOL, []),
         helper.make_tensor_value_info("u", TensorProto.INT64, [])],
    )  # fmt: skip
    stored: Weights = {"k": np.array(3), "m": np.array([1 << 30, 1 << 30]), "w": (4, 8, 3, 3)}
    rounds: Weights = {"n": np.array(1 << 62), "b": np.array(True)}
    convolution = node("Conv", "x w", "y")
    path = written(tmp_path, [node("Expand", "k m", "t"), convolution], stored)
    assert only(read_onnx(path)) == conv()
    path = written(tmp_path, [node("Loop", "n b k", "t", body=body), convolution], stored | rounds)
    with pytest.raises(UserError, match="Loop 'n_t': is not known"):
        read_onnx(path)


def test_a_pipe_is_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pipe.onnx"
    os.mkfifo(path)
    told = refusal(capsys, main, ["show", str(path)])
    assert f"{path}: expected a file, and not a folder, a pipe or a device" in told


def test_a_file_larger_than_a_model_can_be_is_not_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "large.onnx"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert "large.onnx: more than 2 GiB" in refusal(capsys, main, ["show", str(path)])


def test_as_much_room_is_made_as_the_file_is_large(tmp_path: Path) -> None:
    path = written(tmp_path, [node("Conv", "x w", "y")], {"w": (4, 8, 3, 3)})
    tracemalloc.start()
    try:
        read_onnx(path)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
