"""Machines: reading, looking up, and one line for everything that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.arch.load import ArchError, find_arch, known_keys, load_arch, parse_override
from hwsim.files import asset_dir

SHIPPED = asset_dir("arch_configs") / "pe16x16.yaml"


def test_default_machine_is_the_one_of_the_contract() -> None:
    arch = load_arch("pe16x16")
    assert (arch.array.rows, arch.array.columns, arch.pes) == (16, 16, 256)
    assert arch.tile_pixels == 256
    assert (arch.activation.word_channels, arch.activation.banks) == (4, 16)
    assert (arch.index.lane_group, arch.index.word_bits, arch.index.indices_per_cycle) == (8, 32, 1)
    assert (arch.activation_buffer_bytes, arch.weight_buffer_bytes) == (524_288, 163_840)
    assert (arch.dram.bytes_per_s, arch.dram.efficiency_percent) == (12_800_000_000, 80)
    assert (arch.clock_hz, arch.batch) == (500_000_000, 16)


@pytest.mark.parametrize("name", ["pe16x16", "pe16x16.yaml", "configs/pe16x16.yaml", "a/b/pe16x16"])
def test_a_name_or_a_path_that_does_not_exist_is_looked_up(name: str) -> None:
    assert find_arch(name) == SHIPPED


def test_overrides_reach_any_key() -> None:
    key, value = parse_override("index.lane_group=4")
    assert load_arch("pe16x16", {key: value}).index.lane_group == 4


def edited(tmp_path: Path, old: str, new: str) -> Path:
    text = SHIPPED.read_text()
    assert old in text
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(old, new))
    return path


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("  rows: 16", "  rwos: 16", ["unknown key 'array.rwos'", "array.rows"]),
        ("  rows: 16", "  rows: 16.5", ["array.rows", "16.5"]),
        ("  rows: 16", "  rows: '16'", ["array.rows", "valid integer", "'16'"]),
        ("  rows: 16", "  rows: 0", ["array.rows", "greater than 0"]),
        ("  rows: 16", "  rows: no", ["array.rows", "False"]),
        ("  banks: 16", "  banks: 16\n  banks: 8", ["duplicate key 'banks'", "line"]),
        ("  word_bits: 32", "  word_bits: 24", ["index.word_bits", "24"]),
        ("  feed: broadcast", "  feed: bus", ["array.feed", "broadcast", "'bus'"]),
        ("bandwidth_gb_per_s: 12.8", "bandwidth_gb_per_s: 12.8 GB/s", ["dram.bandwidth", "GB/s"]),
        ("bandwidth_gb_per_s: 12.8", "bandwidth_gb_per_s: 1e1", ["dram.bandwidth_gb_per_s", "1e1"]),
        ("clock_mhz: 500", "clock_hz: 500", ["'clock_hz'", "clock_mhz"]),
        ("clock_mhz: 500", "", ["missing key clock_mhz"]),
        ("  entries: 4096", "  entries: 4100", ["partial_sums.entries", "multiple"]),
        ("  entries: 4096", "  entries: 128", ["partial_sums.entries", "cannot hold one round"]),
        ("array:", "array: [1", ["not valid YAML"]),
    ],
)
def test_a_bad_file_is_one_line_with_file_and_key(
    tmp_path: Path, old: str, new: str, parts: list[str]
) -> None:
    path = edited(tmp_path, old, new)
    with pytest.raises(ArchError) as caught:
        load_arch(path)
    message = str(caught.value)
    assert "\n" not in message
    for part in [str(path), *parts]:
        assert part in message


def test_a_decoder_emits_no_more_than_a_word_holds() -> None:
    # Indices of 256 pixels take 8 bits: 4 in a word of 32.
    keys = {"index.format": "coordinate", "index.indices_per_cycle": 4}
    assert load_arch("pe16x16", keys).symbols_per_word == 4
    with pytest.raises(ArchError, match=r"indices_per_cycle: 5 is more than the 4 symbols"):
        load_arch("pe16x16", {**keys, "index.indices_per_cycle": 5})


def test_a_word_holds_at_least_one_symbol() -> None:
    # 512 pixels a tile: indices of 9 bits.
    keys = {"index.format": "coordinate", "index.word_bits": 8, "partial_sums.entries": 8192}
    with pytest.raises(ArchError, match=r"word_bits: 8 cannot hold one symbol of 9 bits"):
        load_arch("pe16x16", keys)


@pytest.mark.parametrize(
    ("shapes", "problem"),
    [
        ([[32, 9]], "32 x 9 is not as many PEs as the array's 16 x 16"),
        ([[16, 16]], "duplicate shape"),
        ([[8, 32], [8, 32]], "duplicate shape"),
        ([[32]], r"expected a list of \[rows, columns\], found \[32\]"),
        ("wide", "expected a list"),
    ],
)
def test_a_shape_that_the_array_cannot_take_is_refused(shapes: object, problem: str) -> None:
    with pytest.raises(ArchError, match=f"array.reshape: {problem}"):
        load_arch("pe16x16", {"array.reshape": shapes})


def test_a_reshaped_machine_keeps_its_indices() -> None:
    # 8 columns: tiles of 512 pixels, which take 9 bits in every shape.
    arch = load_arch("pe16x16", {"index.format": "coordinate", "array.reshape": [[32, 8]]})
    assert [arch.shaped(shape).tile_pixels for shape in arch.array.shapes] == [256, 512]
    assert [arch.shaped(shape).symbol_bits for shape in arch.array.shapes] == [9, 9]


def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.yaml"
    path.write_text("- 1\n")
    with pytest.raises(ArchError, match="expected a mapping"):
        load_arch(path)


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(ArchError, match="nearest valid: 'pe16x16'"):
        load_arch("pe16x61")


def test_an_unknown_override_suggests_the_nearest() -> None:
    with pytest.raises(ArchError, match=r"nearest valid: 'index\.lane_group'"):
        load_arch("pe16x16", {"index.lane_groups": 4})


@pytest.mark.parametrize("text", ["index.lane_group", "=4"])
def test_an_override_without_key_or_value_is_refused(text: str) -> None:
    with pytest.raises(ArchError, match="expected key=value"):
        parse_override(text)


def test_known_keys_are_dotted_leaves() -> None:
    assert "dram.pj_per_bit" in known_keys()
    assert "dram" not in known_keys()


def test_a_file_takes_what_it_leaves_out_from_its_base(tmp_path: Path) -> None:
    (tmp_path / "wide.yaml").write_text("base: pe16x16\narray: {columns: 32}\n")
    (tmp_path / "slow.yaml").write_text("base: wide.yaml\nclock_mhz: 250\n")
    arch = load_arch(tmp_path / "slow.yaml")
    assert arch == load_arch("pe16x16", {"name": "slow", "array.columns": 32, "clock_mhz": 250})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("base: pe16x61\n", "base: pe16x61: no such file.*nearest valid: 'pe16x16'"),
        ("base: 16\n", "base: expected a file or a shipped machine, found 16"),
        ("base: mine.yaml\n", "base: mine.yaml is this file"),
        ("base: pe16x16\narray: 4\n", "array: .*found 4"),
        ("base: pe16x16\nbases: 4\n", "unknown key 'bases'"),
    ],
)
def test_a_bad_base_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ArchError, match=problem) as caught:
        load_arch(path)
    assert str(path) in str(caught.value)


def test_all_missing_keys_are_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("clock_mhz: 500\nbatch: 1\ndram: {pj_per_bit: 8}\n")
    with pytest.raises(ArchError) as caught:
        load_arch(path)
    assert "missing keys array, partial_sums, activation, weight, index, " in str(caught.value)
    assert "dram.bandwidth_gb_per_s, dram.efficiency_percent, pricing; base: pe16x16" in str(
        caught.value
    )
