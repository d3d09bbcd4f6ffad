"""Batches are recorded whole or not at all, whatever happens to them, and writing loses nothing."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_gates import BODY, Masked, Net, Told, attached, conv, images, listed, recorded, written
from torch import Tensor, nn

from hwsim.trace.files import verify
from hwsim.train.record.recorder import Recorder, RecordingError


def gate(x: Tensor) -> Tensor:
    return x - 0.3


class Failing(nn.Module):
    """Fails once, where it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = False

    def forward(self, x: Tensor) -> Tensor:
        if self.fails:
            self.fails = False
            raise MemoryError("no room")
        return x


FIRST, SECOND = "layers.0", "layers.2"


def failing() -> tuple[Net, dict[str, str]]:
    net = Net(Masked(conv(), gate), Failing(), Masked(conv(), gate))
    return net, {name: f"{name}.gate" for name in (FIRST, SECOND)}


def test_a_batch_that_breaks_off_is_dropped_whole(tmp_path: Path) -> None:
    """Masks, margins, counts and input bits stay those of the same images."""
    net, gates = failing()
    options = {"salience_images": 5, "input_images": 4}
    wanted = recorded(net, tmp_path / "wanted.h5", gates, **options)
    with attached(net, gates, **options) as recorder, torch.no_grad():
        for batch in images().split(3):
            net.layers[1].fails = True
            with pytest.raises(MemoryError):
                net(torch.flip(batch, (0,)))
            net(batch)
        net.layers[1].fails = True
        with pytest.raises(MemoryError):
            net(images(2))
    assert written(recorder, tmp_path / "t.h5").sha256 == wanted.sha256


def test_an_empty_batch_is_nothing(tmp_path: Path) -> None:
    net = Net(Masked(conv(), gate))
    wanted = recorded(net, tmp_path / "wanted.h5", {FIRST: f"{FIRST}.gate"})
    with attached(net, {FIRST: f"{FIRST}.gate"}) as recorder, torch.no_grad():
        for batch in images().split((0, 3, 0, 2)):
            net(batch)
    assert written(recorder, tmp_path / "t.h5").sha256 == wanted.sha256


def test_a_batch_whose_mask_is_refused_leaves_nothing_of_its_other_layers(tmp_path: Path) -> None:
    net, gates = failing()
    wanted = recorded(net, tmp_path / "wanted.h5", gates, input_images=4)
    with attached(net, gates, input_images=4) as recorder, torch.no_grad():
        first, second = images().split(3)
        net(first)
        net.layers[2].gate.function = lambda x: x[:, :3] * 0 + 1
        net.layers[2].forward = lambda x: x  # its gate does not run
        with pytest.raises(RecordingError, match=r"layer layers\.2: its gate did not run"):
            net(second)
        assert recorder.images == 3
        del net.layers[2].forward
        net.layers[2].gate.function = gate
        net(second)
    assert written(recorder, tmp_path / "t.h5").sha256 == wanted.sha256


def test_nothing_recorded_says_why(tmp_path: Path) -> None:
    net, gates = failing()
    with attached(net, gates) as recorder:
        with pytest.raises(RecordingError, match="nothing recorded: run the model on some images"):
            written(recorder, tmp_path / "t.h5")
        net.layers(torch.randn(2, 8, 6, 6))
        words = "nothing recorded: layers ran, but not through the model that the recorder"
        with pytest.raises(RecordingError, match=words):
            written(recorder, tmp_path / "t.h5")
        net.layers[1].fails = True
        with pytest.raises(MemoryError):
            net(images(2))
        with pytest.raises(RecordingError, match="no batch with images in it that the model"):
            print(recorder.mask_group)
    assert not list(tmp_path.iterdir())


def test_layers_that_run_twice_or_not_are_named(tmp_path: Path) -> None:
    class Passes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.passes = Masked(conv(), gate), 1

        def forward(self, x: Tensor) -> Tensor:
            for _ in range(self.passes):
                x = self.body(x)
            return x

    net = Net(Passes())
    names = {"layers.0.body": "layers.0.body.gate"}
    with attached(net, names) as recorder, torch.no_grad():
        net(images())
        for passes, words in ((2, "runs twice in one batch"), (0, "did not run in this batch")):
            net.layers[0].passes = passes
            with pytest.raises(RecordingError, match=rf"layer layers\.0\.body: {words}"):
                net(images())
    assert recorder.images == 5


