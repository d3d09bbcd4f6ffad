"""Network files: YAML, JSON, SCALE-Sim topologies, and ONNX where it is installed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from random import Random
from typing import Any

import yaml

from hwsim.network.file import as_yaml
from tools.fuzz import hostile, sound
from tools.fuzz.case import INPUTS, Case, Kind

MAP = {"name": "pooled", "operator": "pool", "input": "third", "in_channels": 16, "in_height": 5,
       "in_width": 5, "out_channels": 16, "out_height": 1, "out_width": 1}  # fmt: skip

LINEAR = {"name": "classes", "input": "pooled", "in_channels": 16, "in_height": 1, "in_width": 1,
          "out_channels": 10, "kernel_size": 1}  # fmt: skip

KEYS = ("name", "in_channels", "in_height", "in_width", "out_channels", "out_height", "out_width",
        "kernel_size", "stride", "padding", "dilation", "conv_groups", "pool", "ceil_mode", "gated",
        "groups", "input", "residual", "weights_from", "scale", "operator")  # fmt: skip

SMALL: tuple[Any, ...] = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    8,
    16,
    1.0,
    2.5,
    True,
    "2",
    [1, 2],
    [2, 1],
    [1, 1, 2, 0],
    [1],
    [],
    None,
)

TOPOLOGIES = (
    "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, "
    "Strides,\n"
    "Conv1, 8, 8, 3, 3, 3, 8, 1,\nConv2DP, 6, 6, 3, 3, 8, 1, 1,\nConv3, 6, 6, 1, 1, 8, 16, 2, 2,\n",
    "Layer, M, N, K,\nproduct1, 16, 8, 32,\nproduct2, 4, 4, 4, 1:1,\n",
)  # fmt: skip


def layers() -> list[dict[str, Any]]:
    return [dict(layer) for layer in (*sound.LAYERS, MAP, LINEAR)]


def prepare(base: Path) -> None:
    """A file of each form."""
    from hwsim.network import ConvLayer, MapLayer, Network

    made = [MapLayer(**each) if "operator" in each else ConvLayer(**each) for each in layers()]
    network = Network(name="small", layers=tuple(made))
    (base / INPUTS / "n.yaml").write_text(as_yaml(network))
    if importlib.util.find_spec("onnx"):
        _write_onnx(base / INPUTS / "n.onnx")


def _write_onnx(path: Path) -> None:
    """Two convolutions, an activation and a matrix product."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    shapes = {"w1": (8, 3, 3, 3), "w2": (8, 1, 3, 3), "w3": (8, 4)}
    weights = [numpy_helper.from_array(np.zeros(s, np.float32), n) for n, s in shapes.items()]
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], "conv1", pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("Conv", ["b", "w2"], ["c"], "conv2", group=8, strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["c"], ["d"], "mean"),
        helper.make_node("Flatten", ["d"], ["e"], "flat"),
        helper.make_node("MatMul", ["e", "w3"], ["y"], "classes"),
    ]
    graph = helper.make_graph(
        nodes, "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])], weights,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, str(path))


def draw(random: Random, base: Path, folder: Path) -> Case:
    """Layers with other values, text with damage, topologies, ONNX with other bytes."""
    drawn = random.random()
    if drawn < 0.15:
        return _topology(random, folder)
    if drawn < 0.3 and (base / INPUTS / "n.onnx").exists():
        return _onnx(random, base, folder)
    suffix = random.choice((".yaml", ".yaml", ".json", ".yml"))
    if drawn < 0.7:
        change, data = _changed(random)
        text = _written(random, data, suffix)
        contents = text.encode("utf-8", "surrogatepass")
    else:
        sound_text = (base / INPUTS / "n.yaml").read_text()
        if suffix == ".json":
            sound_text = json.dumps({"name": "small", "layers": layers()}, indent=1)
        change, contents = hostile.mutated_text(random, sound_text, KEYS)
    file = f"{INPUTS}/n{suffix}"
    (folder / file).write_bytes(contents)
    return Case(f"{suffix}: {change}", _command(random, file), None, ("out.h5",))


def _written(random: Random, data: Any, suffix: str) -> str:
    if suffix == ".json":
        return json.dumps(data, ensure_ascii=random.random() < 0.5)
    try:
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    except yaml.YAMLError:
        return json.dumps(data)


def _command(random: Random, file: str) -> tuple[str, ...]:
    return random.choice(
        (
            ("network", "check", file),
            ("network", "check", file, "--arch", "pe16x16"),
            ("network", "show", file),
            ("network", "show", file, "--json"),
            ("run", "--network", file, "--images", "1", "--batch", "1", "--threads", "1", "--json",
             "-"),
            ("run", "--network", file, "--images", "2", "--threads", "1"),
            ("trace", "synthetic", "--network", file, "--density", "0.5", "--images", "1",
             "--out", "out.h5"),
        )
    )  # fmt: skip


def _changed(random: Random) -> tuple[str, Any]:
    """Keys of a layer, whole layers, or the mapping around them."""
    data: dict[Any, Any] = {"name": "small", "layers": layers()}
    listed, told = data["layers"], []
    for _ in range(random.choice((1, 1, 1, 2))):
        at = random.randrange(len(listed))
        layer, key = listed[at], random.choice(KEYS)
        how = random.choice(("value", "value", "small", "small", "small", "gone", "key", "layer"))
        if how == "gone" and layer:
            layer.pop(random.choice(list(layer)), None)
        elif how == "key":
            layer[hostile.text(random)] = hostile.plain(random)
        elif how == "layer":
            listed[at] = random.choice((hostile.plain(random), dict(random.choice(layers()))))
            if not isinstance(listed[at], dict):
                return "a layer", data
        else:
            small = random.choice(SMALL)
            layer[key] = hostile.plain(random) if how == "value" else small
        told.append(f"layer {at}: {how} of {key}")
    if random.random() < 0.1:
        key = random.choice(("name", "layers", hostile.text(random)))
        data[key] = hostile.plain(random)
        told.append(key)
    if random.random() < 0.03:
        data["layers"] = [
            dict(layers()[0], name=f"l{n}", in_channels=3, out_channels=3) for n in range(300)
        ]
        told.append("300 layers")
    return "; ".join(told), data


def _topology(random: Random, folder: Path) -> Case:
    text = random.choice(TOPOLOGIES)
    if random.random() < 0.5:
        lines = text.splitlines()
        at = random.randrange(len(lines))
        cells = lines[at].split(",")
        put = str(hostile.integer(random)) if random.random() < 0.6 else hostile.text(random)
        cells[random.randrange(len(cells))] = f" {put}"
        lines[at] = ",".join(cells)
        change, contents = (
            f"a cell of line {at + 1}",
            "\n".join(lines).encode("utf-8", "surrogatepass"),
        )
    else:
        change, contents = hostile.mutated_text(random, text)
    file = f"{INPUTS}/t.csv"
    (folder / file).write_bytes(contents)
    argv = ["import", file]
    argv += random.choice(([], [], ["--out", "n.yaml"], ["--out", "n.json"], ["--out", "n.txt"]))
    return Case(f"topology: {change}", tuple(argv), None, ("n.yaml", "n.json"))


def _onnx(random: Random, base: Path, folder: Path) -> Case:
    file = f"{INPUTS}/n.onnx"
    contents = (base / file).read_bytes()
    if random.random() < 0.6:
        change, contents = hostile.damaged(random, contents)
    else:
        change, contents = _onnx_changed(random, contents)
    (folder / file).write_bytes(contents)
    argv = random.choice(
        (("network", "check", file), ("network", "show", file, "--json"),
         ("network", "derive", file, "--input", random.choice(("1x3x8x8", "2x3x9x9", "1x1", "1"))),
         ("network", "derive", file, "--gated", "conv1", "--groups", "1"))
    )  # fmt: skip
    return Case(f"ONNX: {change}", argv)


def _onnx_changed(random: Random, contents: bytes) -> tuple[str, bytes]:
    """Attributes, shapes, names and edges of a model that still is one."""
    import onnx

    model = onnx.load_model_from_string(contents)
    graph = model.graph
    node = random.choice(graph.node)
    how = random.choice(
        ("attribute", "dims", "input", "operator", "shape", "name", "node gone", "node twice")
    )
    small = random.choice((-1, 0, 1, 2, 3, 7, 2**31, 2**40, 2**62))
    if how == "attribute" and node.attribute:
        values = random.choice(node.attribute)
        if values.ints:
            values.ints[random.randrange(len(values.ints))] = small
        else:
            values.i = small
    elif how == "dims":
        dims = random.choice(graph.initializer).dims
        dims[random.randrange(len(dims))] = small
    elif how == "input":
        node.input[random.randrange(len(node.input))] = random.choice(("x", "y", "none", "", "w1"))
    elif how == "operator":
        node.op_type = random.choice(
            ("Add", "Gemm", "Loop", "If", "Reshape", "Concat", "Nothing", "")
        )
    elif how == "shape":
        sizes = graph.input[0].type.tensor_type.shape.dim
        sizes[random.randrange(len(sizes))].dim_value = small
    elif how == "name":
        name = hostile.text(random).encode("utf-8", "replace").decode()
        node.name = name
        graph.name = name
    elif how == "node gone":
        graph.node.remove(node)
    else:
        graph.node.append(node)
    return f"{how} of {node.op_type}", model.SerializeToString()


KIND = Kind(
    "networks",
    0.14,
    "network files in YAML and JSON with other values, keys and layers, damaged text and bytes; "
    "SCALE-Sim topologies; ONNX models with other attributes, shapes and edges",
    prepare,
    draw,
)
