"""What a mask's shape says: which bits, in which form, at how many of them."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from small_gates import BODY, Masked, Net, Told, conv, images, recorded
from torch import Tensor, nn

from hwsim.network import ConvLayer, Network
from hwsim.trace.format.header import TraceHeader
from hwsim.train.record.masks.form import Form
from hwsim.train.record.masks.layouts import Layout
from hwsim.train.record.masks.shapes import Mask, of_shape
from hwsim.train.record.recorder import RecordingError


def layer(name: str = "l", out: int = 8, size: tuple[int, int] = (4, 6), **more) -> ConvLayer:
    fields = {"in_channels": out, "gated": True} | more
    return ConvLayer(
        name=name, out_channels=out, kernel_size=1, in_height=size[0], in_width=size[1], **fields
    )


TOKENS = layer(size=(24, 1))
PIXEL = layer(size=(1, 1))

SHAPES = [
    # layer, how its output lies, the mask's shape, kind, dimensions of its values
    (layer(), "planes", (3, 8, 4, 6), "activation", (3, 8, 4, 6)),
    (layer(), "planes", (3, 2, 4, 6), "activation", (3, 2, 4, 6)),
    (layer(), "planes", (3, 8, 4, 1), "activation", (3, 8, 4, 1)),
    (layer(), "planes", (3, 1, 4, 6), "pixel", (3, 1, 4, 6)),
    (layer(), "planes", (3, 4, 6), "pixel", (3, 1, 4, 6)),
    (layer(), "planes", (3, 8, 1, 1), "channel", (3, 8, 1, 1)),
    (layer(), "planes", (3, 8), "channel", (3, 8, 1, 1)),
    (layer(), "planes", (3, 4), "channel", (3, 4, 1, 1)),
    (layer(), "planes", (3, 1, 1, 1), "image", (3, 1, 1, 1)),
    (layer(), "planes", (3, 1), "image", (3, 1, 1, 1)),
    (layer(), "planes", (3,), "image", (3, 1, 1, 1)),
    # as many channels as rows, and rows as columns: three dimensions are of pixels
    (layer(out=4, size=(4, 4)), "planes", (3, 4, 4), "pixel", (3, 1, 4, 4)),
    (layer(out=4, size=(4, 4)), "planes", (3, 4), "channel", (3, 4, 1, 1)),
    (TOKENS, "tokens", (3, 24, 8), "activation", (3, 8, 24, 1)),
    (TOKENS, "tokens", (3, 24, 2), "activation", (3, 2, 24, 1)),
    (TOKENS, "tokens", (3, 24, 1), "pixel", (3, 1, 24, 1)),
    (TOKENS, "tokens", (3, 24), "pixel", (3, 1, 24, 1)),
    (TOKENS, "tokens", (3, 1, 24), "pixel", (3, 1, 24, 1)),
    (TOKENS, "tokens", (3, 4, 6), "pixel", (3, 1, 24, 1)),
    (TOKENS, "tokens", (3, 1, 8), "channel", (3, 8, 1, 1)),
    (TOKENS, "tokens", (3, 8), "channel", (3, 8, 1, 1)),
    (TOKENS, "tokens", (3, 1), "image", (3, 1, 1, 1)),
    (TOKENS, "folded", (72, 8), "activation", (3, 8, 24, 1)),
    (TOKENS, "folded", (72,), "pixel", (3, 1, 24, 1)),
    (TOKENS, "folded", (3, 24), "pixel", (3, 1, 24, 1)),
    (layer(), "tokens", (3, 4, 6, 8), "activation", (3, 8, 4, 6)),
    (layer(), "tokens", (3, 4, 6, 1), "pixel", (3, 1, 4, 6)),
    (TOKENS, "sequence", (3, 8, 24), "activation", (3, 8, 24, 1)),
    (TOKENS, "sequence", (3, 1, 24), "pixel", (3, 1, 24, 1)),
    (TOKENS, "sequence", (3, 8, 1), "channel", (3, 8, 1, 1)),
    (TOKENS, "sequence", (3, 24), "pixel", (3, 1, 24, 1)),
    (PIXEL, "vector", (3, 8), "channel", (3, 8, 1, 1)),
    (PIXEL, "vector", (3, 1), "image", (3, 1, 1, 1)),
]


@pytest.mark.parametrize(("of", "layout", "shape", "kind", "dimensions"), SHAPES)
def test_a_shape_says_what_is_decided(of, layout: Layout, shape, kind: str, dimensions) -> None:
    """Every output activation gets the bit that broadcasting to the layer's output gives it."""
    values = torch.arange(int(np.prod(shape))).reshape(shape)
    mask = of_shape(values, of, layout, 3)
    assert (mask.kind, tuple(mask.values.shape)) == (kind, dimensions)
    found = mask.spread(8 if of.out_channels == 8 else 4, of)
    assert found.shape == (3, of.out_channels, of.out_height, of.out_width)
    assert sorted(set(found.flatten().tolist())) == sorted(set(values.flatten().tolist()))
    if layout == "planes" and len(shape) == 4 and of.out_channels % shape[1] == 0:
        whole = values.repeat_interleave(of.out_channels // shape[1], 1)
        assert torch.equal(found, whole.expand(-1, -1, of.out_height, of.out_width))
    if layout == "tokens" and len(shape) == 3 and shape[1] == 24:
        whole = values.repeat_interleave(8 // shape[2], 2)
        assert torch.equal(found[..., 0].transpose(1, 2), whole)


@pytest.mark.parametrize(
    ("of", "layout", "shape", "words"),
    [
        (layer(), "planes", (3, 3, 4, 6), r"a mask of shape \(3, 3, 4, 6\), expected \(3, 8 or a"),
        (layer(), "planes", (3, 8, 2, 3), r"expected \(3, 8 or a part of it, 4, 6\)"),
        (layer(), "planes", (2, 8, 4, 6), r"a mask of shape \(2, 8, 4, 6\), expected \(3,"),
        (layer(), "planes", (8, 4, 6), r"a mask of shape \(8, 4, 6\)"),
        (layer(), "planes", (3, 6, 4), r"a mask of shape \(3, 6, 4\)"),
        (layer(), "planes", (), r"a mask of shape \(\)"),
        (TOKENS, "tokens", (3, 4), r"expected \(3, 24, 8 or a part of it\)"),
        (PIXEL, "vector", (3, 5), r"expected \(3, 8 or a part of it\), or \(3, 1\)"),
        (
            layer(size=(8, 1)),
            "tokens",
            (3, 8),
            r"may be of its 8 pixels or .* masks=\{'l': 'pixel'",
        ),
        (layer(size=(8, 1)), "tokens", (3, 1, 8), "may be of its 8 pixels or"),
        (layer(size=(8, 1)), "sequence", (3, 8), "may be of its 8 pixels or"),
    ],
)
def test_other_shapes_are_refused_with_both(of, layout: Layout, shape, words: str) -> None:
    with pytest.raises(RecordingError, match=f"layer l: .*{words}") as caught:
        of_shape(torch.zeros(shape), of, layout, 3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(3, 8), (3, 1, 8)])
def test_who_says_what_it_is_gets_it(shape: tuple[int, ...]) -> None:
    of, values = layer(size=(8, 1)), torch.arange(24).reshape(shape)
    pixels = of_shape(values, of, "tokens", 3, "pixel")
    channels = of_shape(values, of, "tokens", 3, "channel")
    assert pixels.spread(8, of)[1, :, 5, 0].tolist() == [13] * 8
    assert channels.spread(8, of)[1, :, 5, 0].tolist() == list(range(8, 16))


def form_of(layers: tuple[ConvLayer, ...], shapes: list[tuple[int, ...]], zeroed=True) -> Form:
    masks = {
        of.name: of_shape(torch.ones(shape), of, "planes", 3)
        for of, shape in zip(layers, shapes, strict=True)
    }
    linked = [layers[0]]
    for of in layers[1:]:
        linked.append(of.model_copy(update={"input": linked[-1].name}))
    network = Network(name="n", layers=tuple(ConvLayer(**of.model_dump()) for of in linked))
    return Form.of(masks, network, zeroed)


def test_one_form_for_all_layers_the_smallest_that_is_exact() -> None:
    a, b = layer("a"), layer("b", 16, in_channels=8)
    whole = (3, 8, 4, 6), (3, 16, 4, 6)
    pixels = (3, 1, 4, 6)
    channels = (3, 8), (3, 16)
    assert form_of((a, b), [*whole]) == Form("element", 1)
    assert form_of((a, b), [pixels, pixels]) == Form("element", 8)
    assert form_of((a, b), [pixels, (3, 2, 4, 6)]) == Form("element", 8)
    assert form_of((a, b), [pixels, (3, 4, 4, 6)]) == Form("element", 4)
    assert form_of((a, b), [(3, 2, 4, 6), whole[1]]) == Form("element", 1)
    assert form_of((a, b), [*channels]) == Form("output-channel", 1)
    assert form_of((a, b), [(3, 1), (3, 4)]) == Form("output-channel", 1)
    mixed = form_of((a, b), [channels[0], pixels])
    assert (mixed.granularity, mixed.mask_group) == ("element", 1)
    assert "layer a) are kept bit by pixel, because those of layer b decide on pixels" in mixed.note
    based = form_of((a, b), [*channels], zeroed=False)
    assert "because masked-off outputs are not zero" in based.note


def test_mask_lists_stay_inside_gating_groups() -> None:
    four = layer("a", 16, groups=4)
    assert form_of((four,), [(3, 1, 4, 6)]) == Form("element", 4)
    # Two lists of 6 channels, and 3 groups of 4: equal bits, two by two.
    three = layer("a", 12, groups=3)
    assert form_of((three,), [(3, 2, 4, 6)]) == Form("element", 2)


@pytest.mark.parametrize(
    ("own", "lists", "group"),
    [(16, 1, 16), (16, 4, 4), (16, 16, 1), (4, 1, 16), (4, 8, 2), (2, 4, 4)],
)
def test_mask_lists_cover_whole_groups_of_a_convolution(own: int, lists: int, group: int) -> None:
    of = layer("a", 16, conv_groups=own)
    form = form_of((of,), [(3, lists, 4, 6)])
    assert form == Form("element", group)
    TraceHeader(
        network=Network(name="n", layers=(of,)), method="m", mask_group=form.mask_group,
        dataset="d", image_ids=(0,),
    )  # fmt: skip


def test_a_mask_group_that_cuts_groups_of_a_convolution_is_refused() -> None:
    network = Network(name="n", layers=(layer("a", 24, conv_groups=4),))
    fields = {"network": network, "method": "m", "dataset": "d", "image_ids": (0,)}
    for fits in (1, 2, 3, 6, 12, 24):
        assert TraceHeader(mask_group=fits, **fields).mask_group == fits
    for wrong in (4, 5, 8):
        with pytest.raises(ValueError, match=f"mask group {wrong} does not divide the 6 channels"):
            TraceHeader(mask_group=wrong, **fields)


def test_channels_of_a_network_with_groups_are_kept_by_pixel() -> None:
    form = form_of((layer("a", 16, conv_groups=16),), [(3, 16)])
    assert (form.granularity, form.mask_group) == ("element", 1)
    assert "because layer a has groups: the scheme channels cannot run them" in form.note


class Pair(nn.Module):
    """Two gated convolutions, each with a gate of its own."""

    def __init__(self, first, second) -> None:
        super().__init__()
        self.a, self.b = Masked(conv(), first), Masked(conv(), second)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x).relu())