def test_part_of_a_batch_is_named(tmp_path: Path) -> None:
    class Fewer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.all, self.some, self.skips = Masked(conv(), gate), Masked(conv(), gate), False

        def forward(self, x: Tensor) -> Tensor:
            x = self.all(x)
            return self.some(x[1:] if self.skips else x)

    net = Net(Fewer())
    names = {f"layers.0.{name}": f"layers.0.{name}.gate" for name in ("all", "some")}
    with attached(net, names) as recorder, torch.no_grad():
        net(images(2))
        net.layers[0].skips = True
        words = r"layer layers\.0\.some: reads 3 images, but layer layers\.0\.all reads 4"
        with pytest.raises(RecordingError, match=words):
            net(images(4))
    assert recorder.images == 2


def test_another_size_than_the_list_is_of_is_named(tmp_path: Path) -> None:
    net = Net(Masked(conv(), gate))
    with attached(net, BODY) as recorder:
        words = r"images of shape \(3, 8, 8\), .* derived from an example of shape \(3, 6, 6\)"
        with pytest.raises(RecordingError, match=words):
            net(images(2, size=8))
    with attached(net, BODY, network=listed("layers.0"), example=None) as recorder:
        words = r"layer layers\.0: reads \(2, 8, 8, 8\), but in the layer list .* \(8, 6, 6\)"
        with pytest.raises(RecordingError, match=words):
            net(images(2, size=8))
        net(images(2))
    assert recorder.images == 2


def test_a_model_inside_itself_is_refused() -> None:
    class Views(Net):
        def forward(self, x: Tensor) -> Tensor:
            return self(x[:1]) + self(x[:1]) if len(x) > 1 else super().forward(x)

    net = Views(Masked(conv(), gate))
    with attached(net, BODY, example=images(1)):  # noqa: SIM117
        with pytest.raises(RecordingError, match="the model ran inside itself"):
            net(images(2))


def test_a_failed_write_loses_nothing(tmp_path: Path) -> None:
    net = Net(Masked(conv(), gate))
    wanted = recorded(net, tmp_path / "wanted.h5", BODY, salience_images=2, input_images=2)
    with attached(net, BODY, salience_images=2, input_images=2) as recorder, torch.no_grad():
        for batch in images().split(3):
            net(batch)
    away = tmp_path / "away"
    for path, words in (
        (away / "t.h5", f"{away / 't.h5'}: cannot be written, there is no folder {away}"),
        (tmp_path, f"{tmp_path}: cannot be written"),
    ):
        with pytest.raises(ValueError, match=re.escape(words)) as caught:
            written(recorder, path)
        assert "\n" not in str(caught.value)
    with pytest.raises(RecordingError, match="2 image_ids of 5 images"):
        recorder.write(tmp_path / "t.h5", method="m", dataset="d", image_ids=(0, 1))
    away.mkdir()
    assert written(recorder, away / "t.h5").sha256 == wanted.sha256
    # And once more: a recorder keeps what it has.
    assert written(recorder, away / "again.h5").sha256 == wanted.sha256


def test_a_recorder_goes_on_after_a_write(tmp_path: Path) -> None:
    net = Net(Masked(conv(), gate))
    wanted = recorded(net, tmp_path / "wanted.h5", BODY)
    with attached(net, BODY) as recorder, torch.no_grad():
        first, second = images().split(3)
        net(first)
        assert written(recorder, tmp_path / "first.h5").images == 3
        net(second)
    assert written(recorder, tmp_path / "t.h5").sha256 == wanted.sha256


def test_contents_are_held_once() -> None:
    net = Net(Masked(conv(), gate))
    with attached(net, BODY) as recorder, torch.no_grad():
        net(images())
        net(images())
    first, second = recorder.contents(), recorder.contents()
    assert first["masks"]["layers.0"] is second["masks"]["layers.0"]
    assert first["masks"]["layers.0"].shape == (10, 36)


def test_two_recorders_see_the_same(tmp_path: Path) -> None:
    net = Net(Masked(conv(), gate))
    with attached(net, BODY) as one, attached(net, BODY) as other, torch.no_grad():
        net(images())
    found = [written(each, tmp_path / "t.h5").sha256 for each in (one, other)]
    assert found[0] == found[1]


@pytest.mark.parametrize("wrap", ["whole", "in place", "a part"])
def test_compiled_models_run_as_they_are_written(wrap: str, tmp_path: Path) -> None:
    net = Net(Masked(conv(), gate)).eval()
    wanted = recorded(net, tmp_path / "wanted.h5", BODY)
    model, gates = net, BODY
    if wrap == "whole":
        model = torch.compile(net, backend="eager")
    elif wrap == "in place":
        net.compile(backend="eager")
    else:
        net.layers[0].product = torch.compile(net.layers[0].product, backend="eager")
    if wrap == "a part":
        with torch.no_grad():
            model(images(1))  # compiled before anyone watches
    with attached(model, gates) as recorder, torch.no_grad():
        for batch in images().split(3):
            model(batch)
    found = written(recorder, tmp_path / "t.h5")
    np.testing.assert_array_equal(found.packed("layers.0"), wanted.packed("layers.0"))


