"""The weights that a run trains on from, and what its training record says of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwsim.train.networks import models
from hwsim.train.networks.methods import GATED

EARLIER = (
    "stage", "framework", "seed", "steps", "epochs", "epochs_total", "data", "knn_percent",
    "untrained_knn_percent", "density_macs", "density_elements", "started_from",
)  # fmt: skip
"""What is kept of the record in the file."""


@dataclass(frozen=True)
class Start:
    """An encoder as its file has it, in fp32, and how it was trained; ``sha256``: of the file."""

    encoder: models.ResNet18
    training: dict[str, Any]
    sha256: str

    @classmethod
    def read(cls, path: Path) -> Start:
        """From a file of models.save_weights. Raises WeightsError."""
        encoder, training = models.load_weights(path)
        return cls(encoder, training, hashlib.sha256(path.read_bytes()).hexdigest())

    def options(self) -> dict[str, Any]:
        """The trainer's options that the file decides, by name."""
        encoder = self.encoder
        found: dict[str, Any] = {
            "method": encoder.method,
            "width": encoder.width,
            "stages": ",".join(map(str, encoder.stages)),
        }
        if encoder.method in GATED:
            found |= {"gate_norm": encoder.gate_norm, "mask_group": encoder.mask_group}
        return found

    def record(self, epochs: float, stage: str = "contrastive") -> dict[str, Any]:
        """``started_from``, and ``epochs_total``: with ``epochs`` more, where that is known.

        Epochs of different stages do not add up.
        """
        earlier = {name: self.training[name] for name in EARLIER if name in self.training}
        found: dict[str, Any] = {"started_from": {"sha256": self.sha256, **earlier}}
        before = earlier.get("epochs_total", earlier.get("epochs"))
        if before is not None and earlier.get("stage", "contrastive") == stage:
            found["epochs_total"] = round(before + epochs, 2)
        return found
