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
    return derive_network(
        _made(model),
        torch.zeros(*shape),
        gated,
        groups,
        ignored=ignored,
        name=model.rpartition(":")[2],
    )


def _made(model: str) -> nn.Module:
    """What the function returns; modules of the working folder are found, too."""
    module, _, function = model.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        home = import_module(module)
    except ModuleNotFoundError as error:
        hint = f"; a module has no .py: {module[:-3]}:{function}" if module.endswith(".py") else ""
        raise UserError(f"{model}: cannot be imported ({one_line(error)}){hint}") from None
    except Exception as error:
        what = f"{type(error).__name__}: {one_line(error)}"
        raise UserError(f"{model}: cannot be imported ({what})") from error
    known: dict[str, Any] = {name: each for name, each in vars(home).items() if callable(each)}
    if function not in known:
        raise UserError(f"{model}: {module} has no {function!r}{nearest(function, known)}")
    try:
        made = known[function]()
    except TypeError as error:
        raise UserError(
            f"{model}: cannot be called without arguments ({one_line(error)})"
        ) from None
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{model}: {type(error).__name__}: {one_line(error)}") from error
    if not isinstance(made, nn.Module):
        raise UserError(f"{model}: returns a {type(made).__name__}, expected a torch module")
    return made
