"""The machine: frozen, validated configuration, read from commented YAML.

``load_arch`` takes a path or a name; a file that does not exist is looked up by its file name among
the shipped ``arch_configs/``. Every unknown key, wrong type or impossible value is an
:class:`ArchError` of one line that names file, key and the nearest valid choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hwsim.assets import asset_dir
from hwsim.errors import UserError, nearest, one_line


class ArchError(UserError):
    """A machine that cannot be read or built; the message is one line for the user."""


class CombinationError(ArchError):
    """Every key is valid by itself; together they make no machine."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Shape = tuple[Annotated[int, Field(gt=0, le=1024)], Annotated[int, Field(gt=0, le=1024)]]
"""Rows and columns of an array."""


class Array(_Part):
    """R x C processing elements, one MAC each and cycle; ``feed`` as in docs/timing.md.

    ``reshape`` are further shapes of as many PEs, of which each layer may take one.
    """

    rows: int = Field(gt=0, le=1024, description="R: output pixels")
    columns: int = Field(gt=0, le=1024, description="C: output channels")
    feed: Literal["broadcast", "systolic"] = "broadcast"
    reshape: tuple[Annotated[Shape, Field(strict=False)], ...] = Field(default=(), strict=False)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The array's own shape, then those of ``reshape``."""
        return ((self.rows, self.columns), *self.reshape)


class PartialSums(_Part):
    """Two halves of ``entries`` 32-bit partial sums; one computes while one is emptied."""

    entries: int = Field(gt=0)


class Activation(_Part):
    """Activation buffer: words of ``word_channels`` (A) int8 channels in ``banks`` (B) banks."""

    word_channels: int = Field(gt=0, le=64)
    banks: int = Field(gt=0, le=1024)
    bank_conflicts: Literal["exact", "bandwidth", "none"] = "exact"
    buffer_kib: int = Field(gt=0)


class Weight(_Part):
    """Weight buffer; one word of C bytes is read per step."""

    buffer_kib: int = Field(gt=0)


class Index(_Part):
    """Index memory and decoders; ``lane_group`` is the V that is compared with V = 1."""

    lane_group: int = Field(gt=0)
    word_bits: Literal[8, 16, 32, 64] = Field(description="W")
    indices_per_cycle: int = Field(gt=0, description="E")
    decoders: Literal["private", "shared"] = "private"
    format: Literal["bitmap", "coordinate", "run-length"] = "bitmap"
    run_length_bits: int = Field(default=4, ge=2, le=8, description="b")


class Dram(_Part):
    """Off-chip memory; ``bandwidth_gb_per_s`` is in 1e9 bytes per second."""

    bandwidth_gb_per_s: float = Field(gt=0)
    efficiency_percent: int = Field(gt=0, le=100)
    pj_per_bit: float = Field(gt=0)

    @property
    def bytes_per_s(self) -> int:
        return round(self.bandwidth_gb_per_s * 1e9)


class Pricing(_Part):
    """Which energy table prices the counters, and the operand network's price factor."""

    table: str
    operand_network_scale: float = Field(default=1.0, ge=0)


class ArchConfig(_Part):
    """One design point (docs/timing.md, "The machine")."""

    name: str
    clock_mhz: int = Field(gt=0)
    batch: int = Field(gt=0, description="images in flight for throughput; latency runs take 1")
    array: Array
    partial_sums: PartialSums
    activation: Activation
    weight: Weight
    index: Index
    dram: Dram
    pricing: Pricing

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        for rows, columns in self.array.reshape:
            if rows * columns != self.pes:
                raise ValueError(
                    f"array.reshape: {rows} x {columns} is not as many PEs as the array's "
                    f"{self.array.rows} x {self.array.columns}"
                )
        if len(set(self.array.shapes)) < len(self.array.shapes):
            raise ValueError("array.reshape: a shape stands twice, or is the array's own")
        if self.partial_sums.entries < self.array.columns * self.array.rows:
            raise ValueError(
                f"partial_sums.entries: {self.partial_sums.entries} cannot hold one round of "
                f"{self.array.rows} x {self.array.columns} partial sums"
            )
        for (_, columns), key in zip(
            self.array.shapes, ["columns", *["reshape"] * len(self.array.reshape)], strict=True
        ):
            if self.partial_sums.entries % columns:
                raise ValueError(
                    f"partial_sums.entries: {self.partial_sums.entries} is not a multiple of "
                    f"array.{key} = {columns}"
                )
        if not self.symbols_per_word:
            raise ValueError(
                f"index.word_bits: {self.index.word_bits} cannot hold one symbol of "
                f"{self.symbol_bits} bits (index.format {self.index.format})"
            )
        if self.index.format != "bitmap" and self.index.indices_per_cycle > self.symbols_per_word:
            raise ValueError(
                f"index.indices_per_cycle: {self.index.indices_per_cycle} is more than the "
                f"{self.symbols_per_word} symbols of {self.symbol_bits} bits in an index word of "
                f"{self.index.word_bits} (index.format {self.index.format})"
            )
        return self

    @property
    def pes(self) -> int:
        return self.array.rows * self.array.columns

    @property
    def tile_pixels(self) -> int:
        """P, the most pixels a tile may hold."""
        return self.partial_sums.entries // self.array.columns

    @property
    def symbol_bits(self) -> int:
        """Bits of one entry of an index list: a bitmap's bit, a pixel's index, a run's length."""
        if self.index.format == "bitmap":
            return 1
        if self.index.format == "run-length":
            return self.index.run_length_bits
        most_pixels = self.partial_sums.entries // min(columns for _, columns in self.array.shapes)
        return max(1, (most_pixels - 1).bit_length())

    def shaped(self, shape: Shape) -> ArchConfig:
        """The machine with its array in one of its shapes; the others are the ones to choose."""
        others = tuple(other for other in self.array.shapes if other != shape)
        update = {"rows": shape[0], "columns": shape[1], "reshape": others}
        return self.model_copy(update={"array": self.array.model_copy(update=update)})

    @property
    def symbols_per_word(self) -> int:
        """Entries of one index-memory word; none straddles two words."""
        return self.index.word_bits // self.symbol_bits

    @property
    def clock_hz(self) -> int:
        return self.clock_mhz * 1_000_000

    @property
    def activation_buffer_bytes(self) -> int:
        return self.activation.buffer_kib * 1024

    @property
    def weight_buffer_bytes(self) -> int:
        return self.weight.buffer_kib * 1024


