"""Energy from gates: the sums by hand on a library of two cells, and a short measurement."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tools.rtl_energy import beats, rules, second
from tools.rtl_energy.__main__ import LIBRARY, leakage_differs, main
from tools.rtl_energy.energy import energy, loads
from tools.rtl_energy.liberty import LibertyError, Table, parse, read_library, read_sizes
from tools.rtl_energy.measure import Measured, Technology
from tools.rtl_energy.netlist import Instance, Netlist, read_netlist
from tools.rtl_energy.operands import Draw, Statistics, held
from tools.rtl_energy.sta import read_report
from tools.rtl_energy.toggles import count_toggles
from tools.rtl_energy.tools import missing

UNITS = 'capacitive_load_unit (1, pf); voltage_unit : "1V"; leakage_power_unit : "1nW";'

LIBERTY = """
/* two cells */
library (small) {
  %s
  nom_voltage : 2.0;
  cell (INV) {
    area : 16; cell_leakage_power : 0.5;
    pin (A) { direction : input; capacitance : 0.5; }
    pin (Y) { direction : output; capacitance : 0; function : "(!A)";
      internal_power () { related_pin : "A";
        rise_power (t) { index_1 ("0, 1"); index_2 ("0, 2"); values ("1, 3", \\
          "5, 7"); }
        fall_power (t) { index_1 ("0, 1"); index_2 ("0, 2"); values ("2, 2", "2, 2"); }
      }
    }
  }
  cell (FLOP) {
    area : 0; cell_leakage_power : 1.5;
    ff (IQ, IQN) { next_state : "D"; clocked_on : "C"; }
    pin (C) { direction : input; clock : true; capacitance : 1;
      internal_power () {
        rise_power (p) { index_1 ("0, 2"); values ("10, 20"); }
        fall_power (p) { index_1 ("0, 2"); values ("30, 40"); }
      }
    }
    pin (D) { direction : input; capacitance : 0.25; }
    pin (Q) { direction : output; }
  }
}
"""

LEF = """MACRO FLOP
  CLASS CORE ;
  SIZE 9.5 BY 10.0 ;
END FLOP
MACRO INV
  SIZE 1.6 BY 10.000 ;
