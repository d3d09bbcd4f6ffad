"""Where a layer's mask comes from, and what a gate decided: bits and margins, copied as they come.

A gate's numbers may be worked on in place as soon as it has returned, so nothing is kept of them
but copies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from hwsim.errors import nearest
from hwsim.train.record.masks.recording_error import RecordingError

Pick: TypeAlias = int | str | Callable[[Any], Tensor]
"""Which tensor of a module's output: an index, a key, or a function of the output."""

Gate: TypeAlias = (
    str | nn.Module | tuple[str | nn.Module, Pick] | Callable[[nn.Module, tuple, Any], Tensor]
)
"""Where a layer's mask comes from: a module (or its path) whose output it is; such a module and
what to take of its output; or a function of the layer's module, inputs and output."""


class Decision(NamedTuple):
    """``bits``: bool, in the gate's own shape. ``margins``: its numbers, float, or None."""

    bits: Tensor
    margins: Tensor | None

    def same(self, other: Decision) -> bool:
        """Whether both say the same of every bit, and of every margin that is kept."""
        if not torch.equal(self.bits, other.bits):
            return False
        if self.margins is None or other.margins is None:
            return self.margins is other.margins
        return torch.equal(self.margins, other.margins)


class Source(NamedTuple):
    """The gate of ``layer``: ``module`` and what is taken of its output, or else ``function``."""

    layer: str
    module: nn.Module | None = None
    pick: Pick | None = None
    function: Callable[[nn.Module, tuple, Any], Tensor] | None = None

    @classmethod
    def of(cls, layer: str, gate: Gate, modules: Mapping[str, nn.Module]) -> Source:
        """Raises RecordingError where there is no such module."""
        pick = None
        if isinstance(gate, tuple):
            if len(gate) != 2:
                raise RecordingError(
                    f"layer {layer}: a gate of {len(gate)} parts; expected a module and what to "
                    "take of its output"
                )
            gate, pick = gate
            if not isinstance(pick, int | str) and not callable(pick):
                raise RecordingError(
                    f"layer {layer}: {pick!r} of its gate's output; expected an index, a key or a "
                    "function of the output"
                )
        if isinstance(gate, str):
            if gate not in modules:
                raise RecordingError(f"no module {gate!r} in the model{nearest(gate, modules)}")
            gate = modules[gate]
        if isinstance(gate, nn.Module):
            return cls(layer, gate, pick)
        if not callable(gate) or pick is not None:
            raise RecordingError(
                f"layer {layer}: its gate is a {type(gate).__name__}; expected a module, its path "
                "or a function"
            )
        return cls(layer, function=gate)

    def taken(self, output: Any) -> Tensor:
        """The one tensor of a gate's output that is the mask. Raises RecordingError."""
        if callable(self.pick):
            return self._tensor(self.pick(output), "what was picked of its gate's output")
        if self.pick is not None:
            return self._picked(output)
        if isinstance(output, tuple | list) and len(output) == 1:
            return self._tensor(output[0], "its gate's output")
        if not isinstance(output, Tensor):
            raise RecordingError(
                f"layer {self.layer}: its gate returns {_described(output)}; say which is the "
                f"mask: ({self.layer!r}: (gate, index or key), or a function of the output)"
            )
        return output

    def _picked(self, output: Any) -> Tensor:
        if isinstance(output, Tensor):
            raise RecordingError(
                f"layer {self.layer}: its gate returns one tensor; leave {self.pick!r} out"
            )
        try:
            found = output[self.pick]
        except (KeyError, IndexError, TypeError):
            raise RecordingError(
                f"layer {self.layer}: no {self.pick!r} in its gate's output, {_described(output)}"
            ) from None
        return self._tensor(found, f"item {self.pick!r} of its gate's output")

    def told(self, module: nn.Module, inputs: tuple, output: Any) -> Tensor:
        """What a function says of the layer that has just run."""
        assert self.function is not None
        found = self.function(module, inputs, output)
        return self._tensor(found, "what its gate's function returns")

    def _tensor(self, found: Any, what: str) -> Tensor:
        if not isinstance(found, Tensor):
            raise RecordingError(
                f"layer {self.layer}: {what} is {_described(found)}, expected a tensor"
            )
        return found


def _described(output: Any) -> str:
    """How many tensors an output has, and how they are told apart."""
    if isinstance(output, Mapping):
        return f"a dict of {len(output)} ({', '.join(map(repr, output))})"
    if isinstance(output, tuple | list):
        kinds = (str(tuple(o.shape)) if isinstance(o, Tensor) else type(o).__name__ for o in output)
        return f"a {type(output).__name__} of {len(output)} ({', '.join(kinds)})"
    return f"a {type(output).__name__}"


def decided(layer: str, found: Tensor, with_margins: bool) -> Decision:
    """Copies of what a gate says: bool as it is, of numbers those above 0 are a 1.

    ``with_margins`` keeps floats, too: double as it is, other types as fp32. Raises RecordingError
    for NaN, for complex numbers, and where margins are wanted of a gate that gives bits.
    """
    found = found.detach()
    if found.is_meta:
        raise RecordingError(
            f"layer {layer}: its gate gives a tensor on meta, which has no numbers"
        )
    if found.is_quantized:
        found = found.dequantize()
    if found.layout is not torch.strided:
        found = found.to_dense()
    if found.is_complex():
        raise RecordingError(f"layer {layer}: its gate gives complex numbers; expected real ones")
    if found.is_floating_point():
        if found.element_size() == 1:
            found = found.float()  # which PyTorch cannot compare
        _refuse_nan(layer, found)
    elif with_margins:
        raise RecordingError(
            f"layer {layer}: its gate gives {str(found.dtype).removeprefix('torch.')}, which has "
            "no margins; salience_images goes with gates that give floats"
        )
    if found.dtype == torch.bool:
        return Decision(found.clone(), None)
    margins = None
    if with_margins:
        margins = found.clone() if found.dtype == torch.float64 else found.float().clone()
    if found.is_signed():
        found = found.clamp(min=0)  # above 0, in a third of the time of comparing
    return Decision(found.bool(), margins)


def _refuse_nan(layer: str, found: Tensor) -> None:
    # A sum takes a twentieth of the time of looking at each number; it is NaN where one of them is.
    if math.isnan(found.sum().item()) and (count := int(torch.isnan(found).sum())):
        raise RecordingError(
            f"layer {layer}: {count} of its gate's {found.numel()} numbers are NaN, which is "
            "neither above 0 nor not"
        )
