"""checkpoint.pt: read by the bounds of its own size, and held to the run that goes on with it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hwsim.errors import UserError, one_line
from hwsim.train.networks import archive


class CheckpointError(UserError):
    """A checkpoint that a run cannot go on with; one line for the user."""


def damaged(path: Path, error: object) -> CheckpointError:
    reason = one_line(error)[:120]
    return CheckpointError(f"{path}: not a whole checkpoint ({reason}); delete it to begin anew")


def read(path: Path, device: torch.device) -> dict[str, Any]:
    """The state of a run. Raises CheckpointError.

    Only tensors, numbers and texts are unpickled, no code of the file's is run.
    """
    try:
        archive.require_whole(path)
        # Of a pickle of another protocol torch warns, in lines of its own.
        with warnings.catch_warnings(action="ignore"):
            state = torch.load(path, map_location=device, weights_only=True)
        if not isinstance(state, dict) or not isinstance(state["config"], dict):
            raise ValueError("no state of a run")
        if not all(isinstance(each, PLAIN) for each in _leaves(state["config"])):
            raise ValueError("a configuration holds values that no option takes")
    except archive.DAMAGED as error:
        raise damaged(path, error) from None
    return state


PLAIN = (str, int, float, type(None))


def _leaves(value: Any) -> Iterator[Any]:
    """What lists and mappings in each other hold."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if not isinstance(value, list | tuple):
        yield value
        return
    for each in value:
        yield from _leaves(each)


def require_fit(
    state: dict[str, Any],
    model: nn.Module,
    optimisers: Sequence[torch.optim.Optimizer],
    images: int,
) -> None:
    """Raise ValueError where a tensor has another shape, or a number is none of a run of this kind.

    Shapes come first: a tensor of any size may be a view of a few bytes.
    """
    # A tensor can be asked for a name, and torch warns.
    named = [state["model"], state["shuffler"], *state["optimisers"]]
    if not all(isinstance(each, dict) for each in named):
        raise ValueError("no state of a run")
    own = model.state_dict()
    if state["model"].keys() != own.keys():
        raise ValueError("the model has other parameters")
    for name, tensor in state["model"].items():
        _require_alike(name, tensor, own[name])
    saved = [each["state"] for each in state["optimisers"]]
    for optimiser, found in zip(optimisers, saved, strict=True):
        parameters = [each for group in optimiser.param_groups for each in group["params"]]
        for number, values in found.items():
            for name, tensor in values.items():
                if isinstance(tensor, Tensor) and tensor.ndim:
                    _require_alike(f"{name} of an optimiser", tensor, parameters[number])
    for group, other in _groups(state, optimisers):
        if any(
            other.get(name, value) != value  # one of another torch may lack settings
            for name, value in group.items()
            if name not in VARIES
        ):
            raise ValueError("an optimiser has other settings")
    order = state["shuffler"]["order"]
    if order.dtype != torch.int64 or order.ndim != 1 or len(order) > images:
        raise ValueError("the order of images is none")
    if len(order) and not 0 <= int(order.min()) <= int(order.max()) < images:
        raise ValueError("the order of images is of another number of them")
    counts = state["step"], state["shuffler"]["epoch"]
    if any(type(count) is not int or count < 0 for count in counts):
        raise ValueError("step and epoch are no counts")
    if type(state["seconds"]) not in (int, float) or not 0 <= state["seconds"] < math.inf:
        raise ValueError("seconds are no time")


VARIES = ("params", "lr")
"""Of an optimiser's settings: the rate follows the progress of the run."""


def _groups(
    state: dict[str, Any], optimisers: Sequence[torch.optim.Optimizer]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Settings of a run's optimisers, and those of the state."""
    for optimiser, saved in zip(optimisers, state["optimisers"], strict=True):
        yield from zip(optimiser.param_groups, saved["param_groups"], strict=True)


def _require_alike(name: str, tensor: Tensor, own: Tensor) -> None:
    if tensor.shape != own.shape or tensor.dtype != own.dtype:
        raise ValueError(f"{name} is {tensor.dtype} {tuple(tensor.shape)}")
    if tensor.is_floating_point() and not tensor.isfinite().all():
        raise ValueError(f"{name} is not finite")