END INV
"""

DUMP = """$timescale 1ns $end
$scope module gates $end
$var wire 1 ! n1 $end
$var wire 1 " n2 $end
$var wire 1 # n3 $end
$var wire 8 $ wide [7:0] $end
$upscope $end
$enddefinitions $end
#0
$dumpvars
0!
x"
1#
b1010 $
$end
#10
1!
1"
#20
0#
1#
0!
#30
1!
0"
b11 $
#40
0#
"""


@pytest.fixture
def technology(tmp_path: Path) -> tuple[Path, Path]:
    liberty, lef = tmp_path / "small.lib", tmp_path / "small.lef"
    liberty.write_text(LIBERTY % UNITS)
    lef.write_text(LEF)
    return liberty, lef


# A flip-flop (clock n1, out n3) whose input n4 an inverter drives from its own output.
LOOP = Netlist(
    "loop",
    {"clk": (1,)},
    {"out": (3,)},
    (Instance("FLOP", {"C": 1, "D": 4, "Q": 3}, {}), Instance("INV", {"A": 3, "Y": 4}, {})),
)


def test_tables_are_interpolated_and_end_at_their_edge() -> None:
    table = Table((0.0, 1.0), (0.0, 2.0), ((1.0, 3.0), (5.0, 7.0)))
    assert table.at(0.5, 1.0) == 4.0  # the middle of all four
    assert table.at(1.0, 0.5) == 5.5
    assert table.at(9.0, 9.0) == 7.0
    assert table.at(-1.0, 0.0) == 1.0


def test_a_library_is_read(technology: tuple[Path, Path]) -> None:
    library = read_library(*technology)
    flop, inverter = library.cells["FLOP"], library.cells["INV"]
    assert library.volts == 2.0
    assert (inverter.area, inverter.leakage) == (16.0, 0.5)
    assert flop.area == 95.0, "the liberty has none: the LEF's"
    assert flop.pins["C"].clock
    assert not flop.pins["D"].clock
    assert inverter.pins["Y"].output
    assert inverter.pins["Y"].powers[0].related == "A"
    assert inverter.pins["Y"].powers[0].rise == Table((0, 1), (0, 2), ((1, 3), (5, 7)))
    assert flop.pins["C"].powers[0].fall == Table((0.0,), (0, 2), ((30, 40),))
    assert read_sizes(LEF) == {"FLOP": 95.0, "INV": 16.0}


def test_other_units_and_broken_files_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.lib"
    other.write_text(LIBERTY % UNITS.replace("1nW", "1uW"))
    with pytest.raises(LibertyError, match="not pF, V and nW"):
        read_library(other)
    with pytest.raises(LibertyError, match="does not end"):
        parse("library (a) { area : 1;")
    with pytest.raises(LibertyError, match="behind the library"):
        parse("library (a) { } }")
    with pytest.raises(LibertyError, match="neither"):
        parse("library (a) { area 1 }")
    with pytest.raises(LibertyError, match="no nom_voltage"):
        parse("library (a) { }").number("nom_voltage")


def test_toggles_are_counted_by_time_steps() -> None:
    """Of n3 the 0 and 1 in one step are no toggle; n2 begins unknown; wide nets are left out."""
    toggles = count_toggles(DUMP.splitlines(keepends=True))
    assert toggles.rises == {"n1": 2, "n2": 0, "n3": 0}
    assert toggles.falls == {"n1": 1, "n2": 1, "n3": 1}
    assert toggles.of("n1") == 3


def test_energy_of_a_loop_by_hand(technology: tuple[Path, Path]) -> None:
    """V = 2: 0.5 C V^2 is 2 pJ for each pF and toggle.

    Clock: 2 rises and 2 falls of 1 pF, 8 pJ; inside at 1 ns 15 a rise and 35 a fall, 100 pJ.
    n3: a rise and a fall on INV.A, 2 x 0.5 x 2 = 2 pJ. n4: the same on FLOP.D, 1 pJ. INV inside, at
    load 0.25 pF and 1 ns: a rise 2 + 0.25 x 4 = 3, a fall 2: 5 pJ.
    """
    library = read_library(*technology)
    named = ["$var wire 1 a n1 $end", "$var wire 1 b n3 $end", "$var wire 1 c n4 $end"]
    changes = "#0 0a 0b 1c #1 1a 1b 0c #2 0a #3 1a 0b 1c #4 0a"
    toggles = count_toggles([*named, *changes.split()])
    taken = energy(LOOP, toggles, library, slew=1.0)
    assert taken.clock == pytest.approx(8 + 100)
    assert taken.rest == pytest.approx(2 + 1 + 5)
    assert taken.total == pytest.approx(116)
    # 0.1 pF more at each pin, outputs too: n1 4 toggles x 1 pin, n3 and n4 2 toggles x 2 pins,
    # 2 x 0.1 pJ each; the load of n4 grows by 0.2 pF: its rise takes 0.8 pJ more inside.
    wired = energy(LOOP, toggles, library, slew=1.0, wire_pf=0.1)
    assert wired.clock == pytest.approx(108 + 0.8)
    assert wired.rest == pytest.approx(8 + 1.6 + 0.8)


def test_loads_area_and_leakage_by_hand(technology: tuple[Path, Path]) -> None:
    library = read_library(*technology)
    assert loads(LOOP, library) == {1: 1.0, 3: 0.5, 4: 0.25}
    assert LOOP.area(library) == 111.0
    assert LOOP.leakage(library) == 2.0


def test_a_netlist_of_yosys_is_read_and_written() -> None:
    port = {"clk": {"direction": "input", "bits": [2]}, "a": {"direction": "input", "bits": [3, 4]}}
    cell = {"type": "NAND", "connections": {"A": [3], "B": ["1"], "Y": [5], "Z": []}}
    out = {"y": {"direction": "output", "bits": [5, "0"]}}
    netlist = read_netlist({"modules": {"m": {"ports": port | out, "cells": {"c": cell}}}}, "m")
    assert netlist.inputs == {"clk": (2,), "a": (3, 4)}
    assert netlist.outputs == {"y": (5, "0")}
    assert netlist.instances == (Instance("NAND", {"A": 3, "Y": 5}, {"B": "1"}),)
    lines = [line.strip() for line in netlist.verilog().splitlines()]
    assert "NAND c0 (.A(n3), .Y(n5), .B(1'b1));" in lines
    assert "assign n4 = a[1];" in lines
    assert "assign y[1] = 1'b0;" in lines


def test_the_report_of_sta_is_read() -> None:
    said = "Group a b\nTotal   2.199718e-06 8.372027e-07 1.291644e-08 3.05e-06 100.0%\n"
    found = read_report(said + "worst slack 994.5\n")
    assert found.leakage == pytest.approx(12.91644)
    assert found.path == pytest.approx(5.5)
    assert read_report(said).path is None
    with pytest.raises(ValueError, match="no power"):
        read_report("Error")


def test_banks_read_one_word_a_cycle_for_the_oldest_beat() -> None:
    """Bank 1 of 4 is asked for 5 twice and for 9; the later beat's 13 waits for both."""
    waiting: list[beats.Beat] = [[5, 9, 5, None], [13, 6, None, None]]
    assert beats.serve(waiting, 4) == 2  # 5 in bank 1, 6 in bank 2
    assert waiting == [[None, 9, None, None], [13, None, None, None]]
    assert beats.serve(waiting, 4) == 1
    assert waiting == [[None] * 4, [13, None, None, None]]
    assert beats.serve(waiting, 4) == 1
    assert beats.serve(waiting, 4) == 0


