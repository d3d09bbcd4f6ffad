"""Linear evaluation on problems with known answers; fine-tuning learns and keeps its gates."""

from __future__ import annotations

from pathlib import Path

import torch

from hwsim.train.evaluate import probe
from hwsim.train.images import views
from hwsim.train.networks import models
from hwsim.train.networks.gating import gated_layers
from hwsim.train.networks.inference import recalibrate


def test_linear_evaluation_separates_what_is_separable_and_no_more() -> None:
    torch.manual_seed(0)
    labels = torch.arange(300) % 3
    centres = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    known = centres[labels] + 0.3 * torch.randn(300, 2)
    asked = centres[labels] + 0.3 * torch.randn(300, 2)
    assert probe.linear_accuracy(known, labels, asked, labels) > 99
    # Scale and offset of the features do not matter.
    assert probe.linear_accuracy(1e3 * known + 7, labels, 1e3 * asked + 7, labels) > 99
    noise = torch.randn(300, 2)
    assert probe.linear_accuracy(noise, labels, torch.randn(300, 2), labels) < 50


def test_views_of_fine_tuning_are_shifts_and_mirrors() -> None:
    images = torch.randint(0, 256, (64, 3, 8, 8), dtype=torch.uint8)
    found = probe.shifted(images, torch.Generator().manual_seed(0))
    again = probe.shifted(images, torch.Generator().manual_seed(0))
    assert torch.equal(found, again)
    padded = torch.nn.functional.pad(views.plain(images), (1,) * 4, mode="reflect")
    ways = set()
    for view, image in zip(found, padded, strict=True):
        cuts = {
            (y, x, mirrored): image[:, y : y + 8, x : x + 8].flip(2 if mirrored else ())
            for y in range(3) for x in range(3) for mirrored in (False, True)
        }  # fmt: skip
        matching = [way for way, cut in cuts.items() if torch.equal(view, cut)]
        assert matching
        ways |= set(matching)
    assert len(ways) > 10


class Means(torch.nn.Module):
    """An encoder whose features are channel means: as they are, ten times as large, and dead."""

    features = 3

    def forward(self, x: torch.Tensor, branch: str) -> torch.Tensor:
        return x.mean((2, 3)) * torch.tensor([1.0, 10.0, 0.0])


def test_a_classifier_starts_at_zero_on_standardised_features() -> None:
    images = torch.randint(0, 256, (50, 3, 4, 4), dtype=torch.uint8)
    encoder = Means()
    model = probe.Classifier(encoder, images, 4, "diagonal", "fp32")
    given = []
    model.fc.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    assert not model(views.plain(images)).any()
    small, large, dead = given[0].T
    for feature in (small, large):
        assert abs(float(feature.mean())) < 1e-4
        assert abs(float(feature.square().mean()) - 1) < 1e-4
    assert not dead.any()
    # One per cent of the mean deviation of the three.
    seen = views.plain(images).mean((2, 3)).double().std(0, correction=0)
    expected = 0.01 * (seen[0] + 10 * seen[1]) / 3
    torch.testing.assert_close(model.deviation[2].double(), expected, rtol=1e-5, atol=0)
    alone = probe.Classifier(encoder, images[:1], 4, "diagonal", "fp32")
    assert not alone(views.plain(images)).any()


def test_fine_tuning_learns_and_keeps_thresholds_and_the_original(tmp_path: Path) -> None:
    split = views.load_split(Path("tiny"), "train", tmp_path).head(40)
    seen = views.Split(split.images[:, :, ::4, ::4], split.labels)
    torch.manual_seed(0)
    encoder = models.ResNet18("scdg", 32).to(memory_format=torch.channels_last)
    recalibrate(encoder, seen.images)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    recipe = probe.FineTuning(epochs=16, batch=10, lr=0.01)
    accuracy, tuned = probe.fine_tune(encoder, seen, seen, recipe)
    assert accuracy > 40  # ten classes
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, before[name])
    for name, layer in gated_layers(tuned).items():
        assert torch.equal(layer.tau, before[f"{name}.tau"])
        assert not torch.equal(layer.weight, before[f"{name}.weight"])
    once = probe.FineTuning(epochs=1, batch=20)
    first, second = (probe.fine_tune(encoder, seen, seen, once)[1] for _ in range(2))
    assert torch.equal(first.conv1.weight, second.conv1.weight)


def test_fine_tuning_in_bf16_moves_the_weights_as_fp32_does(tmp_path: Path) -> None:
    split = views.load_split(Path("tiny"), "train", tmp_path).head(40)
    seen = views.Split(split.images[:, :, ::4, ::4], split.labels)
    torch.manual_seed(0)
    encoder = models.ResNet18("dense", 16, stages=(1, 1))
    recalibrate(encoder, seen.images)
    moved = {}
    for precision in ("fp32", "bf16"):
        recipe = probe.FineTuning(epochs=4, batch=10, lr=0.01, precision=precision)
        _, tuned = probe.fine_tune(encoder, seen, seen, recipe)
        parts = [p for p in tuned.parameters() if p.ndim == 4]
        before = [p for p in encoder.parameters() if p.ndim == 4]
        moves = [(a - b).flatten() for a, b in zip(parts, before, strict=True)]
        moved[precision] = torch.cat(moves).detach()
        assert {p.dtype for p in tuned.parameters()} == {torch.float32}
    assert not torch.equal(moved["fp32"], moved["bf16"])
    # A tenth; more than a quarter where one autocast spans the steps and keeps its first weights.
    difference = float((moved["fp32"] - moved["bf16"]).norm() / moved["fp32"].norm())
    assert difference < 0.2
