"""Two folders of ``hwsim run --out``: summary, layers and what they come from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hwsim.arch.load import dotted
from hwsim.diff.layers import SHAPE, LayerRows, figures_of_layer, read_layers
from hwsim.diff.results import Figure, Results, Run, family, finite, pairs
from hwsim.errors import UserError, escaped
from hwsim.files import open_file
from hwsim.network import first_mistake
from hwsim.network.written import read_mapping
from hwsim.run.provenance import MANIFEST, SUMMARY

LAYERS = "layers.parquet"

DERIVED = (
    "images_per_s",
    "speedup",
    "ideal_speedup",
    "ideal_speedup_network",
    "share_realised",
    "utilisation",
    "density_elements",
    "density_macs",
    "tops_per_w_dense_equivalent",
)
"""Figures of a run that follow from others, and densities of its masks."""

SPREAD = ("p5", "p50", "p95")
"""Of cycles an image, over batches."""

TABLES = ("mask_by_hardware", "other_prices", "turning_points")
"""Of the summary, compared row by row."""

Positive = Annotated[int, Field(gt=0)]


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)


class _Row(_Read):
    """A row of ``schemes`` or ``zero_skipping``."""

    trace: str
    method: str
    scheme: str
    engine: str
    batch: Positive
    images: Positive
    stalls: dict[str, int]
    energy_uj: dict[str, float] | None
    area_mm2: float | None
    no_price: str | None
    dram_bytes_per_image: float
    sram_bytes_per_image: float
    index_bits_per_image: float
    cycles_per_image_distribution: dict[str, Any]


class _Summary(_Read):
    schemes: list[dict[str, Any]]
    zero_skipping: list[dict[str, Any]] = []
    mask_by_hardware: list[dict[str, Any]] = []
    other_prices: list[dict[str, Any]] = []
    turning_points: list[dict[str, Any]] = []


class _Manifest(_Read):
    hwsim: str
    arch: dict[str, Any]
    traces: dict[str, str | None]
    python: str
    platform: str
    versions: dict[str, str]
    files: dict[str, str]


class _Folder(NamedTuple):
    """What a folder holds. ``layers``: rows by trace, scheme and batch."""

    path: Path
    manifest: _Manifest
    summary: _Summary
    rows: list[_Row]
    skipping: list[_Row]
    layers: LayerRows


class _Trace(NamedTuple):
    name: str
    sha256: str | None
    method: str


def of_runs(a: Path, b: Path) -> tuple[Results, Results]:
    """Both sides. Raises UserError for a folder that is not as ``hwsim run`` left it."""
    folders = _read(a), _read(b)
    traces = _traces(folders[0]), _traces(folders[1])
    # Masks of other networks are in other files: those of one method are compared.
    keys: list[Callable[[_Trace], Hashable]] = [
        lambda trace: trace.name,
        lambda trace: trace.sha256,
        lambda trace: trace.method,
        lambda trace: None,
    ]
    both, *_ = pairs(*traces, keys)
    label = _labels(traces)
    called = [{trace.name: label(trace) for trace in side} for side in traces]
    for ours, theirs in both:
        called[1][theirs.name] = called[0][ours.name]
    return _results(folders[0], traces[0], called[0]), _results(folders[1], traces[1], called[1])


def _labels(traces: Sequence[Sequence[_Trace]]) -> Callable[[_Trace], str]:
    """What tables call a trace: its method, or its name where a side has two of one method."""
    methods = [[trace.method for trace in side] for side in traces]
    shared = any(len(set(side)) < len(side) for side in methods)
    return lambda trace: trace.name if shared else trace.method


def _read(folder: Path) -> _Folder:
    if not (folder / MANIFEST).is_file():
        raise UserError(f"{folder}: no {MANIFEST}, which hwsim run --out writes last; run it again")
    manifest = _checked(_Manifest, read_mapping(folder / MANIFEST), folder / MANIFEST)
    for name in (SUMMARY, LAYERS):
        _require_bytes(folder, name, manifest.files.get(name))
    path = folder / SUMMARY
    summary = _checked(_Summary, read_mapping(path), path)
    rows, skipping = (
        [_checked(_Row, row, path, f"{name}.{at}.") for at, row in enumerate(listed)]
        for name, listed in (("schemes", summary.schemes), ("zero_skipping", summary.zero_skipping))
    )
    return _Folder(folder, manifest, summary, rows, skipping, read_layers(folder / LAYERS))


def _checked(kind: type[Any], data: Any, path: Path, where: str = "") -> Any:
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        mistake = first_mistake(error, list(kind.model_fields))
        raise UserError(f"{path}: {where}{mistake}; expected what hwsim run --out writes") from None


def _require_bytes(folder: Path, name: str, sha256: str | None) -> None:
    """Raise UserError where the file is not the one that the manifest names."""
    path = folder / name
    if not path.is_file():
        raise UserError(f"{path}: no such file; run hwsim run --out again")
    with open_file(path) as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    if found != sha256:
        raise UserError(
            f"{path}: its bytes are not those that {MANIFEST} names; run hwsim run --out again"
        )


def _traces(folder: _Folder) -> list[_Trace]:
    methods = {row.trace: row.method for row in folder.rows}
    if missing := [name for name in methods if name not in folder.manifest.traces]:
        raise UserError(f"{folder.path / MANIFEST}: traces: no {escaped(missing[0])}")
    return [_Trace(name, folder.manifest.traces[name], method) for name, method in methods.items()]


def _results(folder: _Folder, traces: Sequence[_Trace], called: Mapping[str, str]) -> Results:
    """``called``: what tables call a trace, by its name; paired traces are called the same."""
    configuration = dict(dotted(folder.manifest.arch))
    images = {row.trace: row.images for row in folder.rows}
    for trace in traces:
        label = called[trace.name]
        configuration[f"masks {label}"] = f"{trace.name}, sha256 {(trace.sha256 or 'none')[:12]}"
        configuration[f"images of {label}"] = images[trace.name]
        for layer, row in folder.layers.of_trace(trace.name).items():
            shape = {name: row[name] for name in SHAPE if name in row}
            configuration |= {f"{label}: {layer}: {name}": value for name, value in shape.items()}
    manifest, summary = folder.manifest, folder.summary
    environment = {
        "hwsim": manifest.hwsim,
        "python": manifest.python,
        "platform": manifest.platform,
        "engine": ", ".join(sorted({row.engine for row in folder.rows})),
        **{f"version of {name}": version for name, version in manifest.versions.items()},
    }
    listed = [(row, plain, False) for row, plain in zip(folder.rows, summary.schemes, strict=True)]
    listed += [
        (row, plain, True)
        for row, plain in zip(folder.skipping, summary.zero_skipping, strict=True)
    ]
    runs = [
        _run(row, plain, called.get(row.trace, row.trace), folder.layers, skips)
        for row, plain, skips in listed
    ]
    return Results(
        configuration, runs, environment, {name: getattr(summary, name) for name in TABLES}
    )


def _run(row: _Row, plain: dict[str, Any], masks: str, of_layers: LayerRows, skips: bool) -> Run:
    """``skips``: of the table of zeros skipped, which has images of its own and no layers."""
    label = f"{masks}, {row.images} images" if skips else masks
    keys: tuple[Hashable, ...] = (
        (skips, masks, row.scheme, row.batch),
        (skips, masks, family(row.scheme), row.batch),
        (skips, masks, family(row.scheme)),
    )
    layers: dict[str, dict[str, dict[str, Figure]]] = {}
    if not skips:
        layers = {
            name: figures_of_layer(layer, row.images)
            for name, layer in of_layers.of_run(row.trace, row.scheme, row.batch).items()
        }
    figures: dict[str, Mapping[str, Figure]] = {
        "cycles": {name: Fraction(spent, row.images) for name, spent in row.stalls.items()},
        "energy": dict(row.energy_uj or {}),
        "area": {"total": row.area_mm2},
        "derived": {name: finite(plain.get(name)) for name in DERIVED},
        "spread": {name: finite(row.cycles_per_image_distribution.get(name)) for name in SPREAD},
    }
    if layers:
        figures |= {kind: _sums(layers.values(), kind) for kind in ("traffic", "counts")}
    else:
        figures["traffic"] = {
            "DRAM": row.dram_bytes_per_image,
            "SRAM": row.sram_bytes_per_image,
            "index memory, written": row.index_bits_per_image / 8,
        }
    labels = {"masks": label, "scheme": row.scheme, "batch": str(row.batch)}
    return Run(labels, keys, figures, layers, row.no_price)


def _sums(layers: Iterable[Mapping[str, Mapping[str, Figure]]], kind: str) -> dict[str, Figure]:
    """Over layers."""
    found: dict[str, Figure] = {}
    for layer in layers:
        for name, figure in layer[kind].items():
            before = found.get(name, 0)
            found[name] = None if figure is None or before is None else before + figure
    return found
