"""Design points: a machine, masks and a scheme; what names each, and which are impossible."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import product
from pathlib import Path
from typing import Any

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import CombinationError, build_arch, dotted, set_keys
from hwsim.arch.schemes import (
    FAMILIES,
    of_machine,
    parse_scheme,
    scheme_names,
    skipping_schemes,
    with_suffixes,
)
from hwsim.errors import UserError, escaped, nearest, shown
from hwsim.network import as_name
from hwsim.run.simulate import require_inputs, require_usable, usable_schemes
from hwsim.sweep.axes import MOST_SHIFT, Settings
from hwsim.sweep.row_key import row_key
from hwsim.trace.channel_order import NATURAL, images_apart, require_order, same_gates
from hwsim.trace.format.header import TraceError, TraceHeader
from hwsim.trace.mask_trace import MaskTrace


@dataclass(frozen=True)
class Measured:
    """The trace file on whose ``images`` images that are not replayed densities are measured."""

    path: str
    sha256: str
    images: int

    @classmethod
    def of(cls, sources: Sequence[MaskTrace], replayed: TraceHeader, path: str) -> Measured:
        """Of the first of ``sources`` with the gates of the replayed images, of the file ``path``.

        Raises TraceError where there is none, or none of its images is left.
        """
        for source in sources:
            if same_gates(source.header, replayed):
                apart = len(images_apart(source.header, replayed))
                if apart:
                    return cls(str(source.path), str(source.sha256), apart)
                raise TraceError(
                    f"{source.path}: no image beside the {replayed.images} replayed, and channel "
                    "orders are measured on others; replay fewer (--images N), or give a trace "
                    "of others (--order-from FILE)"
                )
        raise TraceError(f"{path}: no trace of --order-from has its network and gates")


@dataclass(frozen=True)
class Masks:
    """The first ``images`` images of a trace file; with ``shift``, at other thresholds; with
    ``order``, their mask lists sorted by the densities measured there."""

    path: str
    sha256: str
    images: int
    shift: float | None = None
    order: Measured | None = None

    @classmethod
    def of(
        cls,
        trace: MaskTrace,
        images: int | None,
        shift: float | None,
        order_from: Sequence[MaskTrace] | None = None,
    ) -> Masks:
        """``order_from``: where to measure a channel order; None leaves the natural one.

        Raises TraceError where the trace has too few images, no margins to shift, or masks of
        channels to sort.
        """
        if shift is not None and not trace.salience_images:
            raise TraceError(f"{trace.path}: no salience stored, thresholds cannot be shifted")
        held = trace.images if shift is None else trace.salience_images
        if images and images > held:
            margins = "" if shift is None else ", of which thresholds can be shifted"
            raise TraceError(f"--images {images}: {trace.path} holds {held}{margins}")
        replayed = images or held
        measured = None
        if order_from is not None:
            if trace.header.of_channels or not trace.header.has_masks:
                what = (
                    "masks of channels have" if trace.header.has_masks else "without masks there is"
                )
                raise TraceError(f"{trace.path}: {what} no channel order")
            measured = Measured.of(order_from, trace.header.head(replayed), str(trace.path))
        return cls(str(trace.path), str(trace.sha256), replayed, shift, measured)

    @property
    def name(self) -> str:
        return as_name(Path(self.path).stem)


@dataclass(frozen=True)
class Point:
    """One row to be: ``machine`` is a whole configuration as JSON; ``impossible``: why not.

    Without masks and scheme, a machine that cannot even be built. What a machine can hold is
    another question (:mod:`hwsim.sweep.feasibility`), asked of points that are to run.
    """

    machine: str
    masks: Masks | None
    scheme: str | None
    impossible: str | None = None

    @property
    def arch(self) -> ArchConfig:
        return _arch(self.machine)

    @property
    def keys(self) -> dict[str, Any]:
        """The machine's dotted keys and their values; lists as JSON."""
        return {
            key: json.dumps(value) if isinstance(value, list) else value
            for key, value in dotted(json.loads(self.machine))
        }

    @property
    def counts(self) -> str:
        """The machine without its prices: equal ones take equal cycles and counters."""
        return _unpriced(self.machine)

    @property
    def array(self) -> str:
        """The machine as its array sees it: layers take equal cycles, where they lie alike."""
        return _seen(self.machine)

    @cached_property
    def key(self) -> str:
        """SHA-256 of configuration, trace contents, scheme and model; neither paths nor order."""
        masks = self.masks
        contents = masks and (
            masks.sha256,
            masks.images,
            masks.shift,
            masks.order and masks.order.sha256,
        )
        return row_key(json.loads(self.machine), contents or None, self.scheme)


@lru_cache(maxsize=64)
def _arch(machine: str) -> ArchConfig:
    return build_arch(json.loads(machine))


@lru_cache(maxsize=64)
def _unpriced(machine: str) -> str:
    data = json.loads(machine)
    del data["pricing"], data["dram"]["pj_per_bit"]
    return json.dumps(data)


@lru_cache(maxsize=64)
def _seen(machine: str) -> str:
    data = json.loads(machine)
    for key in ("pricing", "dram", "clock_mhz", "weight"):
        del data[key]
    del data["activation"]["buffer_kib"]
    return json.dumps(data)


