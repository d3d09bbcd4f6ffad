"""What a caller says when a recorder is attached, looked up in the model."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from hwsim.errors import nearest
from hwsim.network import ConvLayer, Network
from hwsim.train.derive.derivation import derive_network
from hwsim.train.networks.gating import BRANCHES, Branch
from hwsim.train.record.masks.form import Form
from hwsim.train.record.masks.gates import Gate, Source
from hwsim.train.record.masks.recording_error import RecordingError
from hwsim.train.record.masks.shapes import DECLARED, Declared
from hwsim.train.record.self_check import TRANSPOSED

MaskedOff = Literal["base", "zero", "unchecked"]

GROUPS = 4
"""Gating groups of a derived list whose layers have a base path."""


@dataclass(frozen=True)
class Options:
    """``sources``: by layer; ``declared``: what each layer's mask is said to be of; ``ignored``:
    modules that make masks, and are no layers."""

    sources: Mapping[str, Source]
    declared: Mapping[str, Declared]
    ignored: Set[nn.Module]
    branch: Branch
    masked_off: MaskedOff
    salience_images: int
    input_images: int

    @classmethod
    def of(
        cls,
        model: nn.Module,
        gates: Mapping[str, Gate],
        *,
        branch: Branch,
        masked_off: MaskedOff,
        masks: Declared | Mapping[str, Declared],
        ignored: Collection[str | nn.Module],
        salience_images: int,
        input_images: int,
    ) -> Options:
        """Raises RecordingError where something is not in the model, or is no valid choice."""
        if not gates:
            raise RecordingError(
                "gates= names no layer; a recording is of masks, and derive_network lists the "
                "layers of a network without gates"
            )
        for key, value, choices in (
            ("branch", branch, BRANCHES),
            ("masked_off", masked_off, get_args(MaskedOff)),
        ):
            if value not in choices:
                raise RecordingError(f"{key}={value!r}{nearest(str(value), choices)}")
        for key, count in (("salience_images", salience_images), ("input_images", input_images)):
            if not isinstance(count, int) or count < 0:
                raise RecordingError(f"{key}={count!r}: expected a number of images from 0 on")
        modules = dict(model.named_modules(remove_duplicate=False))
        for path in gates:
            if path not in modules:
                raise RecordingError(f"no module {path!r} in the model{nearest(path, modules)}")
        return cls(
            sources={path: Source.of(path, gate, modules) for path, gate in gates.items()},
            declared=_declared(masks, gates),
            ignored=_modules_of(ignored, modules),
            branch=branch,
            masked_off=masked_off,
            salience_images=salience_images,
            input_images=input_images,
        )

    @property
    def by_input(self) -> bool:
        """Whether masks are of input channels: of all layers, or none."""
        return "input-channel" in self.declared.values()

    def derived(self, model: nn.Module, example: Tensor | None, groups: int | None) -> Network:
        """The layer list, from a run of ``example``. Raises UserError."""
        if example is None:
            raise RecordingError("the layer list needs network= or an example= to derive it")
        if groups is None and self.masked_off == "unchecked" and not self.by_input:
            raise RecordingError(
                "masked_off='unchecked' needs groups=: 1 where nothing is computed for a 0, else "
                "how many gating groups the base path has"
            )
        if groups is None:
            groups = 1 if self.masked_off == "zero" or self.by_input else GROUPS
        layers = {model.get_submodule(path) for path in self.sources}
        makers = {
            source.module
            for source in self.sources.values()
            if source.module is not None and not layers & set(source.module.modules())
        }
        return derive_network(
            model, example, self.sources.keys(), groups, ignored=makers | self.ignored
        )

    def layers_of(
        self, model: nn.Module, network: Network
    ) -> dict[str, tuple[nn.Module, ConvLayer]]:
        """Module and shape of each gated layer. Raises RecordingError where one has no other."""
        gated = {layer.name: layer for layer in network.gated_layers}
        if wrong := sorted(set(gated) ^ set(self.sources)):
            how = "named in gates=, but not gated in the layer list"
            if wrong[0] in gated:
                how = "gated in the layer list, but not named in gates="
            raise RecordingError(f"layer {wrong[0]}: {how}")
        found = {}
        for name, layer in gated.items():
            module = model.get_submodule(name)
            if isinstance(module, TRANSPOSED):
                raise RecordingError(
                    f"layer {name}: a transposed convolution cannot be gated; its masks are of "
                    "another map than the machine's pointers"
                )
            for watched in (module, self.sources[name].module):
                if isinstance(watched, torch.jit.ScriptModule):
                    raise RecordingError(
                        f"layer {name}: it or its gate is scripted and runs without hooks; attach "
                        "to the model that was scripted"
                    )
            found[name] = (module, layer)
        return found

    def refuse_of_channels(self, form: Form) -> None:
        """Raise RecordingError where something is wanted that goes with element masks alone."""
        if not form.of_channels:
            return
        for key, wanted in (
            ("salience_images", self.salience_images),
            ("input_images", self.input_images),
        ):
            if wanted:
                raise RecordingError(
                    f"{key}={wanted}: all masks are of whole channels ({form.granularity}), with "
                    f"which a trace has none; leave {key} out"
                )


def unwrapped(model: nn.Module) -> nn.Module:
    """The module that was compiled, where it was: paths are those in it."""
    inner = getattr(model, "_orig_mod", model)
    assert isinstance(inner, nn.Module)
    return inner


def _declared(
    masks: Declared | Mapping[str, Declared], gates: Collection[str]
) -> dict[str, Declared]:
    by_layer: dict[str, Any] = dict.fromkeys(gates, "auto")
    if isinstance(masks, Mapping):
        for name, kind in masks.items():
            if name not in by_layer:
                raise RecordingError(f"masks= names {name!r}, no gated layer{nearest(name, gates)}")
            by_layer[name] = kind
    else:
        by_layer = dict.fromkeys(gates, masks)
    for kind in by_layer.values():
        if kind not in DECLARED:
            raise RecordingError(f"masks={kind!r}{nearest(str(kind), DECLARED)}")
    return by_layer


def _modules_of(
    named: Collection[str | nn.Module], modules: Mapping[str, nn.Module]
) -> frozenset[nn.Module]:
    found = []
    for each in [named] if isinstance(named, str | nn.Module) else named:
        if isinstance(each, str) and each not in modules:
            raise RecordingError(f"ignored={each!r}: no such module{nearest(each, modules)}")
        found.append(modules[each] if isinstance(each, str) else each)
    return frozenset(found)
