"""Prices, worked out by hand from the rows of hwsim/energy/tables/*.csv (numbers in comments)."""

import csv
import dataclasses
from math import sqrt
from pathlib import Path

import pytest
from refusal import refusal

from hwsim.arch.load import ArchError, arch_names, load_arch
from hwsim.arch.schemes import scheme_names
from hwsim.counters import COUNTERS, DRAM_COUNTERS
from hwsim.energy import table as table_module
from hwsim.energy.__main__ import main
from hwsim.energy.area import AREA_COMPONENTS, area, leakage_uw, parts, slow_memories, wire_mm
from hwsim.energy.hardware import hardware_of
from hwsim.energy.prices import COMPONENTS, price, prices
from hwsim.energy.table import EnergyTable, PriceError, table_names

TABLES = Path(table_module.__file__).parent / "tables"
DOC = Path(__file__).resolve().parents[2] / "docs" / "model" / "energy.md"


@pytest.fixture
def arch():
    return load_arch("pe16x16-baseline")


@pytest.fixture
def cacti22():
    return EnergyTable.load("cacti22")


@pytest.fixture
def horowitz45():
    return EnergyTable.load("horowitz45")


MAC_PJ, MAC_UM2 = 0.3393 + 64 * 0.0030461, 247.28 + 32 * 2.1911
"""The MAC of cacti22 that measured ratios refer to (docs/evidence/gates.md)."""

# A fill takes A x (0.0977 + 0.00068 B) MACs, a word at a pointer A x 0.00211; of the fill 0.1471
# for 32 bits written are the line register's. Area: A x (0.112 + 0.0114 B), of which two entries.
FILL_PJ = MAC_PJ * (4 * (0.0977 + 16 * 0.00068) - 0.1471)
STOPPED_PJ = MAC_PJ * 4 * 0.00211
POINTER_UM2 = MAC_UM2 * (4 * (0.112 + 16 * 0.0114) - 2 * 0.2119)
# The arbiter: words x (0.107 + 0.00343 N) and fills x 0.161; area N x (0.098 + 0.027 B).
SERVED_PJ = MAC_PJ * 0.161
ARBITER_UM2 = MAC_UM2 * (0.098 + 16 * 0.027)
# The decoder: 1.266 MACs of logic and the clock of 288 flip-flops; area 4.908 MACs with them.
DECODER_PJ = MAC_PJ * (1.266 + 288 * 0.2087 / 32)
DECODER_UM2 = MAC_UM2 * (4.908 - 288 * 0.2119 / 32) + 288 * 2.1911


def found_pj(pointers):
    """A word that a bank reads: the arbiter's part."""
    return MAC_PJ * (0.107 + 0.00343 * pointers)


def counted(**counters):
    return dict.fromkeys(COUNTERS, 0) | counters


# --- tables -----------------------------------------------------------------------------------


def test_measured_point_is_returned_unchanged(cacti22):
    sram = cacti22.sram("bank", 32768, 32)
    expected = (2.5474, 1.9264, 5.793, 0.02913, 0.88413)
    assert dataclasses.astuple(sram) == pytest.approx(expected, rel=1e-12)


def test_capacity_is_interpolated_log_log(cacti22):
    # Halfway in log between 131072 and 262144 bytes, 128 bits: the geometric mean of both.
    sram = cacti22.sram("bank", 131072 * sqrt(2), 128)
    assert sram.read_pj == pytest.approx(sqrt(11.846 * 17.769))  # 14.508
    assert sram.write_pj == pytest.approx(sqrt(10.482 * 15.285))
    assert sram.leak_uw == pytest.approx(sqrt(18.865 * 35.741))
    assert sram.area_mm2 == pytest.approx(sqrt(0.11366 * 0.25544))
    assert sram.read_latency_ns == pytest.approx(sqrt(1.2059 * 1.5267))


def test_width_is_interpolated_log_log(cacti22):
    # 96 bits lie log2(96/64) = 0.584963 of the way from 64 to 128 bits, 32 KiB:
    # 3.7865 * (5.2419 / 3.7865)^0.584963 = 3.7865 * 1.20956 = 4.5800
    assert cacti22.sram("bank", 32768, 96).read_pj == pytest.approx(4.5800, abs=1e-4)


