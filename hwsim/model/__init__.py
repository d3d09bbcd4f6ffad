"""Cycles and counters: the two models of docs/model.

``latencies`` (what both share), ``plan`` (a layer's mask-independent part), ``channel_plan``,
``replay`` (a trace on either model), ``kernel`` (compiled), ``reference`` (event by event).
"""
