"""Replay of a layer: tiles in loop order, rounds as dispatched, operands by address.

What is counted is what was touched: cycles and counters of the contract (docs/model), for
comparison with the kernel's.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from hwsim.arch.config import ArchConfig
from hwsim.arch.schemes import Scheme
from hwsim.mapping.pointers import pixel_addresses
from hwsim.mapping.residency import map_network
from hwsim.mapping.tiles import Mapping, tile_layer
from hwsim.network import Network

from .buffers import ActivationBuffer, Pass, steps_of_pass
from .data import LayerData
from .dispatch import rounds_of_tile


@dataclass
class Replay:
    """A layer's partial sums while its tiles run; channels by pixels of all images throughout.

    ``sums`` int32; ``base_parts`` and ``conditional_parts`` int64: how often an output got each
    part; ``mask`` bool (mask lists, pixels); ``counts``: causes and counters by name.
    """

    arch: ArchConfig
    scheme: Scheme
    data: LayerData
    mapping: Mapping
    sums: np.ndarray = field(init=False)
    mask: np.ndarray = field(init=False)
    base_parts: np.ndarray = field(init=False)
    conditional_parts: np.ndarray = field(init=False)
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        shape = (self.data.layer.out_channels, self.mapping.total_pixels)
        self.sums = np.zeros(shape, np.int32)
        self.mask = np.zeros((len(self.data.thresholds), shape[1]), bool)
        self.base_parts = np.zeros(shape, np.int64)
        self.conditional_parts = np.zeros(shape, np.int64)
        self.buffer = ActivationBuffer(self.data, self.mapping, self.arch)
        self.addresses = pixel_addresses(self.mapping.pointers)

    def run_tile(self, columns: slice, pixels: slice) -> None:
        """Base pass, decision on its drained sums, conditional pass; or the one dense pass."""
        assert pixels.stop - pixels.start <= self.arch.tile_pixels
        every = list(range(self.data.layer.groups))
        if self.scheme.kind == "dense":
            self._first_pass(steps_of_pass(self.data, self.buffer, every, columns), columns, pixels)
            return
        base = self.data.base_group(columns.start)
        self._first_pass(steps_of_pass(self.data, self.buffer, [base], columns), columns, pixels)
        own = self._decide(columns, pixels)
        others = [group for group in every if group != base]
        conditional = steps_of_pass(self.data, self.buffer, others, columns)
        if self.scheme.kind == "clock-gated":
            self.counts["psum_conditional_reads"] += int(own.any(0).sum())
            rounds = self._consecutive(1, pixels)
        else:
            rounds = rounds_of_tile(self.arch, self.scheme, own)
            self.counts["psum_conditional_reads"] += sum(len(n) for each in rounds for n in each)
        for each in rounds:
            self._run_round(conditional, each, columns, pixels, own)
            self.counts["conditional"] += conditional.steps

    def _first_pass(self, steps: Pass, columns: slice, pixels: slice) -> None:
        for each in self._consecutive(self.scheme.lane_groups(steps.weights.shape[1]), pixels):
            self._run_round(steps, each, columns, pixels, None)
            self.counts["base"] += steps.steps
            self.counts["psum_base_writes"] += sum(map(len, each))

    def _consecutive(self, lane_groups: int, pixels: slice) -> list[list[np.ndarray]]:
        every, rows = np.arange(pixels.stop - pixels.start), self.arch.array.rows
        return [[every[at : at + rows]] * lane_groups for at in range(0, len(every), rows)]

    def _decide(self, columns: slice, pixels: slice) -> np.ndarray:
        """The comparators; returns every column's own bits, bool (columns, pixels of the tile).

        A list's channels have to lie in one tile: what an adder cannot see, it cannot add.
        """
        group = self.data.mask_group
        assert columns.start % group == 0
        assert columns.stop % group == 0
        lists = slice(columns.start // group, columns.stop // group)
        drained = self.sums[columns, pixels].astype(np.int64)
        added = drained.reshape(lists.stop - lists.start, group, -1).sum(1)
        self.mask[lists, pixels] = added > self.data.thresholds[lists, None]
        self.counts["comparator_ops"] += added.size
        self.counts["adder_ops"] += drained.size - added.size
        return np.repeat(self.mask[lists, pixels], group, axis=0)

    def _run_round(
        self,
        steps: Pass,
        lists: list[np.ndarray],
        columns: slice,
        pixels: slice,
        own: np.ndarray | None,
    ) -> None:
        """One round: ``lists`` of pixels by lane group; with ``own``, lanes are gated by it."""
        assert all(len(pointers) <= self.arch.array.rows for pointers in lists)
        pointed = np.concatenate(lists) + pixels.start
        words = self._fetch(steps, self.addresses[pointed] + steps.offsets[:, None])
        operands = words[steps.beat, :, steps.lane].astype(np.int32)  # (steps, pointers)
        self.counts["weight_word_reads"] += steps.steps
        ends = np.cumsum([len(pointers) for pointers in lists])
        for j, (pointers, end) in enumerate(zip(lists, ends, strict=True)):
            first = j * self.scheme.lane_group
            lanes = slice(first, min(first + self.scheme.lane_group, steps.weights.shape[1]))
            accumulated = steps.weights[:, lanes].T @ operands[:, end - len(pointers) : end]
            enabled = None if own is None else own[lanes, pointers]
            channels = np.arange(columns.start + lanes.start, columns.start + lanes.stop)
            self._drain(accumulated, enabled, channels, pointers + pixels.start, steps.steps)

    def _fetch(self, steps: Pass, addresses: np.ndarray) -> np.ndarray:
        """Words of a round, int8 (beats, pointers, A), from addresses (beats, pointers)."""
        banks, beats = self.arch.activation.banks, len(addresses)
        ordered = np.sort(addresses, axis=1)
        distinct = np.diff(ordered, axis=1, prepend=-1) != 0
        places = (np.arange(beats)[:, None] * banks + ordered % banks)[distinct]
        loads = np.bincount(places, minlength=beats * banks).reshape(beats, banks).max(1)
        self.counts["line_fills"] += addresses.size
        self.counts["activation_word_reads"] += int(distinct.sum())
        self.counts["bank_stall"] += int(np.maximum(0, loads - steps.beat_steps).sum())
        return self.buffer.words[addresses]

    def _drain(
        self,
        accumulated: np.ndarray,
        enabled: np.ndarray | None,
        channels: np.ndarray,
        pixels: np.ndarray,
        steps: int,
    ) -> None:
        """Accumulators (lanes, pointers) into the partial sums; no bit of its own, no addition."""
        where = channels[:, None], pixels[None]
        if enabled is None:
            self.sums[where] = accumulated
            np.add.at(self.base_parts, where, 1)
            self.counts["macs_base"] += accumulated.size * steps
            return
        np.add.at(self.sums, where, np.where(enabled, accumulated, 0))
        np.add.at(self.conditional_parts, where, enabled)
        self.counts["macs_conditional"] += int(enabled.sum()) * steps
        self.counts["macs_gated_off"] += int((~enabled).sum()) * steps


def replay(arch: ArchConfig, scheme: Scheme, data: LayerData) -> Replay:
    """The layer alone in its network, all images in one batch."""
    network = Network(name="alone", layers=(data.layer,))
    mapping = map_network(network, arch, data.images, scheme.gating("batch"))[0]
    tiles = tile_layer(mapping)
    run = Replay(arch, scheme, data, mapping)
    for channel, width, pixel, count in zip(
        tiles.channel_start, tiles.width, tiles.pixel_start, tiles.pixels, strict=True
    ):
        columns = slice(int(channel), int(channel + width))
        run.run_tile(columns, slice(int(pixel), int(pixel + count)))
    run.counts["psum_conditional_writes"] = run.counts["psum_conditional_reads"]
    return run
