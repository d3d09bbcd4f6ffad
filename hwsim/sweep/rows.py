"""Rows of a sweep: points replayed and priced, as Parquet of fixed columns and as text."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import known_keys
from hwsim.counters import CAUSES
from hwsim.energy.area import AREA_COMPONENTS
from hwsim.energy.prices import COMPONENTS
from hwsim.errors import UserError, nearest
from hwsim.model.memory import Memory
from hwsim.model.replay import Memories
from hwsim.network import Network
from hwsim.run.results import SimResult
from hwsim.run.simulate import simulate
from hwsim.run.summary import counted, flat, priced
from hwsim.sweep.points import Masks, Measured, Point
from hwsim.sweep.row_key import model_sha256, version
from hwsim.text_table import text_of, three_digits
from hwsim.trace.channel_order import density_order, images_apart
from hwsim.trace.format.header import TraceError
from hwsim.trace.mask_trace import MaskTrace

if TYPE_CHECKING:
    import pandas as pd

IDENTITY: dict[str, pa.DataType] = {
    "key": pa.string(),
    "hwsim": pa.string(),
    "model_sha256": pa.string(),
    "impossible": pa.string(),
    "arch": pa.string(),
    "trace": pa.string(),
    "trace_sha256": pa.string(),
    "threshold_shift": pa.float64(),
    "channel_order": pa.string(),
    "order_sha256": pa.string(),
    "order_images": pa.int64(),
    "scheme": pa.string(),
    "batch": pa.int64(),
}
"""``impossible``: why a point has no figures; ``threshold_shift``: null of the recorded masks;
``order_sha256`` and ``order_images``: on how many images of which trace the order was measured."""

OF_MASKS: dict[str, pa.DataType] = {
    "method": pa.string(),
    "label": pa.string(),
    "mask_group": pa.int64(),
    "images": pa.int64(),
    "lane_group": pa.int64(),
    "zeros_gated": pa.bool_(),
    "no_price": pa.string(),
}

"""``no_price``: why energies and areas are null; null where they are not."""

FIGURES: tuple[str, ...] = (
    "cycles_per_image",
    "images_per_s",
    "speedup",
    "ideal_speedup",
    "ideal_speedup_network",
    "share_realised",
    "utilisation",
    "density_elements",
    "density_macs",
    "energy_uj_per_image",
    "tops_per_w_dense_equivalent",
    "dram_bytes_per_image",
    "sram_bytes_per_image",
    "index_bits_per_image",
    "area_mm2",
)
"""Of :func:`hwsim.summary`, float64."""

READ = "activation_bytes_per_cycle"
"""What the activation buffer's banks really deliver to the array, on average; float64."""


ARCH_KEYS: tuple[str, ...] = tuple(key for key in known_keys() if key not in ("name", "batch"))
"""Every dotted key of a machine; its name and batch are columns of IDENTITY."""


def _arch_type(key: str) -> pa.DataType:
    """Of one architecture key: integers, floats, and all else as text (lists as JSON)."""
    model: Any = ArchConfig
    *parents, last = key.split(".")
    for parent in parents:
        model = model.model_fields[parent].annotation
    annotation = model.model_fields[last].annotation
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    if annotation in (float, bool):
        return pa.float64() if annotation is float else pa.bool_()
    integers = annotation is int or (choices and all(isinstance(one, int) for one in choices))
    return pa.int64() if integers else pa.string()


SCHEMA = pa.schema(
    {
        **IDENTITY,
        **{key: _arch_type(key) for key in ARCH_KEYS},
        **OF_MASKS,
        **dict.fromkeys((*FIGURES, READ), pa.float64()),
        **{f"{component}_uj": pa.float64() for component in COMPONENTS},
        **{f"{component}_mm2": pa.float64() for component in AREA_COMPONENTS},
        **{f"{cause}_cycles_per_image": pa.float64() for cause in CAUSES},
    }
)
"""Columns of a results folder; energies per image by component, area, cycles by cause."""


def evaluate(points: Sequence[Point], model: str) -> bytes:
    """Rows of the points, in any order, as a Parquet file; points of one machine are neighbours.

    ``model``: the hash of the sources that asked; UserError where this process runs others.
    """
    if model != model_sha256():
        raise UserError("a worker runs another version of hwsim than the sweep; install the same")
    rows: list[dict[str, Any]] = []
    for _, alike in groupby(points, key=lambda point: point.counts):
        rows += _rows_alike(list(alike))
    target = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), target)
    return target.getvalue()


REMEMBERED = 4096
"""Runs that a process keeps: some 10 KB each."""

_runs: dict[tuple[str, Masks, str], SimResult] = {}

_memories = Memories(Memory(1 << 26), Memory(1 << 26))


def _replayed(point: Point, masks: Masks, scheme: str) -> SimResult:
    """The run of a point's machine, priced as any machine of equal counts that was replayed."""
    key = (point.counts, masks, scheme)
    if key not in _runs:
        if len(_runs) >= REMEMBERED:
            del _runs[next(iter(_runs))]
        _runs[key] = simulate(point.arch, _trace(masks), scheme, threads=1, memories=_memories)
    return _runs[key]


