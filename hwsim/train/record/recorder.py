"""Masks of any PyTorch model while it runs, and the trace of them.

    with Recorder.attach(model, {"block.conv": "block.gate"}, example=images[:1]) as recorder:
        for batch in batches:
            model(batch)
    recorder.write("mine.h5", method="mine", dataset="my images")

docs/guide/traces.md says what a gate may be. Masks re-applied to a layer's own sums must give its
output: the first batch is checked, and nothing is recorded otherwise.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from torch import Tensor, nn

from hwsim.network import Network
from hwsim.trace.files import write_trace
from hwsim.trace.format.header import TraceHeader
from hwsim.trace.format.packing import pack_bits
from hwsim.train.networks.gating import Branch
from hwsim.train.record.batch import Batch, Reading
from hwsim.train.record.input_bits import InputBits
from hwsim.train.record.masks.form import Form
from hwsim.train.record.masks.gates import Decision, Gate
from hwsim.train.record.masks.recording_error import RecordingError as RecordingError
from hwsim.train.record.masks.salience import salience_steps
from hwsim.train.record.masks.shapes import Declared, Mask, of_shape
from hwsim.train.record.options import MaskedOff, Options, unwrapped
from hwsim.train.record.self_check import check
from hwsim.train.record.watch import Watch
from hwsim.train.record.zero_operands import all_zero_macs, conditional_zero_macs


class Row(NamedTuple):
    """Of a layer and a batch: packed masks, counts of zero operands, margins where wanted."""

    masks: np.ndarray
    zeros: np.ndarray
    conditional: np.ndarray | None
    margins: np.ndarray | None


class Recorder:
    """Collects masks, margins and zero-operand counts of each batch that the model runs.

    ``images``: so many are recorded. ``form``: of their masks in the trace, None before the first.
    """

    def __init__(self, network: Network, options: Options) -> None:
        self.network, self.options = network, options
        self.layers = {layer.name: layer for layer in network.gated_layers}
        self.inputs = InputBits(network, options.input_images)
        self.images = 0
        self.form: Form | None = None
        self._forms: dict[str, Any] = {}
        self._rows: dict[str, list[Row]] = {name: [] for name in self.layers}
        self._watch: Watch

    @classmethod
    def attach(
        cls,
        model: nn.Module,
        gates: Mapping[str, Gate],
        *,
        network: Network | None = None,
        example: Tensor | None = None,
        groups: int | None = None,
        branch: Branch = "diagonal",
        masked_off: MaskedOff = "base",
        masks: Declared | Mapping[str, Declared] = "auto",
        ignored: Collection[str | nn.Module] = (),
        salience_images: int = 0,
        input_images: int = 0,
    ) -> Recorder:
        """Watch ``model`` from now on. ``gates``: by the path of each gated layer's module.

        ``network``: the layer list, whose gated layers must be the keys of ``gates``; where it is
        None, the list is derived by running ``example``, a batch of images. ``groups``: gating
        groups of a derived list; 4, or 1 where there is no base path; to be said with "unchecked".
        ``masked_off``: what a masked-off output holds: the base partial sum, zero, or something
        that is not to be checked. ``masks``: what masks are of, for all layers or by layer, where
        their shapes do not say it: ``pixel``, ``channel`` or ``input-channel``. ``ignored``:
        modules that make masks, beside the gates: they are no layers. ``salience_images``: how many
        images' margins are kept. ``input_images``: of how many images it is kept where the inputs
        of layers are not zero; every layer but the first must then be a module, or be the last and
        read what the model returns. Raises UserError.
        """
        model = unwrapped(model)
        options = Options.of(
            model, gates, branch=branch, masked_off=masked_off, masks=masks, ignored=ignored,
            salience_images=salience_images, input_images=input_images,
        )  # fmt: skip
        derived = network is None
        if network is None:
            network = options.derived(model, example, groups)
        layers = options.layers_of(model, network)
        recorder = cls(network, options)
        expected = tuple(example.shape[1:]) if derived and example is not None else None
        watch = Watch(
            layers, options.sources, recorder.inputs, options.ignored, expected, recorder._take
        )
        recorder._watch = watch
        watch.copies = masked_off != "unchecked"
        watch.margins = salience_images > 0
        watch.start(model)
        return recorder

    def _take(self, batch: Batch) -> None:
        """The batch is through: all of it is recorded, or nothing."""
        decisions = batch.decisions(self.options.sources)
        readings = batch.readings(self._watch.inside, self.options.by_input)
        images = next(iter(readings.values())).images
        if not images:
            return  # an empty batch, of which nothing was decided
        masks = {
            name: self._mask(name, decision.bits, batch, images)
            for name, decision in decisions.items()
        }
        first = self.form is None
        form = self._form(masks)
        if first and self.options.masked_off != "unchecked":
            self._check(masks, readings, batch)
        rows = {
            name: self._row(masks[name], form, readings[name], decisions[name], batch)
            for name in self.layers
        }
        for name, reading in readings.items():
            self.inputs.put(name, reading.inputs)
        self.inputs.end_batch(images)
        # From here on nothing is refused.
        for name, row in rows.items():
            self._rows[name].append(row)
        self.images += images
        self.form = form
        self._forms = {name: mask.form for name, mask in masks.items()}
        self._watch.went_well(batch, self.options.by_input)
        self._watch.margins = self.images < self.options.salience_images
        if first and form.note:
            warnings.warn(form.note, stacklevel=2)

    def _mask(self, name: str, values: Tensor, batch: Batch, images: int) -> Mask:
        made = batch.runs[name].made
        assert made is not None
        declared = self.options.declared[name]
        return of_shape(values, self.layers[name], made.layout, images, declared)

    def _form(self, masks: Mapping[str, Mask]) -> Form:
        """The trace's form, the same in all batches."""
        if self.form is None:
            zeroed = self.options.masked_off != "base" or all(
                layer.zeroes for layer in self.layers.values()
            )
            form = Form.of(masks, self.network, zeroed)
            self.options.refuse_of_channels(form)
            return form
        for name, mask in masks.items():
            if mask.form != self._forms[name]:
                (kind, lists), (before, fewer) = mask.form, self._forms[name]
                raise RecordingError(
                    f"layer {name}: a mask by {kind}, {lists} lists, after one by {before}, "
                    f"{fewer} lists"
                )
        return self.form

    def _check(
        self, masks: Mapping[str, Mask], readings: Mapping[str, Reading], batch: Batch
    ) -> None:
        for name, (module, layer) in self._watch.layers.items():
            made, x = batch.runs[name].made, readings[name].x
            assert made is not None
            assert made.output is not None
            assert x is not None
            check(
                module, layer, masks[name], x, made.output, branch=self.options.branch,
                masked_off=self.options.masked_off, ignored=self.options.ignored,
            )  # fmt: skip

    def _row(
        self, mask: Mask, form: Form, reading: Reading, decision: Decision, batch: Batch
    ) -> Row:
        layer = self.layers[mask.layer]
        conditional = margins = None
        bits = form.laid(mask, layer)
        if not form.of_channels:
            counted = conditional_zero_macs(reading.zeros, bits, layer, self.options.branch)
            conditional = counted.cpu().numpy()
        room = self.options.salience_images - self.images
        if room > 0 and decision.margins is not None:
            found = self._mask(layer.name, decision.margins, batch, reading.images)
            margins = form.laid(found, layer)[:room].flatten(1).cpu().numpy()
        zeros = all_zero_macs(reading.zeros, layer).cpu().numpy()
        return Row(pack_bits(bits.cpu().numpy()), zeros, conditional, margins)

    @property
    def mask_group(self) -> int:
        """Output channels per mask bit, the same in all layers. RecordingError before one."""
        return self._recorded().mask_group

    def _recorded(self) -> Form:
        if self.form is not None and self.images:
            return self.form
        if self._watch.begun:
            why = "no batch with images in it that the model began came to its end"
        elif self._watch.outside:
            why = "layers ran, but not through the model that the recorder is attached to"
        else:
            why = "run the model on some images first"
        raise RecordingError(f"nothing recorded: {why}")

    def contents(self) -> dict[str, Any]:
        """What write_trace takes beside path and header. The recorder keeps it.

        Arrays are the recorder's own, which is what saves memory: they are not to be written to.
        """
        form = self._recorded()
        for rows in self._rows.values():
            rows[:] = [_joined(rows)]
        rows_of = {name: rows[0] for name, rows in self._rows.items()}
        steps = {n: salience_steps(r.margins) for n, r in rows_of.items() if r.margins is not None}
        conditional = {} if form.of_channels else {n: r.conditional for n, r in rows_of.items()}
        return {
            "masks": {name: row.masks for name, row in rows_of.items()},
            "zero_operand_macs": {name: row.zeros for name, row in rows_of.items()},
            "zero_operand_macs_conditional": conditional,
            "salience": {name: q for name, (q, _) in steps.items()},
            "salience_scale": {name: scale for name, (_, scale) in steps.items()},
            "input_bits": self.inputs.contents(),
        }

    def write(
        self,
        path: str | Path,
        *,
        method: str,
        dataset: str,
        image_ids: tuple[int, ...] | None = None,
        gate_norm: Literal["batch", "instance"] = "batch",
        squeeze: int = 16,
        training: Mapping[str, Any] | None = None,
    ) -> None:
        """The trace of all batches so far; ``image_ids``: 0, 1, ... where not given.

        ``squeeze``: of the predictors of masks of input channels. Where it cannot be written, the
        recorder stays as it is. Raises UserError.
        """
        form = self._recorded()
        if image_ids is not None and len(image_ids) != self.images:
            raise RecordingError(f"{len(image_ids)} image_ids of {self.images} images")
        noted = {"kept_by_pixel": form.note} if form.note else {}
        header = TraceHeader(
            network=self.network,
            method=method,
            granularity=form.granularity,
            mask_group=form.mask_group,
            squeeze=squeeze,
            branch=self.options.branch,
            gate_norm=gate_norm,
            dataset=dataset,
            image_ids=tuple(range(self.images)) if image_ids is None else image_ids,
            training={"masked_off": self.options.masked_off, **noted, **(training or {})},
        )
        write_trace(path, header, **self.contents())

    def close(self) -> None:
        """Watch no longer."""
        self._watch.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _joined(rows: list[Row]) -> Row:
    """A layer's batches as one; a layer's at a time, so that only one is held twice."""
    if len(rows) == 1:
        return rows[0]
    columns = ([part for part in parts if part is not None] for parts in zip(*rows, strict=True))
    return Row(*(np.concatenate(parts) if parts else None for parts in columns))  # type: ignore[arg-type]