def test_both_are_interpolated_at_once(cacti22):
    # Halfway in capacity; 0.584963 of the way in width: the geometric means at 64 and 128 bits,
    # sqrt(7.4023 * 11.858) = 9.36891 and sqrt(11.846 * 17.769) = 14.50832, are interpolated:
    # 9.36891 * (14.50832 / 9.36891)^0.584963 = 9.36891 * 1.29152 = 12.1001
    assert cacti22.sram("bank", 131072 * sqrt(2), 96).read_pj == pytest.approx(12.1001, abs=3e-4)


@pytest.mark.parametrize(
    ("capacity", "width"), [(2 << 20, 128), (1 << 20, 513), (32768, 8), (1024, 1024)]
)
def test_outside_the_measured_range_is_an_error(cacti22, capacity, width):
    with pytest.raises(PriceError) as caught:
        cacti22.sram("weight_buffer", capacity, width)
    message = str(caught.value)
    for part in ("weight_buffer", str(capacity), str(width), "1024 to 1048576", "16 to 512"):
        assert part in message
    assert "\n" not in message


def test_below_one_kibibyte_registers_or_the_smallest_macro(cacti22):
    """A register bit takes 2.1911 um2, the macro of 1 KiB x 16 bits 860.19: 392.6 bits."""
    registers = cacti22.sram("psum", 49, 16)
    assert registers.read_pj == registers.write_pj == pytest.approx(16 * 3.0461e-3)
    assert registers.area_mm2 == pytest.approx(392 * 2.1911e-6)
    macro = cacti22.sram("psum", 50, 16)
    assert macro == cacti22.sram("psum", 1024, 16)
    assert (macro.read_pj, macro.area_mm2) == pytest.approx((0.34363, 0.00086019))
    # Twice the area a macro: 785 bits of registers are smaller.
    dear = cacti22.sram("psum", 98, 16, area_scale=2.0)
    assert dear.area_mm2 == pytest.approx(784 * 2.1911e-6)
    assert cacti22.sram("psum", 99, 16, area_scale=2.0).area_mm2 == pytest.approx(0.00172038)
    # No macro has words of 8 bits.
    assert cacti22.sram("psum", 1023, 8).area_mm2 == pytest.approx(8184 * 2.1911e-6)


@pytest.mark.parametrize("width", [16, 32, 100, 512])
def test_a_larger_memory_takes_no_less_area(cacti22, width):
    areas = [cacti22.sram("any", size, width).area_mm2 for size in range(1, 4096)]
    assert areas == sorted(areas)


def test_unknown_table_names_the_nearest():
    with pytest.raises(PriceError, match="'cacti2': unknown; nearest valid: 'cacti22'"):
        EnergyTable.load("cacti2")


def test_a_missing_price_is_an_error(arch, cacti22):
    with pytest.raises(PriceError, match="cacti22: no price for 'mult_int4'"):
        cacti22.energy_pj("mult_int4")
    with pytest.raises(PriceError, match="'wire_bit_mm' has no area_um2"):
        cacti22.area_mm2("wire_bit_mm")
    logic = {name: cell for name, cell in cacti22.logic.items() if name != "comparator_32b"}
    with pytest.raises(PriceError, match="comparator_32b"):
        price(counted(), 0, arch, "dense", dataclasses.replace(cacti22, logic=logic))


def test_a_table_with_a_hole_is_refused(monkeypatch, tmp_path):
    rows = (TABLES / "sram_22nm.csv").read_text().splitlines()
    (tmp_path / "sram_22nm.csv").write_text("\n".join(rows[:5] + rows[6:]))
    (tmp_path / "mine22.csv").write_text((TABLES / "cacti22.csv").read_text())
    monkeypatch.setattr(table_module, "_FOLDER", tmp_path)
    with pytest.raises(PriceError, match=r"sram_22nm\.csv: expected one node and every"):
        EnergyTable.load("mine22")
    (tmp_path / "sram_22nm.csv").write_text("\n".join(rows[:4]).replace("0.34363", "much"))
    with pytest.raises(PriceError, match="mine22: cannot be read"):
        EnergyTable.load("mine22")