class UniqueKeyLoader(yaml.SafeLoader):
    """YAML without silent surprises: equal keys in one mapping are an error."""


def _unique_mapping(loader: UniqueKeyLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise ArchError(f"key {key!r} stands twice (line {key_node.start_mark.line + 1})")
        seen[key] = loader.construct_object(value_node, deep=True)
    return seen


UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def arch_names() -> list[str]:
    """Names of the shipped design points."""
    return sorted(path.stem for path in asset_dir("arch_configs").glob("*.yaml"))


def find_arch(name_or_path: str | Path) -> Path:
    """The file meant: an existing path, or a shipped design point of that file name."""
    path = Path(name_or_path)
    if path.is_file():
        return path
    stem = path.stem if path.suffix in (".yaml", ".yml") else path.name
    shipped = asset_dir("arch_configs") / f"{stem}.yaml"
    if shipped.is_file():
        return shipped
    raise ArchError(
        f"{name_or_path}: no such file, and no shipped machine of that name"
        + nearest(stem, arch_names())
    )


def load_arch(name_or_path: str | Path, overrides: Mapping[str, Any] | None = None) -> ArchConfig:
    """Read a machine; ``overrides`` maps dotted keys (``index.lane_group``) to values."""
    path = find_arch(name_or_path)
    try:
        text = path.read_text(encoding="utf-8")
        data = yaml.load(text, Loader=UniqueKeyLoader)
    except ArchError as error:
        raise ArchError(f"{path}: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ArchError(f"{path}: cannot be read ({error})") from None
    except yaml.YAMLError as error:
        raise ArchError(f"{path}: not valid YAML ({one_line(str(error))})") from None
    if not isinstance(data, dict):
        raise ArchError(f"{path}: expected a mapping of keys, found {type(data).__name__}")
    data = {"name": path.stem, **data}
    for key, value in (overrides or {}).items():
        _set(data, key, value)
    return build_arch(data, source=f"{path} with --set" if overrides else str(path))


def build_arch(data: Mapping[str, Any], source: str = "machine") -> ArchConfig:
    """Validate plain data; ``source`` names the file in the error.

    CombinationError where only the keys' values together are at fault.
    """
    try:
        return ArchConfig.model_validate(data)
    except ValidationError as error:
        of_a_key = any(found["loc"] for found in error.errors())
        kind = ArchError if of_a_key else CombinationError
        raise kind(f"{source}: {_explain(error)}") from None


def parse_override(text: str) -> tuple[str, Any]:
    """Split ``key=value`` of the command line; the value is read as YAML reads it."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ArchError(f"--set {text}: expected key=value, such as index.lane_group=4")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError:
        raise ArchError(f"--set {text}: the value is not valid YAML") from None


def known_keys(model: type[BaseModel] = ArchConfig, prefix: str = "") -> list[str]:
    """Every dotted key a machine may have."""
    keys: list[str] = []
    for name, field in model.model_fields.items():
        part = field.annotation
        if isinstance(part, type) and issubclass(part, BaseModel):
            keys += known_keys(part, f"{prefix}{name}.")
        else:
            keys.append(prefix + name)
    return keys


def _set(data: dict[str, Any], key: str, value: Any) -> None:
    if key not in known_keys():
        raise ArchError(f"--set {key}: unknown key" + nearest(key, known_keys()))
    *parents, last = key.split(".")
    for parent in parents:
        data[parent] = dict(data.get(parent) or {})
        data = data[parent]
    data[last] = value


def _explain(error: ValidationError) -> str:
    # A key spelt wrong is also a key missing: the spelling is the news.
    errors = error.errors()
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        siblings = known_keys()
        return f"unknown key {key!r}" + nearest(key, siblings)
    if first["type"] == "missing" and not key.startswith("array.reshape"):
        return f"key {key!r} is missing"
    if key.startswith("array.reshape"):
        return f"array.reshape: expected a list of [rows, columns], found {first['input']!r}"
    message = str(first["ctx"]["error"]) if "error" in first.get("ctx", {}) else first["msg"]
    if not key:
        return message
    return f"{key}: {one_line(message)}, found {first['input']!r}"
