"""The state of a run and its one step; saving and restoring it is here alone."""

from __future__ import annotations

import argparse
import io
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hwsim.files import write_whole
from hwsim.train import checkpoint, controller, options
from hwsim.train.fast import fast, refusal
from hwsim.train.images import views
from hwsim.train.images.sources import DataError
from hwsim.train.losses import nt_xent
from hwsim.train.networks import archive, models
from hwsim.train.networks.gating import penalty
from hwsim.train.networks.inference import autocast
from hwsim.train.networks.methods import advance, lasso, pairing, view_branches
from hwsim.train.optimisers import optimisers, rate


class Trainer:
    """A network, its optimisers, its data order and how far it has come."""

    measured = "knn_percent"
    """Name of the accuracy in the log."""

    def __init__(self, args: argparse.Namespace, train: views.Split) -> None:
        self.args, self.train = args, train
        self.device = torch.device(args.device)
        torch.manual_seed(args.seed)
        self.model = self.build().to(self.device, memory_format=torch.channels_last)
        self.why_plain = self._why_plain()
        self.network: Any = self.model
        if args.compile and self.why_plain:
            # dynamic=False: one graph per resolution; shape-generic code is slower.
            self.network = torch.compile(self.model, dynamic=False)
        self.optimisers = optimisers(self.model, args)
        self.generator = torch.Generator().manual_seed(args.seed + 1)
        self.shuffler = views.Shuffler(len(train), args.batch, self.generator)
        self.step, self.seconds = 0, 0.0

    def build(self) -> Any:
        """The model to be trained: an encoder under ``encoder``, and what is on top of it."""
        model = models.SimCLR(fresh_encoder(self.args))
        if self.args.start:
            model.encoder.load_state_dict(self.args.start.encoder.state_dict())
        return model

    def top(self) -> dict[str, Tensor]:
        """Arrays above the encoder for the weights file; the projector is not kept."""
        return {}

    @property
    def views_per_step(self) -> int:
        """Images that go through the network in a step."""
        return 2 * self.args.batch

    @property
    def progress(self) -> float:
        """From 0 to 1, in training time, passes over the images or steps."""
        if self.args.minutes:
            return self.seconds / (60 * self.args.minutes)
        return self.step / self.steps_in_all

    @property
    def resolution(self) -> int:
        """Side of the views now, in pixels."""
        return next((s for s, until in self.args.sizes if self.progress < until),
                    self.args.sizes[-1][0])  # fmt: skip

    @property
    def pulls_thresholds(self) -> bool:
        """Whether the penalty draws thresholds to T."""
        return self.args.density is None

    @property
    def epochs_done(self) -> float:
        return self.step * self.args.batch / len(self.train)

    def seconds_left(self, per_step: float) -> float:
        """Seconds of training left; a step takes ``per_step`` now, later as its pixels need."""
        if self.args.minutes:
            return max(0.0, 60 * self.args.minutes - self.seconds)
        total, done, left = self.steps_in_all, self.progress, 0.0
        for size, until in self.args.sizes:
            left += max(0.0, until - done) * total * (size / self.resolution) ** 2
            done = max(done, until)
        return left * per_step

    @property
    def steps_in_all(self) -> float:
        """Steps of a whole run that is counted in epochs or steps."""
        if self.args.epochs:
            return float(self.args.epochs * (len(self.train) // self.args.batch))
        return float(self.args.steps)

    def _why_plain(self) -> str | None:
        """Why the plain path does the work; None where the fast one does."""
        args = self.args
        if args.plain:
            return "--plain asks for it"
        return refusal(self.device, args.precision, args.gate_norm)

    def autocast(self) -> AbstractContextManager[Any]:
        return autocast(self.device, self.args.precision)

    def path(self) -> AbstractContextManager[Any]:
        """The context of a training pass, inside :meth:`autocast`."""
        return nullcontext() if self.why_plain else fast(self.model.encoder)

    def views(self) -> list[Tensor]:
        """Two augmented views of the next batch."""
        images = self.train.images[self.shuffler.next().to(self.train.images.device)]
        area = self.args.min_crop_area
        found = (views.augment(images, self.resolution, self.generator, area) for _ in range(2))
        return [view.contiguous(memory_format=torch.channels_last) for view in found]

    def embeddings(self, views: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Both views' embeddings, (N, 128) fp32, each by its method's branch; the lasso."""
        args, found, sizes = self.args, [], []
        with self.autocast(), pairing(args.method, self.model), self.path():
            for view, branch in zip(views, view_branches(args.method), strict=True):
                found.append(self.network(view, branch).float())
                sizes.append(lasso(self.model))
                if args.density is not None:
                    controller.steer(self.model, args.density)
        return found[0], found[1], sizes[0] + sizes[1]

    def advance(self) -> None:
        """Set the share of channels that FBS and DGC keep at this progress."""
        if self.args.density is not None:
            advance(self.model, self.progress, self.args.density)

    def losses(self) -> tuple[Tensor, Tensor]:
        """The contrastive loss of the next batch; the lasso."""
        self.advance()
        first, second, added = self.embeddings(self.views())
        return nt_xent(first, second, self.args.temperature), added

    def train_step(self) -> tuple[Tensor, Tensor]:
        """One optimiser step; the loss and what is added to it, detached scalars."""
        started = time.perf_counter()
        loss, added = self.losses()
        weight = self.args.penalty if self.pulls_thresholds else 0.0
        added = (added + weight * penalty(self.model, self.args.target)).to(loss.device)
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        (loss + added).backward()
        share = rate(self.progress, self.args.warm_up)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * share
            optimiser.step()
        self.step += 1
        self.seconds += time.perf_counter() - started
        return loss.detach(), added.detach()

    def save(self, path: Path) -> None:
        """The file appears whole: a kill meanwhile leaves the old checkpoint."""
        # Where torch writes to a disk that fills, it raises a RuntimeError.
        contents = io.BytesIO()
        torch.save(self.state_dict(), contents)
        write_whole(path, contents.getvalue())

    def state_dict(self) -> dict[str, Any]:
        return {
            "config": options.deciding(self.args),
            "model": self.model.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "generator": self.generator.get_state(),
            "shuffler": self.shuffler.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }

    def restore(self, path: Path) -> None:
        """Continues from a checkpoint, if there is one.

        DataError for another configuration's, CheckpointError for one that is damaged.
        """
        if not path.exists():
            return
        state = checkpoint.read(path, self.device)
        saved, mine = state["config"], options.deciding(self.args)
        different = [k for k in options.different(saved, mine) if k not in options.BUDGET]
        if different:
            key = different[0]
            raise DataError(
                f"--out {path.parent}: its checkpoint was made with {key}={saved.get(key)}, "
                f"not {mine[key]}; give another --out"
            )
        try:
            checkpoint.require_fit(state, self.model, self.optimisers, len(self.train))
            self.load_state_dict(state)
        except archive.DAMAGED as error:
            raise checkpoint.damaged(path, error) from None

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.generator.set_state(state["generator"].cpu())
        self.shuffler.load_state_dict(state["shuffler"])
        self.step, self.seconds = state["step"], state["seconds"]


def fresh_encoder(args: argparse.Namespace) -> models.ResNet18:
    """The untrained encoder; torch's generator decides its weights."""
    return models.ResNet18(
        args.method,
        args.width,
        stages=args.blocks,
        gate_norm=args.gate_norm,
        mask_group=args.mask_group,
    )
