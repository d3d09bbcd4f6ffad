"""From a trained encoder to a mask trace.

    python -m hwsim.train.record --weights FILE --data DIR --images 64 --out FILE [--sample LAYER]

Masks come from fp32 evaluation of the diagonal branch with exactly the weights in FILE, in batches
of 16, so that the command reproduces the shipped traces on the same machine.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hwsim.errors import OneLineParser, UserError, one_line
from hwsim.formats import pack_bits
from hwsim.sample import LayerSample
from hwsim.trace import TraceHeader, write_trace
from hwsim.train import data, models
from hwsim.train.evaluate import batches, evaluating
from hwsim.train.gating import Branch, GatedConv2d, gated_layers
from hwsim.train.quantised import sample_of
from hwsim.workload import ConvLayer, Network, resnet18

BATCH = 16
SALIENCE_IMAGES = 16
SALIENCE_UNCLIPPED = 0.999
"""Share of a layer's margins that an int8 step must reach."""


class Recorder:
    """Collects masks, margins and zero-operand counts while the network runs.

    Forward hooks on the gated layers compute base sum and margin once more, with the same
    operations on the same input, so the decisions are those the layer took.
    """

    def __init__(
        self,
        encoder: models.ResNet18,
        network: Network,
        salience_images: int,
        sampled: str | None = None,
    ) -> None:
        self.network, self.salience_images = network, salience_images
        self.sampled = sampled
        self.sample: LayerSample | None = None
        self.layers = gated_layers(encoder)
        if list(self.layers) != [layer.name for layer in network.gated_layers]:
            raise ValueError("the encoder's gated layers are not those of the network")
        if sampled not in (None, *self.layers):
            raise UserError(f"--sample {sampled}: gated layers are {', '.join(self.layers)}")
        self.masks: dict[str, list[np.ndarray]] = {name: [] for name in self.layers}
        self.zeros: dict[str, list[np.ndarray]] = {name: [] for name in self.layers}
        self.margins: dict[str, list[np.ndarray]] = {name: [] for name in self.layers}
        self._hooks = [
            layer.register_forward_hook(self._hook(name)) for name, layer in self.layers.items()
        ]

    def _hook(self, name: str) -> Any:
        shape = self.network.by_name[name]

        def observe(layer: GatedConv2d, inputs: tuple[Tensor, Branch], output: Tensor) -> None:
            x, branch = inputs
            margin = layer.margin(layer.base_sum(x, branch), branch)
            self.masks[name].append(pack_bits((margin > 0).cpu().numpy()))
            self.zeros[name].append(zero_operand_macs(x, shape).cpu().numpy())
            room = self.salience_images - sum(len(part) for part in self.margins[name])
            if room > 0:
                self.margins[name].append(margin[:room].flatten(1).cpu().numpy())
            if name == self.sampled and self.sample is None:
                self.sample = sample_of(name, layer, x, branch)

        return observe

    def close(self) -> None:
        for hook in self._hooks:
            hook.remove()


def zero_operand_macs(x: Tensor, layer: ConvLayer) -> Tensor:
    """int64 (N,): MACs of the dense convolution whose activation operand is zero.

    x: (N, C_in, H, W), what the convolution reads. Operands from the padding are zeros too.
    """
    nonzero = (x != 0).sum(1)
    padding, stride = layer.padding, layer.stride
    padded = torch.nn.functional.pad(nonzero, (padding,) * 4)
    rows, columns = (layer.out_height - 1) * stride + 1, (layer.out_width - 1) * stride + 1
    used = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    for ky in range(layer.kernel_size):
        for kx in range(layer.kernel_size):
            window = padded[:, ky : ky + rows : stride, kx : kx + columns : stride]
            used += window.sum((1, 2))
    return layer.macs - layer.out_channels * used


def quantise(margins: np.ndarray) -> tuple[np.ndarray, float]:
    """Margins Z - tau as int8 steps and the step in units of Z.

    Rounded away from zero, so that q > 0 exactly where the margin is; margins beyond 127 steps
    (one in a thousand) are clipped.
    """
    size = np.abs(margins)
    scale = float(np.quantile(size, SALIENCE_UNCLIPPED)) / 127 or 1.0
    steps = np.clip(np.ceil(size / scale), 1, 127) * np.sign(margins)
    return steps.astype(np.int8), scale


def record(
    encoder: models.ResNet18,
    images: Tensor,
    network: Network,
    *,
    branch: Branch = "diagonal",
    salience_images: int = SALIENCE_IMAGES,
    sampled: str | None = None,
) -> dict[str, Any]:
    """What write_trace takes beside path and header, from uint8 images (N, 3, H, W).

    ``sampled``: the gated layer whose int8 data for the first image travel along.
    """
    recorder = Recorder(encoder, network, min(salience_images, len(images)), sampled)
    try:
        with evaluating(encoder):
            for pixels in _watched(batches(images, BATCH), -(-len(images) // BATCH)):
                encoder(pixels, branch)
    finally:
        recorder.close()
    steps = {name: quantise(np.concatenate(m)) for name, m in recorder.margins.items() if m}
    return {
        "masks": _joined(recorder.masks),
        "zero_operand_macs": _joined(recorder.zeros),
        "salience": {name: q for name, (q, _) in steps.items()},
        "salience_scale": {name: scale for name, (_, scale) in steps.items()},
        "sample": recorder.sample,
    }


def _watched(found: Iterable[Tensor], number: int) -> Iterable[Tensor]:
    """The same, with a progress bar on a terminal."""
    from rich.console import Console
    from rich.progress import track

    return track(
        found,
        "recording",
        total=number,
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )


def _joined(parts: dict[str, list[np.ndarray]]) -> dict[str, np.ndarray]:
    """Each layer's parts as one array; they leave ``parts``, so that none is held twice."""
    return {name: np.concatenate(parts.pop(name)) for name in list(parts)}


def write(
    path: Path,
    encoder: models.ResNet18,
    test: data.Split,
    count: int,
    training: dict[str, Any],
    sampled: str | None = None,
) -> None:
    """Record the first `count` test images into the trace `path`."""
    size = test.images.shape[-1]
    network = resnet18(
        size, int(test.labels.max()) + 1, encoder.width, models.GATE_GROUPS, encoder.stages
    )
    count = min(count, len(test))
    header = TraceHeader(
        network=network,
        method=encoder.method,
        mask_group=encoder.mask_group,
        branch="diagonal",
        gate_norm=encoder.gate_norm,
        dataset=f"CIFAR-10 test split, {size}x{size}",
        image_ids=tuple(range(count)),
        training=training,
        synthetic=False,
    )
    write_trace(path, header, **record(encoder, test.images[:count], network, sampled=sampled))


def main(argv: list[str] | None = None) -> int:
    parser = OneLineParser(prog="python -m hwsim.train.record", description=__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache", type=Path, help="decoded images (default: beside OUT)")
    parser.add_argument("--sample", metavar="LAYER", help="add its int8 data for the first image")
    args = parser.parse_args(argv)
    try:
        if args.images < 1:
            raise data.DataError(f"--images {args.images}: at least 1 was expected")
        encoder, training = models.load_weights(args.weights)
        if encoder.method not in models.MASK_GROUP:
            raise models.WeightsError(f"{args.weights}: a {encoder.method} network has no masks")
        test = data.load_split(args.data, "test", args.cache or args.out.parent)
        write(args.out, encoder, test, args.images, training, args.sample)
    except (UserError, OSError) as error:
        print(f"python -m hwsim.train.record: {one_line(error)}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
