"""Six families of gated networks (tests/zoo/gating.py), each of which keeps its own decisions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from zoo.gates import PLAIN, GatedNetwork, Variant
from zoo.gating import GATING, gated_network, images

from hwsim.arch.load import load_arch
from hwsim.errors import UserError
from hwsim.run.simulate import simulate, usable_schemes
from hwsim.trace.files import verify
from hwsim.trace.mask_trace import MaskTrace
from hwsim.train.record import Recorder
from hwsim.train.record.recorder import RecordingError

DECLARED = {"input_channel": "input-channel", "token": "pixel"}
"""What masks are of, where shapes do not say it: 16 tokens of 16 channels."""

OF_ELEMENTS = {"dense", "dense-zero-gated", "clock-gated", "unstructured"}
OF_CHANNELS = {"dense", "dense-zero-gated", "channels"}

FORMS = {
    "channel": ("element", 1, OF_ELEMENTS | {"lockstep-8"}),
    "spatial": ("element", 8, OF_ELEMENTS | {"structured-8x"}),
    "output_channel": ("output-channel", 1, OF_CHANNELS),
    "input_channel": ("input-channel-by-head", 1, OF_CHANNELS),
    "block": ("output-channel", 1, OF_CHANNELS),
    "token": ("element", 16, OF_ELEMENTS | {"structured-8x"}),
}
"""Granularity, mask group and schemes. Layers have 8 and 16 channels, tokens' 32 and 16."""


def attached(network: GatedNetwork, family: str, **options: Any) -> Recorder:
    groups = getattr(network, "groups", 1)
    gates: dict[str, Any] = dict(network.gates)
    if network.variant.several:
        gates = {layer: (gate, 0) for layer, gate in gates.items()}
    options = {"masked_off": network.masked_off, "masks": DECLARED.get(family, "auto")} | options
    # An image of its own: what a variant does at its first batch is left for the recorder.
    raised, network.raised = network.raised, True
    recorder = Recorder.attach(
        network, gates, example=images(1), groups=groups, ignored=network.deciding, **options
    )
    network.raised = raised
    network.forget()
    return recorder


def recorded(network: GatedNetwork, family: str, path: Path, **options: Any) -> MaskTrace:
    with attached(network, family, **options) as recorder, torch.no_grad():
        network(images(3))
        network(images(2, seed=9))
    recorder.write(path, method=family, dataset="noise")
    return verify(path)


def spread(said: Tensor, trace: MaskTrace, name: str) -> np.ndarray:
    """What a gate said, at each bit of the trace that it is for."""
    layer = trace.network.by_name[name]
    if trace.header.of_channels:
        said = said.flatten(1)
    elif said.dim() < 4:  # of tokens
        said = said.reshape(len(said), 1, layer.out_height, layer.out_width)
    shape = trace.header.mask_shape(layer)
    if trace.header.granularity == "input-channel-by-head":
        said = said[:, None]
    return np.broadcast_to(said.numpy(), (len(said), *shape))


def assert_as_decided(network: GatedNetwork, trace: MaskTrace) -> None:
    for name in network.gates:
        wanted = spread(network.decided(name), trace, name)
        np.testing.assert_array_equal(trace.masks(name), wanted)


@pytest.mark.parametrize("family", GATING)
def test_masks_are_the_decisions_and_every_scheme_that_fits_runs(
    family: str, tmp_path: Path
) -> None:
    network = gated_network(family)
    trace = recorded(network, family, tmp_path / "t.h5")
    assert_as_decided(network, trace)
    arch = load_arch("pe16x16-baseline")
    schemes = usable_schemes(arch, trace)
    assert (trace.header.granularity, trace.mask_group, set(schemes)) == FORMS[family]
    cycles = {scheme: simulate(arch, trace, scheme).cycles for scheme in schemes}
    assert cycles["dense"] == cycles["dense-zero-gated"] > 0
    own = {"channel": "unstructured", "spatial": "structured-8x", "token": "structured-8x"}
    density = sum(trace.ones().values()) / (trace.images * trace.header.bits)
    assert 0 < density < 1
    if family != "channel":  # whose base sums cost more than they save on so small maps
        assert cycles[own.get(family, "channels")] < cycles["dense"]


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("channel", {"groups": 2, "masked_weights": True}),
        ("channel", {"learned": True}),
        ("channel", {"groups": 2, "conv_groups": 2}),
        ("spatial", {"dilated": True}),
        ("spatial", {"inside": True}),
        ("output_channel", {"flat": True}),
        ("input_channel", {"flat": True}),
        ("block", {"flat": True}),
        ("token", {"flat": True}),
        ("token", {"flat": True, "width": 24}),
        ("token", {"width": 24}),
    ],
)
def test_other_ways_to_decide_the_same(family: str, options: dict, tmp_path: Path) -> None:
    network = gated_network(family, **options)
    told = {"masks": "auto"} if "width" in options else {}
    trace = recorded(network, family, tmp_path / "t.h5", **told)
    assert_as_decided(network, trace)
    granularity, group, _ = FORMS[family]
    group = options.get("width", group)
    assert (trace.header.granularity, trace.mask_group) == (granularity, group)


