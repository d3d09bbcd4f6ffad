"""``python -m tools.verification``: the campaign; its workers import it from its own module."""

import sys

from tools.verification.campaign import main

sys.exit(main())
