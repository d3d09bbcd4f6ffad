"""Beats of LANES rounds at once, in vectors that a compiler does not find by itself in a loop.

Where JIT is disabled the same in plain Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hwsim.model.kernel.jit import DISABLED, intrinsic, numba

LANES, STRIP = 16, 2
"""Rounds side by side, a row of numbers; rows that are worked on at once."""


def _plain(words, shifts, steps, served, starts, now):
    for at in range(len(steps)):
        ends = starts[now] + steps[at]
        now = (now + 1) % len(starts)
        for row in range(len(served)):
            for lane in range(LANES):
                free = max(served[row, lane], starts[now, lane])
                served[row, lane] = free + words[shifts[at] + row, lane]
                ends[lane] = max(ends[lane], served[row, lane])
        starts[now] = ends
    return now


class _Arrays:
    """Rows and strips of rows of arrays (rows, LANES), C order, as values of LLVM."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Sequence[Any]):
        ir = numba.core.cgutils.ir
        self._builder = builder
        self._arrays = [
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args[:5], arguments[:5], strict=True)
        ]
        self.number = ir.IntType(signature.args[0].dtype.bitwidth)
        self.align = signature.args[0].dtype.bitwidth // 8
        self.row = ir.VectorType(self.number, LANES)
        self.strip = ir.VectorType(self.number, STRIP * LANES)

    def _at(self, array: int, row: Any, kind: Any) -> Any:
        first = self._builder.bitcast(self._arrays[array].data, self.row.as_pointer())
        return self._builder.bitcast(self._builder.gep(first, [row]), kind.as_pointer())

    def load(self, array: int, row: Any, kind: Any) -> Any:
        loaded = self._builder.load(self._at(array, row, kind))
        loaded.align = self.align
        return loaded

    def store(self, value: Any, array: int, row: Any) -> None:
        self._builder.store(value, self._at(array, row, value.type)).align = self.align

    def item(self, array: int, at: Any) -> Any:
        return self._builder.load(self._builder.gep(self._arrays[array].data, [at]))

    def everywhere(self, array: int, at: Any) -> Any:
        """A row of one item."""
        ir = numba.core.cgutils.ir
        first = ir.Constant(ir.IntType(32), 0)
        row = self._builder.insert_element(ir.Constant(self.row, None), self.item(array, at), first)
        return self._builder.shuffle_vector(
            row, row, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        )

    def size(self, array: int) -> Any:
        return self._builder.extract_value(self._arrays[array].shape, 0)

    def larger(self, one: Any, other: Any) -> Any:
        return self._builder.select(self._builder.icmp_signed(">", one, other), one, other)

    def part(self, value: Any, first: int, kind: Any) -> Any:
        """Numbers of a vector from ``first`` on, from its start again where it ends."""
        ir = numba.core.cgutils.ir
        places = [(first + place) % value.type.count for place in range(kind.count)]
        chosen = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), places)
        return self._builder.shuffle_vector(value, value, chosen)


@intrinsic
def _vector(
    typing_context: Any, words: Any, shifts: Any, steps: Any, served: Any, starts: Any, now: Any
) -> Any:
    utils = numba.core.cgutils

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        arrays = _Arrays(context, builder, signature, arguments)
        zero, one, strip = (context.get_constant(numba.intp, n) for n in (0, 1, STRIP))
        now = utils.alloca_once_value(builder, arguments[5])
        start = utils.alloca_once_value(builder, arrays.load(4, arguments[5], arrays.row))
        latest = utils.alloca_once(builder, arrays.strip)
        with utils.for_range(builder, arrays.size(2)) as beat:
            following = builder.add(builder.load(now), one)
            wraps = builder.icmp_signed(">=", following, arrays.size(4))
            builder.store(builder.select(wraps, zero, following), now)
            floor = arrays.part(arrays.load(4, builder.load(now), arrays.row), 0, arrays.strip)
            shift = arrays.item(1, beat.index)
            builder.store(floor, latest)
            turns = utils.for_range_slice(builder, zero, arrays.size(3), strip)
            with turns as (row, _):
                free = arrays.larger(arrays.load(3, row, arrays.strip), floor)
                done = builder.add(free, arrays.load(0, builder.add(row, shift), arrays.strip))
                arrays.store(done, 3, row)
                builder.store(arrays.larger(builder.load(latest), done), latest)
            if signature.args[2].ndim == 2:
                steps = arrays.load(2, beat.index, arrays.row)
            else:
                steps = arrays.everywhere(2, beat.index)
            end = builder.add(builder.load(start), steps)
            for row in range(STRIP):
                end = arrays.larger(end, arrays.part(builder.load(latest), row * LANES, arrays.row))
            builder.store(end, start)
            arrays.store(end, 4, builder.load(now))
        return builder.load(now)

    return numba.intp(words, shifts, steps, served, starts, now), emit


play = _plain if DISABLED else _vector
"""play(words, shifts, steps, served, starts, now): the recurrence of docs/model/run_ahead.md.

``words`` (rows + R, LANES), ``served`` (R, LANES): F_b, R a multiple of STRIP, ``starts`` (Q + 1,
LANES): E of the last beats in a ring, ``now`` the last one's place, and ``steps`` (beats,), or
(beats, LANES) where rounds have their own: all of one type of integers. ``shifts`` int64 (beats,):
beat t adds the R rows of words from ``shifts[t]`` on. Returns where E of the beat after the last
stands in ``starts``.
"""