def test_an_arbiters_beats_follow_each_other() -> None:
    """With 16 pointers of a full tile a beat has no conflict: it takes its A = 4 steps."""
    found = beats.arbiter(np.random.default_rng(0), 1.0, 16, 16, 0, 12)
    assert found.inputs["start"] == [1, 0, 0, 0] * 3
    assert found.inputs["first"] == [1] + [0] * 11
    assert (found.busy, found.beats, found.reads) == (3, 3, 48)


def test_a_decoder_emits_an_index_a_cycle() -> None:
    """A list of 101, 000 for two rows: reset, start, two indices; then taken, the empty word."""
    found = beats.decoder(iter([[0b101, 0], [0]]), rows=2, cycles=6)
    assert found.inputs["start"] == [0, 1, 0, 0, 0, 1]
    assert found.inputs["take"] == [0, 0, 0, 0, 1, 0]
    assert found.inputs["word"][2:5] == [0b101, 0b101, 0]
    assert (found.busy, found.indices) == (3, 2)


def test_operands_are_held_where_told() -> None:
    values = np.array([1, 2, 3, 4])
    assert held(values, np.array([0, 1, 1, 0])).tolist() == [1, 1, 1, 4]


def test_banks_that_read_are_as_many_as_asked_and_the_own_among_them() -> None:
    draw = Draw(Statistics(0.6, 0.3, 0.9), 200)
    own = draw.random.integers(0, 16, 200)
    reading = draw.some_banks(16, 4, own)
    assert (reading.sum(axis=1) == 4).all()
    assert reading[np.arange(200), own].all()
    assert (reading.sum(axis=0) > 0).all()
    words = draw.bank_words(16, reading)
    changed = [
        any((one ^ other) >> 32 * bank & 0xFFFFFFFF and not reads[bank] for bank in range(16))
        for one, other, reads in zip(words, words[1:], reading[1:], strict=False)
    ]
    assert not any(changed), "a bank that does not read shows its last word"


def test_a_line_is_found() -> None:
    found = rules.line({1: 5.0, 4: 11.0, 8: 19.0})
    assert (found.start, found.slope) == (pytest.approx(3.0), pytest.approx(2.0))
    assert found.off == pytest.approx(0.0, abs=1e-12)


def test_the_second_opinion_says_what_is_close() -> None:
    figures = second.figures()
    assert figures["mac_nonzero"] == 1.58
    assert second.Compared("a", 1.0, 1.14, "").close
    assert not second.Compared("a", 1.0, 0.84, "").close


def test_other_leakage_is_told() -> None:
    def found(leakage: float) -> Measured:
        return Measured("unit", 1, 1.0, leakage, 90.1469, None, ())

    assert not leakage_differs([found(90.1468)])
    assert leakage_differs([found(90.2)]) == "unit: 90.2, not 90.1469"


def test_without_the_library_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--library", str(tmp_path)]) == 2
    said = capsys.readouterr().out
    assert said.startswith("GATES NOT MEASURED: ")
    assert "osu018_stdcells.lib" in said


def test_a_short_measurement_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The reference is 1 MAC, an idle one nothing but its clock, and a clock has no glitches."""
    if lacks := missing(Technology(LIBRARY)):
        pytest.skip(f"gates not measured: {lacks}; make rtl-energy installs it")
    assert main(["--short", "--jobs", "1"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    ratios = {(row["quantity"], row["condition"]): float(row["ratio"]) for row in rows}
    assert ratios["MAC: energy", "non-zero operands"] == 1.0
    assert ratios["MAC: area", ""] == 1.0
    idle = ratios["MAC: energy", "idle"]
    assert idle == ratios["MAC: energy of clock pins", "idle"]
    assert 0 < idle < ratios["MAC: energy", "zeros gated"] < 1
    assert 0 < ratios["comparator, 32 bits: energy", "compares"] < 1
