"""A recording is what the gate said: when it said so, of whichever type, to whichever layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_gates import BODY, Masked, Net, Told, attached, conv, images, listed, recorded, written
from torch import Tensor, nn

from hwsim.train.record.recorder import RecordingError

NUMBERS = torch.tensor([-3.0, -0.0, 0.0, 1.0, 0.3, -0.3, 2.0, 7.0])
"""Of eight channels; five of them are not above 0 but in bool, where all but zeros are set."""


def by_channel(dtype: torch.dtype):
    """A gate that gives NUMBERS to all pixels, in a type."""

    def gate(x: Tensor) -> Tensor:
        return NUMBERS.to(dtype)[:, None, None].expand(len(x), -1, *x.shape[2:]).clone()

    return gate


@pytest.mark.parametrize(
    ("dtype", "bits"),
    [
        (torch.bool, [1, 0, 0, 1, 1, 1, 1, 1]),
        (torch.float32, [0, 0, 0, 1, 1, 0, 1, 1]),
        (torch.float64, [0, 0, 0, 1, 1, 0, 1, 1]),
        (torch.float16, [0, 0, 0, 1, 1, 0, 1, 1]),
        (torch.bfloat16, [0, 0, 0, 1, 1, 0, 1, 1]),
        (torch.int8, [0, 0, 0, 1, 0, 0, 1, 1]),
        (torch.int64, [0, 0, 0, 1, 0, 0, 1, 1]),
    ],
)
def test_above_zero_is_a_one_in_every_type(dtype, bits: list[int], tmp_path: Path) -> None:
    trace = recorded(Net(Masked(conv(), by_channel(dtype))), tmp_path / "t.h5", BODY)
    assert trace.header.granularity == "element"
    assert (trace.masks("layers.0") == np.array(bits, bool)[:, None, None]).all()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.uint32, torch.uint64])
def test_unsigned_numbers_above_zero_are_a_one(dtype: torch.dtype, tmp_path: Path) -> None:
    def gate(x: Tensor) -> Tensor:
        numbers = torch.tensor([0, 1, 200, 0, 255, 0, 0, 3])[:, None, None]
        return numbers.expand(len(x), -1, *x.shape[2:]).to(dtype)

    class Unsigned(Masked):
        def forward(self, x: Tensor) -> Tensor:
            return self.product(x) * self.gate(x).bool()

    trace = recorded(Net(Unsigned(conv(), gate)), tmp_path / "t.h5", BODY)
    assert trace.masks("layers.0")[0, :, 0, 0].tolist() == [0, 1, 1, 0, 1, 0, 0, 1]


@pytest.mark.parametrize("change", [torch.sigmoid_, torch.relu_, lambda m: m.fill_(1)])
def test_what_is_done_in_place_to_a_mask_afterwards_is_not_recorded(change, tmp_path: Path) -> None:
    """Also not to its margins: a sigmoid makes all of them positive."""

    class Changing(Masked):
        def forward(self, x: Tensor) -> Tensor:
            margin = self.gate(x)
            mask = margin > 0
            change(margin)
            return self.product(x) * mask

    model = Net(Changing(conv(), lambda x: x - 0.5))
    trace = recorded(model, tmp_path / "t.h5", BODY, salience_images=4)
    with torch.no_grad():
        wanted = torch.cat([model.stem(batch).relu() > 0.5 for batch in images().split(3)])
    np.testing.assert_array_equal(trace.masks("layers.0"), wanted.numpy())
    assert 0 < wanted.float().mean() < 1
    np.testing.assert_array_equal(trace.shifted(0).masks("layers.0"), wanted[:4].numpy())


def test_what_is_done_in_place_to_an_input_afterwards_is_not_counted(tmp_path: Path) -> None:
    class Worn(Masked):
        def forward(self, x: Tensor) -> Tensor:
            y = super().forward(x)
            x.zero_()
            return y

    counts = [
        recorded(Net(kind(conv(), lambda x: x > 0.5)), tmp_path / "t.h5", BODY)
        for kind in (Masked, Worn)
        if not torch.manual_seed(0).initial_seed()
    ]
    plain, worn = (trace.zero_operand_macs("layers.0").tolist() for trace in counts)
    assert plain == worn
    assert len(set(plain)) > 1


def test_nan_is_refused_with_layer_and_count(tmp_path: Path) -> None:
    def gate(x: Tensor) -> Tensor:
        found = x - 0.5
        found[0, 0, 0, :2] = float("nan")
        return found

    with pytest.raises(
        RecordingError, match=r"layer layers\.0: 2 of its gate's 864 numbers are NaN"
    ):
        recorded(Net(Masked(conv(), gate)), tmp_path / "t.h5", BODY)


def test_infinite_margins_saturate_and_leave_the_step_alone(tmp_path: Path) -> None:
    def gate(x: Tensor) -> Tensor:
        found = torch.ones_like(x)
        found[:, 1], found[:, 2], found[:, 3] = float("inf"), -float("inf"), -0.25
        return found

    trace = recorded(Net(Masked(conv(), gate)), tmp_path / "t.h5", BODY, salience_images=5)
    found = trace.contents.margins("layers.0").reshape(5, 8, 36)[0, :4, 0]
    # The largest finite margin is 1, so a step is 1 / 127, and 0.25 are 31.75 of them.
    assert trace.contents.salience_scale["layers.0"] == pytest.approx(1 / 127)
    assert found.tolist() == [127, 127, -127, -32]
    np.testing.assert_array_equal(trace.shifted(0).masks("layers.0"), trace.masks("layers.0"))


@pytest.mark.parametrize("size", [1e-60, 1e-44, 1e-20, 1e300])
def test_margins_of_any_size_keep_their_sign(size: float, tmp_path: Path) -> None:
    def gate(x: Tensor) -> Tensor:
        return (x - 0.5).double() * size

    trace = recorded(Net(Masked(conv(), gate)), tmp_path / "t.h5", BODY, salience_images=5)
    np.testing.assert_array_equal(trace.shifted(0).masks("layers.0"), trace.masks("layers.0"))
    assert 0 < trace.masks("layers.0").mean() < 1


def test_bits_have_no_margins(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"layer layers\.0: its gate gives bool, which has no"):
        recorded(Net(Masked(conv(), lambda x: x > 0)), tmp_path / "t.h5", BODY, salience_images=1)


class Several(Masked):
    """Its gate gives more than the mask."""

    def forward(self, x: Tensor) -> Tensor:
        found = self.gate(x)
        mask = found["mask"] if isinstance(found, dict) else found[1]
        return self.product(x) * (mask > 0)


@pytest.mark.parametrize(
    ("kind", "pick"),
    [
        (lambda x: (x, x - 0.5), 1),
        (lambda x: [x, x - 0.5], -1),
        (lambda x: {"mask": x - 0.5, "score": x}, "mask"),
        (lambda x: (x, x - 0.5), lambda found: found[0] - 0.5),
    ],
)
def test_one_of_several_tensors_is_named(kind, pick: Any, tmp_path: Path) -> None:
    model = Net(Several(conv(), kind))
    trace = recorded(model, tmp_path / "t.h5", {"layers.0": ("layers.0.gate", pick)})
    with torch.no_grad():
        wanted = model.stem(images()).relu() > 0.5
    np.testing.assert_array_equal(trace.masks("layers.0"), wanted.numpy())


@pytest.mark.parametrize(
    ("kind", "pick", "words"),
    [
        (lambda x: (x, x), None, r"returns a tuple of 2 \(\(3, 8, 6, 6\), \(3, 8, 6, 6\)\); say"),
        (lambda x: {"mask": x, "score": x}, None, r"returns a dict of 2 \('mask', 'score'\); say"),
        (lambda x: (x, x), 2, r"no 2 in its gate's output, a tuple of 2"),
        (lambda x: {"mask": x}, "maks", r"no 'maks' in its gate's output, a dict of 1"),
        (lambda x: (x, x), lambda found: found, r"what was picked of its gate's output is a tuple"),
        (lambda x: (None, x), 0, r"item 0 of its gate's output is a NoneType"),
    ],
)
def test_gates_that_are_not_one_tensor_are_named(kind, pick, words: str, tmp_path: Path) -> None:
    gate = "layers.0.gate" if pick is None else ("layers.0.gate", pick)
    with pytest.raises(RecordingError, match=rf"layer layers\.0: .*{words}") as caught:
        recorded(Net(Several(conv(), kind)), tmp_path / "t.h5", {"layers.0": gate})
    assert "\n" not in str(caught.value)


def test_a_part_that_is_no_index_is_refused() -> None:
    net = Net(Masked(conv(), lambda x: x))
    with pytest.raises(RecordingError, match=r"layer layers\.0: slice\(0, 1, None\) of its gate"):
        attached(net, {"layers.0": ("layers.0.gate", slice(0, 1))})


def test_a_mask_without_numbers_is_refused() -> None:
    class Elsewhere(Masked):
        def forward(self, x: Tensor) -> Tensor:
            self.gate(x)
            return self.product(x)

    net = Net(Elsewhere(conv(), lambda x: x.to("meta")))
    with (
        attached(net, BODY, masked_off="unchecked", groups=1),
        torch.no_grad(),
        pytest.raises(RecordingError, match=r"layer layers\.0: its gate gives a tensor on meta"),
    ):
        net(images(2))


def test_an_index_into_one_tensor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="returns one tensor; leave 0 out"):
        recorded(
            Net(Masked(conv(), lambda x: x)), tmp_path / "t.h5", {"layers.0": ("layers.0.gate", 0)}
        )


class Shared(nn.Module):
    """Two convolutions and one gate; ``order`` says in which turn they run."""

    def __init__(self, order: str) -> None:
        super().__init__()
        self.a, self.b, self.order = conv(), conv(), order
        self.gate = Told(lambda x: x > x.mean())

    def forward(self, x: Tensor) -> Tensor:
        for letter in self.order:
            x = self.gate(x) * 1.0 - x if letter == "g" else getattr(self, letter)(x)
        return x


GATES = {"layers.0.a": "layers.0.gate", "layers.0.b": "layers.0.gate"}


@pytest.mark.parametrize(
    ("order", "of_a", "of_b"),
    [("gab", 0, 0), ("agb", 0, 0), ("abg", 0, 0), ("gagb", 0, 1), ("agbg", 0, 1)],
)
def test_a_gate_of_two_layers_is_each_ones(order: str, of_a, of_b, tmp_path: Path) -> None:
    model = Net(Shared(order))
    said: list[Tensor] = []
    with attached(model, GATES, masked_off="unchecked", groups=4) as recorder:
        hook = model.layers[0].gate.register_forward_hook(lambda *found: said.append(found[2]))
        with torch.no_grad():
            model(images())
        hook.remove()
    trace = written(recorder, tmp_path / "t.h5")
    np.testing.assert_array_equal(trace.masks("layers.0.a"), said[of_a].numpy())
    np.testing.assert_array_equal(trace.masks("layers.0.b"), said[of_b].numpy())
    assert len(said) == max(of_a, of_b) + 1


@pytest.mark.parametrize("order", ["ggab", "gabg", "aggb", "gagbg"])
def test_calls_that_may_be_anyones_are_refused(order: str, tmp_path: Path) -> None:
    with pytest.raises(
        RecordingError, match=r"layer layers\.0\.a: its gate ran [23] times in this batch for 2"
    ):
        recorded(Net(Shared(order)), tmp_path / "t.h5", GATES, masked_off="unchecked", groups=4)


def test_calls_that_say_the_same_are_taken(tmp_path: Path) -> None:
    class Twice(Masked):
        def forward(self, x: Tensor) -> Tensor:
            self.gate(x)
            return super().forward(x)

    trace = recorded(Net(Twice(conv(), lambda x: x > 0.5)), tmp_path / "t.h5", BODY)
    assert 0 < trace.masks("layers.0").mean() < 1


def test_a_refined_mask_whose_calls_differ_is_refused(tmp_path: Path) -> None:
    class Refined(Masked):
        def forward(self, x: Tensor) -> Tensor:
            self.gate(x)
            return self.product(x) * self.gate(x * 0.5)

    with pytest.raises(RecordingError, match=r"its gate ran 2 times .* give a function"):
        recorded(Net(Refined(conv(), lambda x: x > 0.5)), tmp_path / "t.h5", BODY)


def test_a_gate_that_does_not_run_is_named(tmp_path: Path) -> None:
    model = Net(Masked(conv(), lambda x: x > 0.5))
    model.idle = nn.Identity()
    with pytest.raises(RecordingError, match=r"layer layers\.0: its gate did not run"):
        recorded(model, tmp_path / "t.h5", {"layers.0": "idle"})


def test_functions_get_what_was_given_by_name(tmp_path: Path) -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.product = conv()

        def forward(self, *, x: Tensor, floor: float) -> Tensor:
            return self.product(x) * (x > floor)

    class Calling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Named()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x=x, floor=0.5)

    def gate(_: nn.Module, inputs: tuple, __: Tensor) -> Tensor:
        x, floor = inputs
        return x > floor

    model, network = Net(Calling()), listed("layers.0.inner")
    trace = recorded(model, tmp_path / "t.h5", {"layers.0.inner": gate}, network=network)
    with torch.no_grad():
        wanted = model.stem(images()).relu() > 0.5
    np.testing.assert_array_equal(trace.masks("layers.0.inner"), wanted.numpy())


def test_a_layer_may_return_its_own_mask(tmp_path: Path) -> None:
    class Telling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.product = conv()

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            mask = x > 0.5
            return self.product(x) * mask, mask

    class First(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Telling()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x)[0]

    model = Net(First())
    trace = recorded(model, tmp_path / "t.h5", {"layers.0.inner": ("layers.0.inner", 1)})
    with torch.no_grad():
        wanted = model.stem(images()).relu() > 0.5
    np.testing.assert_array_equal(trace.masks("layers.0.inner"), wanted.numpy())


def test_unchecked_masks_need_their_gating_groups(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="needs groups=: 1 where nothing is computed"):
        recorded(Net(Shared("gab")), tmp_path / "t.h5", GATES, masked_off="unchecked")
