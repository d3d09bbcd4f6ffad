"""``hwsim import``: SCALE-Sim's topologies as networks of layers by themselves.

A topology is a CSV file, a layer a line: of convolutions (name, height and width of the padded
input, height and width of the filter, channels, filters, stride) or of matrix products (name, M, N,
K). It has no edges: each layer reads a tensor of its own from DRAM (docs/model/layers.md).
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hwsim.cli import OneLineParser, run_command
from hwsim.errors import UserError, one_line
from hwsim.files import read_text
from hwsim.network.description import as_name
from hwsim.network.file import print_yaml, require_suffix, save_network
from hwsim.network.graph import unused
from hwsim.network.layers import INPUT, OUTSIDE, ConvLayer
from hwsim.network.network import Network
from hwsim.text_table import counted

CONVOLUTION = ("ifmap height", "ifmap width", "filter height", "filter width", "channels",
               "num filter", "strides", "stride width")  # fmt: skip
"""Columns of a convolution behind its name; the last may be missing."""

PRODUCT = ("m", "n", "k")

DEPTHWISE = "DP"
"""In the name of a layer whose filters see one channel each, all channels one by one."""


DIGITS = 20
"""More make no size."""


class TopologyError(UserError):
    """A topology that cannot be read; one line naming file, line and value."""


def read_topology(path: str | Path) -> Network:
    """The layers of a topology, one after another, each reading its own input from DRAM.

    Raises TopologyError.
    """
    path = Path(path)
    try:
        text = read_text(path)
    except UserError as error:
        raise TopologyError(str(error)) from None
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        rows = [(reader.line_num, cells) for row in reader if (cells := _cells(row))]
    except csv.Error as error:
        raise TopologyError(f"{path}: line {reader.line_num}: {error}") from None
    if len(rows) < 2:
        raise TopologyError(f"{path}: expected a line of headings and a line for each layer")
    (_, headings), *rows = rows
    if any(heading.isdecimal() for heading in headings[1:]):
        raise TopologyError(f"{path}: expected headings in the first line, found {headings[1]!r}")
    order = [heading.lower() for heading in headings[1:4]]
    if sorted(order) != sorted(PRODUCT):
        order = []
    layers: list[ConvLayer] = []
    taken = {INPUT}
    for number, (name, *values) in rows:
        own = unused(name, taken)
        layers.append(_layer(f"{path}: line {number} {name!r}", own, values, order, headings))
    try:
        return Network(name=as_name(path.stem), layers=tuple(layers))
    except UserError as error:
        raise TopologyError(f"{path}: {error}") from None


def _cells(row: Sequence[str]) -> list[str]:
    """Without blanks, and without the empty cells at a line's end."""
    cells = [cell.strip() for cell in row]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _layer(
    where: str, name: str, values: Sequence[str], order: Sequence[str], headings: Sequence[str]
) -> ConvLayer:
    values = _without_sparsity(where, values)
    if order or len(values) == len(PRODUCT):
        if len(values) != len(PRODUCT):
            raise TopologyError(f"{where}: expected M, N and K, found {len(values)} values")
        columns = dict(zip(order or PRODUCT, _numbers(where, values, PRODUCT), strict=True))
        fields: dict[str, Any] = {
            "in_channels": columns["k"], "in_height": columns["m"], "in_width": 1,
            "out_channels": columns["n"], "kernel_size": 1,
        }  # fmt: skip
    else:
        fields = _convolution(where, name, values, headings)
    try:
        return ConvLayer(name=name, input=OUTSIDE + name, **fields)
    except UserError as error:
        what = str(error).removeprefix(f"ConvLayer {name!r}: ").removeprefix(f"layer {name}: ")
        raise TopologyError(f"{where}: {what}") from None


def _convolution(
    where: str, name: str, values: Sequence[str], headings: Sequence[str]
) -> dict[str, Any]:
    least = len(CONVOLUTION) - 1
    if not least <= len(values) <= len(CONVOLUTION):
        raise TopologyError(
            f"{where}: expected {least} values behind the name, a stride's width perhaps, or M, N "
            f"and K; found {len(values)}"
        )
    if len(values) > least and len(headings) > len(CONVOLUTION):
        last = headings[len(CONVOLUTION)]
        if "stride" not in last.lower():
            raise TopologyError(f"{where}: column {last!r} is not known")
    height, width, kernel_height, kernel_width, channels, filters, *strides = _numbers(
        where, values, CONVOLUTION
    )
    depthwise = channels if DEPTHWISE in name else 1
    return {
        "in_channels": channels, "in_height": height, "in_width": width,
        "out_channels": filters * depthwise, "conv_groups": depthwise,
        "kernel_size": (kernel_height, kernel_width), "stride": (strides[0], strides[-1]),
    }  # fmt: skip


def _without_sparsity(where: str, values: Sequence[str]) -> Sequence[str]:
    """A last value such as 1:1 says how many weights of a block are not zero."""
    if not values or ":" not in values[-1]:
        return values
    kept, _, block = values[-1].partition(":")
    if kept != block:
        raise TopologyError(
            f"{where}: sparse weights ({values[-1]}) are not modelled; 1:1 runs the layer dense"
        )
    return values[:-1]


def _numbers(where: str, values: Sequence[str], columns: Sequence[str]) -> list[int]:
    found = []
    for column, value in zip(columns, values, strict=False):
        if not value.isdecimal() or len(value) > DIGITS or not int(value):
            raise TopologyError(f"{where}: {column}: expected a positive integer, found {value!r}")
        found.append(int(value))
    return found


def rounded_up(network: Network) -> Iterator[str]:
    """Layers of which SCALE-Sim computes outputs more: their strides do not divide."""
    for layer in network.convolutions:
        sizes = zip((layer.in_height, layer.in_width), layer.kernel, layer.strides, strict=True)
        if any((size - kernel) % stride for size, kernel, stride in sizes):
            yield layer.name


def build_parser() -> OneLineParser:
    parser = OneLineParser(
        prog="hwsim import",
        description="Make a network file of a SCALE-Sim topology: a CSV of convolutions or of "
        "matrix products (M, N, K). Its layers are not linked: each reads its input from DRAM.",
    )
    parser.add_argument("topology", type=Path, metavar="CSV")
    parser.add_argument("--out", type=Path, metavar="FILE",
                        help="network file, .yaml or .json (default: printed as YAML)")  # fmt: skip
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), _import, arguments)


def _import(options: argparse.Namespace) -> None:
    if options.out:
        require_suffix(options.out)
    network = read_topology(options.topology)
    if options.out:
        save_network(network, options.out)
        layers = counted(len(network.layers), "layer")
        print(one_line(f"wrote {options.out}: {layers}, {network.macs:,} MACs an image"))
    else:
        print_yaml(network)
    if more := list(rounded_up(network)):
        print(
            f"hwsim import: strides do not divide in {len(more)} of {len(network.layers)} layers, "
            f"{more[0]} is the first: SCALE-Sim rounds their outputs up, hwsim down",
            file=sys.stderr,
        )


if __name__ == "__main__":
    sys.exit(main())
