"""Trace files: which are meant, opened, checked, written.

docs/reference/formats.md documents the format.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from hwsim.errors import UserError
from hwsim.files import asset_dir
from hwsim.network import Network, as_name, load_network
from hwsim.network.file import SUFFIXES
from hwsim.trace.format.contents import TraceContents
from hwsim.trace.format.header import TraceError, TraceHeader
from hwsim.trace.format.int8_sample import LayerSample
from hwsim.trace.mask_trace import MaskTrace


def write_trace(
    path: str | Path,
    header: TraceHeader,
    masks: Mapping[str, np.ndarray],
    zero_operand_macs: Mapping[str, np.ndarray] | None = None,
    salience: Mapping[str, np.ndarray] | None = None,
    salience_scale: Mapping[str, float] | None = None,
    sample: LayerSample | None = None,
    zero_operand_macs_conditional: Mapping[str, np.ndarray] | None = None,
    input_bits: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Write a trace: to a temporary name, flushed, fsynced, then renamed.

    ``masks``: uint8 (N, ceil(bits/8)) per gated layer, bits in the order of ``header.mask_shape``
    ((mask list, y, x) of element masks), little-endian within the byte. ``zero_operand_macs``:
    int64 (N,); without it a dense machine that gates zeros cannot be priced.
    ``zero_operand_macs_conditional``: int64 (N,), for zero gating in every scheme. ``salience``:
    int8 (images, bits), margins in steps of ``salience_scale`` (units of Z), stored with gzip.
    ``sample``: one layer's int8 data. ``input_bits``: uint8 (images, ceil(C_in H W / 8)) of any
    layers, for the first images; bits in the order (channel, y, x), 1 where the input is not zero.
    Raises :class:`TraceError` where the arrays have other types or shapes, or hold what the
    header's layers cannot give, and where ``path`` cannot be written.
    """
    contents = TraceContents(
        header, masks, zero_operand_macs or {}, zero_operand_macs_conditional or {},
        salience or {}, salience_scale or {}, sample, input_bits or {},
    )  # fmt: skip
    # h5py, which writes, is not loaded where traces are only read.
    from hwsim.trace.format.writer import write_contents

    path = Path(path)
    if not path.parent.is_dir():
        raise TraceError(f"{path}: cannot be written, there is no folder {path.parent}")
    write_contents(contents, path)


def find_traces(names: Sequence[str | Path]) -> list[Path]:
    """Trace files meant: none -> the shipped ones; a folder -> its ``*.h5``; else the files."""
    if not names:
        names = [asset_dir("traces")]
    paths: list[Path] = []
    for name in map(Path, names):
        if name.is_dir():
            inside = sorted(name.glob("*.h5"))
            if not inside:
                raise TraceError(f"{name}: no trace (*.h5) in this folder")
            paths += inside
        elif name.is_file():
            paths.append(name)
        elif (asset_dir("traces") / name.name).is_file():
            paths.append(asset_dir("traces") / name.name)
        else:
            shipped = ", ".join(path.name for path in sorted(asset_dir("traces").glob("*.h5")))
            raise TraceError(f"{name}: no such file or folder; shipped traces: {shipped or 'none'}")
    return paths


def find_one(name: str | Path) -> Path:
    """The one trace meant by ``--trace``: a file, or a folder that holds no other."""
    found = find_traces([name])
    if len(found) > 1:
        raise TraceError(f"--trace {name}: holds {len(found)} traces; name one file")
    return found[0]


def find_distinct(names: Sequence[str | Path]) -> list[Path]:
    """The same for results, which tell traces by the names of their files.

    Raises TraceError where two have one name.
    """
    found: dict[str, Path] = {}
    for path in find_traces(names):
        name = as_name(path.stem)
        if name in found:
            raise TraceError(
                f"{path}: results tell traces by name, and {found[name]} has the same; rename one, "
                "or give it once"
            )
        found[name] = path
    return [*found.values()]


def as_traces(traces: MaskTrace | str | Path | Iterable[MaskTrace | str | Path]) -> list[MaskTrace]:
    """Traces as they are, files and folders opened.

    Raises TraceError where there is none, and for a layer list, which has no masks.
    """
    if isinstance(traces, MaskTrace | str | Path | Network):
        traces = [traces]
    found: list[MaskTrace] = []
    for trace in traces:
        if isinstance(trace, Network):
            raise TraceError(
                f"network {trace.name} has no masks: MaskTrace.of_network(network, images) makes a "
                "trace of it"
            )
        found += [trace] if isinstance(trace, MaskTrace) else open_traces(trace)
    if not found:
        raise TraceError("no traces: expected at least one MaskTrace, file or folder")
    return found


def open_traces(*names: str | Path) -> list[MaskTrace]:
    """Open the traces meant: without a name the shipped ones, CDG's and SCDG's.

    Raises TraceError, as :func:`find_distinct` does.
    """
    return [MaskTrace.open(path) for path in find_distinct(names)]


def open_network(path: str | Path) -> Network:
    """The layer list of a network file, a trace or an ONNX model, by the file's name.

    Raises UserError.
    """
    path = Path(path)
    if path.suffix == ".h5":
        return MaskTrace.open(path).network
    if path.suffix == ".onnx":
        from hwsim.network.from_onnx import read_onnx

        return read_onnx(path)
    if path.suffix not in SUFFIXES:
        known = ", ".join((*SUFFIXES, ".onnx", ".h5"))
        raise UserError(f"{path}: expected a network, a file whose name ends in {known}")
    return load_network(path)


def verify(path: str | Path) -> MaskTrace:
    """Read everything once and check it. Raises TraceError."""
    trace = MaskTrace.open(path)
    trace.contents.check()
    return trace
