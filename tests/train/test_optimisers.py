"""LARS against its formula, and which parameters decay."""

from __future__ import annotations

import argparse

import pytest
import torch
from near import assert_near

from hwsim.train.networks import models
from hwsim.train.optimisers import Lars, optimisers


def test_lars_by_hand() -> None:
    matrix = torch.nn.Parameter(torch.tensor([[3.0, 4.0]]))
    vector = torch.nn.Parameter(torch.tensor([2.0]))
    lars = Lars([{"params": [matrix], "weight_decay": 0.5}, {"params": [vector]}], lr=0.1)
    velocity, w, b = torch.zeros(1, 2), matrix.detach().clone(), 2.0
    speed = 0.0
    for gradient in ([[1.0, 0.0]], [[0.0, -2.0]]):
        matrix.grad, vector.grad = torch.tensor(gradient), torch.tensor([0.5])
        lars.step()
        direction = torch.tensor(gradient) + 0.5 * w
        ratio = 1e-3 * w.norm() / direction.norm()
        velocity = 0.9 * velocity + 0.1 * ratio * direction
        w, speed = w - velocity, 0.9 * speed + 0.1 * 0.5
        b -= speed
        assert_near(matrix.detach(), w)
        assert vector.item() == pytest.approx(b)


def test_lars_leaves_a_zero_weight_its_plain_step() -> None:
    weight = torch.nn.Parameter(torch.zeros(2, 2))
    weight.grad = torch.ones(2, 2)
    Lars([weight], lr=0.1).step()
    assert_near(weight.detach(), torch.full((2, 2), -0.1))


@pytest.mark.parametrize("name", ["adamw", "sgd", "lars"])
def test_thresholds_have_a_plain_group_of_their_own(name: str) -> None:
    model = models.SimCLR(models.ResNet18("cdg", 8, stages=(1,)))
    args = argparse.Namespace(optimiser=name, lr=0.1, weight_decay=0.3, tau_lr=0.05)
    weights, taus = optimisers(model, args)
    assert isinstance(taus, torch.optim.SGD)
    (group,) = taus.param_groups
    assert (group["weight_decay"], group["momentum"], group["peak"]) == (0, 0.9, 0.05)
    assert len(group["params"]) == 2
    decays = {p: g["weight_decay"] for g in weights.param_groups for p in g["params"]}
    assert all((decay == 0.3) == (p.ndim > 1) for p, decay in decays.items())
    assert len(decays) + 2 == len(list(model.parameters()))
