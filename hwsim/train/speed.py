"""Training speed of every method beside dense.

    python -m hwsim.train.speed [--width 64 16] [--steps 5]

Whole steps of the trainer on random images, one thread unless --threads says otherwise. On a CPU
time is the process's own, so that other work on the machine disturbs little; methods take turns.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from pathlib import Path

import torch

from hwsim.errors import OneLineParser
from hwsim.train import data, options
from hwsim.train.methods import GATE_GROUPS, MASK_GROUP, METHODS
from hwsim.train.trainer import Trainer

SIZE = 32


def trainer(method: str, width: int, chosen: argparse.Namespace, images: data.Split) -> Trainer:
    """A run of `method` that never ends. A group of SCDG shrinks to a narrow gating group's."""
    arguments = ["--method", method, "--width", str(width), "--batch", str(chosen.batch)]
    arguments += ["--resolution", str(SIZE), "--data", ".", "--out", ".", "--steps", "1000000"]
    arguments += ["--device", chosen.device]
    if method in MASK_GROUP:
        arguments += ["--mask-group", str(min(MASK_GROUP[method], width // GATE_GROUPS))]
    return Trainer(options.parse(arguments), images)


def seconds(run: Trainer) -> float:
    """Of one training step: of the process on a CPU, of the clock on a GPU."""
    clock = time.process_time
    if run.device.type == "cuda":
        clock = time.perf_counter
        torch.cuda.synchronize()
    started = clock()
    loss, _ = run.train_step()
    float(loss)
    return clock() - started


def measure(width: int, chosen: argparse.Namespace) -> dict[str, float]:
    """Views per second of each method, from its fastest step: the least disturbed one."""
    generator = torch.Generator().manual_seed(0)
    count = 4 * chosen.batch
    pixels = torch.randint(
        0, 256, (count, 3, SIZE, SIZE), dtype=torch.uint8, generator=generator
    ).to(chosen.device)
    images = data.Split(pixels, torch.zeros(count, dtype=torch.int64))
    runs = {method: trainer(method, width, chosen, images) for method in METHODS}
    times: dict[str, list[float]] = {method: [] for method in METHODS}
    for step in range(chosen.steps + 1):
        for method, run in runs.items():
            spent = seconds(run)
            if step:  # the first step allocates
                times[method].append(spent)
    return {method: 2 * chosen.batch / min(spent) for method, spent in times.items()}


def main(argv: list[str] | None = None) -> int:
    parser = OneLineParser(prog="python -m hwsim.train.speed", description=__doc__)
    parser.add_argument("--width", type=int, nargs="+", default=[64, 16])
    parser.add_argument("--batch", type=int, default=32, help="images per step, two views each")
    parser.add_argument("--steps", type=int, default=5, help="measured steps per method")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    chosen = parser.parse_args(argv)
    torch.set_num_threads(chosen.threads)
    found = {width: measure(width, chosen) for width in chosen.width}
    print(
        f"ResNet-18, {SIZE}x{SIZE}, batch {chosen.batch}, the fastest of {chosen.steps} steps, "
        f"{chosen.threads} thread(s), {machine(chosen.device)}, torch {torch.__version__}"
    )
    print("| method |" + "".join(f" width {w}: views/s | dense / it |" for w in chosen.width))
    print("|---|" + "---|---|" * len(chosen.width))
    for method in METHODS:
        cells = (
            f" {rates[method]:.1f} | {rates['dense'] / rates[method]:.2f} |"
            for rates in found.values()
        )
        print(f"| {method} |" + "".join(cells))
    return 0


def machine(device: str) -> str:
    """The processor's or the GPU's name."""
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main())
