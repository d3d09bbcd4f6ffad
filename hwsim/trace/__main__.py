"""``hwsim trace``: what traces say of themselves, masks and inputs; masks drawn at random."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hwsim.cli import OneLineParser, add_images, integer, run_command
from hwsim.errors import UserError, escaped, one_line
from hwsim.files import write_whole
from hwsim.text_table import counted, print_table
from hwsim.trace.files import find_traces, verify
from hwsim.trace.mask_trace import MaskTrace
from hwsim.trace.synthetic import add_options, draw

if TYPE_CHECKING:
    import pandas as pd

HEADINGS = {
    "density": "density",
    "lockstep_density": "lockstep\ndensity",
    "expected_lockstep_density": "independ-\nent bits",
    "expected_lockstep_density_channels": "own list\ndensities",
    "spatial_correlation": "spatial\ncorrelation",
    "channel_correlation": "channel\ncorrelation",
    "channel_spread": "channel\nspread",
}
"""Columns of the table of statistics, beside the layer."""

WIDEST_KEY = 40
"""Characters to which ``inspect`` fills up what stands before a value."""

INPUT_HEADINGS = {
    "zero_inputs": "zero\ninputs",
    "nonzero_channels": "not zero\nin a word",
    "largest_nonzero_channels": "in the\nfullest",
    "dense_speedup": "dense\nspeed-up",
    "horizontal_correlation": "horizontal\ncorrelation",
    "channel_correlation": "channel\ncorrelation",
}
"""The same of the table of inputs."""


def build_parser() -> OneLineParser:
    parser = OneLineParser(prog="hwsim trace", description="Show, check and measure mask traces.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, what in (
        ("inspect", "print what traces say of themselves, densities by layer"),
        ("verify", "read traces whole and check every checksum"),
        ("statistics", "print how masks and zero inputs are distributed (docs/guide/traces.md)"),
    ):
        action = actions.add_parser(name, help=what, description=what)
        action.add_argument(
            "files", nargs="*", metavar="FILE", help="files or folders (default: the shipped)"
        )
    action.add_argument(
        "--lanes", type=integer(1, 1024), default=8, metavar="V",
        help="channels of a lane group (8)",
    )  # fmt: skip
    add_images(action)
    action.add_argument("--out", type=Path, metavar="DIR", help="write the tables as .csv here")
    what = "draw masks at random for a network, and write them as a trace"
    add_options(actions.add_parser("synthetic", help=what, description=what))
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    actions = {"inspect": _inspect, "verify": _verify, "statistics": _statistics, "synthetic": draw}
    return run_command(build_parser(), lambda options: actions[options.action](options), arguments)


def _inspect(options: argparse.Namespace) -> None:
    # Every file is read before one is shown: a refusal stands alone.
    traces = [MaskTrace.open(path) for path in find_traces(options.files)]
    for all_told in [list(describe(trace)) for trace in traces]:
        told = [(escaped(what), value) for what, value in all_told]
        width = min(max(len(what) for what, _ in told), WIDEST_KEY)
        for what, value in told:
            print(f"{what:{width}}  {one_line(value)}")
        print()


def _verify(options: argparse.Namespace) -> None:
    for trace in [verify(path) for path in find_traces(options.files)]:
        ok = f"ok, {counted(trace.images, 'image')}, sha256 {trace.sha256}"
        print(f"{one_line(trace.path)}: {ok}")


def _statistics(options: argparse.Namespace) -> None:
    """Check every trace, count, write, show."""
    from hwsim.trace.input_statistics import input_statistics
    from hwsim.trace.statistics import lists_per_lane_group, mask_statistics

    traces = [MaskTrace.open(path) for path in find_traces(options.files)]
    for trace in traces:
        if options.images and options.images > trace.images:
            raise UserError(f"--images {options.images}: {trace.path} holds {trace.images}")
        lists_per_lane_group(trace, options.lanes)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    import pandas as pd

    heads = [trace.head(options.images or trace.images) for trace in traces]
    frames = [mask_statistics(trace, options.lanes) for trace in heads]
    inputs = [input_statistics(trace) for trace in heads]
    if options.out:
        for name, tables in (("mask_statistics", frames), ("input_statistics", inputs)):
            if any(len(table) for table in tables):
                text = pd.concat(tables).to_csv(index=False)
                write_whole(options.out / f"{name}.csv", text)
    for frame, of_inputs in zip(frames, inputs, strict=True):
        _show(frame)
        if len(of_inputs):
            _show_inputs(of_inputs)


def _show(frame: pd.DataFrame) -> None:
    """The statistics of one trace, on standard output."""
    first = frame.iloc[0]
    lists = first["lists_per_lane_group"]
    title = (
        f"{first['trace']} ({first['label']}), {counted(first['images'], 'image')}, lane groups of "
        f"{first['lanes']} channels, {lists} mask list{'s' if lists > 1 else ''}"
    )
    _print(frame, HEADINGS, title)


def _show_inputs(frame: pd.DataFrame) -> None:
    """The statistics of one trace's inputs."""
    first = frame.iloc[0]
    title = (
        f"{first['trace']} ({first['label']}), inputs of {counted(first['images'], 'image')}, "
        f"words of A = {first['word_channels']} channels, rounds of R = {first['pointers']} pixels"
    )
    _print(frame, INPUT_HEADINGS, title)


def _print(frame: pd.DataFrame, headings: Mapping[str, str], title: str) -> None:
    """A row per layer, a column for each of the headings."""
    rows = [
        [row["layer"], *(_share(row[name]) for name in headings)]
        for row in frame.to_dict("records")
    ]
    print_table(["layer", *headings.values()], rows, title=title)


def _share(value: float) -> str:
    return "-" if value != value else f"{value:.3f}"


def describe(trace: MaskTrace) -> Iterator[tuple[str, str]]:
    """Rows (what, value) that ``inspect`` prints."""
    header = trace.header
    yield "file", str(trace.path)
    yield (
        "network",
        f"{trace.network.name}, {counted(len(trace.network.layers), 'layer')}, "
        f"{len(trace.network.gated_layers)} gated",
    )
    yield "method", header.label
    of_bit = (
        ("granularity", header.granularity)
        if header.of_channels
        else ("mask group", str(header.mask_group))
    )
    if header.has_masks:
        yield of_bit[0], f"{of_bit[1]} ({header.bits:,} bits per image)"
    yield "branch, gate norm", f"{header.branch}, {header.gate_norm}"
    yield "dataset", header.dataset
    yield (
        "images",
        f"{trace.images} (salience for {trace.salience_images}, "
        f"input bits for {trace.input_images})",
    )
    for key, value in header.training.items():
        yield key, json.dumps(value) if isinstance(value, dict | list) else str(value)
    if trace.sample:
        sample = trace.sample
        recorded = trace.packed(sample.layer, sample.image, sample.image + 1)[0]
        bits = header.layer_bits(trace.network.by_name[sample.layer])
        differ = f"{sample.differing_bits(recorded):,} of {bits:,} bits decided otherwise"
        yield "int8 sample", f"{sample.layer}, image {sample.image}, {differ}"
    for name, share in trace.densities().items():
        yield f"density {name}", f"{share:.4f}"
    yield "sha256", str(trace.sha256)


if __name__ == "__main__":
    sys.exit(main())
