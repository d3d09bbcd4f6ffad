"""``hwsim train``: from images to encoder weights and a mask trace.

    hwsim train --method cdg --data DIR --out DIR --minutes 60
    hwsim train --stage finetune --weights FILE --data DIR --out DIR --epochs 15

Learning rate and resolution follow the progress of the run, from 0 to 1, counted in steps, epochs
(--epochs) or training time (--minutes). A run that was stopped or killed is continued by the same
command; SIGTERM and Ctrl-C end it after a step, saved.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from hwsim.cli import status_of


def build_parser() -> argparse.ArgumentParser:
    """Raises ModuleNotFoundError without torch."""
    from hwsim.train import options

    return options.parser()


def main(arguments: Sequence[str] | None = None) -> int:
    return status_of(
        "hwsim train",
        lambda: _train(arguments),
        "interrupted; the same command goes on where it was saved",
    )


def _train(arguments: Sequence[str] | None) -> None:
    # Torch is loaded here, so that its absence is one line.
    from hwsim.train import options
    from hwsim.train.loop import train

    train(options.parse(arguments))


if __name__ == "__main__":
    sys.exit(main())