PAIR = {"layers.0.a": "layers.0.a.gate", "layers.0.b": "layers.0.b.gate"}


def by_pixel(x: Tensor) -> Tensor:
    return x.mean(1, keepdim=True) - x.mean((1, 2, 3), keepdim=True)


def by_channel(x: Tensor) -> Tensor:
    return x.mean((2, 3), keepdim=True) - x.mean((1, 2, 3), keepdim=True)


def test_one_decision_for_all_channels_is_one_list(tmp_path: Path) -> None:
    """An eighth of the bits of eight equal lists."""
    trace = recorded(Net(Pair(by_pixel, by_pixel)), tmp_path / "t.h5", PAIR)
    assert (trace.mask_group, trace.header.bits) == (8, 2 * 36)
    equal = recorded(
        Net(Pair(lambda x: by_pixel(x).expand(-1, 8, -1, -1), by_pixel)),
        tmp_path / "u.h5", PAIR,
    )  # fmt: skip
    assert (equal.mask_group, equal.header.bits) == (1, 2 * 8 * 36)


def test_masks_of_channels_make_a_trace_of_channels(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trace = recorded(Net(Pair(by_channel, by_channel)), tmp_path / "t.h5", PAIR)
    assert (trace.header.granularity, trace.header.bits) == ("output-channel", 16)
    assert trace.counts_zero_operands
    assert not trace.counts_conditional_zeros


def test_mixed_masks_are_kept_by_pixel_and_said_so(tmp_path: Path) -> None:
    model = Net(Pair(by_channel, by_pixel))
    with pytest.warns(UserWarning, match=r"layer layers\.0\.a\) are kept bit by pixel"):
        trace = recorded(model, tmp_path / "t.h5", PAIR)
    assert (trace.header.granularity, trace.mask_group) == ("element", 1)
    assert "the scheme channels cannot run them" in trace.header.training["kept_by_pixel"]
    with torch.no_grad():
        x = model.stem(images()).relu()
        wanted = (by_channel(x) > 0).expand(-1, -1, 6, 6)
    np.testing.assert_array_equal(trace.masks("layers.0.a"), wanted.numpy())
    second = trace.masks("layers.0.b")
    assert (second == second[:, :1]).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [({"salience_images": 2}, "salience_images=2"), ({"input_images": 3}, "input_images=3")],
)
def test_a_trace_of_channels_has_no_margins_or_input_bits(options, words, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=f"{words}: all masks are of whole channels"):
        recorded(Net(Pair(by_channel, by_channel)), tmp_path / "t.h5", PAIR, **options)


