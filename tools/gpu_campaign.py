"""Networks of the campaign on a GPU that is lent for minutes at a time.

    make gpu-campaign DATA=DIR OUT=DIR [MINUTES=9] [JOBS=3] [METHODS="scdg cdg dense"] [FROM=DIR]

A job is one call. It measures every method's speed, plans epochs for all jobs if none has yet, and
goes on where the job before it ended: each method's contrastive stage, then its fine-tuning. FROM
(default: OUT) holds what earlier jobs left. A job leaves a few files, each small enough to be sent
(LARGEST, FILES): results.json, and of at most two networks the weights in parts, convolutions in
fp16. Momentum starts anew with each job. `python -m tools.gpu_campaign --join DIR... --out DIR`
makes weights files of the parts, for `hwsim record` and all else.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hwsim.cli import OneLineParser, positive, status_of
from hwsim.errors import UserError
from hwsim.files import whole, write_whole
from hwsim.train import options, report
from hwsim.train.finetune import FineTuner
from hwsim.train.images import views
from hwsim.train.images.dataset import choose
from hwsim.train.images.sources import Source
from hwsim.train.networks import methods, models
from hwsim.train.trainer import Trainer

FILES, LARGEST, ALL = 8, 15 << 20, 60 << 20
"""Limits of what a job leaves: files, bytes of the largest, bytes of all together."""

NETWORKS = 2
"""Networks of which a job leaves weights: three of width 64 would be larger than ALL."""

STAGES = ("contrastive", "finetune")
RESERVE_SECONDS = 40
"""Kept free for each network: decoding images, evaluating and writing it."""

SPEED_STEPS, SPEED_SECONDS = 10, 15
RESULTS = "results.json"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = OneLineParser(prog="python -m tools.gpu_campaign", description=__doc__,
                           formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    add = parser.add_argument
    add("--data", type=Path, help="CIFAR-10, as docs/guide/training.md says")
    add("--out", type=Path, required=True, help="what this job leaves")
    add("--from", type=Path, dest="earlier", help="what earlier jobs left (default: OUT)")
    add("--join", type=Path, nargs="+", metavar="DIR", help="make weights files in OUT of what "
        "jobs left")  # fmt: skip
    add("--minutes", type=float, default=9, help="of this job, compiling and evaluation included")
    add("--jobs", type=positive, default=3, help="how many jobs there will be: sets the epochs")
    add("--methods", nargs="+", choices=methods.METHODS, default=["scdg", "cdg", "dense"])
    add("--tune-epochs", type=float, default=15)
    add("--width", type=positive, default=64)
    add("--stages", default="2,2,2,2")
    add("--batch", type=positive, default=512)
    add("--resolution", default="32")
    add("--target", type=float, default=0.45)
    add("--seed", type=int, default=0)
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add("--compile", action="store_true", help="torch.compile each network")
    add("--cache", type=Path, help="decoded images (default: a temporary folder)")
    chosen = parser.parse_args(arguments)
    if not chosen.join and chosen.data is None:
        parser.error("--data: the folder of images is missing")
    return chosen


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = parse(arguments)
    work = join if chosen.join else job
    return status_of("python -m tools.gpu_campaign", lambda: work(chosen), "interrupted")


def now() -> float:
    """Seconds of a clock that a job's minutes are counted with."""
    return time.monotonic()


# What a job leaves.