@pytest.mark.parametrize("path", sorted(TABLES.glob("*.csv")), ids=lambda path: path.name)
def test_every_row_has_a_source(path):
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    sources = [column for column in rows[0] if column.endswith("source")]
    assert sources
    for row in rows:
        assert all(row[column].strip() for column in sources), row


def test_three_tables_ship():
    assert table_names() == ["cacti22", "gates45", "horowitz45"]
    assert [EnergyTable.load(name).node_nm for name in table_names()] == [22, 45, 45]


@pytest.mark.parametrize("name", table_names())
def test_a_machine_names_a_table_that_ships(name):
    assert load_arch("pe16x16", {"pricing.table": name}).pricing.table == name


@pytest.mark.parametrize("name", ["cacti21", "../../x", "", None])
def test_a_machine_names_no_other_table(name, capsys):
    with pytest.raises(ArchError, match="table: Input should be 'cacti22', 'gates45' or 'horo"):
        load_arch("pe16x16", {"pricing.table": name})
    said = refusal(capsys, main, ["--set", f"pricing.table={name}"])
    assert "pricing.table: Input should be 'cacti22'" in said


def test_the_mac_of_gates45_is_the_measured_one():
    """1.58 pJ and 1,447 um2 with one accumulator (tools/rtl_energy/gates45.csv)."""
    table = EnergyTable.load("gates45")
    mac_pj = table.energy_pj("mac_int8_acc32") + 64 * table.energy_pj("register_bit")
    assert mac_pj == pytest.approx(1.58, rel=1e-3)
    mac_mm2 = table.area_mm2("mac_int8_acc32") + 32 * table.area_mm2("register_bit")
    assert mac_mm2 == pytest.approx(1447e-6, rel=1e-3)


@pytest.mark.parametrize(("name", "register_fj"), [("cacti22", 3.0461), ("horowitz45", 10.357)])
def test_assumptions_scale_with_the_register_bit(name, register_fj):
    # 5.3157 fJ is the register bit at 28 nm, where the wire's 120 fJ are assumed.
    table = EnergyTable.load(name)
    assert table.energy_pj("wire_bit_mm") == pytest.approx(0.120 * register_fj / 5.3157, rel=1e-4)
    assert table.energy_pj("mux2_bit") == pytest.approx(register_fj / 3000, rel=1e-4)


# --- hardware ---------------------------------------------------------------------------------


def test_hardware_of_each_scheme(arch):
    def shape(name):
        hardware = hardware_of(name, arch)
        return hardware.lane_groups, hardware.pointers, hardware.lists, hardware.decoders

    assert shape("dense") == shape("dense-zero-gated") == (1, 16, 0, 0)
    assert shape("clock-gated") == (1, 16, 16, 0)
    assert shape("unstructured") == (16, 256, 16, 16)
    assert shape("structured-8x") == (2, 32, 2, 2)
    assert shape("lockstep-8") == (2, 32, 16, 2)


def test_memories_of_the_default_machine(arch):
    def macros(memory):
        return memory.macros, memory.capacity_bytes, memory.width_bits

    unstructured = hardware_of("unstructured", arch)
    assert macros(unstructured.activation) == (16, 32768, 32)
    assert macros(unstructured.weight) == (1, 163840, 128)
    assert macros(unstructured.partial_sums) == (2 * 16, 1024, 32)
    assert macros(hardware_of("structured-8x", arch).partial_sums) == (2 * 2, 8192, 256)
    assert macros(hardware_of("clock-gated", arch).partial_sums) == (2, 16384, 512)
    assert unstructured.index_bits == 16 * 256
    assert hardware_of("structured-8x", arch).index_bits == 2 * 256
    assert hardware_of("lockstep-8", arch).index_bits == 16 * 256


