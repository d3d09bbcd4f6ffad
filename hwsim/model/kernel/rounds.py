"""The rules of a round (hwsim.model.kernel.passes) as the compiled loops call them."""

from __future__ import annotations

from hwsim.model.kernel import passes
from hwsim.model.kernel.jit import inlined

steps_of, busy_cycles = inlined(passes.steps_of), inlined(passes.busy_cycles)
round_cycles, waits = inlined(passes.round_cycles), inlined(passes.waits)
