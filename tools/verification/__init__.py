"""The campaign behind `make verify`: random cases, models compared on them, what they covered."""

import sys
from pathlib import Path

# The oracle and the benches of the RTL are among the tests.
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
