"""The units, and their cases: one case a row of docs/evidence/gates.md or more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tools.rtl_energy import beats, plays
from tools.rtl_energy.operands import Draw
from tools.rtl_energy.plays import A, B, Played, R

ROOT = Path(__file__).parents[2]
CUT_OUT = (Path(__file__).parent / "units.v",)
LEAN = (Path(__file__).parent / "lean_arbiter.v",)

UNMERGED = "-noalumacc"
"""Yosys else merges a multiplication with the addition behind it, widened to all 32 bits."""

ARBITER_SHARE = 0.3
"""Of the cycles of other units: arbiters are large."""

LARGE_SHARE = 0.12
"""Of an arbiter of more than 64 pointers."""

TILE_BITS = ((beats.TILE - 1) * (beats.PITCH + 1)).bit_length()
"""Addresses of a beat are this many bits apart at most: places of a tile, and a common offset."""

LEAN_ARBITERS = (
    (16, 16, 0),
    (32, 16, 0),
    (64, 16, 0),
    (128, 16, 0),
    (32, 8, 0),
    (32, 32, 0),
    (32, 64, 0),
    (16, 16, 1),
)
"""N, B, Q."""

GATED_POINTERS = (
    (4, 8, 0),
    (4, 32, 0),
    (4, 64, 0),
    (2, 16, 0),
    (8, 16, 0),
    (16, 16, 0),
    (4, 16, 1),
)
"""A, B, Q."""


@dataclass(frozen=True)
class Case:
    """A condition, and what the unit is played under it."""

    condition: str
    play: Callable[[Draw], Played]


@dataclass(frozen=True)
class Unit:
    """A module of ``sources`` under its ``parameters``.

    ``options`` of yosys' synth that are tried: the smallest netlist is the unit. ``share`` of the
    cycles of other units that it is played. ``delays``: whether it is played with the gates' delays
    as well. A clock gate without a clock tree is late then, and large units take long.
    """

    name: str
    module: str
    sources: tuple[Path, ...]
    cases: tuple[Case, ...]
    parameters: dict[str, int] = field(default_factory=dict)
    options: tuple[str, ...] = ("", UNMERGED)
    share: float = 1.0
    delays: bool = True


def rtl(*names: str) -> tuple[Path, ...]:
    return tuple(ROOT / "rtl" / f"{name}.v" for name in names)


NONZERO = Case("non-zero operands", plays.steps)
GATED = Case("zeros gated", partial(plays.steps, zeros="gated"))
IDLE = Case("idle", plays.idle_steps)
MAC_CASES = (
    NONZERO,
    Case("zeros computed", partial(plays.steps, zeros="computed")),
    Case("zeros computed, weight held", partial(plays.steps, zeros="weight held")),
    GATED,
    IDLE,
)
OTHER_NUMBERS = (
    Case("non-zero operands, both signed", partial(plays.steps, numbers="signed")),
    Case("non-zero operands, small", partial(plays.steps, numbers="small")),
)


def macs() -> list[Unit]:
    pe = (
        Case("non-zero operands", partial(plays.whole_pe, runs=True)),
        Case("idle", partial(plays.whole_pe, runs=False)),
    )
    sources = (*CUT_OUT, *rtl("pe_array", "next_operand"))
    clock_gated = (NONZERO, GATED, IDLE)
    return [
        Unit("MAC", "mac", CUT_OUT, (*MAC_CASES, *OTHER_NUMBERS)),
        Unit("MAC with operand registers", "registered_mac", CUT_OUT, MAC_CASES),
        Unit("MAC behind a clock gate", "gated_mac", CUT_OUT, clock_gated, delays=False),
        Unit("MAC merged by yosys", "mac", CUT_OUT, MAC_CASES, options=("",)),
        Unit("PE", "pe", sources, pe),
    ]


def pointers() -> list[Unit]:
    ports = {"N": 1, "B": B, "A": A}
    network = rtl("operand_network")
    few = _pointer_cases((B,))
    gated = _pointer_cases((16, 8, 4, 1))
    alone = (
        Case("chooses, 16 of 16 banks read", partial(plays.multiplexed, turns=True)),
        Case("chooses, 1 of 16 banks read", partial(plays.multiplexed, turns=True, number=1)),
        Case("stands still, 16 of 16 banks read", partial(plays.multiplexed, turns=False)),
    )
    every = (
        *_pointer_cases((16, 8, 4, 1)),
        Case("waits, another bank reads", partial(plays.other_bank_reads, number=1)),
        Case("waits, no bank reads", partial(plays.other_bank_reads, number=0)),
        Case("waits, a new bank in every cycle", partial(plays.pointer, fills=False, turns=True)),
    )
    ahead = _pointer_cases((16, 4), ahead=1)
    return [
        Unit("pointer, Q = 0", "operand_network", network, every, ports),
        Unit("pointer, Q = 1", "operand_network", network, ahead, {**ports, "Q": 1}),
        Unit("pointer, inputs gated", "isolated_pointer", CUT_OUT, gated),
        Unit("pointer, clock gated", "gated_pointer", CUT_OUT, few, delays=False),
        Unit("word multiplexer 16:1", "word_multiplexer", CUT_OUT, alone),
        Unit(
            "byte multiplexer 4:1",
            "word_multiplexer",
            CUT_OUT,
            (Case("chooses", plays.chosen_byte),),
            {"A": 1, "B": A},
        ),
    ]


def _pointer_cases(
    numbers: tuple[int, ...], ahead: int = 0, banks: int = B, channels: int = A
) -> tuple[Case, ...]:
    pointer, still = (
        partial(play, ahead=ahead, banks=banks, channels=channels)
        for play in (plays.pointer, plays.still_pointer)
    )
    found = [
        Case(
            f"{name}, {number} of {banks} banks read", partial(pointer, fills=fills, number=number)
        )
        for name, fills in (("filled", True), ("waits", False))
        for number in numbers
    ]
    return (*found, Case("nothing changes", still))


def gated_pointers() -> list[Unit]:
    """Pointers with gated inputs of other sizes."""
    return [_gated_pointer(*size) for size in GATED_POINTERS]


def _gated_pointer(channels: int, banks: int, ahead: int) -> Unit:
    return Unit(
        f"pointer, inputs gated, A = {channels}, B = {banks}, Q = {ahead}",
        "isolated_pointer",
        CUT_OUT,
        _pointer_cases((banks,), ahead, banks, channels),
        {"A": channels, "B": banks, "Q": ahead},
        options=("",),
        share=ARBITER_SHARE,
        delays=False,
    )


def arbiters() -> list[Unit]:
    sizes = ((16, 16, 0), (32, 16, 0), (64, 16, 0), (16, 8, 0), (16, 32, 0), (16, 16, 1))
    return [_arbiter(*size) for size in sizes]


def _arbiter(pointers: int, banks: int, ahead: int) -> Unit:
    """Without arithmetic, so that both options make the same netlist."""
    arbitrated, nobody_asks = (
        partial(play, pointers=pointers, banks=banks, ahead=ahead)
        for play in (plays.arbitrated, plays.nobody_asks)
    )
    return Unit(
        f"bank arbiter, {pointers} pointers, {banks} banks, Q = {ahead}",
        "bank_arbiter",
        rtl("bank_arbiter"),
        (Case("works", arbitrated), Case("nobody asks", nobody_asks)),
        {"N": pointers, "B": banks, "Q": ahead},
        options=("",),
        share=ARBITER_SHARE,
        delays=(pointers, banks, ahead) == (16, 16, 0),
    )


def lean_arbiters() -> list[Unit]:
    """The last one compares all bits above the bank's, the others those that a tile needs."""
    sizes = [(*size, TILE_BITS) for size in LEAN_ARBITERS]
    return [_lean_arbiter(*size) for size in (*sizes, (16, 16, 0, beats.ADDRESS_BITS))]


