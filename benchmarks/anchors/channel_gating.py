"""Channel gating's accelerator: how much of 2.8x fewer FLOPs it turns into time, and what ours do.

Its network, CGNet, decides output by output, as CDG does: a mask bit per channel, V = 1. The figure
compared is the share of the promise, as everywhere in hwsim: saved time over promised saving,
(1 - 1/speed-up) / (1 - 1/2.8). The masks are CDG's and SCDG's on 32x32 images, thresholds shifted
(approximate), and masks drawn at random, bit by bit, of ResNet-18 on 224x224.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

from hwsim.arch.load import load_arch
from hwsim.counters import CAUSES
from hwsim.network import Network, resnet18
from hwsim.run.results import SimResult, named
from hwsim.run.simulate import simulate
from hwsim.run.summary import share_of_promise, summary
from hwsim.trace.files import open_traces
from hwsim.trace.mask_trace import MaskTrace
from hwsim.trace.synthetic import synthetic_trace

from .row import Row, Settings

NAME = "channel-gating"
PROMISE = 2.8
PUBLISHED = {
    "Hua et al., MICRO 2019, abstract: ResNet-18, ImageNet": 2.3,
    "Hua et al., NeurIPS 2019, abstract: ResNet-18, ImageNet": 2.4,
}
"""Speed-up over the same accelerator without gating, by source."""

WORDS, BANKS, RUN_AHEAD = (4, 8, 16), (16, 32, 64), (0, 1)
TILES = (512, 1024, 2048)
"""Pixels of a tile beside the default 256, tried where lists of unequal length hold V = 1 back."""

IMAGES = 4
"""Drawn images of 224x224, one batch."""


class Machine(NamedTuple):
    """A, B, Q, D (0: no window) and P of docs/model/machine.md."""

    word: int
    banks: int
    run_ahead: int
    window: int
    tile: int = 256

    def __str__(self) -> str:
        window = f"D = {self.window}" if self.window else "no window"
        tile = f", P = {self.tile:,}" if self.tile != 256 else ""
        return f"A = {self.word}, B = {self.banks}, Q = {self.run_ahead}, {window}{tile}"


class Point(NamedTuple):
    """A machine's run: speed-up, share of the promise, mm2, and the shares of :func:`losses`."""

    machine: Machine
    speedup: float
    share: float
    area: float
    empty: float
    banks: float

    def __str__(self) -> str:
        return f"{self.speedup:.2f}x, {100 * self.share:.0f} %: {self.machine}, {self.area:.2f} mm2"


def machines(words: Sequence[int] = WORDS, tiles: Sequence[int] = (256,)) -> Iterator[Machine]:
    """Every A, B, Q and P, without a window and with one that fits."""
    for word, banks, run_ahead, tile in product(words, BANKS, RUN_AHEAD, tiles):
        for window in (0, fitting_window(word, banks)):
            # A window of a whole tile is none.
            if window < tile:
                yield Machine(word, banks, run_ahead, window, tile)


def fitting_window(word: int, banks: int) -> int:
    """7/8 of the pixels whose words of one channel place lie in all banks once: A * B.

    56 for A = 4 and B = 16, the best of the windows in docs/evidence/findings.md.
    """
    return word * banks * 7 // 8


def share(speedup: float) -> float:
    """Saved time over the time that the promise saves."""
    return share_of_promise(speedup, PROMISE)


def density_for(network: Network, promise: float = PROMISE) -> float:
    """MAC-weighted density of the masks at which so many times fewer MACs of the network run.

    MACs left = those of layers without gates + base paths + density * the other MACs.
    """
    base = sum(layer.macs // layer.groups for layer in network.gated_layers)
    always = network.macs - network.gated_macs + base
    return (network.macs / promise - always) / (network.gated_macs - base)


def rows(settings: Settings) -> Iterator[Row]:
    """For each kind of masks and V: the cheapest machine that reaches a figure, or the best."""
    for what, trace, lane_group in _masks():
        points = [run(machine, trace, lane_group) for machine in machines()]
        yield from _rows(what, points)
        if what.startswith("CDG's masks, V = 1"):
            more = [run(machine, trace, lane_group) for machine in machines(WORDS[:2], TILES)]
            yield from _rows(f"{what}, P up to {max(TILES):,}", more)


def _masks() -> Iterator[tuple[str, MaskTrace, int]]:
    """What they are, at the density of the promise, and V."""
    traces = {trace.header.method: trace for trace in open_traces()}
    for method, lane_groups in (("cdg", (1, 8)), ("scdg", (8, 16))):
        recorded = traces[method]
        density = density_for(recorded.network)
        shifted = recorded.shifted(recorded.shift_for_density(density))
        for lane_group in lane_groups:
            lockstep = " (lockstep)" if lane_group > shifted.mask_group else ""
            yield f"{method.upper()}'s masks, V = {lane_group}{lockstep}", shifted, lane_group
    network = resnet18(input_size=224, classes=1000)
    density = density_for(network)
    for lane_group in (1, 8, 16):
        drawn = synthetic_trace(network, density, mask_group=lane_group, images=IMAGES)
        yield f"masks of {lane_group} at random, 224x224, V = {lane_group}", drawn, lane_group


def run(machine: Machine, trace: MaskTrace, lane_group: int) -> Point:
    """Dense and gated replay of the same machine."""
    keys = {
        "activation.word_channels": machine.word,
        "activation.banks": machine.banks,
        "activation.run_ahead": machine.run_ahead,
        "index.window": machine.window,
        "index.lane_group": lane_group,
        "partial_sums.entries": 16 * machine.tile,
    }
    arch = load_arch("pe16x16", keys)
    scheme = "structured" if lane_group <= trace.mask_group else "lockstep"
    dense, gated = (simulate(arch, trace, name) for name in ("dense", scheme))
    row = summary(gated, dense)
    return Point(machine, row["speedup"], row["share_realised"], row["area_mm2"], *losses(gated))


def losses(result: SimResult) -> tuple[float, float]:
    """Shares of the cycles: for empty places of the array, and for banks.

    The first is what conditional beats take beyond their executed MACs on all PEs. A place is empty
    where a list has ended before the longest one of its tile, and in lockstep where the mask gates.
    """
    causes = named(CAUSES, result.causes.sum(axis=0))
    gated = result.network.gated_layers
    macs = sum(
        layer.executed_macs(result.density(layer)) - layer.base_steps * layer.macs / layer.steps
        for layer in gated
    )
    busy = result.images * macs / result.arch.pes
    return (causes["conditional"] - busy) / result.cycles, causes["bank_stall"] / result.cycles


def _rows(what: str, points: Iterable[Point]) -> Iterator[Row]:
    points = list(points)
    for source, speedup in PUBLISHED.items():
        wanted = share(speedup)
        theirs = f"{speedup}x of {PROMISE}x: {100 * wanted:.0f} %"
        reaching = [point for point in points if point.share >= wanted]
        if reaching:
            cheapest = min(reaching, key=lambda point: (point.area, point.machine))
            yield Row(NAME, what, theirs, str(cheapest), source, "reached")
            continue
        best = max(points, key=lambda point: (round(point.share, 3), -point.area))
        behind = 100 * (wanted - best.share)
        held = (
            f"{100 * best.empty:.0f} % of its cycles go to empty places, "
            f"{100 * best.banks:.0f} % to banks"
        )
        verdict = f"missed: {behind:.0f} points; {held}"
        yield Row(NAME, what, theirs, f"at most {best}", source, verdict)
