"""``hwsim network``: layer lists shown, checked, and derived from models.

hwsim network show net.yaml
hwsim network check net.yaml --arch pe16x16
hwsim network derive model.onnx --out net.yaml
hwsim network derive package.module:function --input 1x3x32x32 --out net.yaml
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from hwsim.arch.load import arch_of
from hwsim.cli import OneLineParser, positive, run_command
from hwsim.errors import UserError, one_line
from hwsim.network import AnyLayer, ConvLayer, Network
from hwsim.network.description import both
from hwsim.network.file import print_yaml, require_suffix, save_network, written
from hwsim.network.gates import with_gates
from hwsim.text_table import counted, print_table
from hwsim.trace.files import open_network

HEADINGS = (
    "layer", "operator", "reads", "input", "output", "kernel", "stride", "groups", "gating\ngroups",
    "MACs", "weights",
)  # fmt: skip
TEXTS = 3
"""So many of them are names."""

FILES = "a network file (.yaml, .json), a trace (.h5) or an ONNX model (.onnx)"


def build_parser() -> OneLineParser:
    parser = OneLineParser(
        prog="hwsim network", description="Show, check and derive layer lists of networks."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    what = "print a network's layers: shapes, edges, MACs"
    show = actions.add_parser("show", help=what, description=what)
    show.add_argument("file", metavar="FILE", help=FILES)
    show.add_argument("--json", action="store_true", help="print JSON instead of a table")
    what = "say whether a network is sound, and whether a machine holds it"
    check = actions.add_parser("check", help=what, description=what)
    check.add_argument("file", metavar="FILE", help=FILES)
    check.add_argument("--arch", metavar="FILE", help="place every layer on this machine")
    check.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                       help="change one key of the machine")  # fmt: skip
    what = "make a network file of an ONNX model, or of a torch model while it runs"
    derive = actions.add_parser("derive", help=what, description=what)
    _add_derive(derive)
    return parser


def _add_derive(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("model", metavar="MODEL",
        help="FILE.onnx, or package.module:function, which returns a torch model")  # fmt: skip
    add("--input", type=_shape, metavar="1x3x32x32",
        help="shape of the input; of ONNX only where the file leaves it open")  # fmt: skip
    add("--gated", default="", metavar="NAME,...",
        help="gated convolutions: modules of a torch model, layers of an ONNX model")  # fmt: skip
    add("--groups", type=positive, default=4, metavar="G", help="gating groups of those (4)")
    add("--ignored", default="", metavar="PATH,...",
        help="modules that make masks: no layers (torch only)")  # fmt: skip
    add("--out", type=Path, metavar="FILE",
        help="network file, .yaml or .json (default: printed as YAML)")  # fmt: skip


def _shape(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*)*", text):
        raise argparse.ArgumentTypeError(f"expected sizes such as 1x3x32x32, found {text!r}")
    return tuple(map(int, text.split("x")))


def main(arguments: Sequence[str] | None = None) -> int:
    actions = {"show": _show, "check": _check, "derive": _derive}
    return run_command(build_parser(), lambda options: actions[options.action](options), arguments)


def _show(options: argparse.Namespace) -> None:
    network = open_network(options.file)
    if options.json:
        print(json.dumps(as_plain(network), indent=2))
        return
    rows = [_row(layer) for layer in network.layers]
    print_table(HEADINGS, [*rows, _total(network)], title=network.name, names=TEXTS)


def as_plain(network: Network) -> dict[str, Any]:
    """The network's file with what follows from it: output shapes, MACs and weights."""
    layers = [
        written(layer)
        | {"output": [layer.out_channels, layer.pooled_height, layer.pooled_width]}
        | {"macs": layer.macs, "weights": weights(layer)}
        for layer in network.layers
    ]
    return {"name": network.name, **totals(network), "layers": layers}


def totals(network: Network) -> dict[str, int]:
    """Layers, gated ones, MACs an image, weights."""
    return {
        "gated_layers": len(network.gated_layers),
        "macs": network.macs,
        "gated_macs": network.gated_macs,
        "weights": sum(map(weights, network.layers)),
    }


