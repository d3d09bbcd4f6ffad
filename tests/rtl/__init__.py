"""The RTL under cocotb, run by Icarus Verilog: what it says is compared here, in pytest.

The modules called ``*_bench`` run inside the simulator: they drive cases and write down what they
saw. ``simulator.py`` builds, runs and hands the observations back.
"""
