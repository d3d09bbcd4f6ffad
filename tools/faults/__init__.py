"""The campaign behind `make faults`: commands are killed, stopped and starved, then run again."""

import sys
from pathlib import Path

# The small traces and drawn images are among the tests.
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
