"""The machine: frozen, validated configuration, read from commented YAML.

``load_arch`` takes a path or a name; a file that does not exist is looked up by its file name among
the shipped ``arch_configs/``. Every unknown key, wrong type or impossible value is an
:class:`ArchError` of one line that names file, key and the nearest valid choice.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hwsim.network.description import Name


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


# Every integer of the models has 63 bits, also where machine and layer are at their bounds
# (tests/model/test_extremes.py walks them), and no machine takes memory without bound.
MOST_TILE_PIXELS = 1 << 16

Kib = Annotated[int, Field(gt=0, le=1 << 20)]
"""Capacity of a buffer, up to 1 GiB."""

Factor = Annotated[float, Field(ge=1e-6, le=1e6)]
"""On a price."""


Shape = tuple[Annotated[int, Field(gt=0, le=1024)], Annotated[int, Field(gt=0, le=1024)]]
"""Rows and columns of an array."""


class Array(_Part):
    """R x C processing elements, one MAC each and cycle; ``feed`` as in docs/model/passes.md.

    ``reshape`` are further shapes of as many PEs, of which each layer may take one.
    """

    rows: int = Field(gt=0, le=1024, description="R: output pixels")
    columns: int = Field(gt=0, le=1024, description="C: output channels")
    feed: Literal["broadcast", "systolic"] = "broadcast"
    zero_gating: bool = Field(default=False, description="no MAC of a gated layer with operand 0")
    zero_skipping: Literal["none", "word", "free-rows"] = "none"
    reshape: tuple[Annotated[Shape, Field(strict=False)], ...] = Field(
        default=(), strict=False, max_length=64
    )

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The array's own shape, then the shapes of ``reshape``."""
        return ((self.rows, self.columns), *self.reshape)


class PartialSums(_Part):
    """Two halves of ``entries`` 32-bit partial sums; one computes while one is emptied."""

    entries: int = Field(gt=0, le=1 << 24)


class Activation(_Part):
    """Activation buffer: words of ``word_channels`` (A) int8 channels in ``banks`` (B) banks."""

    word_channels: int = Field(gt=0, le=64)
    banks: int = Field(gt=0, le=1024)
    bank_conflicts: Literal["exact", "bandwidth", "none"] = "exact"
    run_ahead: int = Field(default=0, ge=0, le=64, description="Q: beats that banks may be ahead")
    dram_format: Literal["dense", "run-length"] = "dense"
    buffer_kib: Kib


class Weight(_Part):
    """Weight buffer; one word of C bytes is read per step."""

    buffer_kib: Kib


class Index(_Part):
    """Index memory and decoders; ``lane_group`` is the V that is compared with V = 1."""

    lane_group: int = Field(gt=0, le=1024)
    word_bits: Literal[8, 16, 32, 64] = Field(description="W")
    indices_per_cycle: int = Field(gt=0, le=64, description="E")
    decoders: Literal["private", "shared"] = "private"
    format: Literal["bitmap", "coordinate", "run-length"] = "bitmap"
    run_length_bits: int = Field(default=4, ge=2, le=8, description="b")
    window: int = Field(
        default=0, ge=0, le=MOST_TILE_PIXELS, description="D: a round's indices lie closer; 0: any"
    )


class Dram(_Part):
    """Off-chip memory; ``bandwidth_gb_per_s`` is in 1e9 bytes per second."""

    bandwidth_gb_per_s: float = Field(ge=1e-3, le=1e6)
    efficiency_percent: int = Field(gt=0, le=100)
    pj_per_bit: float = Field(ge=1e-6, le=1e6)

    @property
    def bytes_per_s(self) -> int:
        return round(self.bandwidth_gb_per_s * 1e9)


class Pricing(_Part):
    """Which energy table prices the counters, and factors on its prices.

    ``mac_scale`` and ``sram_scale`` are of energy, ``sram_area_scale`` of area, that of the operand
    network of both. ``gated_mac_share``: what a gated or idle PE takes of a MAC, because its clock
    runs.
    """

    table: Literal["cacti22", "gates45", "horowitz45"]
    mac_scale: Factor = 1.0
    operand_network_scale: float = Field(default=1.0, ge=0, le=1e6)
    sram_scale: Factor = 1.0
    sram_area_scale: Factor = 1.0
    gated_mac_share: float = Field(default=0.0, ge=0, le=1)


class ArchConfig(_Part):
    """One design point (docs/model/machine.md)."""

    name: Name
    clock_mhz: int = Field(gt=0, le=10_000)
    batch: int = Field(
        gt=0, le=1 << 16, description="images in flight for throughput; latency runs take 1"
    )
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
        if self.array.zero_skipping != "none" and self.array.feed == "systolic":
            raise ValueError(
                f"array.zero_skipping: {self.array.zero_skipping} goes with array.feed broadcast "
                "alone: operands of a systolic array hop in step"
            )
        if len(set(self.array.shapes)) < len(self.array.shapes):
            raise ValueError("array.reshape: duplicate shape")
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
            if self.partial_sums.entries // columns > MOST_TILE_PIXELS:
                raise ValueError(
                    f"partial_sums.entries: {self.partial_sums.entries} for array.{key} = {columns}"
                    f" are tiles of more than {MOST_TILE_PIXELS:,} pixels"
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
    def core(self) -> ArchConfig:
        """The machine without name, batch, prices, and the speeds of its clock and of DRAM.

        What a visit takes, and the bytes that it moves, hang on the core alone.
        """
        dram = Dram(bandwidth_gb_per_s=1, efficiency_percent=100, pj_per_bit=1)
        fixed = {"name": "core", "clock_mhz": 1, "batch": 1, "dram": dram}
        return self.model_copy(update={**fixed, "pricing": Pricing(table="cacti22")})

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
