"""A tile of a trace on the RTL: its waves, and a list of signals for GTKWave (`make rtl-wave`)."""

import sys
from pathlib import Path

# The oracle's layouts and the inputs of the RTL are among the tests.
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