@pytest.mark.parametrize(
    "variant",
    [
        Variant(kind="float"),
        Variant(kind="bool", overwrites="invert"),
        Variant(kind="int", overwrites="invert"),
        Variant(overwrites="sigmoid"),
        Variant(overwrites="relu"),
        Variant(several=True, returns="tuple"),
        Variant(kind="bool", returns="dict"),
    ],
    ids=lambda variant: f"{variant.kind}-{variant.overwrites or variant.returns}",
)
@pytest.mark.parametrize("family", GATING)
def test_whatever_is_done_with_them_afterwards(
    family: str, variant: Variant, tmp_path: Path
) -> None:
    network = gated_network(family, variant)
    assert_as_decided(network, recorded(network, family, tmp_path / "t.h5"))


@pytest.mark.parametrize("family", ["channel", "spatial", "token"])
def test_margins_are_what_was_decided_by(family: str, tmp_path: Path) -> None:
    network = gated_network(family, Variant(overwrites="sigmoid"))
    trace = recorded(network, family, tmp_path / "t.h5", salience_images=4)
    for name in network.gates:
        np.testing.assert_array_equal(trace.shifted(0).masks(name), trace.masks(name)[:4])
        said = torch.cat(network.margins[network.gates[name]])[:4]
        wanted = spread(said, trace, name).reshape(4, -1)
        scale = trace.contents.salience_scale[name]
        steps = trace.contents.margins(name)
        reached = np.abs(steps) < 127
        assert reached.mean() > 0.95
        # Rounded up to the next step.
        assert np.abs(steps * scale - wanted)[reached].max() <= 1.001 * scale


@pytest.mark.parametrize("family", GATING)
def test_a_batch_that_breaks_off_leaves_nothing(family: str, tmp_path: Path) -> None:
    plain = gated_network(family)
    wanted = recorded(plain, family, tmp_path / "plain.h5")
    network = gated_network(family, Variant(raises=True))
    with attached(network, family) as recorder, torch.no_grad():
        with pytest.raises(RuntimeError, match="out of memory"):
            network(images(3))
        assert recorder.images == 0
        network(images(3))
        network.raised = False
        with pytest.raises(RuntimeError, match="out of memory"):
            network(images(4, seed=1))
        network(images(2, seed=9))
    recorder.write(tmp_path / "t.h5", method=family, dataset="noise")
    found = verify(tmp_path / "t.h5")
    assert found.sha256 == wanted.sha256


@pytest.mark.parametrize("family", GATING)
@pytest.mark.parametrize(
    ("variant", "words"),
    [
        (Variant(twice=True), r"layer blocks\.0\.\w+: its gate ran 2 times in this batch"),
        (Variant(shared=True), r"layer blocks\.[01]\.\w+: runs twice"),
        (Variant(not_a_number=True), r"layer blocks\.0\.\w+: 1 of its gate's \d+ numbers are NaN"),
        (Variant(several=True), r"layer blocks\.0\.\w+: its gate returns a tuple of 2"),
    ],
    ids=["twice", "shared", "nan", "several"],
)
def test_what_cannot_be_sure_is_refused_by_name(
    family: str, variant: Variant, words: str, tmp_path: Path
) -> None:
    network = gated_network(family, variant)
    gates = dict(network.gates)
    with pytest.raises(UserError, match=words) as caught:  # noqa: SIM117
        with Recorder.attach(
            network, gates, example=images(1), groups=getattr(network, "groups", 1),
            ignored=network.deciding, masked_off=network.masked_off,
            masks=DECLARED.get(family, "auto"),
        ), torch.no_grad():  # fmt: skip
            network(images(2))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("family", [family for family in GATING if family != "token"])
def test_images_of_another_size_are_refused_with_both(family: str) -> None:
    network = gated_network(family)
    words = r"images of shape \(3, 20, 20\), .* example of shape \(3, 16, 16\)"
    with (
        attached(network, family) as recorder,
        torch.no_grad(),
        pytest.raises(RecordingError, match=words),
    ):
        network(images(2, size=20))
    assert recorder.images == 0


def test_a_masker_that_nobody_names_is_a_layer() -> None:
    network = gated_network("spatial")
    recorder = Recorder.attach(
        network, network.gates, example=images(1), masked_off="zero", groups=1
    )
    recorder.close()
    assert {"blocks.0.masker.0", "blocks.1.masker.0"} < set(recorder.network.by_name)


def test_tokens_as_many_as_channels_have_to_be_told() -> None:
    network = gated_network("token", PLAIN)
    words = r"layer blocks\.0\.fc2: a mask of shape \(3, 1, 16\) may be of its 16 pixels or"
    with (
        attached(network, "token", masks="auto"),
        torch.no_grad(),
        pytest.raises(RecordingError, match=words),
    ):
        network(images(3))
