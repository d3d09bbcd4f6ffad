"""The runs of the campaign: which networks, how they are trained, on which machine replayed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from hwsim.errors import UserError

KEPT = Path(__file__).parents[2] / "docs" / "results" / "runs"
"""What the repository keeps of every run: options, learning curve, figures."""

PATHS = "paths"
"""Folder in a run's folder: what `python -m studies.paths` found."""

IN_ORDER = ("dense", "cdg", "scdg", "cgnet", "broadcast", "fbs", "dgc")

TRAINING = (
    "--batch 128 --lr 3e-3 --target 0.38 --resolution 16:0.9,32 --precision bf16 --threads 1 "
    "--device cpu --knn-bank 20000 --knn-queries 5000 --images 64 --log-every 20 --knn-every 200"
)
"""Thresholds aim at 0.38 and not at Phi's 0.573: Z is skewed, the density ends near 0.3."""

EVALUATION = (
    "--what knn linear finetune int8 density --train-images 20000 --test-images 5000 "
    "--epochs 1 --batch 32 --precision bf16"
)

STARTS = {
    "cdg": "1177632dae1ca6b519f4389480d4b946ff539a2bb359002095ed254cb75aac54",
    "scdg": "1fa75a68408e5eb09f924c8ac410e31150be7ae27c0a44dbe9546e1aceb12c4c",
}
"""SHA-256 of the weights that w64 is trained on from: traces/weights as of commit 208c178."""

WHOLE = "--epochs 4.6 --lr 3e-3"
"""In one run as many epochs as CDG and SCDG of width 64 have in two (4.75 and 4.44)."""

IMAGENET = "--image-size 32 --data-name ImageNet-100/64"


class Run(NamedTuple):
    """One network: its folder is named after it."""

    group: str
    method: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.group}-{self.method}-s{self.seed}"


@dataclass(frozen=True)
class Group:
    """Networks of equal budgets.

    ``training`` and ``evaluation``: options of `hwsim train` and `hwsim evaluate`; ``more``: more
    training options of single methods. ``starts``: SHA-256 of the weights that methods are trained
    on from (:func:`start_file`). ``paths``: methods whose base and conditional paths `python -m
    studies.paths` measures. ``machine``: keys in which the machine differs from the baseline.
    """

    title: str
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    training: str
    evaluation: str = EVALUATION
    more: Mapping[str, str] = field(default_factory=dict)
    starts: Mapping[str, str] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    machine: Mapping[str, int] = field(default_factory=dict)
    data: str = "cifar10"

    def measures(self, run: Run) -> list[str]:
        """Options of the evaluation, without places."""
        return f"{self.evaluation} --seed {run.seed}".split()

    def options(self, run: Run, start: Path | None) -> list[str]:
        """Of the training, without places; ``start``: where weights lie that are trained on."""
        text = f"--method {run.method} --seed {run.seed} {self.training}"
        found = f"{text} {self.more.get(run.method, '')}".split()
        if run.method in self.starts:
            found += ["--weights", f"{start}/{start_file(run.method)}"]
        return found


def start_file(method: str) -> str:
    """Name of the weights that a method is trained on from."""
    return f"resnet18-cifar10-{method}.npz"


GROUPS: Mapping[str, Group] = {
    # Four lanes: groups of 4 channels in the first stage cannot be decided by eights.
    "w16": Group(
        "Width 16", IN_ORDER, (0, 1), f"--width 16 --epochs 3 {TRAINING}",
        more={"scdg": "--mask-group 4"}, machine={"index.lane_group": 4},
    ),
    "w32": Group("Width 32", IN_ORDER, (0, 1), f"--width 32 --epochs 2 {TRAINING}"),
    "w64": Group(
        "Width 64", ("dense", "cdg", "scdg", "fbs"), (0,), f"--epochs 2 {TRAINING} --lr 1.5e-3",
        more={"dense": WHOLE, "fbs": WHOLE}, starts=STARTS, paths=("cdg", "scdg"),
    ),
    # Half the time at 16x16, a quarter each at 24x24 and 32x32; T for the poster's density.
    "w64l": Group(
        "Width 64, 50 epochs", ("scdg", "cdg", "dense"), (0,),
        f"--width 64 --epochs 50 {TRAINING} --lr 1.5e-3 --target 0.45 "
        "--resolution 16:0.73,24:0.91,32",
    ),
    "imagenet": Group(
        "ImageNet-100/64", ("dense", "scdg"), (0,),
        f"--width 32 --epochs 3 {TRAINING} {IMAGENET}",
        f"{EVALUATION} {IMAGENET}",
        data="imagenet100-64",
    ),
}  # fmt: skip


def runs_of(groups: Mapping[str, Group] = GROUPS) -> Iterator[Run]:
    """In the order in which they are made: of every group first all methods with the first seed."""
    for name, group in groups.items():
        for seed in group.seeds:
            for method in group.methods:
                yield Run(name, method, seed)


def only_file(folder: Path, pattern: str) -> Path:
    """The one file of its kind in a run's folder. Raises UserError."""
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise UserError(f"{folder}: {len(found)} files {pattern}, expected one")
    return found[0]