def test_wide_words_are_split(cacti22):
    wide = load_arch("pe16x16-baseline", {"array.rows": 2, "array.columns": 128})
    dense = hardware_of("dense", wide)  # 1,024-bit weights, 4,096-bit rows of partial sums
    assert (dense.weight.split, dense.weight.capacity_bytes, dense.weight.width_bits) == (
        2,
        81920,
        512,
    )
    assert (dense.partial_sums.split, dense.partial_sums.width_bits) == (8, 512)
    # Two macros of 80 KiB x 512: log2(81920 / 65536) = 0.321928 from 19.891 to 31.342
    read_pj = 2 * 19.891 * (31.342 / 19.891) ** 0.321928
    found = price(counted(weight_word_reads=1), 0, wide, dense, cacti22)
    assert found["weight_buffer"] == pytest.approx(read_pj, rel=1e-5)


def test_a_lane_group_is_never_wider_than_the_array():
    narrow = load_arch("pe16x16-baseline", {"array.rows": 64, "array.columns": 4})
    hardware = hardware_of("structured-8x", narrow)
    assert (hardware.lanes, hardware.lane_groups, hardware.pointers) == (4, 1, 64)


def test_mask_group_sizes_the_gate(arch):
    assert hardware_of("clock-gated", arch).decision_adders == 0
    assert hardware_of("structured-8x", arch).decision_adders == 14
    assert hardware_of("clock-gated", arch, mask_group=8).lists == 2


# --- energy -----------------------------------------------------------------------------------

# Register bit 3.0461 fJ. Side of buffer and array: 16 x 0.02913 + 256 x (247.28 + 64 x 2.1911)
# um2 = 0.46608 + 0.0992027 = 0.5652827 mm2; half the root is 0.375927 mm. A pointer's word: 32 bits
# x 0.375927 mm x 68.765 fJ of wire = 0.827219 pJ, and what chooses it.
# 160 KiB lies log2(1.25) = 0.321928 above 128 KiB: read 11.846 x 1.5^0.321928 = 13.4977,
# write 10.482 x 1.458214^0.321928 = 11.8354.
LINE_PJ = {
    "activation_buffer": 64 * 0.0030461,
    "operand_network": FILL_PJ + 0.827219,
    "bank_arbiter": SERVED_PJ,
}
BY_HAND = [
    ("dense", "macs_base", {"mac": 0.3393 + 64 * 0.0030461}),
    ("structured-8x", "macs_conditional", {"mac": 0.3393 + 64 * 0.0030461}),
    ("clock-gated", "macs_gated_off", {}),
    ("structured-8x", "macs_zero_gated", {}),
    ("dense-skip", "macs_zero_skipped", {}),
    ("dense-skip", "steps_skipped", {}),
    # 8 bits of a 4:1 multiplexer, three 2:1 ones each
    ("dense-skip", "macs_base", {"mac": 0.3393 + 64 * 0.0030461 + 24 * 0.0010154}),
    # four channels of 8 bits, each a quarter of a 32-bit comparison with zero
    ("dense-skip", "line_fills", LINE_PJ | {"activation_buffer": 64 * 0.0030461 + 0.0099742}),
    # 16 pointers, and 16 x 16
    *(
        (
            name,
            "activation_word_reads",
            {
                "activation_buffer": 2.5474,
                "operand_network": number * STOPPED_PJ,
                "bank_arbiter": found_pj(number),
            },
        )
        for name, number in (("dense", 16), ("unstructured", 256))
    ),
    ("dense", "line_fills", LINE_PJ),
    ("unstructured", "line_fills", LINE_PJ),
    ("dense", "weight_word_reads", {"weight_buffer": 13.4977}),
    # 160 KiB x 512 bits: read 31.342 x 1.61818^0.321928 = 36.5947, write 41.337 x
    # 1.30302^0.321928 = 45.0137; four weights of 16 columns written to registers and read.
    ("dense-skip", "weight_word_reads", {"weight_buffer": 36.5947 + 1024 * 0.0030461}),
    ("dense-skip", "dram_weight_bytes", {"dram": 64, "weight_buffer": 45.0137 / 64}),
    ("dense-skip-bound", "weight_word_reads", {"weight_buffer": 13.4977}),
    ("dense", "psum_base_writes", {"partial_sums": 15.135}),
    ("unstructured", "psum_base_writes", {"partial_sums": 0.4512}),
    ("structured-8x", "psum_base_writes", {"partial_sums": 6.1644}),
    ("clock-gated", "psum_conditional_reads", {"partial_sums": 8.5054 + 16 * 0.071075}),
    ("unstructured", "psum_conditional_reads", {"partial_sums": 0.30389 + 0.071075}),
    ("lockstep-8", "psum_conditional_reads", {"partial_sums": 2.8495 + 8 * 0.071075}),
    ("structured-8x", "psum_conditional_writes", {"partial_sums": 6.1644}),
    ("structured-8x", "psum_output_reads", {"partial_sums": 2.8495}),
    ("structured-8x", "mask_bits_written", {"index": 0.0030461}),
    ("structured-8x", "index_words_read", {"index": 32 * 0.0030461}),
    # 8 index bits (P = 256): two buffers of 16, and a word of 32
    ("unstructured", "decoder_cycles", {"index": DECODER_PJ}),
    # 8 of the 32 bits of a comparison
    ("unstructured", "window_compares", {"index": 0.0099742 / 4}),
    ("unstructured", "comparator_ops", {"gate": 0.0099742}),
    ("structured-8x", "adder_ops", {"gate": 0.071075}),
    ("dense", "output_ops", {"output_stage": 2.288 + 0.071075 + 2 * 0.0099742}),
    ("dense", "residual_word_reads", {"activation_buffer": 2.5474, "output_stage": 4 * 0.071075}),
    ("dense", "activation_word_writes", {"activation_buffer": 1.9264}),
    ("dense", "dram_input_bytes", {"dram": 64, "activation_buffer": 1.9264 / 4}),
    ("dense", "dram_weight_bytes", {"dram": 64, "weight_buffer": 11.8354 / 16}),
    ("dense", "dram_residual_bytes", {"dram": 64, "activation_buffer": 1.9264 / 4}),
    ("dense", "dram_output_bytes", {"dram": 64, "activation_buffer": 2.5474 / 4}),
    ("unstructured", "dram_psum_bytes", {"dram": 64}),
]


