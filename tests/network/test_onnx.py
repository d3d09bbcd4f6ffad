"""ONNX models: graphs written out by hand, with the layers that they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refusal import refusal

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from hwsim.errors import UserError  # noqa: E402
from hwsim.network import ConvLayer, MapLayer, Network, load_network  # noqa: E402
from hwsim.network.from_onnx import read_onnx  # noqa: E402
from hwsim.run.network import main  # noqa: E402

Weights = dict[str, tuple[int, ...] | np.ndarray]


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> Any:
    return helper.make_node(
        operator, inputs.split(), outputs.split(), name=f"n_{outputs.split()[0]}", **attributes
    )


def written(
    folder: Path,
    nodes: Sequence[Any],
    weights: Weights,
    shape: Sequence[int | str] = (1, 8, 6, 6),
    inputs: int = 1,
) -> Path:
    """A file whose graph reads ``x`` and gives ``y``."""
    stored = [
        numpy_helper.from_array(
            np.zeros(each, np.float32) if isinstance(each, tuple) else each, name
        )
        for name, each in weights.items()
    ]
    given = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))
        for name in ("x", "x2")[:inputs]
    ]
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", given, [result], stored)
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)
    return path


def only(network: Network) -> ConvLayer:
    (layer,) = network.layers
    assert isinstance(layer, ConvLayer)
    return layer


def conv(**changes: Any) -> ConvLayer:
    fields = {"name": "n_y", "in_channels": 8, "out_channels": 4, "kernel_size": 3,
              "in_height": 6, "in_width": 6}  # fmt: skip
    return ConvLayer(**fields | changes)


CONVOLUTIONS: dict[str, tuple[dict[str, Any], tuple[int, ...], dict[str, Any]]] = {
    "plain": ({}, (4, 8, 3, 3), {}),
    "all keys": (
        {"pads": [1, 0, 2, 0], "strides": [2, 1], "dilations": [1, 2], "group": 4},
        (4, 2, 3, 2),
        {"padding": (1, 0, 2, 0), "stride": (2, 1), "dilation": (1, 2), "conv_groups": 4,
         "kernel_size": (3, 2)},
    ),
    # Six columns at stride 2 are three: a window of 3 needs one column more, behind or before.
    "same, upper": ({"auto_pad": "SAME_UPPER", "strides": [2, 2]}, (4, 8, 3, 3),
                    {"stride": 2, "padding": (0, 0, 1, 1)}),
    "same, lower": ({"auto_pad": "SAME_LOWER", "strides": [2, 2]}, (4, 8, 3, 3),
                    {"stride": 2, "padding": (1, 1, 0, 0)}),
    "valid": ({"auto_pad": "VALID"}, (4, 8, 3, 3), {}),
}  # fmt: skip


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name: str, tmp_path: Path) -> None:
    attributes, weights, expected = CONVOLUTIONS[name]
    path = written(tmp_path, [node("Conv", "x w", "y", **attributes)], {"w": weights})
    assert only(read_onnx(path)) == conv(**expected)


def test_positions_of_one_direction_are_rows(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "y", pads=[1, 2], strides=[2])]
    path = written(tmp_path, nodes, {"w": (4, 8, 3)}, (1, 8, 9))
    expected = conv(in_height=9, in_width=1, kernel_size=(3, 1), stride=(2, 1),
                    padding=(1, 0, 2, 0))  # fmt: skip
    assert only(read_onnx(path)) == expected


def test_a_transposed_convolution_has_its_macs(tmp_path: Path) -> None:
    """Each of 36 pixels of 8 channels into 4 channels of 2x2."""
    path = written(
        tmp_path, [node("ConvTranspose", "x w", "y", strides=[2, 2])], {"w": (8, 4, 2, 2)}
    )
    first, moved = read_onnx(path).layers
    assert (first.macs, first.out_channels) == (36 * 8 * 4 * 4, 16)
    assert isinstance(moved, MapLayer)
    assert (moved.out_channels, moved.out_height, moved.out_width) == (4, 12, 12)


@pytest.mark.parametrize("turned", [0, 1])
def test_a_classifier_behind_a_flattened_map(turned: int, tmp_path: Path) -> None:
    nodes = [node("Flatten", "x", "f"), node("Gemm", "f fc.weight b", "y", transB=turned)]
    shape = (10, 288) if turned else (288, 10)
    path = written(tmp_path, nodes, {"fc.weight": shape, "b": (10,)})
    assert only(read_onnx(path)) == conv(name="fc", out_channels=10, kernel_size=6)


def test_tokens_times_constants_on_either_side(tmp_path: Path) -> None:
    """(5, 8) by (8, 4), then a (3, 5) by that: across tokens."""
    nodes = [node("MatMul", "x w", "a"), node("MatMul", "v a", "y")]
    path = written(tmp_path, nodes, {"w": (8, 4), "v": (3, 5)}, (1, 5, 8))
    network = read_onnx(path)
    assert [layer.macs for layer in network.convolutions] == [5 * 8 * 4, 3 * 5 * 4]
    assert (network.layers[0].in_channels, network.layers[0].in_height) == (8, 5)


def test_a_product_of_two_activations(tmp_path: Path) -> None:
    """Tokens with themselves: 5 x 5 scores of 8 values each."""
    nodes = [node("Conv", "x w", "c"), node("Transpose", "c", "t", perm=[0, 2, 1]),
             node("MatMul", "t c", "s"), node("Softmax", "s", "y")]  # fmt: skip
    path = written(tmp_path, nodes, {"w": (8, 8, 1)}, (1, 8, 5))
    first, product = read_onnx(path).layers
    assert isinstance(product, ConvLayer)
    assert (product.weights_from, product.macs) == (first.name, 5 * 5 * 8)


def test_einsum_with_a_constant_is_a_pointwise_convolution(tmp_path: Path) -> None:
    for equation in ("nchw,oc->nohw", "nchw,oc->nhwo"):
        path = written(tmp_path, [node("Einsum", "x w", "y", equation=equation)], {"w": (4, 8)})
        assert only(read_onnx(path)) == conv(kernel_size=1)
    path = written(tmp_path, [node("Einsum", "w x", "y", equation="oc,nchw->nohw")], {"w": (4, 8)})
    assert only(read_onnx(path)) == conv(kernel_size=1)


def test_einsum_of_two_activations_is_attention(tmp_path: Path) -> None:
    """2 heads of 4 channels: 5 x 5 scores, each of 4 products."""
    nodes = [node("Conv", "x w", "c"), node("Reshape", "c to", "h"),
             node("Einsum", "h h", "y", equation="ndkt,ndks->ndts")]  # fmt: skip
    weights: Weights = {"w": (8, 8, 1), "to": np.array([1, 2, 4, 5])}
    first, product = read_onnx(written(tmp_path, nodes, weights, (1, 8, 5))).layers
    assert isinstance(product, ConvLayer)
    assert (product.weights_from, product.conv_groups) == (first.name, 2)
    assert product.macs == 2 * 5 * 5 * 4


def test_additions_and_pooling_go_to_output_stages(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "a", pads=[1] * 4), node("Relu", "a", "r"),
        node("Conv", "r w", "b", pads=[1] * 4), node("BatchNormalization", "b s s s s", "n"),
        node("Add", "n r", "c"), node("Clip", "c", "d"),
        node("MaxPool", "d", "y", kernel_shape=[2, 2], strides=[2, 2]),
    ]  # fmt: skip
    network = read_onnx(written(tmp_path, nodes, {"w": (8, 8, 3, 3), "s": (8,)}))
    first, second = network.layers
    assert second == conv(
        name="n_b", input="n_a", residual="n_a", out_channels=8, padding=1, pool=2
    )
    assert first == conv(name="n_a", out_channels=8, padding=1)


def test_squeeze_and_excite_is_a_scale(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "a", pads=[1] * 4), node("GlobalAveragePool", "a", "p"),
        node("Conv", "p v", "e"), node("Sigmoid", "e", "f"), node("Mul", "a f", "y"),
    ]  # fmt: skip
    network = read_onnx(written(tmp_path, nodes, {"w": (8, 8, 3, 3), "v": (8, 8, 1, 1)}))
    assert [type(layer).__name__ for layer in network.layers] == [
        "ConvLayer", "MapLayer", "ConvLayer", "MapLayer",
    ]  # fmt: skip
    last = network.layers[-1]
    assert isinstance(last, MapLayer)
    assert (last.operator, last.input, last.scale) == ("multiply", "n_a", "n_e")


def test_parts_are_joined_again(tmp_path: Path) -> None:
    """A slice of one map and one place of half of another: 2 channels, and 1."""
    nodes = [
        node("Conv", "x w", "a"), node("Conv", "x w", "b"),
        node("Split", "b", "s t", num_outputs=2, axis=1),
        node("Slice", "a zero two one", "u"), node("Gather", "t three", "v", axis=1),
        node("Unsqueeze", "v one", "k"), node("Concat", "u k", "j", axis=1),
        node("Conv", "j z", "y"),
    ]  # fmt: skip
    weights: Weights = {
        "w": (8, 8, 1, 1), "z": (4, 3, 1, 1), "zero": np.array([0]), "two": np.array([2]),
        "one": np.array([1]), "three": np.array(3),
    }  # fmt: skip
    network = read_onnx(written(tmp_path, nodes, weights))
    last = network.layers[-1]
    assert (last.in_channels, len(last.inputs)) == (3, 2)
    channels = [network.shapes[tensor][0] for tensor in last.inputs]
    assert channels == [2, 1]


def test_shapes_that_are_computed_are_known(tmp_path: Path) -> None:
    """(N, C, -1) made of what Shape gives, as exporters write it."""
    nodes = [
        node("Shape", "x", "sizes"), node("Gather", "sizes first", "two"),
        node("Concat", "two rest", "to", axis=0), node("Reshape", "x to", "r"),
        node("Transpose", "r", "t", perm=[0, 2, 1]), node("MatMul", "t w", "y"),
    ]  # fmt: skip
    weights: Weights = {
        "w": (8, 4), "first": np.array([0, 1]), "rest": np.array([-1]),
    }  # fmt: skip
    layer = only(read_onnx(written(tmp_path, nodes, weights)))
    assert (layer.in_channels, layer.in_height * layer.in_width, layer.macs) == (8, 36, 36 * 32)


def test_sizes_that_are_left_open_are_given(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "y")]
    path = written(tmp_path, nodes, {"w": (4, 8, 3, 3)}, ("N", 8, "H", "W"))
    assert only(read_onnx(path, (1, 8, 6, 5))) == conv(in_width=5)
    for shape, said in (
        (None, "input x leaves sizes open; --input 1x3x224x224 gives them"),
        ((1, 7, 6, 5), "input x has the shape 1x8x?x?, not 1x7x6x5"),
    ):
        with pytest.raises(UserError) as caught:
            read_onnx(path, shape)
        assert said in str(caught.value)
    path = written(tmp_path, nodes, {"w": (4, 8, 3, 3)}, ("N", 8, 6, 6))
    assert only(read_onnx(path)) == conv()


REFUSED = {
    "unknown operator": (
        [node("DeformConv", "x w o", "y")], {"w": (4, 8, 3, 3), "o": (1, 18, 4, 4)},
        "DeformConv 'n_y': is not known",
    ),
    "of three tensors": (
        [node("Einsum", "x w w", "y", equation="nchw,oc,oc->nohw")], {"w": (4, 8)},
        "Einsum 'n_y': 'nchw,oc,oc->nohw' is not known",
    ),
    "an outer product": (
        [node("Einsum", "x w", "y", equation="nchw,oi->nchwoi")], {"w": (4, 8)},
        "Einsum 'n_y': is no matrix product",
    ),
    "computed weights": (
        [node("Relu", "x", "w"), node("Conv", "x w", "y")], {}, "Conv 'n_y': its weights are",
    ),
    "no stride": (
        [node("Conv", "x w", "y", strides=[0, 1])], {"w": (4, 8, 3, 3)},
        "Conv 'n_y': layer n_y: kernel, stride and dilation are from 1 on",
    ),
    "weights of other channels": (
        [node("Conv", "x w", "y")], {"w": (4, 7, 3, 3)}, "Conv 'n_y': reads (1, 8, 6, 6) with",
    ),
    "values that are not there": (
        [node("Reshape", "x s", "r"), node("Conv", "r w", "y")],
        {"s": np.array([1, 8, 5, 5]), "w": (4, 8, 3, 3)}, "Reshape 'n_r': layer n_r: a tensor of",
    ),
    "no layer": ([node("Relu", "x", "y")], {}, "has no layer with MACs"),
    "over the batch": (
        [node("Transpose", "x", "t", perm=[1, 0, 2, 3]), node("Conv", "t w", "y")],
        {"w": (4, 1, 3, 3)}, "Conv 'n_y'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_network_cannot_say_is_refused_by_name(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes, weights, said = REFUSED[name]
    path = written(tmp_path, nodes, weights)
    told = refusal(capsys, main, ["show", str(path)])
    assert told.startswith(f"hwsim network: {path}: ")
    assert said in told


def test_recurrent_layers_are_refused_by_name(tmp_path: Path) -> None:
    nodes = [node("GRU", "x w v", "y", hidden_size=2)]
    path = written(tmp_path, nodes, {"w": (1, 6, 8), "v": (1, 6, 2)}, (1, 1, 8))
    with pytest.raises(UserError, match="GRU 'n_y': is not known"):
        read_onnx(path)


def test_what_is_no_model_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, [node("Add", "x x2", "y")], {}, inputs=2)
    assert "has 2 inputs (x, x2); one was expected" in refusal(capsys, main, ["show", str(path)])
    path.write_bytes(b"not a model")
    assert "not an ONNX model" in refusal(capsys, main, ["show", str(path)])
    assert "no such file" in refusal(capsys, main, ["show", str(tmp_path / "none.onnx")])


def test_the_command_derives_a_file_with_gates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes = [node("Conv", "x w", "a"), node("Conv", "a v", "y")]
    path = written(tmp_path, nodes, {"w": (8, 8, 1, 1), "v": (8, 8, 1, 1)})
    out = tmp_path / "net.yaml"
    asked = ["derive", str(path), "--gated", "n_y", "--groups", "2", "--out", str(out)]
    assert main(asked) == 0
    assert capsys.readouterr().out == f"wrote {out}: 2 layers, 4,608 MACs an image\n"
    network = load_network(out)
    assert network.name == "model"
    assert [(layer.name, layer.groups) for layer in network.gated_layers] == [("n_y", 2)]
    assert "--ignored: is of torch" in refusal(capsys, main, [*asked, "--ignored", "a"])


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("a\nb\x1b[31m", r"a\nb\x1b[31m"),
        (" a ", "a"),
        ("n" * 300, "n" * 131 + "..." + "n" * 66),
        ("[b]$x^{", "[b]$x^{"),
    ],
)
def test_a_node_may_be_called_anything(name: str, layer: str, tmp_path: Path) -> None:
    """Tools join names of many nodes; a layer's has 200 characters at the most."""
    convolution = node("Conv", "x w", "t", kernel_shape=[3, 3])
    convolution.name = name
    path = written(tmp_path, [convolution, node("Relu", "t", "y")], {"w": (4, 8, 3, 3)})
    assert only(read_onnx(path)).name == layer
