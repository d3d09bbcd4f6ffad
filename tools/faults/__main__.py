"""``python -m tools.faults``: the campaign."""

import sys

from tools.faults.campaign import main

sys.exit(main())
