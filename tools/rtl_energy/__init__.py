"""Energy and area of the machine's units, measured from gates (``make rtl-energy``).

``liberty`` reads a cell library, ``netlist`` maps a unit to its cells with yosys, ``bench`` plays
operands (``operands``, ``beats``) through the gates in Icarus Verilog and counts ``toggles``,
``energy`` sums what a toggle takes, ``sta`` holds leakage to OpenSTA's. ``units`` says what is
built and under which conditions, ``measure`` does it, ``page`` writes docs/evidence/gates.md.
"""