def test_scripted_layers_are_refused_by_name() -> None:
    net = Net(torch.jit.trace(conv(), torch.randn(1, 8, 6, 6)))
    with pytest.raises(RecordingError, match=r"layer layers\.0: it or its gate is scripted"):
        Recorder.attach(net, {"layers.0": torch.sign}, network=listed("layers.0"))


def test_low_precision_runs_are_counted_exactly(tmp_path: Path) -> None:
    """Counts in bf16 would be rounded to eight bits."""
    net = Net(Masked(conv(64), lambda x: x - 0.3), channels=64)
    read: list[Tensor] = []
    with attached(net, BODY) as recorder, torch.no_grad():
        net.layers[0].register_forward_pre_hook(lambda _, args: read.append(args[0]))
        with torch.autocast("cpu", torch.bfloat16):
            net(images())
    assert read[0].dtype == torch.bfloat16
    trace = written(recorder, tmp_path / "t.h5")
    zeros = 64 * (F.unfold(read[0].float(), 3, padding=1) == 0).sum((1, 2))
    assert trace.zero_operand_macs("layers.0").tolist() == zeros.tolist()


def test_a_checked_layer_that_returns_more_is_known_by_its_shape(tmp_path: Path) -> None:
    class Both(Masked):
        def forward(self, x: Tensor):
            mask = self.gate(x) > 0
            return {"mask": mask[:, :, :1, :1], "map": self.product(x) * mask}

    class Taking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = Both(conv(), gate)

        def forward(self, x: Tensor) -> Tensor:
            return self.body(x)["map"]

    names = {"layers.0.body": "layers.0.body.gate"}
    trace = recorded(Net(Taking()), tmp_path / "t.h5", names, network=listed("layers.0.body"))
    assert 0 < trace.masks("layers.0.body").mean() < 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"masked_off": "zeros"}, "masked_off='zeros'; nearest valid: 'zero'"),
        ({"branch": "diagnal"}, "branch='diagnal'; nearest valid: 'diagonal'"),
        ({"salience_images": 1.5}, "salience_images=1.5: expected a number of images from 0 on"),
        ({"input_images": -1}, "input_images=-1: expected a number of images from 0 on"),
        ({"masks": "pixels"}, "masks='pixels'; nearest valid: 'pixel'"),
        ({"masks": {"layers.1": "pixel"}}, r"masks= names 'layers\.1', no gated layer"),
    ],
)
def test_options_that_are_no_choice_are_refused(options: dict, words: str) -> None:
    with pytest.raises(RecordingError, match=words):
        attached(Net(Masked(conv(), gate)), BODY, **options)


@pytest.mark.parametrize(
    ("gates", "words"),
    [
        ({}, "gates= names no layer"),
        ({"layers.0": 3}, r"layer layers\.0: its gate is a int; expected a module"),
        ({"layers.0": ("layers.0.gate", 0, 1)}, r"layer layers\.0: a gate of 3 parts"),
        ({"layers.0": (torch.sign, 0)}, r"layer layers\.0: its gate is a builtin_function"),
        ({"layers.0": ("layers.0.gat", 0)}, r"no module 'layers\.0\.gat' .*'layers\.0\.gate'"),
    ],
)
def test_gates_that_are_none_are_refused(gates: dict, words: str) -> None:
    with pytest.raises(RecordingError, match=words) as caught:
        attached(Net(Masked(conv(), Told(gate))), gates)
    assert "run the model" not in str(caught.value)


def test_a_layer_list_of_ones_own_has_the_same_gates(tmp_path: Path) -> None:
    net, gates = failing()
    with pytest.raises(RecordingError, match=r"layer layers\.2: named in gates=, but not gated in"):
        attached(net, gates, network=listed("layers.0"))
    with pytest.raises(RecordingError, match=r"layer layers\.0: gated in the layer list, but not"):
        attached(net, {SECOND: f"{SECOND}.gate"}, network=listed("layers.0"))
    assert verify(written_of(net, tmp_path)).images == 5


def written_of(net: Net, folder: Path) -> Path:
    recorded(net, folder / "t.h5", BODY, network=listed("layers.0"))
    return folder / "t.h5"