@pytest.mark.parametrize(("scheme", "counter", "expected"), BY_HAND)
def test_one_counter_at_a_time(arch, cacti22, scheme, counter, expected):
    found = price(counted(**{counter: 1000}), 0, arch, scheme, cacti22)
    assert tuple(found) == COMPONENTS
    for component, pj in found.items():
        # Tables keep four digits of what is measured.
        rel = 2e-3 if component in ("operand_network", "bank_arbiter", "index") else 2e-6
        assert pj == pytest.approx(1000 * expected.get(component, 0), rel=rel), component


def test_every_counter_is_covered_above_and_priced(arch, cacti22):
    assert {counter for _, counter, _ in BY_HAND} == set(COUNTERS)
    assert {item.counter for item in prices(arch, "dense", cacti22)} == set(COUNTERS)


def test_a_gated_or_idle_pe_takes_a_share_of_a_mac(cacti22):
    shared = load_arch("pe16x16-baseline", {"pricing.gated_mac_share": 0.25})
    mac_pj = 0.3393 + 64 * 0.0030461
    # 3 of the 2 x 256 PE cycles execute, 5 are gated, the other 504 are idle.
    counts = counted(macs_base=3, macs_gated_off=1, macs_zero_gated=4)
    found = price(counts, 2, shared, "clock-gated", cacti22)
    assert found["mac"] == pytest.approx((3 + 0.25 * (5 + 504)) * mac_pj)


def test_entries_of_line_registers_that_run_ahead(cacti22, arch):
    ahead = load_arch("pe16x16-baseline", {"activation.run_ahead": 2})
    found = price(counted(line_fills=1000), 0, ahead, "dense", cacti22)
    assert found["activation_buffer"] == pytest.approx(64 * 3.0461 + 2 * 32 * 1.0154)
    # 256 pointers x 32 bits: four entries, and two 2:1 multiplexers for each bit
    bits_um2 = 4 * 2.1911 + 2 * 0.73037
    found, without = (area(each, "unstructured", cacti22) for each in (ahead, arch))
    assert found["line_registers"] == pytest.approx(256 * 32 * bits_um2 * 1e-6)
    # A pointer may take a word for each of three beats.
    for name in ("operand_network", "bank_arbiter"):
        assert found[name] == pytest.approx(3 * without[name])
    changed = {name for name in found if found[name] != without[name]}
    assert changed == {"line_registers", "operand_network", "bank_arbiter"}
    words = counted(activation_word_reads=1000)
    found, without = (price(words, 0, each, "dense", cacti22) for each in (ahead, arch))
    assert found["operand_network"] == pytest.approx(3 * without["operand_network"])
    assert found["bank_arbiter"] == pytest.approx(1.6 * without["bank_arbiter"])


