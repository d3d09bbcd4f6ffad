"""Training speed of the fast path beside the plain one.

    python -m benchmarks.training [--methods dense cdg] [--width 64] [--size 32 24 16] [--steps 3]

Whole steps of the trainer on random images, in bf16, one thread unless --threads says otherwise. On
a CPU time is the process's own, so that other work on the machine disturbs little. The two paths
take turns; the fastest of --steps counts.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from hwsim.cli import OneLineParser, positive
from hwsim.train import options
from hwsim.train.images import views
from hwsim.train.networks.methods import GATE_GROUPS, MASK_GROUP, METHODS
from hwsim.train.trainer import Trainer

PATHS = {"plain": ["--plain"], "fast": []}
"""Options of the trainer."""


def trainer(
    method: str, path: str, size: int, chosen: argparse.Namespace, images: views.Split
) -> Trainer:
    """A run of `method` that never ends. A group of SCDG shrinks to a narrow gating group's."""
    arguments = [
        "--method", method, "--width", str(chosen.width), "--batch", str(chosen.batch),
        "--resolution", str(size), "--data", ".", "--out", ".", "--steps", "1000000",
        "--device", chosen.device, "--precision", chosen.precision, *PATHS[path],
    ]  # fmt: skip
    if method in MASK_GROUP:
        arguments += ["--mask-group", str(min(MASK_GROUP[method], chosen.width // GATE_GROUPS))]
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


def views_per_second(method: str, size: int, chosen: argparse.Namespace) -> dict[str, float]:
    """Views per second by path; a path that cannot run here is left out."""
    generator = torch.Generator().manual_seed(0)
    shape = 4 * chosen.batch, 3, size, size
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    images = views.Split(pixels.to(chosen.device), torch.zeros(len(pixels), dtype=torch.int64))
    runs = {path: trainer(method, path, size, chosen, images) for path in PATHS}
    runs = {path: run for path, run in runs.items() if path == "plain" or not run.why_plain}
    times: dict[str, list[float]] = {path: [] for path in runs}
    for step in range(chosen.steps + 1):
        for path, run in runs.items():
            spent = seconds(run)
            if step:  # the first step allocates
                times[path].append(spent)
    return {path: 2 * chosen.batch / min(spent) for path, spent in times.items()}


def cells(rates: dict[str, float]) -> Iterator[str]:
    """Of a method at a size: plain, fast, how many times as fast."""
    yield f"{rates['plain']:.0f}"
    yield f"{rates['fast']:.0f}" if "fast" in rates else "-"
    yield f"{rates['fast'] / rates['plain']:.2f}" if "fast" in rates else "-"


def main(argv: list[str] | None = None) -> int:
    parser = OneLineParser(prog="python -m benchmarks.training", description=__doc__)
    add = parser.add_argument
    add("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    add("--width", type=positive, default=64)
    add("--size", type=positive, nargs="+", default=[32, 24, 16], help="of the images, in pixels")
    add("--batch", type=positive, default=128, help="images per step, two views each")
    add("--steps", type=positive, default=3, help="measured steps of each")
    add("--threads", type=positive, default=1)
    add("--precision", choices=("fp32", "bf16"), default="bf16")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    chosen = parser.parse_args(argv)
    torch.set_num_threads(chosen.threads)
    print(
        f"ResNet-18 of width {chosen.width}, views/s, batch {chosen.batch}, {chosen.precision}, "
        f"the fastest of {chosen.steps} steps, {chosen.threads} thread(s), "
        f"{machine(chosen.device)}, torch {torch.__version__}"
    )
    heads = "".join(f" {size}: plain | fast | ratio |" for size in chosen.size)
    print(f"| method |{heads}\n|---|{'---|---|---|' * len(chosen.size)}")
    for method in chosen.methods:
        rates = (views_per_second(method, size, chosen) for size in chosen.size)
        found = [cell for each in rates for cell in cells(each)]
        print(f"| {method} | {' | '.join(found)} |", flush=True)
    return 0


def machine(device: str) -> str:
    """The processor's or the GPU's name, and a processor's bf16 instructions."""
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    units = {
        "AMX": torch.cpu._is_amx_tile_supported(),
        "AVX-512 with bf16": torch.cpu._is_avx512_bf16_supported(),
    }
    return f"{name} ({next((unit for unit, has in units.items() if has), 'no bf16 products')})"


if __name__ == "__main__":
    sys.exit(main())
