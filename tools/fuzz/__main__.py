"""``python -m tools.fuzz``: the campaign."""

import os
import sys

# A process is forked for each input: none of these may have started threads before.
for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA"):
    os.environ[f"{name}_NUM_THREADS"] = "1"
os.environ["MPLBACKEND"] = "Agg"

from tools.fuzz.campaign import main  # noqa: E402

sys.exit(main())