class UnfitError(UserError):
    """A scheme that no machine and trace of a sweep can use; one line for the user."""


@dataclass(frozen=True)
class Choice:
    """What every setting is combined with: None for ``schemes`` are all that fit, for ``batches``
    the machine's own, for ``shifts`` the recorded masks, for ``images`` all, for ``orders`` the
    natural one; densities are measured on ``order_from``, without any on the replayed trace's other
    images."""

    traces: Sequence[MaskTrace]
    schemes: Sequence[str] | None = None
    batches: Sequence[int] | None = None
    shifts: Sequence[float] | None = None
    images: int | None = None
    orders: Sequence[str] | None = None
    order_from: Sequence[MaskTrace] = ()


def points_of(base: ArchConfig, settings: Iterable[Settings], choice: Choice) -> list[Point]:
    """Every different point, in the order of settings, batches, traces, shifts, orders, schemes.

    As in ``hwsim.run``, a scheme runs where it fits. Raises UserError for a value outside its
    key's domain or a trace that cannot be shifted, UnfitError for a scheme that fits nowhere.
    Settings whose keys together make no machine are one point each, marked ``impossible``.
    """
    points: dict[Point, None] = {}
    valid: set[str] = {*FAMILIES}
    used: set[str] = set()
    for number, setting in enumerate(settings, start=1):
        own, chosen = _own(f"point {number}", setting, choice)
        for machine in _machines(base, setting, own, f"point {number}"):
            if machine.impossible:
                points[machine] = None
                continue
            valid.update(scheme_names(machine.arch), skipping_schemes(machine.arch))
            for point, name in _on_machine(machine, own, chosen):
                points[point] = None
                used.add(name)
    none_built = bool(points) and all(point.masks is None for point in points)
    for name in choice.schemes or ():
        if name not in used and not none_built:
            fits = "fits no machine and trace of this sweep" if name in valid else "unknown"
            raise UnfitError(f"--scheme {name!r}: {fits}" + nearest(name, sorted(valid - {name})))
    return list(points)


def _own(where: str, setting: Settings, choice: Choice) -> tuple[Choice, str | None]:
    """The choice with what the setting says for itself, and its scheme."""
    own = choice
    if "trace" in setting:
        own = replace(own, traces=[_trace(where, choice.traces, str(setting["trace"]))])
    if "threshold_shift" in setting:
        shift = setting["threshold_shift"]
        kind = not isinstance(shift, bool) and isinstance(shift, int | float)
        if not kind or not -MOST_SHIFT <= shift <= MOST_SHIFT:
            what = f"expected a number within {MOST_SHIFT:,}"
            raise UserError(f"{where}: threshold_shift: {what}, found {shown(shift)}")
        own = replace(own, shifts=[float(shift)])
    if "channel_order" in setting:
        own = replace(own, orders=[str(setting["channel_order"])])
    return own, str(setting["scheme"]) if "scheme" in setting else None


def _trace(where: str, traces: Sequence[MaskTrace], wanted: str) -> MaskTrace:
    for trace in traces:
        if wanted in (trace.name, str(trace.path)):
            return trace
    raise UserError(f"{where}: trace {shown(wanted)}" + nearest(wanted, [t.name for t in traces]))


def _machines(base: ArchConfig, setting: Settings, choice: Choice, where: str) -> Iterator[Point]:
    """A point without masks and scheme for each batch."""
    keys = {key: value for key, value in setting.items() if "." in key or key in _TOP_KEYS}
    if choice.batches and "batch" in keys:
        raise UserError(f"{where}: batch is varied; leave --batch out")
    for batch in choice.batches or [keys.get("batch", base.batch)]:
        data = base.model_dump(mode="json")
        set_keys(data, {**keys, "batch": batch})
        named = escaped(", ".join(f"{key}={shown(value)}" for key, value in keys.items()), 300)
        try:
            arch = build_arch(data, source=f"{where} ({named})" if named else base.name)
        except CombinationError as error:
            yield Point(json.dumps(data), None, None, str(error))
        else:
            yield Point(arch.model_dump_json(), None, None)


_TOP_KEYS = tuple(ArchConfig.model_fields)


def _on_machine(machine: Point, choice: Choice, scheme: str | None) -> Iterator[tuple[Point, str]]:
    """Points of one machine, each with the name under which its scheme was asked for."""
    arch = machine.arch
    for trace in choice.traces:
        usable = usable_schemes(arch, trace)
        wanted = {name: name for name in usable}
        usable = [*usable, *with_suffixes(usable, arch)]
        if scheme:
            wanted = {scheme: of_machine(scheme, arch)}
            require_usable(parse_scheme(wanted[scheme], arch), arch, trace)
        elif choice.schemes:
            wanted = {name: of_machine(name, arch) for name in choice.schemes}
        for shift, order in product(choice.shifts or (None,), choice.orders or (NATURAL,)):
            sources = None if require_order(order) == NATURAL else choice.order_from or [trace]
            masks = Masks.of(trace, choice.images, shift, sources)
            for name, found in wanted.items():
                if found in usable:
                    require_inputs(parse_scheme(found, arch), arch, trace, masks.images)
                    yield Point(machine.machine, masks, found), name
