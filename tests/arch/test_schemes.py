"""Names of schemes, and which of them fit a mask."""

import pytest

from hwsim.arch.load import load_arch
from hwsim.arch.schemes import (
    Scheme,
    SchemeError,
    lanes_align,
    parse_scheme,
    scheme_names,
    schemes_for,
)
from hwsim.network import ConvLayer, resnet18

ALWAYS = ["dense", "dense-zero-gated", "clock-gated", "unstructured"]


@pytest.fixture
def arch():
    return load_arch("pe16x16")


def gated_layer(out_channels, groups=4):
    return ConvLayer(
        name="conv",
        in_channels=16,
        out_channels=out_channels,
        kernel_size=1,
        in_height=8,
        in_width=8,
        gated=True,
        groups=groups,
    )


def test_every_name_parses(arch):
    assert [parse_scheme(name, arch).name for name in scheme_names(arch)] == scheme_names(arch)


def test_lane_groups(arch):
    assert parse_scheme("dense", arch) == Scheme("dense", "dense", 16)
    assert parse_scheme("dense-zero-gated", arch).zero_gated
    assert parse_scheme("clock-gated", arch).lane_groups(16) == 1
    assert parse_scheme("unstructured", arch).lane_groups(16) == 16
    assert parse_scheme("structured-8x", arch).lane_groups(12) == 2
    assert parse_scheme("lockstep-8", arch) == Scheme("lockstep-8", "sparse", 8, lockstep=True)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("structured-4x", "structured-8x"), ("lockstp-8", "lockstep-8"), ("danse", "dense")],
)
def test_unknown_names_the_nearest(arch, name, nearest):
    with pytest.raises(SchemeError, match=f"nearest valid: '{nearest}'") as caught:
        parse_scheme(name, arch)
    assert "\n" not in str(caught.value)


def test_without_lane_groups_only_unstructured():
    machine = load_arch("pe16x16", {"index.lane_group": 1})
    assert scheme_names(machine) == [*ALWAYS, "channels"]
    assert schemes_for(machine, mask_group=8) == ALWAYS


@pytest.mark.parametrize(
    ("mask_group", "last"),
    [(1, "lockstep-8"), (4, "lockstep-8"), (8, "structured-8x"), (16, "structured-8x")],
)
def test_masks_that_cover_a_lane_group_are_structured(arch, mask_group, last):
    assert schemes_for(arch, mask_group, resnet18().layers) == [*ALWAYS, last]


def test_lane_groups_must_line_up_with_mask_groups():
    # 12 columns: the second tile starts at channel 12, its first lane group spans 12..19.
    assert not lanes_align(gated_layer(96), columns=12, lane_group=8, mask_group=8)
    assert lanes_align(gated_layer(96), columns=8, lane_group=8, mask_group=8)
    # 4 columns: a lane group is cut to 4 lanes and lies inside one mask group.
    assert lanes_align(gated_layer(96), columns=4, lane_group=8, mask_group=8)
    # Gating groups of 12 channels shift the lane groups as well.
    assert not lanes_align(gated_layer(48), columns=16, lane_group=8, mask_group=8)
    machine = load_arch("pe16x16", {"array.columns": 16})
    assert schemes_for(machine, 8, [gated_layer(48)])[-1] == "lockstep-8"
