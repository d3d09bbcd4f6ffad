"""Runs that end in the middle of their training, as by a signal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from torch import Tensor

from hwsim.train.trainer import Trainer


class Killed(BaseException):
    """Raised in place of the signal that ends a run."""


@contextmanager
def killed_after(steps: int) -> Iterator[None]:
    """Training inside ends at the beginning of the step after ``steps``."""
    train_step = Trainer.train_step

    def step_or_end(trainer: Trainer) -> tuple[Tensor, Tensor]:
        if trainer.step == steps:
            raise Killed
        return train_step(trainer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "train_step", step_or_end)
        with pytest.raises(Killed):
            yield
