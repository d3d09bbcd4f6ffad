"""Cycles and counters: the two models of docs/model.

``plan`` (a layer's mask-independent part), ``channel_plan``,
``replay`` (a trace on either model), ``kernel`` (compiled), ``reference`` (event by event).
"""

from typing import Literal

Engine = Literal["kernel", "reference"]
"""The models that a run can be made with; both return the same integers."""
