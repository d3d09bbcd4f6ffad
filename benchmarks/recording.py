"""What recording masks costs beside the forward pass alone.

    python -m benchmarks.recording [--methods cdg scdg] [--width 64 16] [--batch 16] [--passes 9]

The recorder as ``hwsim record`` attaches it, on random images, one thread unless --threads says
otherwise. Plain and recorded passes take turns in one process; time is the process's own, medians
count. The first batch, which is checked, and the second are left out.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from statistics import median

import torch

from hwsim.cli import OneLineParser, positive
from hwsim.train.images.views import plain
from hwsim.train.networks import models
from hwsim.train.networks.inference import evaluating, recalibrate
from hwsim.train.networks.methods import GATE_GROUPS, GATED, MASK_GROUP, Method
from hwsim.train.record.resnet import attached

from .training import machine


def seconds(encoder: models.ResNet18, pixels: torch.Tensor) -> float:
    """Of one forward pass, of the process on its cores."""
    started = time.process_time()
    encoder(pixels)
    return time.process_time() - started


def medians(method: Method, width: int, chosen: argparse.Namespace) -> tuple[float, float]:
    """Seconds of a batch: plain, recorded."""
    torch.manual_seed(0)
    group = min(MASK_GROUP[method], width // GATE_GROUPS) if method in MASK_GROUP else None
    encoder = models.ResNet18(method, width, mask_group=group)
    encoder = encoder.to(memory_format=torch.channels_last)
    shape = chosen.batch, 3, chosen.size, chosen.size
    images = torch.randint(0, 256, shape, dtype=torch.uint8)
    recalibrate(encoder, images)
    pixels = plain(images).contiguous(memory_format=torch.channels_last)
    network = models.network_of(encoder, chosen.size, 10)
    watched = copy.deepcopy(encoder)
    alone, recorded = [], []
    with evaluating(encoder), evaluating(watched), attached(watched, network):
        for turn in range(chosen.passes + 2):
            found = seconds(encoder, pixels), seconds(watched, pixels)
            if turn > 1:
                alone.append(found[0])
                recorded.append(found[1])
    return median(alone), median(recorded)


def main(argv: list[str] | None = None) -> int:
    parser = OneLineParser(prog="python -m benchmarks.recording", description=__doc__)
    add = parser.add_argument
    add("--methods", nargs="+", choices=GATED, default=["cdg", "scdg"])
    add("--width", type=positive, nargs="+", default=[64, 16])
    add("--size", type=positive, default=32, help="of the images, in pixels")
    add("--batch", type=positive, default=16, help="images of a pass")
    add("--passes", type=positive, default=9, help="measured ones of each")
    add("--threads", type=positive, default=1)
    chosen = parser.parse_args(argv)
    torch.set_num_threads(chosen.threads)
    print(
        f"ResNet-18, {chosen.batch} images of {chosen.size}x{chosen.size}, medians of "
        f"{chosen.passes} passes, {chosen.threads} thread(s), {machine('cpu')}, "
        f"torch {torch.__version__}"
    )
    print("| method | width | plain, ms | recorded, ms | ratio |\n|---|---:|---:|---:|---:|")
    for method in chosen.methods:
        for width in chosen.width:
            alone, recorded = medians(method, width, chosen)
            cells = f"{1e3 * alone:.1f} | {1e3 * recorded:.1f} | {recorded / alone:.2f}"
            print(f"| {method} | {width} | {cells} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
