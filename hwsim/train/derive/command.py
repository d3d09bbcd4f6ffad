"""The torch part of ``hwsim network derive``: a model by name, followed in one forward pass."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import torch
from torch import nn

from hwsim.errors import UserError, nearest, one_line
from hwsim.network import Network
from hwsim.train.derive.derivation import derive_network


def network_of(
    model: str, shape: Sequence[int], gated: Sequence[str], groups: int, ignored: Sequence[str]
) -> Network:
    """The layers of the model that ``package.module:function`` returns, at this input shape.

    ``gated`` and ``ignored``: paths of modules. Raises UserError.
    """
    made = _made(model)
    try:
        example = torch.zeros(shape)
    except (RuntimeError, TypeError):  # no memory, or a size that is no 64-bit number
        sizes = "x".join(map(str, shape))
        raise UserError(f"--input {sizes}: an example of this shape cannot be held") from None
    return derive_network(
        made, example, gated, groups, ignored=ignored, name=model.rpartition(":")[2]
    )


def _made(model: str) -> nn.Module:
    """What the function returns; modules of the working folder are found, too."""
    module, _, function = model.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        home = import_module(module)
    except Exception as error:  # whatever the user's module does
        missing = isinstance(error, ModuleNotFoundError) and module.endswith(".py")
        hint = f"; a module has no .py: {module[:-3]}:{function}" if missing else ""
        raise UserError(f"{model}: cannot be imported ({_told(error)}){hint}") from None
    known: dict[str, Any] = {name: each for name, each in vars(home).items() if callable(each)}
    if function not in known:
        raise UserError(f"{model}: {module} has no {function!r}{nearest(function, known)}")
    try:
        made = known[function]()
    except Exception as error:
        raise UserError(f"{model}: fails, called without arguments ({_told(error)})") from None
    if not isinstance(made, nn.Module):
        raise UserError(f"{model}: returns a {type(made).__name__}, expected a torch module")
    return made


def _told(error: Exception) -> str:
    """What somebody else's code raised."""
    return f"{type(error).__name__}: {one_line(error)}"