def _rows_alike(points: Sequence[Point]) -> Iterator[dict[str, Any]]:
    """Rows of points whose machines differ in prices alone: what is replayed once, is priced anew.

    One dense run serves all traces of a network and a number of images, unless it skips zeros.
    """
    alike: dict[tuple[Masks, str], dict[str, Any]] = {}
    dense: dict[tuple[Network, int, Masks | None], SimResult] = {}
    for point in sorted(points, key=lambda point: point.scheme != "dense"):
        if point.impossible or point.masks is None or point.scheme is None:
            yield identity(point)
            continue
        trace = _trace(point.masks)
        run = _replayed(point, point.masks, point.scheme)
        skips = point.arch.array.zero_skipping != "none"
        yardstick = (trace.network, trace.images, point.masks if skips else None)
        if yardstick not in dense:
            dense[yardstick] = _replayed(point, point.masks, "dense")
        own = point.masks, point.scheme
        if own not in alike:
            alike[own] = _counted(run, dense[yardstick])
        yield _priced(point, replace(run, arch=point.arch), alike[own])


def _counted(result: SimResult, dense: SimResult) -> dict[str, Any]:
    """Figures of a row that no price changes; ``dense`` ran on the same machine and images."""
    found = counted(result, dense)
    words = result.totals["activation_word_reads"]
    figures = found | {READ: words * result.arch.activation.word_channels / result.cycles}
    for cause, cycles in found["stalls"].items():
        figures[f"{cause}_cycles_per_image"] = cycles / result.images
    return figures


def _priced(point: Point, result: SimResult, figures: Mapping[str, Any]) -> dict[str, Any]:
    """One row, with all that SCHEMA has and more; ``figures``: those that no price changes."""
    areas = {} if result.no_price else result.areas_mm2
    found = flat({**figures, **priced(result)}) | {
        f"{name}_mm2": mm2 for name, mm2 in areas.items()
    }
    return found | identity(point) | {"batch": result.batch}


def identity(point: Point) -> dict[str, Any]:
    """What a row says of its point; all that an impossible one has."""
    keys = point.keys
    masks = point.masks
    return {
        "key": point.key,
        "hwsim": version(),
        "model_sha256": model_sha256(),
        "impossible": point.impossible,
        "arch": keys.pop("name"),
        "trace": masks and masks.name,
        "trace_sha256": masks and masks.sha256,
        "threshold_shift": masks and masks.shift,
        **_order_of(masks),
        "scheme": point.scheme,
        "batch": keys.pop("batch"),
        **keys,
    }


def _order_of(masks: Masks | None) -> dict[str, Any]:
    measured = masks and masks.order
    return {
        "channel_order": masks and ("density" if measured else "natural"),
        "order_sha256": measured and measured.sha256,
        "order_images": measured and measured.images,
    }


@lru_cache(maxsize=64)
def _trace(masks: Masks) -> MaskTrace:
    trace = _recorded(masks.path, masks.sha256)
    trace = (trace if masks.shift is None else trace.shifted(masks.shift)).head(masks.images)
    if masks.order is None:
        return trace
    return trace.reordered(_measured(masks.order, masks.path, masks.sha256, masks.images))


@lru_cache(maxsize=8)
def _measured(measured: Measured, path: str, sha256: str, images: int) -> dict[str, np.ndarray]:
    """The order of the mask lists, from images that are not among those replayed."""
    source = _recorded(measured.path, measured.sha256)
    replayed = _recorded(path, sha256).header.head(images)
    return density_order(source, images_apart(source.header, replayed))


@lru_cache(maxsize=8)
def _recorded(path: str, sha256: str) -> MaskTrace:
    """Raises TraceError where the file is not the one that the point was made for."""
    trace = MaskTrace.open(path)
    if trace.sha256 != sha256:
        raise TraceError(f"{path}: has other contents than when the sweep was planned")
    return trace


def require_columns(columns: Sequence[str]) -> None:
    """Raise UserError for a column that no row has."""
    for name in columns:
        if name not in SCHEMA.names:
            raise UserError(f"--show {name!r}: no such column{nearest(name, SCHEMA.names)}")


def listing(rows: pd.DataFrame, columns: Sequence[str], varied: Sequence[str]) -> str:
    """One line a row: method, scheme, the columns of ``varied`` that differ, and ``columns``.

    Numbers with three digits; from 1,000 on as whole numbers. A missing value is ``-``. Rows of
    which no trace makes a difference (``dense``, zeros neither gated nor skipped) appear once, and
    a trace's name only where the method does not tell.
    """
    differing = [name for name in varied if rows[name].nunique() > 1]
    if "trace" in differing and rows.groupby("method")["trace"].nunique().max() == 1:
        differing.remove("trace")
    names = list(dict.fromkeys(["method", "scheme", *differing, *columns]))
    cells = rows[names].copy()
    follow_none = rows["scheme"] == "dense"
    if "zeros_gated" in rows:
        follow_none &= ~rows["zeros_gated"].fillna(False).astype(bool)
    cells.loc[follow_none, [name for name in ("method", "trace") if name in names]] = "-"
    texts = cells.map(_text).drop_duplicates()
    return text_of(names, texts.to_numpy().tolist(), names=2)


def _text(value: Any) -> str:
    if value is None or value != value:
        return "-"
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    return three_digits(value)
