"""Machines at their bounds: no number wraps, no array is read out of its range.

Kernel and reference agree there, one in NumPy's integers, the other event by event; a dense layer
takes what its closed form says, in Python's integers, which have no bound.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from extreme_machines import extremes, machine
from oracle.closed_form import closed_form
from oracle.machines import network

from hwsim.arch.load import ArchError, load_arch
from hwsim.arch.schemes import parse_scheme
from hwsim.counters import CAUSES, COUNTERS, C
from hwsim.errors import UserError
from hwsim.mapping.residency import map_network
from hwsim.mapping.tiles import MappingError, dma_cycles, dma_ratio, tile_layer
from hwsim.model.fixed import fixed_by_visit
from hwsim.model.kernel.channels.layers import Dma, _cycles_of
from hwsim.model.kernel.mask_words import TileWords
from hwsim.model.plan import plan_network
from hwsim.model.stalls import Bytes, transfers_of
from hwsim.model.totals import require_countable
from hwsim.network import ConvLayer, MapLayer, Network
from hwsim.run.simulate import replay_by_tile, simulate
from hwsim.trace.mask_trace import MaskTrace
from hwsim.trace.synthetic import synthetic_trace
from tools.verification.replay import Replayed, difference, replay

MACHINES = dict(extremes())
each_machine = pytest.mark.parametrize("keys", MACHINES.values(), ids=MACHINES)

GATED = ConvLayer(
    name="gated", in_channels=4, in_height=5, in_width=5, out_channels=16, kernel_size=3,
    padding=1, gated=True, groups=2,
)  # fmt: skip
TRACE = synthetic_trace(network(GATED), 0.4, mask_group=8, images=2, seed=1)


SMALL_BUFFERS = {"activation.buffer_kib": 1, "partial_sums.entries": 256, "array.columns": 4}
"""Beside their staging tiles a kibibyte still has room."""


def fits(keys: dict[str, Any]) -> dict[str, Any]:
    """The keys, and others where a buffer of 1 KiB would hold no pixel."""
    if keys.get("activation.buffer_kib") != 1:
        return keys
    columns = min(keys.get("array.columns", 4), 4)
    return {**keys, **SMALL_BUFFERS, "array.columns": columns, "array.rows": 4}


@each_machine
@pytest.mark.parametrize("scheme", ["structured", "unstructured", "clock-gated"])
def test_kernel_and_reference_agree_at_the_bounds(keys: dict[str, Any], scheme: str) -> None:
    arch = machine({**fits(keys), "array.zero_gating": False})
    case = Replayed(arch, TRACE, scheme, batch=2)
    if scheme == "structured" and arch.index.lane_group not in (2, 4, 8):
        case = replace(case, scheme="unstructured")
    expected, actual = replay(case, "reference"), replay(case, "kernel")
    assert difference(case, expected, actual, ("reference", "kernel")) is None
    for cycles, counts in actual:
        assert (cycles >= 0).all()
        assert (counts >= 0).all()
        assert counts[:, C["macs_base"]].sum() == GATED.macs  # half of them, of two images


@each_machine
def test_a_dense_layer_takes_its_closed_form(keys: dict[str, Any]) -> None:
    arch = machine({**fits(keys), "activation.bank_conflicts": "none"})
    layer = ConvLayer(
        name="a", in_channels=3, in_height=9, in_width=7, out_channels=20, kernel_size=3
    )
    scheme, shapes = parse_scheme("dense", arch), (arch.array.shapes[0],)
    (plan,) = plan_network(arch, network(layer), scheme, 1, "off", 1, shapes)
    ((cycles, counts),) = replay_by_tile(arch, MaskTrace.of_network(network(layer)), "dense")
    inside = sum(int(cycles[:, CAUSES.index(c)].sum()) for c in ("base", "bank_stall", "drain"))
    entries = plan.mapping.pixels * arch.array.columns
    assert inside == closed_form(layer, arch.array.rows, arch.array.columns, entries)
    assert counts[:, C["macs_base"]].sum() == layer.macs
    per_byte = Fraction(100 * arch.clock_hz, arch.dram.bytes_per_s * arch.dram.efficiency_percent)
    moved = sum(int(plan.moves.counts[C[name]]) for name in COUNTERS if name.startswith("dram"))
    dram = int(cycles[:, CAUSES.index("dram_stall")].sum())
    assert 0 <= dram <= moved * per_byte + 3 * len(cycles)


def ceiling(moved: int, ratio: tuple[int, int]) -> int:
    """Cycles of a transfer, in integers without bound."""
    return -(-moved * ratio[0] // ratio[1])


SLOWEST = {"clock_mhz": 10_000, "dram.bandwidth_gb_per_s": 0.001, "dram.efficiency_percent": 1}
ODD = {
    "clock_mhz": 9_999,
    "dram.bandwidth_gb_per_s": 76543.210987651,
    "dram.efficiency_percent": 97,
}
EFFICIENT = {"clock_mhz": 10_000, "dram.efficiency_percent": 79}


@pytest.mark.parametrize("keys", [SLOWEST, ODD, EFFICIENT, *MACHINES.values()])
def test_transfers_are_exact_however_large(keys: dict[str, Any]) -> None:
    arch = machine(keys)
    ratio = dma_ratio(arch)
    moved = [0, 1, 511, 10**9 + 7, 2**37 + 1, 2**40]
    expected = [ceiling(each, ratio) for each in moved]
    assert dma_cycles(np.array(moved, np.int64), arch).tolist() == expected
    assert [int(dma_cycles(np.int64(each), arch)) for each in moved] == expected
    assert [_cycles_of(Dma(*ratio), each) for each in moved] == expected
    assert dma_cycles(np.zeros(0, np.int64), arch).tolist() == []


BIG = 1 << 24
NO = np.zeros((1, 1), np.int64)
LARGEST = {
    "output channels": {"out_channels": BIG},
    "rows": {"in_height": 1 << 20},
    "columns": {"in_width": BIG},
    "strides": {"stride": BIG, "padding": BIG},
    "dilation": {"kernel_size": 2, "dilation": BIG, "padding": BIG // 2},
    "many inputs": {"in_channels": 1 << 20},
    "many taps": {"kernel_size": 1024, "padding": 512},
    "many groups": {"in_channels": 1024, "out_channels": 1024, "gated": True, "groups": 1024},
    "depth": {"in_channels": 4096, "out_channels": 4096, "conv_groups": 4096, "in_height": 512,
              "in_width": 512},
    "map": {"in_height": 32768, "in_width": 32768},
}  # fmt: skip


def layer(**keys: Any) -> ConvLayer:
    one = {"in_channels": 1, "in_height": 1, "in_width": 1, "out_channels": 1, "kernel_size": 1}
    return ConvLayer(name="a", **{**one, **keys})


SLOW_ONES = [
    pytest.param({"in_height": BIG}, marks=pytest.mark.slow, id="most rows"),
    pytest.param({"in_channels": BIG}, marks=pytest.mark.slow, id="most inputs"),
    pytest.param({"kernel_size": 4096, "padding": 2048}, marks=pytest.mark.slow, id="most taps"),
    pytest.param(
        {"in_channels": 4096, "out_channels": 4096, "gated": True, "groups": 4096},
        marks=pytest.mark.slow, id="most groups",
    ),
]  # fmt: skip


@pytest.mark.parametrize("machine_keys", ["all lowest", "all highest", "batch=1"])
@pytest.mark.parametrize(
    "keys", [*(pytest.param(keys, id=name) for name, keys in LARGEST.items()), *SLOW_ONES]
)
def test_the_largest_layers_are_planned_or_refused_in_one_line(
    keys: dict[str, Any], machine_keys: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is counted one by one would take seconds: what is allowed is cut to a thousandth."""
    for name in ("PIXELS", "VISITS", "VISITED", "WORDS", "PLACES"):
        monkeypatch.setattr(f"hwsim.mapping.limits.MOST_{name}", 1 << 16)
    arch = machine({**MACHINES[machine_keys], "activation.buffer_kib": 1 << 20})
    one = layer(**keys)
    scheme = parse_scheme("clock-gated" if one.gated else "dense", arch)
    shapes = (arch.array.shapes[0],)
    try:
        (plan,) = plan_network(arch, network(one), scheme, 1, "batch", arch.batch, shapes)
    except MappingError as error:
        refused = str(error)
    else:
        refused = ""
    if refused:
        assert refused.startswith("layer a: ")
        assert "\n" not in refused
        return
    moves = plan.moves
    cycles, counts = fixed_by_visit(plan.setting)
    for found in (cycles, counts, *plan.fixed, moves.before, moves.after, moves.exposed):
        assert (found >= 0).all()
    assert [int(each) for each in counts.sum(axis=0)] == plan.fixed.counts.tolist()
    macs = sum(int(count) for count in counts[:, C["macs_base"]])
    assert macs == arch.batch * one.macs // one.groups
    transfers = transfers_of(Bytes.of([plan.tiles.emptied_pixels], [[moves]], NO, NO), arch)
    ratio, tiles = dma_ratio(arch), plan.tiles
    for bytes_, cycles in (
        (tiles.output_bytes, transfers.stores),
        (tiles.weight_bytes, transfers.exposed),
    ):
        exact = [ceiling(int(each), ratio) for each in bytes_[:50]]
        assert cycles[0, :50].tolist() in (exact, [0] * len(exact), [0, *exact[1:]])


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"in_channels": BIG, "kernel_size": 2, "padding": 1}, "67,108,864; at most 16,777,216"),
        ({"in_channels": 8192, "out_channels": 8192, "gated": True, "groups": 8192},
         "taps x input channels x gating groups are 67,108,864"),
        ({"in_channels": BIG + 1}, "16777216"),
        ({"in_height": 10**9, "in_width": 10**9}, "16777216"),
        ({"in_height": 1 << 16, "in_width": 1 << 15}, "a map of 2,147,483,648 values"),
        ({"kernel_size": 10**30}, "from 1 to 16,777,216"),
    ],
)  # fmt: skip
def test_a_layer_beyond_the_bounds_is_refused(keys: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        layer(**keys)


def test_runs_beyond_63_bits_are_refused_before_they_begin() -> None:
    arch = load_arch("pe16x16")
    one = layer(in_channels=4096, out_channels=4096, in_height=64, in_width=64)
    with pytest.raises(UserError, match=r"7,205,099,696,816,128 MACs .*--images"):
        simulate(arch, MaskTrace.of_network(network(one), 104_848), "dense")
    slow = load_arch("pe16x16", {**SLOWEST, "batch": 1})
    still = MapLayer(
        name="m", operator="pool", in_channels=64, in_height=512, in_width=512, out_channels=64,
        out_height=512, out_width=512,
    )  # fmt: skip
    scheme, shapes = parse_scheme("dense", slow), (slow.array.shapes[0],)
    network_ = Network(name="n", layers=(still,))
    plans = plan_network(slow, network_, scheme, 1, "off", 1, shapes)
    require_countable(plans, slow, 1)
    with pytest.raises(UserError, match=r"layer m: about .* cycles of DRAM .*bandwidth"):
        require_countable(plans, slow, 1 << 24)


def test_tiles_without_end_are_refused_by_what_they_are() -> None:
    deep = layer(in_channels=4096, out_channels=4096, conv_groups=4096, in_height=512, in_width=512)
    with pytest.raises(MappingError, match=r"layer a: 20,971,520 tiles in a batch; at most 2,097"):
        map_network(network(deep), load_arch("pe16x16"), 1, "off")
    wide = layer(in_height=1 << 15, in_width=1 << 15)
    with pytest.raises(MappingError, match="output pixels in a batch; at most 33,554,432"):
        map_network(network(wide), load_arch("pe16x16"), 1, "off")
    far = layer(stride=BIG, padding=BIG)
    with pytest.raises(MappingError, match=r"bytes of input in a batch; .* smaller strides"):
        map_network(network(far), load_arch("pe16x16"), 1, "off")


def test_a_small_map_takes_no_more_memory_on_large_tiles() -> None:
    """Words of masks are those of the longest tile that there is, not that there could be."""
    arch = load_arch("pe16x16", {"partial_sums.entries": 1 << 20, "activation.buffer_kib": 4096})
    (mapping,) = map_network(network(GATED), arch, 2, "batch")
    assert mapping.pixels == 1 << 16
    assert tile_layer(mapping).pixels.tolist() == [50, 50]
    masks = TileWords(mapping.pixel_tiles, 2, GATED.out_pixels, 2)
    assert masks.words == 1


def test_names_of_refused_machines_are_short() -> None:
    for keys, told in {
        ("array.rows", 10**30): "less than or equal to 1024",
        ("clock_mhz", 10**6): "less than or equal to 10000",
        ("dram.bandwidth_gb_per_s", 1e-10): "greater than or equal to 0.001",
        ("dram.pj_per_bit", float("inf")): "finite number",
        ("dram.pj_per_bit", float("nan")): "finite number|greater",
        ("index.lane_group", 2**63 - 1): "less than or equal to 1024",
        ("partial_sums.entries", 2**32): "less than or equal to",
        ("name", "a\x1b[31m"): "printed on a line",
        ("name", "a" * 100_000): "1 to 255 characters",
        ("index.window", "9" * 100_000): "valid integer",
    }.items():
        with pytest.raises(ArchError, match=told) as refused:
            load_arch("pe16x16", dict([keys]))
        assert len(str(refused.value)) < 400
        assert keys[0] in str(refused.value)
        assert "\x1b" not in str(refused.value)
    with pytest.raises(ArchError, match="tiles of more than 65,536 pixels"):
        load_arch("pe16x16", {"partial_sums.entries": 1 << 21})
