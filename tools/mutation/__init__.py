"""The campaign behind `make mutate`: small changes, one at a time, each of which is to be seen."""

import sys
from pathlib import Path

# The oracle and the benches of the RTL are among the tests.
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
