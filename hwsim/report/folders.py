"""The folder of ``hwsim run --out``, read again: checked by its manifest, and value by value."""

from __future__ import annotations

import hashlib
import io
import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from hwsim.arch.load import build_arch
from hwsim.counters import CAUSES, COUNTERS
from hwsim.energy.table import table_names
from hwsim.errors import UserError, nearest, one_line, shown
from hwsim.files import read_text
from hwsim.report.runs import RunData
from hwsim.run.provenance import MANIFEST, SUMMARY

LAYERS, SPARSITY = "layers.csv", "energy_vs_sparsity.csv"


def _as_ratio(value: float) -> float:
    if LARGEST < value < math.inf:
        raise ValueError(f"expected at most {LARGEST:g}, or Infinity")
    return value


LARGEST = 1e30
"""Of any figure: sums and products of such are numbers still."""

Count = Annotated[int, Field(ge=0, le=1 << 62)]
Figure = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Positive = Annotated[float, Field(gt=0, le=LARGEST)]
Ratio = Annotated[float, Field(gt=0, allow_inf_nan=True), AfterValidator(_as_ratio)]
"""Infinite where a mask keeps nothing."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


class _Row(_Part):
    """What a page takes of a row of the summary."""

    trace: str
    scheme: str
    method: str
    label: str
    mask_group: int = Field(gt=0, le=1 << 53)
    images: int = Field(gt=0, le=1 << 53)
    batch: int = Field(gt=0, le=1 << 53)
    zeros_gated: bool
    cycles_per_image: Positive
    images_per_s: Positive
    speedup: Positive
    ideal_speedup: Ratio
    ideal_speedup_network: Ratio
    share_realised: Figure | None
    utilisation: Figure
    energy_uj_per_image: Figure | None
    area_mm2: Figure | None
    no_price: str | None
    tops_per_w_dense_equivalent: Figure | None
    dram_bytes_per_image: Figure
    sram_bytes_per_image: Figure
    index_bits_per_image: Figure
    stalls: Annotated[
        dict[Literal[*CAUSES], Count],  # type: ignore[valid-type]
        Field(min_length=len(CAUSES)),
    ]


class _Priced(_Part):
    """A row of the other prices."""

    trace: str
    label: str
    scheme: str
    zeros_gated: bool
    table: str
    mac_scale: Figure
    operand_network_scale: Figure
    dram_pj_per_bit: Figure
    gated_mac_share: Figure
    zeros_run: bool
    energy_uj_per_image: Figure


class _Answer(_Part):
    sentences: list[str]
    skipping_title: str
    zeros_skipped: list[str]
    notes: list[str]


class _Summary(_Part):
    title: str
    answer: _Answer
    schemes: list[_Row] = Field(min_length=1)
    other_prices: list[_Priced]
    zero_skipping: list[_Row]
    provenance: dict[str, Any]


def read_run(folder: Path) -> RunData:
    """A run as it was written. Raises UserError where a file is missing, or another than it was."""
    contents = _whole(folder)
    summary = _summary(folder / SUMMARY, contents[SUMMARY])
    arch = build_arch(_of(summary["provenance"], "arch", folder / SUMMARY), str(folder / SUMMARY))
    layers = _layers(folder / LAYERS, contents[LAYERS], summary)
    sparsity = pd.DataFrame()
    if SPARSITY in contents:
        sparsity = _frame(folder / SPARSITY, contents[SPARSITY], _OVER_SPARSITY)
    return RunData(arch, summary, layers, sparsity)


def _whole(folder: Path) -> dict[str, str]:
    """The texts of the files that a page takes, whose hashes are those of the manifest."""
    path = folder / MANIFEST
    if not path.is_file():
        raise UserError(f"{folder}: no {MANIFEST}: a run ended while it wrote; run it again")
    files = _of(_json(path, read_text(path)), "files", path)
    found = {}
    for name in (SUMMARY, LAYERS, SPARSITY):
        if name not in files and name != SPARSITY:
            raise UserError(f"{path}: names no {name}; expected a folder of hwsim run --out")
        if name in files:
            text = read_text(folder / name)
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != files[name]:
                raise UserError(f"{folder / name}: not the file that {MANIFEST} names; run again")
            found[name] = text
    return found


def _json(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({one_line(error)})") from None


def _of(mapping: Any, key: str, path: Path) -> dict[str, Any]:
    found = mapping.get(key) if isinstance(mapping, dict) else None
    if not isinstance(found, dict):
        raise UserError(f"{path}: expected a mapping {key!r}, as hwsim run writes it")
    return found


def _summary(path: Path, text: str) -> dict[str, Any]:
    data = _json(path, text)
    if isinstance(data, dict) and "schemes" in data and "answer" not in data:
        raise UserError(f"{path}: has no 'answer': written by an earlier version; run it again")
    try:
        return _Summary.model_validate(data).model_dump()
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "summary"
        told = f"{first['msg']}, found {shown(first['input'])}"
        raise UserError(f"{path}: {place}: {one_line(told)}") from None


_TEXTS = ("trace", "method", "label", "scheme", "layer", "array", "format", "no_price")

_OF_LAYER = (
    "trace", "method", "label", "scheme", "batch", "images", "layer", "array", "dense_macs",
    "density", "cycles", "utilisation", *(f"{cause}_cycles" for cause in CAUSES), *COUNTERS,
)  # fmt: skip

_OVER_SPARSITY = (
    "trace", "method", "label", "scheme", "batch", "density_macs", "threshold_shift",
    *(f"energy_uj_per_image_{table}" for table in table_names()),
)  # fmt: skip

_MAY_LACK = ("density", *(f"energy_uj_per_image_{table}" for table in table_names()))


def _frame(path: Path, text: str, columns: tuple[str, ...]) -> pd.DataFrame:
    """The columns of a table, numbers finite."""
    try:
        frame = pd.read_csv(
            io.StringIO(text), dtype=dict.fromkeys(_TEXTS, str), keep_default_na=False,
            na_values={name: [""] for name in columns if name not in _TEXTS},
        )  # fmt: skip
    # Whatever pandas makes of a text that it did not write.
    except Exception as error:
        raise UserError(f"{path}: not a table ({one_line(error)})") from None
    for name in columns:
        if name not in frame.columns:
            known = nearest(name, map(str, frame.columns))
            raise UserError(f"{path}: no column {name!r}{known}")
        if name in _TEXTS:
            continue
        values = pd.to_numeric(frame[name], errors="coerce")
        finite = (values.abs() <= LARGEST) | (values.isna() & frame[name].isna())
        if not finite.all() or (name not in _MAY_LACK and values.isna().any()):
            found = frame[name][~finite | values.isna()].iloc[0]
            raise UserError(f"{path}: {name}: expected a finite number, found {shown(found)}")
        frame[name] = values
    if frame.empty:
        raise UserError(f"{path}: has no rows")
    return frame


def _layers(path: Path, text: str, summary: dict[str, Any]) -> pd.DataFrame:
    """Of all runs of the summary, with shapes of the array and counts of images and cycles."""
    frame = _frame(path, text, _OF_LAYER)
    for name in ("images", "cycles", "batch"):
        if (frame[name] <= 0).any():
            raise UserError(f"{path}: {name}: expected positive numbers")
    shaped = frame["array"].str.fullmatch("[1-9][0-9]{0,3}x[1-9][0-9]{0,3}")
    if not shaped.all():
        found = shown(frame["array"][~shaped].iloc[0])
        raise UserError(f"{path}: array: expected rows x columns such as 16x16, found {found}")
    cycles = frame.groupby(["trace", "scheme", "batch"])["cycles"].sum().to_dict()
    for row in summary["schemes"]:
        key = (row["trace"], row["scheme"], row["batch"])
        if cycles.get(key) != sum(row["stalls"].values()):
            told = f"layers of {one_line(row['trace'])}, {row['scheme']}, batch {row['batch']}"
            raise UserError(f"{path}: {told}: not all cycles of {SUMMARY} are theirs")
    return frame