def test_clocks_that_run_on(cacti22):
    """64 flip-flops take what a gated PE takes; 256 pointers have 2 x 32, decoders 288 each."""
    running = load_arch("pe16x16-baseline", {"pricing.gated_mac_share": 0.28})
    found = price(counted(), 10, running, "unstructured", cacti22)
    assert found["mac"] == pytest.approx(0.28 * MAC_PJ * 256 * 10)
    assert found["activation_buffer"] == pytest.approx(0.28 * MAC_PJ * 256 * 10)
    assert found["index"] == pytest.approx(0.28 * MAC_PJ * 16 * 288 / 64 * 10)
    assert price(counted(), 10, running, "dense", cacti22)["index"] == 0


def test_comparators_of_a_window(cacti22, arch):
    windowed = load_arch("pe16x16-baseline", {"index.window": 56})
    found, without = (area(each, "structured-8x", cacti22) for each in (windowed, arch))
    # two lists: each of 2 x 16 places compares, one finds the smaller first index; 8 of 32 bits
    comparators_um2 = (2 * 17 - 1) * 8 / 32 * 26.015
    assert found["decoders"] - without["decoders"] == pytest.approx(comparators_um2 * 1e-6)
    assert area(windowed, "dense", cacti22) == area(arch, "dense", cacti22)


def test_horowitz_arithmetic(arch, horowitz45):
    # int8 multiply 200 fJ + int32 add 100 fJ; accumulator 64 x 10.357 fJ (Aladdin)
    found = price(counted(macs_base=1, adder_ops=1, output_ops=1), 0, arch, "dense", horowitz45)
    assert found["mac"] == pytest.approx(0.3 + 64 * 0.010357)
    assert found["gate"] == pytest.approx(0.1)
    assert found["output_stage"] == pytest.approx(3.1 + 0.1 + 2 * 0.033913)
    found = price(counted(activation_word_reads=1), 0, arch, "dense", horowitz45)
    assert found["activation_buffer"] == pytest.approx(11.786)  # 45 nm, 32 KiB x 32 bits


def test_twice_the_counters_cost_twice(arch, cacti22):
    once = counted(**{name: 7 + 3 * place for place, name in enumerate(COUNTERS)})
    twice = {name: 2 * count for name, count in once.items()}
    for scheme in scheme_names(arch):
        one = price(once, 100, arch, scheme, cacti22)
        two = price(twice, 100, arch, scheme, cacti22)
        assert two.pop("leakage") == one.pop("leakage")
        assert two == pytest.approx({name: 2 * pj for name, pj in one.items()})


def test_leakage_by_hand_and_in_proportion_to_time(arch, cacti22):
    # uW of the dense machine: PEs 256 x 2.505; banks 16 x 5.793; weights
    # 18.865 x (35.741 / 18.865)^0.321928 = 23.1737; psums 2 x 2.8523 and 16 adders x 0.8123;
    # output stage 16 x (15.162 + 2 x 0.8123 + 2 x 0.008495). 500 cycles at 500 MHz are 1 us.
    # and 16 pointers, whose multiplexers and arbiter leak by their area as the MAC does.
    measured = 16 * 2.505 * (POINTER_UM2 + ARBITER_UM2) / MAC_UM2
    watt = 641.28 + 92.688 + 23.1737 + 5.7046 + 12.9968 + 268.8574 + measured
    assert price(counted(), 500, arch, "dense", cacti22)["leakage"] == pytest.approx(watt, rel=1e-5)
    assert leakage_uw(arch, "dense", cacti22) == pytest.approx(watt, rel=1e-5)
    slower = load_arch("pe16x16-baseline", {"clock_mhz": 250})
    for cycles, machine, factor in ((0, arch, 0), (1500, arch, 3), (500, slower, 2)):
        found = price(counted(), cycles, machine, "dense", cacti22)["leakage"]
        assert found == pytest.approx(factor * watt, rel=1e-5)