def parts_of(arrays: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """The arrays in as few lots as their order allows, each below LARGEST. Raises UserError."""
    lots: list[dict[str, np.ndarray]] = [{}]
    room = limit = LARGEST - (64 << 10)  # for names and headers
    for name, array in arrays.items():
        if array.nbytes > limit:
            raise UserError(f"{name}: {array.nbytes} bytes do not fit into a file of {LARGEST}")
        if array.nbytes > room:
            lots.append({})
            room = limit
        lots[-1][name] = array
        room -= array.nbytes
    return lots


def write_parts(folder: Path, name: str, arrays: Mapping[str, np.ndarray]) -> list[Path]:
    """NAME-0.npz, NAME-1.npz, ... ; an earlier job's are removed."""
    for old in folder.glob(f"{name}-*.npz"):
        old.unlink()
    paths = []
    for number, lot in enumerate(parts_of(arrays)):
        paths.append(folder / f"{name}-{number}.npz")
        with whole(paths[-1]) as temporary, temporary.open("wb") as handle:
            np.savez(handle, allow_pickle=False, **lot)
    return paths


def read_parts(folder: Path, name: str) -> dict[str, np.ndarray]:
    """What write_parts wrote. Raises UserError where there is nothing."""
    found: dict[str, np.ndarray] = {}
    for path in sorted(folder.glob(f"{name}-[0-9]*.npz")):
        with np.load(path, allow_pickle=False) as file:
            found |= {key: file[key] for key in file.files}
    if not found:
        raise UserError(f"{folder}: no {name}-*.npz of an earlier job in it")
    return found


def check_size(paths: Iterable[Path]) -> None:
    """What a job leaves can be sent. Raises UserError."""
    sizes = {path.name: path.stat().st_size for path in paths}
    if len(sizes) > FILES or max(sizes.values()) > LARGEST or sum(sizes.values()) > ALL:
        raise UserError(
            f"too much for a job: {sizes}; {FILES} files of {LARGEST} bytes, {ALL} in all"
        )


def half(state: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """A model's state, matrices and convolutions in fp16."""
    kept = {k: v.half() if v.is_floating_point() and v.ndim > 1 else v for k, v in state.items()}
    return {name: value.cpu().contiguous().numpy() for name, value in kept.items()}


def join(chosen: argparse.Namespace) -> None:
    """Weights files of all networks that are finished, each from the last job that has it."""
    chosen.out.mkdir(parents=True, exist_ok=True)
    networks = {}
    for folder in chosen.join:
        for name, about in read_results(folder)["networks"].items():
            if about["done"] and any(folder.glob(f"{name}-[0-9]*.npz")):
                networks[name] = folder, about
    for name, (folder, about) in networks.items():
        path = chosen.out / f"{about['file']}.npz"
        with whole(path) as temporary, temporary.open("wb") as handle:
            np.savez(handle, allow_pickle=False, **read_parts(folder, name))
        models.load_weights(path)
        print(f"{path}: {about['figures']}")


def read_results(folder: Path) -> dict[str, Any]:
    path = folder / RESULTS
    if not path.exists():
        return {"epochs": {}, "views_per_s": [], "networks": {}}
    found = json.loads(path.read_text())
    return dict(found)


# What a job does.


def arguments_of(method: str, stage: str, epochs: float, chosen: argparse.Namespace) -> list[str]:
    """The trainer's options for a network; fine-tuning's --weights aside."""
    found = [
        "--stage", stage, "--data", str(chosen.data), "--out", str(chosen.out),
        "--epochs", str(epochs), "--batch", str(chosen.batch), "--seed", str(chosen.seed),
        "--device", chosen.device, "--precision", "bf16", "--target", str(chosen.target),
    ]  # fmt: skip
    if chosen.compile:
        found.append("--compile")
    if stage == "finetune":
        return [*found, "--resolution", "32", "--lr", "0.1"]
    return [*found, "--method", method, "--width", str(chosen.width), "--stages", chosen.stages,
            "--resolution", chosen.resolution, "--lr", "3e-3"]  # fmt: skip


def speeds(chosen: argparse.Namespace, train: views.Split) -> dict[str, float]:
    """Views per second of every method, printed: the fastest half of ten steps, or of 15 s."""
    found = {}
    for method in chosen.methods:
        run = Trainer(options.parse(arguments_of(method, "contrastive", 1, chosen)), train)
        times: list[float] = []
        # The first two compile and allocate.
        while len(times) < 3 or (len(times) < SPEED_STEPS + 2 and sum(times[1:]) < SPEED_SECONDS):
            started = time.perf_counter()
            float(run.train_step()[0])
            times.append(time.perf_counter() - started)
        best = sorted(times[2:])[: -(-len(times[2:]) // 2)]
        found[method] = 2 * chosen.batch * len(best) / sum(best)
        print(f"{method}: {found[method]:.0f} views/s, first step {times[0]:.1f} s", flush=True)
    return found


def plan(rates: Mapping[str, float], images: int, chosen: argparse.Namespace) -> dict[str, float]:
    """Epochs of the contrastive stage, the same for every method: what all jobs have time for."""
    seconds = 60 * chosen.minutes * chosen.jobs
    seconds -= len(rates) * 2 * RESERVE_SECONDS
    per_epoch = sum(2 * images / rate for rate in rates.values())
    tuning = sum(chosen.tune_epochs * images / rate for rate in rates.values())
    epochs = max(1.0, float(int((seconds - tuning) / per_epoch)))
    return dict.fromkeys(rates, epochs)


def job(chosen: argparse.Namespace) -> None:
    """One job; see the module."""
    end = now() + 60 * chosen.minutes
    chosen.out.mkdir(parents=True, exist_ok=True)
    results = read_results(chosen.earlier or chosen.out)
    with tempfile.TemporaryDirectory(prefix="hwsim-") as scratch:
        source = choose(chosen.data)
        cache, device = chosen.cache or Path(scratch), torch.device(chosen.device)
        train, test = (
            views.load_split(source, name, cache).to(device) for name in ("train", "test")
        )
        Job(chosen, end, results, source, train, test, Path(scratch)).run()


@dataclass
class Job:
    """A job under way. ``results``: what RESULTS holds; ``written``: weights written so far."""

    chosen: argparse.Namespace
    end: float
    results: dict[str, Any]
    source: Source
    train: views.Split
    test: views.Split
    scratch: Path
    written: list[Path] = field(default_factory=list)

    def run(self) -> None:
        """Networks one after another, until the time is over or FILES are full."""
        chosen, results = self.chosen, self.results
        rates = speeds(chosen, self.train)
        results["views_per_s"].append(rates)
        if not results["epochs"]:
            results["epochs"] = plan(rates, len(self.train), chosen)
        for method, stage in itertools.product(chosen.methods, STAGES):
            name = f"{method}-{stage}"
            about = results["networks"].setdefault(name, {"done": False, "progress": 0, "log": []})
            if about["done"]:
                continue
            full = len({path.stem.rpartition("-")[0] for path in self.written}) == NETWORKS
            if full or now() > self.end - RESERVE_SECONDS:
                break
            self.written += write_parts(chosen.out, name, self.trained(method, stage))
            self.write_results()
            if not about["done"]:
                break
        check_size([*self.written, self.write_results()])
        for name, about in results["networks"].items():
            print(f"{name}: {about['progress']:.1%} {about.get('figures', '')}", flush=True)

    def write_results(self) -> Path:
        path = self.chosen.out / RESULTS
        write_whole(path, json.dumps(self.results, indent=1) + "\n")
        return path

    def started(self, method: str, stage: str) -> Trainer:
        """The network's run, as an earlier job left it."""
        chosen, name = self.chosen, f"{method}-{stage}"
        earlier = chosen.earlier or chosen.out
        if stage == "finetune":
            first = f"{method}-contrastive"
            here = any(path.name.startswith(first) for path in self.written)
            weights, parts = self.scratch / f"{first}.npz", chosen.out if here else earlier
            np.savez(weights, allow_pickle=False, **read_parts(parts, first))
            arguments = arguments_of(method, stage, chosen.tune_epochs, chosen)
            arguments += ["--weights", str(weights)]
            run: Trainer = FineTuner(options.parse(arguments), self.train)
        else:
            arguments = arguments_of(method, stage, self.results["epochs"][method], chosen)
            run = Trainer(options.parse(arguments), self.train)
        about = self.results["networks"][name]
        if about["progress"]:
            state = {k: torch.from_numpy(v) for k, v in read_parts(earlier, name).items()}
            run.model.load_state_dict(state)
            run.step, run.seconds = about["step"], about["seconds"]
            run.generator.manual_seed(chosen.seed + run.step)
        return run

    def trained(self, method: str, stage: str) -> dict[str, np.ndarray]:
        """Trains to the end or until it is time to stop; the arrays to be kept."""
        name, run = f"{method}-{stage}", self.started(method, stage)
        about = self.results["networks"][name]
        every = max(1, int(len(run.train) // run.args.batch) // 2)
        while run.progress < 1 and now() < self.end - RESERVE_SECONDS:
            loss, _ = run.train_step()
            if run.step % every == 0:
                layers = methods.dynamic_layers(run.model.encoder).values()
                density = sum(float(layer.density) for layer in layers) / max(len(layers), 1)
                row = [run.step, round(run.seconds, 1), round(float(loss), 4), round(density, 4)]
                about["log"].append(row)
                print(f"{name}: step, seconds, loss, density {row}", flush=True)
                if not np.isfinite(float(loss)):
                    raise UserError(f"{name}: the loss is {float(loss)} at step {run.step}")
        about |= {"step": run.step, "seconds": run.seconds, "progress": min(run.progress, 1.0)}
        if run.progress < 1:
            return half(run.model.state_dict())
        run.advance()
        about["done"] = True
        return self.finished(run, about)

    def finished(self, run: Trainer, about: dict[str, Any]) -> dict[str, np.ndarray]:
        """The arrays of the run's weights file; ``about`` gets accuracies and the file's name."""
        training = report.training_record(run, self.source)
        about["figures"] = report.shipped_accuracies(run, self.train, self.test)
        about["file"] = report.file_name(run.args, self.source)
        path = self.scratch / "finished.npz"
        models.save_weights(path, run.model.encoder, training | about["figures"], run.top())
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}


if __name__ == "__main__":
    sys.exit(main())
