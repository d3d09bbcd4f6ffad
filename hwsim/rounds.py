"""The rules of a round (hwsim.passes) as the compiled loops call them."""

from __future__ import annotations

from hwsim import passes
from hwsim.jit import inlined

steps_of, busy_cycles = inlined(passes.steps_of), inlined(passes.busy_cycles)
round_cycles, bank_load = inlined(passes.round_cycles), inlined(passes.bank_load)
