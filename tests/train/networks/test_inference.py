"""Hooks and modes end with their block, also by an error."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hwsim.train.networks.inference import hooked, without_gradients


def test_hooks_are_called_in_order_and_removed_after_an_error() -> None:
    layer, seen = nn.Linear(2, 2), []

    def note(word: str):
        return lambda *_: seen.append(word)

    def run_and_fail() -> None:
        before, after = [(layer, note("a")), (layer, note("b"))], [(layer, note("c"))]
        with hooked(before=before, after=after):
            layer(torch.zeros(1, 2))
            layer(torch.zeros(1, 3))  # of a wrong width: no hook after it

    with pytest.raises(RuntimeError):
        run_and_fail()
    layer(torch.zeros(1, 2))
    assert seen == ["a", "b", "c", "a", "b"]


def test_a_hook_may_change_what_is_read() -> None:
    layer = nn.Identity()

    def doubled(_: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
        return (2 * args[0],)

    with hooked(before=[(layer, doubled)]):
        assert float(layer(torch.ones(()))) == 2


@pytest.mark.parametrize("before", [False, True])
def test_the_mode_is_put_back_after_an_error(before: bool) -> None:
    layer = nn.Linear(2, 2).train(before)

    def run_and_fail() -> None:
        with without_gradients(layer, training=not before):
            assert layer.training != before
            assert not torch.is_grad_enabled()
            layer(torch.zeros(1, 3))

    with pytest.raises(RuntimeError):
        run_and_fail()
    assert layer.training == before
    assert torch.is_grad_enabled()
