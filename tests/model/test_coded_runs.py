"""Runs whose maps are coded in DRAM: both models against the oracle, and by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from in_memory import in_memory_trace
from oracle.cases import KINDS, Case, changed
from oracle.coded_draws import MET, draw_coded, met
from oracle.machines import conv, machine, network, row

from hwsim.arch.schemes import SchemeError, parse_scheme
from hwsim.counters import CAUSES, COUNTERS, C
from hwsim.mapping.tiles import MappingError
from hwsim.network import Network
from hwsim.run.simulate import require_inputs, simulate
from tools.verification.naive import oracle_totals

CODED = ("dram_input_bytes", "dram_residual_bytes", "dram_output_bytes")

FEW_MACS = 200_000
"""Of a run that the reference does quickly."""


def compare(case: Case) -> set[str]:
    """Count on either side, or see both refuse; returns what the case met."""
    trace = in_memory_trace(case)
    counted = oracle_totals(case)
    if counted is None:
        with pytest.raises(MappingError):
            simulate(case.arch, trace, case.scheme, batch=case.batch)
        return set()
    shapes, causes, counters = counted
    found = met(case, shapes)
    quick = found and case.images * case.network.macs < FEW_MACS
    for engine in ("kernel", "reference") if quick else ("kernel",):
        result = simulate(case.arch, trace, case.scheme, batch=case.batch, engine=engine)
        assert result.shapes == shapes
        np.testing.assert_array_equal(result.causes, causes, engine)
        np.testing.assert_array_equal(result.counters, counters, engine)
    return found


def compare_many(count: int) -> None:
    seen: set[str] = set()
    for kind in KINDS:
        for seed in range(count):
            case = draw_coded(kind, seed)
            try:
                seen |= compare(case)
            except BaseException as error:
                error.add_note(f"draw_coded({kind!r}, seed={seed}) is {case}")
                raise
    assert seen >= MET, f"never met: {sorted(MET - seen)}"


def test_random_runs() -> None:
    compare_many(27)


@pytest.mark.slow
def test_many_random_runs() -> None:
    compare_many(300)


def test_only_traffic_and_waiting_for_it_change() -> None:
    for seed in range(6):
        case = draw_coded("unstructured", 3 * seed)
        dense = changed(case.arch, activation={"dram_format": "dense"}, array={"reshape": []})
        coded = changed(case.arch, array={"reshape": []})
        try:
            before, after = (
                simulate(arch, in_memory_trace(case), case.scheme, batch=case.batch)
                for arch in (dense, coded)
            )
        except MappingError:
            continue
        others = [at for at, name in enumerate(COUNTERS) if name not in CODED]
        np.testing.assert_array_equal(before.counters[:, others], after.counters[:, others])
        busy = [at for at, name in enumerate(CAUSES) if name != "dram_stall"]
        np.testing.assert_array_equal(before.causes[:, busy], after.causes[:, busy])


def two_layers(value: bool, images: int = 3, **options: object) -> Case:
    """Of 4 channels on 12 x 12 pixels; a kibibyte does not hold both maps of an image."""
    first = conv("first", channels=(4, 4), size=(12, 12))
    second = conv("second", channels=(4, 4), size=(12, 12), groups=2, input="first")
    bits = np.full((images, 4, 12, 12), value)
    none = {"second": np.zeros(images, np.int64)}
    return Case(
        machine(dram_format="run-length", **options),  # type: ignore[arg-type]
        network(first, second), "dense", 1, 1, images, {"second": bits}, none,
        zero_operand_macs_conditional=none, inputs={"second": bits},
    )  # fmt: skip


@pytest.mark.parametrize(("value", "row_bytes"), [(True, 96), (False, 16)])
def test_closed_forms(value: bool, row_bytes: int) -> None:
    """P = 8 cuts rows of 12 into 8 x 4 and 4 x 4 values: 8 + 4 words, or two where all are zero."""
    case = two_layers(value)
    counters = simulate(case.arch, in_memory_trace(case), "dense", batch=1).counters
    assert counters[0, C["dram_output_bytes"]] == 3 * 12 * row_bytes
    assert counters[1, C["dram_input_bytes"]] == 3 * 12 * row_bytes
    # The network's input and its output are dense.
    assert counters[0, C["dram_input_bytes"]] == counters[1, C["dram_output_bytes"]] == 3 * 576


def test_cycles_of_coded_transfers() -> None:
    """One byte a cycle; all zero. 18 tiles of 4 rounds of 4 steps, and R = 2: T = 18; P_k = 8.

    By turns a tile is 8 pixels of a row, the other 4 and 4 of the next, the 8 that it lacks: it
    stores 8, 16, 8 bytes of units of ``first``, and brings one row, one and none.
    ``first`` loads rows of 48 bytes and 16 of weights: 64, then beside the tiles 48, 8 + 0,
    16 + 48, 8 + 48, 8 + 0, ... and 16 + 16, the next layer's weights; the last 8 are hidden.
    ``second`` loads rows of 16 bytes and stores 32 a tile: 16, then 16, 32 + 0, 32 + 16, 32 + 16,
    32 + 0, ... and 32; at the end 32 - 8.
    """
    case = two_layers(False, images=1)
    result = simulate(case.arch, in_memory_trace(case), "dense", batch=1)
    first, second = (row(result.causes, CAUSES, layer) for layer in (0, 1))
    stalls = 64 + (48 - 18) + 5 * (64 - 18) + 5 * (56 - 18) + (32 - 18)
    assert first == {"base": 288, "drain": 36, "output_stall": 8, "dram_stall": stalls}
    stalls = 16 + 6 * (32 - 18) + 10 * (48 - 18) + (32 - 18) + (32 - 8)
    assert second == {"base": 288, "drain": 36, "output_stall": 8, "dram_stall": stalls}


def test_a_map_that_stays_on_chip_changes_nothing() -> None:
    case = two_layers(True, activation_kib=8)
    dense = changed(case.arch, activation={"dram_format": "dense"})
    before, after = (
        simulate(arch, in_memory_trace(case), "dense", batch=1) for arch in (dense, case.arch)
    )
    np.testing.assert_array_equal(before.counters, after.counters)
    np.testing.assert_array_equal(before.causes, after.causes)


def test_a_map_of_which_no_bits_are_known_is_dense() -> None:
    """The bits are of ``first``'s input, the network's, which is never coded."""
    case = two_layers(True)
    bits = {"first": np.zeros((3, 4, 12, 12), bool)}
    trace = in_memory_trace(replace(case, inputs=bits))
    counters = simulate(case.arch, trace, "dense", batch=1).counters
    assert counters[0, C["dram_output_bytes"]] == counters[1, C["dram_input_bytes"]] == 3 * 576
    assert counters[0, C["dram_input_bytes"]] == 3 * 576


def test_the_first_reader_tells_the_zeros() -> None:
    """Of two readers whose bits differ, and of none if it has no bits."""
    case = two_layers(True)
    third = conv("third", channels=(4, 4), size=(12, 12), input="first")
    layers = Network(name="three", layers=(*case.network.layers, third))
    none = np.zeros((3, 4, 12, 12), bool)
    for bits, row_bytes in (
        ({**case.inputs, "third": none}, 96),
        ({"second": none, "third": ~none}, 16),
        ({"third": ~none}, 96),
    ):
        known = replace(case, network=layers, inputs=bits)
        counters = simulate(case.arch, in_memory_trace(known), "dense", batch=1).counters
        assert counters[0, C["dram_output_bytes"]] == 3 * 12 * row_bytes


def test_masks_of_channels_are_refused() -> None:
    case = two_layers(True)
    channels = parse_scheme("channels", case.arch)
    with pytest.raises(SchemeError, match=r"dram_format: run-length .* 'channels'; valid: dense"):
        require_inputs(channels, case.arch, in_memory_trace(case), 3)