@pytest.mark.parametrize("scale", [0.0, 1.0, 4.0])
def test_operand_network_scale(cacti22, scale):
    scaled = load_arch("pe16x16-baseline", {"pricing.operand_network_scale": scale})
    counts = counted(line_fills=10, activation_word_reads=10)
    found = price(counts, 0, scaled, "unstructured", cacti22)
    network_pj = 10 * (FILL_PJ + 0.827219 + 256 * STOPPED_PJ)
    assert found["operand_network"] == pytest.approx(scale * network_pj, rel=2e-3)
    assert found["activation_buffer"] == pytest.approx(10 * (64 * 0.0030461 + 2.5474))
    network_mm2 = area(scaled, "unstructured", cacti22)["operand_network"]
    assert network_mm2 == pytest.approx(scale * 256 * POINTER_UM2 * 1e-6, rel=2e-3)


@pytest.mark.parametrize("scale", [0.25, 2.0])
def test_factors_on_macs_and_memory_words(cacti22, scale):
    machine = {"pricing.gated_mac_share": 0.5, "pricing.mac_scale": scale}
    scaled = load_arch("pe16x16-baseline", machine)
    found = price(counted(macs_base=3, macs_gated_off=4), 0, scaled, "clock-gated", cacti22)
    mac_pj = 0.3393 + 64 * 0.0030461
    # No cycle has passed: the 7 PE cycles are missing among the idle ones.
    assert found["mac"] == pytest.approx(scale * (3 + 0.5 * 4 - 0.5 * 7) * mac_pj)
    scaled = load_arch("pe16x16-baseline", {"pricing.sram_scale": scale})
    counts = counted(activation_word_reads=1, line_fills=1, psum_conditional_reads=1)
    found = price(counts, 0, scaled, "dense", cacti22)
    assert found["activation_buffer"] == pytest.approx(scale * 2.5474 + 64 * 0.0030461, rel=1e-5)
    row = cacti22.sram("partial_sums", 16384, 512).read_pj
    assert found["partial_sums"] == pytest.approx(scale * row + 16 * 0.071075, rel=1e-5)


def test_a_factor_on_the_area_of_memories(arch, cacti22):
    denser = load_arch("pe16x16-baseline", {"pricing.sram_area_scale": 1.5})
    before, after = (area(machine, "unstructured", cacti22) for machine in (arch, denser))
    macros_mm2 = 32 * 0.00081742
    assert after["partial_sums"] - before["partial_sums"] == pytest.approx(0.5 * macros_mm2)
    for name in ("activation_buffer", "weight_buffer"):
        assert after[name] == pytest.approx(1.5 * before[name])
    others = ("pe_array", "line_registers", "operand_network", "index_memory", "decoders", "gate")
    assert all(after[name] == before[name] for name in others)


@pytest.mark.parametrize("pj_per_bit", [4.0, 8.0, 20.0])
def test_dram_price_is_the_machines(cacti22, pj_per_bit):
    machine = load_arch("pe16x16-baseline", {"dram.pj_per_bit": pj_per_bit})
    found = price(counted(**dict.fromkeys(DRAM_COUNTERS, 1)), 0, machine, "dense", cacti22)
    assert found["dram"] == pytest.approx(5 * 8 * pj_per_bit)


def test_counters_must_be_exactly_the_known_ones(arch, cacti22):
    short = counted()
    del short["output_ops"]
    with pytest.raises(PriceError, match="'output_ops' is missing"):
        price(short, 0, arch, "dense", cacti22)
    with pytest.raises(PriceError, match="'teleports' has no price"):
        price(counted(teleports=1), 0, arch, "dense", cacti22)


# --- area and latency -------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", scheme_names(load_arch("pe16x16-baseline")))
@pytest.mark.parametrize("name", table_names())
def test_area_adds_up(arch, scheme, name):
    table = EnergyTable.load(name)
    found = area(arch, scheme, table)
    assert tuple(found) == AREA_COMPONENTS
    everything = parts(arch, hardware_of(scheme, arch), table)
    assert sum(found.values()) == pytest.approx(sum(part.area_mm2 for part in everything))


