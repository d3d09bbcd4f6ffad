"""The fuzzing campaign: hostile inputs of every kind that hwsim reads.

``make fuzz`` or ``python -m tools.fuzz`` draws them, each a function of its seed, and runs every
one in a process of its own. docs/evidence/fuzzing.md is its report.
"""