def weights(layer: AnyLayer) -> int:
    """Weights of a convolution, biases left out; none where another tensor brings them."""
    if not isinstance(layer, ConvLayer) or layer.multiplies:
        return 0
    return layer.out_channels * layer.steps


def _row(layer: AnyLayer) -> list[str]:
    output = f"{layer.out_channels}x{layer.pooled_height}x{layer.pooled_width}"
    row = [
        layer.name, _operator(layer), ", ".join(layer.reads),
        f"{layer.in_channels}x{layer.in_height}x{layer.in_width}", output,
    ]  # fmt: skip
    if not isinstance(layer, ConvLayer):
        return [*row, *["-"] * 4, "0", "0"]
    gates = str(layer.groups) if layer.gated else "-"
    kernel, stride = ("x".join(map(str, both(each))) for each in (layer.kernel, layer.strides))
    return [*row, kernel, stride, str(layer.conv_groups), gates, f"{layer.macs:,}",
            f"{weights(layer):,}"]  # fmt: skip


def _operator(layer: AnyLayer) -> str:
    if not isinstance(layer, ConvLayer):
        return layer.operator
    parts = ["product" if layer.multiplies else "convolution"]
    parts += ["add"] if layer.residual else []
    parts += ["pool"] if both(layer.pool) != (1, 1) else []
    return ", ".join(parts)


def _total(network: Network) -> list[str]:
    found = totals(network)
    layers = counted(len(network.layers), "layer")
    return [layers, *[""] * (len(HEADINGS) - 3), f"{found['macs']:,}", f"{found['weights']:,}"]


def _check(options: argparse.Namespace) -> None:
    if options.set and not options.arch:
        raise UserError("--set: changes a machine; give --arch as well")
    network = open_network(options.file)
    placed = ""
    if options.arch:
        arch = arch_of(options)
        from hwsim.mapping.residency import map_network

        for images in sorted({1, arch.batch}):
            map_network(network, arch, images, "off")
            if network.gated_layers:
                map_network(network, arch, images, "batch")
        placed = f", all on {arch.name}"
    found = totals(network)
    told = (
        f"{options.file}: ok, {counted(len(network.layers), 'layer')} ({found['gated_layers']} "
        f"gated), {found['macs']:,} MACs an image, {found['weights']:,} weights{placed}"
    )
    print(one_line(told))
    read = {tensor for layer in network.layers for tensor in layer.reads}
    unread = [layer.name for layer in network.layers[:-1] if layer.name not in read]
    if unread:
        # An edge that was forgotten looks like another output.
        print(one_line(f"outputs beside the last layer's, read by nobody: {', '.join(unread)}"))


def _derive(options: argparse.Namespace) -> None:
    if options.out:
        require_suffix(options.out)
    gated = [name for name in options.gated.split(",") if name]
    ignored = [path for path in options.ignored.split(",") if path]
    if options.model.endswith(".onnx"):
        if ignored:
            raise UserError("--ignored: is of torch models")
        from hwsim.network.from_onnx import read_onnx

        network = read_onnx(options.model, options.input)
        network = with_gates(network, gated, options.groups) if gated else network
    else:
        network = _from_torch(options, gated, ignored)
    if not options.out:
        print_yaml(network)
        return
    save_network(network, options.out)
    layers = counted(len(network.layers), "layer")
    print(one_line(f"wrote {options.out}: {layers}, {network.macs:,} MACs an image"))


def _from_torch(
    options: argparse.Namespace, gated: Sequence[str], ignored: Sequence[str]
) -> Network:
    """The trainer's room alone knows torch: it is found by its name."""
    if not re.fullmatch(r"[\w.]+:\w+", options.model):
        raise UserError(
            f"{options.model}: expected FILE.onnx, or package.module:function for a torch model"
        )
    if not options.input:
        raise UserError("--input: a torch model is followed while it runs; give a shape: 1x3x32x32")
    room = import_module("hwsim.train.derive.command")
    network: Network = room.network_of(options.model, options.input, gated, options.groups, ignored)
    return network


if __name__ == "__main__":
    sys.exit(main())
