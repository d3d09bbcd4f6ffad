"""Ones in uint64 words: how many there are, and where the n-th one lies."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features, get_host_cpu_name

from hwsim.model.kernel.jit import DISABLED, cgutils, compiled, inlined, intrinsic, numba

_U0, _U1, _U2, _U3, _U4 = (np.uint64(n) for n in range(5))
_U8, _U16, _U32, _U56, _U63 = (np.uint64(n) for n in (8, 16, 32, 56, 63))
_M1 = np.uint64(0x5555555555555555)
_M2 = np.uint64(0x3333333333333333)
_M4 = np.uint64(0x0F0F0F0F0F0F0F0F)
_BYTE = np.uint64(0xFF)
_EACH_BYTE = np.uint64(0x0101010101010101)
_EACH_SIGN = np.uint64(0x8080808080808080)

_NTH = np.array(
    [
        (*(place for place in range(8) if byte >> place & 1), *[0] * (8 - byte.bit_count()))
        for byte in range(256)
    ],
    np.uint8,
)
"""(256, 8): where the n-th one (from 0) of a byte lies."""


@inlined
def ones_before(word):
    """uint64 of eight bytes: the ones of a word up to and with each of its own bytes.

    Adding shifted copies, not multiplying: it must not overflow where JIT is disabled.
    """
    word = word - ((word >> _U1) & _M1)
    word = (word & _M2) + ((word >> _U2) & _M2)
    word = (word + (word >> _U4)) & _M4
    word = word + (word << _U8)
    word = word + (word << _U16)
    return word + (word << _U32)


@compiled
def _summed(word):
    """Ones of a uint64."""
    return np.int64(ones_before(word) >> _U56)


@intrinsic
def _counted(typing_context: Any, word: Any) -> Any:
    """Ones of a uint64, by the machine's own instruction."""

    def count(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return numba.int64(numba.uint64), count


popcount = _summed if DISABLED else _counted
"""int64: ones of a uint64."""


@inlined
def _searched(word, n):
    """The ``n`` lowest ones of a word, which has as many (n from 1)."""
    before = ones_before(word)
    # The sign of each byte that has the n-th one in it or below; no byte borrows from another.
    behind = ((before | _EACH_SIGN) - np.uint64(n) * _EACH_BYTE) & _EACH_SIGN
    byte = np.uint64(8 - popcount(behind)) << _U3
    rest = n - np.int64(((before << _U8) >> byte) & _BYTE) - 1
    place = byte + np.uint64(_NTH[(word >> byte) & _BYTE, rest])
    return word & (~_U0 >> (_U63 - place))


@intrinsic
def _deposit(typing_context: Any, source: Any, word: Any) -> Any:
    """The lowest bits of ``source`` at the places of a word's ones: BMI2's PDEP."""

    def deposit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = arguments[0].type
        form = ir.FunctionType(bits, [bits, bits])
        function = cgutils.get_or_insert_function(builder.module, form, "llvm.x86.bmi.pdep.64")
        return builder.call(function, arguments)

    return numba.uint64(numba.uint64, numba.uint64), deposit


@inlined
def _deposited(word, n):
    """The same in one instruction."""
    return _deposit(~_U0 >> np.uint64(64 - n), word)


def _deposits() -> bool:
    """Whether the processor has that instruction, and not as a slow loop of its own."""
    if DISABLED:
        return False
    slow = ("znver1", "znver2", "bdver4")
    return bool(get_host_cpu_features().get("bmi2")) and get_host_cpu_name() not in slow


lowest_ones = _deposited if _deposits() else _searched
"""uint64: the ``n`` lowest ones of a word, which has as many (n from 1)."""
