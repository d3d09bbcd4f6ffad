"""Equal area and equal bandwidth: machines by hand under a toy table, rows of the command."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from refusal import refusal

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import load_arch
from hwsim.energy.table import EnergyTable, Logic, Sram
from hwsim.run.simulate import simulate
from hwsim.sweep import rows
from hwsim.sweep.equal_area import BASELINE, EQUAL_AREA, TABLE, Setup, main, run_equal_area
from hwsim.sweep.folder import ResultsFolder
from hwsim.sweep.sizing import area_mm2, with_most_rows
from hwsim.trace.mask_trace import MaskTrace

FREE = (
    "register_bit", "add_int32", "counter_16b", "comparator_32b", "scale_multiply",
)  # fmt: skip


@pytest.fixture(scope="module")
def toy() -> EnergyTable:
    """A macro of any size takes 1 mm2, a PE 0.01, a 2:1 multiplexer bit 0.0001, all else none."""
    sizes = [(capacity, width) for capacity in (1024, 1 << 22) for width in (8, 512)]
    logic = {name: Logic(1.0, 0.0, 0.0) for name in FREE}
    logic |= {"mac_int8_acc32": Logic(1.0, 1e4, 0.0), "mux2_bit": Logic(1.0, 1e2, 0.0)}
    return EnergyTable("toy", 22, {size: Sram(1.0, 1.0, 1.0, 1.0, 1.0) for size in sizes}, logic)


@pytest.mark.parametrize(
    ("scale", "limit", "dense_rows", "structured_rows"),
    [
        # A pointer has 8 x 4 bits of 15 multiplexers: 0.048 mm2. Unstructured: 16 + 1 + 2 x 16
        # macros and 16 rows of 16 x 0.01 + 16 x 0.048. Dense: 16 + 1 + 2 macros and rows of
        # 0.16 + 0.048, so (63.848 - 19) / 0.208; structured 16 + 1 + 2 x 2 and 0.16 + 2 x 0.048.
        (1.0, 63.848, 215, 167),
        (0.0, 51.56, 203, 191),  # 32.56 / 0.16 and 30.56 / 0.16
        (4.0, 100.712, 232, 146),  # 81.712 / 0.352 and 79.712 / 0.544
    ],
)
def test_rows_that_the_area_of_unstructured_hardware_buys(
    toy: EnergyTable, scale: float, limit: float, dense_rows: int, structured_rows: int
) -> None:
    arch = load_arch("pe16x16-baseline", {"pricing.operand_network_scale": scale})
    found = area_mm2(arch, "unstructured", table=toy)
    assert found == pytest.approx(limit)
    for scheme, expected in (("dense", dense_rows), ("structured-8x", structured_rows)):
        machine = with_most_rows(arch, scheme, found, table=toy)
        assert machine is not None
        assert (machine.array.rows, machine.array.columns) == (expected, 16)
        assert machine.activation == arch.activation
        assert machine.partial_sums == arch.partial_sums


def test_partial_sums_bound_the_rows(toy: EnergyTable, pe16x16: ArchConfig) -> None:
    """P = 4,096 / 16: a tile of 256 pixels has no use for more rows."""
    machine = with_most_rows(pe16x16, "dense", 1e6, table=toy)
    assert machine is not None
    assert machine.array.rows == 256


def test_a_machine_of_its_own_area_is_itself(pe16x16: ArchConfig) -> None:
    for scheme in ("dense", "clock-gated", "unstructured", "structured-8x", "lockstep-8"):
        limit = area_mm2(pe16x16, scheme)
        assert with_most_rows(pe16x16, scheme, limit) == pe16x16
        smaller = with_most_rows(pe16x16, scheme, limit - 1e-6)
        assert smaller is not None
        assert smaller.array.rows == 15


@pytest.fixture(scope="module")
def found(trace_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    out = tmp_path_factory.mktemp("fair")
    setup = Setup(columns=[8, 16], banks=[8, 16], operand_network=[1.0, 4.0])
    shown = run_equal_area(
        load_arch("pe16x16-baseline"), out, setup, traces=[trace_folder], workers=1
    )
    pd.testing.assert_frame_equal(pd.read_parquet(out / TABLE), shown)
    shown.attrs["out"] = out
    return shown


def test_no_machine_of_equal_area_is_larger_than_the_reference(found: pd.DataFrame) -> None:
    equal = found[found["machine"] == EQUAL_AREA]
    assert (equal["area_mm2"] <= equal["limit_mm2"] * (1 + 1e-12)).all()
    reference = found[(found["machine"] == BASELINE) & (found["scheme"] == "unstructured")]
    assert len(reference) == 4  # two traces, two prices
    assert (reference["area_mm2"] == reference["limit_mm2"]).all()


def test_of_equal_area_the_fastest_is_shown(found: pd.DataFrame) -> None:
    """Against all that the folder holds of as much area at most."""
    swept = ResultsFolder(found.attrs["out"]).read()
    by = ["scheme", "trace", "pricing.operand_network_scale"]
    for _, row in found[found["machine"] == EQUAL_AREA].iterrows():
        alike = swept[(swept[by] == row[by]).all(axis=1) & (swept["area_mm2"] <= row["limit_mm2"])]
        assert row["cycles_per_image"] == alike["cycles_per_image"].min()


def test_speedups_are_over_both_dense_machines(found: pd.DataFrame) -> None:
    assert len(found) == 2 * 2 * 5 * 2  # prices, traces, schemes, machines
    for _, alike in found.groupby(["trace", "pricing.operand_network_scale"]):
        dense = alike[alike["scheme"] == "dense"].set_index("machine")["cycles_per_image"]
        cycles = alike["cycles_per_image"]
        over = dense[BASELINE] / cycles
        pd.testing.assert_series_equal(
            alike["speedup_over_dense_baseline"], over, check_names=False
        )
        pd.testing.assert_series_equal(
            alike["speedup_over_dense_of_equal_area"], dense[EQUAL_AREA] / cycles, check_names=False
        )


def test_bytes_really_read_are_words_over_cycles(trace_folder: Path, found: pd.DataFrame) -> None:
    row = found[(found["scheme"] == "structured-8x") & (found["machine"] == BASELINE)].iloc[0]
    result = simulate(
        load_arch("pe16x16-baseline"),
        MaskTrace.open(trace_folder / "small-scdg.h5"),
        "structured-8x",
    )
    read = 4 * result.totals["activation_word_reads"] / result.cycles
    assert row[rows.READ] == read < row["peak_bytes_per_cycle"] == 64


def test_a_repeated_comparison_replays_nothing(
    trace_folder: Path, found: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "simulate", None)
    setup = Setup(columns=[8, 16], banks=[16], schemes=["structured"])
    again = run_equal_area(
        load_arch("pe16x16-baseline"), found.attrs["out"], setup,
        traces=[trace_folder / "small-scdg.h5"], workers=1,
    )  # fmt: skip
    assert set(again["scheme"]) == {"dense", "unstructured", "structured-8x"}


BAD = {
    "reference": (["--reference", "unstructred"], ["'unstructred'", "'unstructured'"]),
    "scheme": (["--scheme", "lockstep-4"], ["'lockstep-4'", "'lockstep-8'"]),
    "columns": (["--columns", "48"], ["4096", "48"]),
    "table": (["--table", "cacti"], ["'cacti'", "'cacti22'"]),
    "order": (["--channel-order", "density"], ["no image beside"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_setup_are_refused(
    case: str, trace_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, parts = BAD[case]
    out = tmp_path / "out"
    error = refusal(capsys, main, [*arguments, "--trace", str(trace_folder), "--out", str(out)])
    assert all(part in error for part in parts), error
    assert not out.exists()


def test_the_command_prints_the_table(
    trace_folder: Path, found: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(found.attrs["out"])
    options = ["--trace", str(trace_folder / "small-cdg.h5"), "--out", out, "--workers", "1"]
    assert main(["--arch", "pe16x16-baseline", *options]) == 0
    printed = capsys.readouterr().out
    assert "cacti22, operand network x1, batch 4, channel order natural" in printed
    machines = [line.split("x16")[0] for line in printed.splitlines() if "x16 " in line]
    assert sum("equal area" in line for line in machines) == 5
    assert sum("baseline" in line for line in machines) == 5