class Heads(nn.Module):
    """Each head makes a part of the output channels from the input channels that it keeps."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads, self.product = heads, nn.Conv2d(8, 8, 3, padding=1)
        self.gate = Told(self.kept)
        self.signs = torch.linspace(1, 0.2, heads)[:, None]

    def kept(self, x: Tensor) -> Tensor:
        means = x.mean((2, 3))
        return means[:, None] * self.signs > 0.7 * means.mean(1)[:, None, None]

    def forward(self, x: Tensor) -> Tensor:
        kept = self.gate(x)
        weights = self.product.weight.chunk(self.heads)
        parts = [
            nn.functional.conv2d(x * kept[:, head, :, None, None], weight, padding=1)
            for head, weight in enumerate(weights)
        ]
        return torch.cat(parts, 1) + self.product.bias[:, None, None]


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_masks_of_input_channels_by_head(heads: int, tmp_path: Path) -> None:
    model = Net(Heads(heads))
    options = {"masks": "input-channel", "groups": heads}
    trace = recorded(model, tmp_path / "t.h5", BODY, **options)
    assert trace.header.granularity == "input-channel-by-head"
    with torch.no_grad():
        wanted = model.layers[0].gate(model.stem(images()).relu())
    np.testing.assert_array_equal(trace.masks("layers.0"), wanted.numpy())
    assert 0 < wanted.float().mean() < 1
    wrong = {"layers.0": lambda of, args, _: ~of.gate(args[0])}
    with pytest.raises(RecordingError, match=r"layer layers\.0: its sums over the input channels"):
        recorded(model, tmp_path / "u.h5", wrong, **options)


def test_masks_of_input_channels_stand_alone(tmp_path: Path) -> None:
    pair = Net(Pair(by_channel, by_channel))
    declared = {"layers.0.b": "input-channel"}
    with pytest.raises(RecordingError, match=r"layer layers\.0\.a: a mask of its outputs, but"):
        recorded(pair, tmp_path / "t.h5", PAIR, masks=declared, masked_off="unchecked", groups=1)
    with pytest.raises(RecordingError, match=r"of input channels \(3, 8\) or by head \(3, 1, 8\)"):
        recorded(Net(Masked(conv(), by_pixel)), tmp_path / "t.h5", BODY, masks="input-channel")


def test_a_mask_that_changes_its_form_is_refused(tmp_path: Path) -> None:
    def gate(x: Tensor) -> Tensor:
        return (by_pixel if len(x) == 3 else by_channel)(x)

    with pytest.raises(RecordingError, match="a mask by channel, 8 lists, after one by pixel, 1"):
        recorded(Net(Masked(conv(), gate)), tmp_path / "t.h5", BODY)


def test_lists_that_cross_groups_become_equal_bits() -> None:
    values = torch.tensor([[True, False]])[:, :, None, None].expand(-1, -1, 4, 6)
    of = layer("a", 12, groups=3)
    found = Form("element", 2).laid(Mask("a", "activation", values), of)
    assert found[0, :, 0, 0].tolist() == [1, 1, 1, 0, 0, 0]