def test_area_by_hand(arch, cacti22):
    found = area(arch, "unstructured", cacti22)
    expected = {
        "pe_array": 256 * (247.28 + 64 * 2.1911) * 1e-6,
        "activation_buffer": 16 * 0.02913,
        "line_registers": 256 * 64 * 2.1911e-6,
        "partial_sums": 32 * 0.00081742 + 16 * 101.86e-6,
        "operand_network": 256 * POINTER_UM2 * 1e-6,
        "bank_arbiter": 256 * ARBITER_UM2 * 1e-6,
        "zero_skipping": 0.0,
        "index_memory": 4096 * 2.1911e-6,
        "decoders": 16 * DECODER_UM2 * 1e-6,
        "gate": 16 * 26.015e-6,
        "output_stage": 16 * (1367.1 + 2 * 101.86 + 2 * 26.015) * 1e-6,
        # 0.11366 x (0.25544 / 0.11366)^0.321928 = 0.11366 x 1.29782
        "weight_buffer": 0.147511,
    }
    assert found == pytest.approx(expected, rel=1e-3)


def test_what_skipping_zeros_needs(arch, cacti22):
    """Of 16 x 16 PEs, A = 4: four weights a column, a multiplexer a PE, four tests a pointer."""
    found, without = (area(arch, name, cacti22) for name in ("dense-skip", "dense"))
    um2 = 16 * 4 * 8 * 2.1911 + 256 * 24 * 0.73037 + 16 * 4 * 26.015 / 4
    assert found["zero_skipping"] == pytest.approx(um2 * 1e-6, rel=1e-4)
    changed = {name for name in found if found[name] != without[name]}
    assert changed == {"zero_skipping", "weight_buffer"}  # whose words are A times as wide
    bound = area(arch, "dense-skip-bound", cacti22)
    assert bound == without


def test_structure_saves_pointers_not_buffers(arch, cacti22):
    unstructured = area(arch, "unstructured", cacti22)
    structured = area(arch, "structured-8x", cacti22)
    for component in (
        "line_registers", "operand_network", "bank_arbiter", "index_memory", "decoders",
    ):  # fmt: skip
        assert unstructured[component] == pytest.approx(8 * structured[component])
    for component in ("pe_array", "activation_buffer", "weight_buffer"):
        assert unstructured[component] == structured[component]
    assert area(arch, "dense", cacti22)["decoders"] == 0


def test_wires_span_half_the_side(arch, cacti22):
    assert wire_mm(arch, cacti22) == pytest.approx(sqrt(0.46608 + 0.0992027) / 2, rel=1e-6)


def test_slow_memories_must_be_pipelined(arch, horowitz45):
    # 45 nm, 160 KiB x 128 bits: 2.0098 x (2.4755 / 2.0098)^0.321928 = 2.1493 ns, period 2 ns
    slow = slow_memories(arch, "dense", horowitz45)
    assert slow == pytest.approx({"weight_buffer": 2.1493}, rel=1e-4)
    assert (
        slow_memories(load_arch("pe16x16-baseline", {"clock_mhz": 400}), "dense", horowitz45) == {}
    )


# --- command and page -------------------------------------------------------------------------


@pytest.mark.parametrize("name", arch_names())
def test_every_shipped_machine_can_be_priced(name, capsys):
    assert main(["--arch", name]) == 0
    assert "operand_network" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--arch", "pe16x61"], "pe16x16"),
        (["--table", "horowitz54"], "horowitz45"),
        (["--set", "activation.word_channels=1"], "activation_buffer"),
    ],
)
def test_bad_input_is_one_line(arguments, named, capsys):
    assert named in refusal(capsys, main, arguments)


def test_the_page_shows_the_prices_of_the_code(capsys):
    assert main(["--arch", "pe16x16", "--markdown"]) == 0
    printed = capsys.readouterr().out.strip()
    assert printed in DOC.read_text(encoding="utf-8"), "regenerate with the command on the page"