def _lean_arbiter(pointers: int, banks: int, ahead: int, bits: int) -> Unit:
    arbitrated, nobody_asks = (
        partial(play, pointers=pointers, banks=banks, ahead=ahead)
        for play in (plays.arbitrated, plays.nobody_asks)
    )
    cases = [Case("works", arbitrated), Case("nobody asks", nobody_asks)]
    if banks == B and pointers > R and not ahead:
        cases += [
            Case(condition, partial(arbitrated, lane_groups=lane_groups))
            for condition, lane_groups in (
                ("base pass, all pointers ask", "same"),
                ("base pass, R pointers ask", "first"),
            )
        ]
    return Unit(
        f"lean arbiter, {pointers} pointers, {banks} banks, Q = {ahead}"
        + ("" if bits == TILE_BITS else ", all bits compared"),
        "lean_arbiter",
        LEAN,
        tuple(cases),
        {"N": pointers, "B": banks, "Q": ahead, "COMPARED_BITS": bits - (banks - 1).bit_length()},
        options=("",),
        share=ARBITER_SHARE if pointers <= 64 else LARGE_SHARE,
        delays=False,
    )


def decoders() -> list[Unit]:
    cases = (
        Case("works, bits as dense as a mask's", partial(plays.decoded, density="density")),
        Case("works, as dense as eight masks' OR", partial(plays.decoded, density="lockstep")),
        Case("has no list", plays.no_list),
    )
    compares = (Case("compares", plays.window_compares),)
    return [
        Unit("bitmap decoder", "bitmap_decoder", rtl("bitmap_decoder"), cases),
        Unit("round window, 2 lists", "round_window", rtl("round_window"), compares),
    ]


def small_ones() -> list[Unit]:
    def unit(name: str, module: str, *cases: tuple[str, Callable[[Draw], Played]]) -> Unit:
        return Unit(name, module, CUT_OUT, tuple(Case(*case) for case in cases))

    byte = (Case("compares", plays.compared_indices),)
    next_operand, beat_length = rtl("next_operand"), rtl("beat_length")
    return [
        unit("comparator, 32 bits", "comparator", ("compares", plays.compared)),
        Unit("comparator, 8 bits", "comparator", CUT_OUT, byte, {"BITS": 8}),
        unit("adder, 32 bits", "adder", ("adds", plays.added)),
        unit("adder and comparator, 32 bits", "added_comparator", ("decides", plays.decided)),
        unit(
            "register, 32 bits", "register", ("written", plays.written), ("idle", plays.not_written)
        ),
        unit("multiplexer 2:1, 32 bits", "multiplexer", ("chooses", plays.chosen)),
        unit("counter, 16 bits", "counter", ("counts", plays.counted)),
        Unit(
            "next operand, A = 4",
            "next_operand",
            next_operand,
            (Case("chooses", plays.next_channels),),
            {"A": A},
        ),
        Unit(
            "beat length, A = 4, B = 16",
            "beat_length",
            beat_length,
            (Case("counts", plays.counted_words),),
            {"A": A, "B": B},
        ),
    ]


def all_units() -> list[Unit]:
    """In the order of the page."""
    return [
        *macs(),
        *pointers(),
        *gated_pointers(),
        *arbiters(),
        *lean_arbiters(),
        *decoders(),
        *small_ones(),
    ]
