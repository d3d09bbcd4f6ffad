"""Random small runs: machine, network, masks and scheme, as hypothesis draws and shrinks them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from hwsim.arch import ArchConfig
from hwsim.workload import INPUT, ConvLayer, Network

from .cycles import hardware
from .machines import conv, machine
from .network import both_fit
from .residency import cut_channels, plan

Draw = st.DrawFn
Shape = tuple[int, int, int]
"""(channels, height, width) of a tensor."""

CHANNELS = [2, 3, 4, 5, 6, 8, 9, 12, 16, 20]


@dataclass(frozen=True)
class Case:
    """One run of either side, its masks and zero operands as the oracle's ``run`` takes them."""

    arch: ArchConfig
    network: Network
    scheme: str
    mask_group: int
    batch: int
    images: int
    masks: dict[str, np.ndarray]
    zero_operand_macs: dict[str, np.ndarray]


@st.composite
def machines(draw: Draw) -> ArchConfig:
    """Arrays up to 5 x 8, buffers from one KiB, every other parameter odd now and then."""
    rows = draw(st.integers(1, 5))
    columns = draw(st.sampled_from([1, 2, 3, 4, 6, 8]))
    tile_pixels = draw(st.one_of(st.integers(rows, 24), st.sampled_from([24, 60, 99, 160])))
    return machine(
        rows=rows,
        columns=columns,
        entries=columns * tile_pixels,
        word_channels=draw(st.integers(1, 5)),
        banks=draw(st.sampled_from([1, 2, 3, 4, 8])),
        word_bits=draw(st.sampled_from([8, 16, 32, 64])),
        indices_per_cycle=draw(st.integers(1, 4)),
        lane_group=draw(st.sampled_from([2, 3, 4, 8])),
        activation_kib=draw(st.sampled_from([1, 1, 1, 2, 3, 8])),
        weight_kib=draw(st.sampled_from([1, 1, 2, 4, 16])),
        bandwidth_gb_per_s=draw(st.sampled_from([0.03, 0.1, 0.7, 3.0])),
        efficiency_percent=draw(st.sampled_from([33, 80, 100])),
    )


@st.composite
def layers(draw: Draw, name: str, made: dict[str, Shape], mask_group: int) -> ConvLayer:
    """A layer that reads any tensor made, the latest most often, and adds one where one fits."""
    source = draw(st.sampled_from([*made, *[list(made)[-1]] * 3]))
    channels, height, width = made[source]
    kernel = draw(st.sampled_from([1, 1, 2, 3, 3, 5]))
    padding = draw(st.sampled_from([kernel // 2, kernel // 2, kernel // 2, 0, 1]))
    if min(height, width) + 2 * padding < kernel:
        kernel, padding = 1, 0
    groups = draw(st.sampled_from([g for g in (1, 2, 2, 3, 4) if channels % g == 0]))
    wanted = groups * mask_group if groups > 1 else 1
    choices = [n for n in [*CHANNELS, channels, channels] if n % groups == 0 and n % wanted == 0]
    if not choices:
        groups, choices = 1, CHANNELS
    layer = conv(
        name,
        channels=(channels, draw(st.sampled_from(choices))),
        size=(height, width),
        kernel=kernel,
        stride=draw(st.sampled_from([1, 1, 1, 2, 3])),
        groups=groups,
        padding=padding,
        input=source,
    )
    shape = (layer.out_channels, layer.out_height, layer.out_width)
    added = [tensor for tensor, there in made.items() if there == shape]
    pools = [
        pool for pool in (1, 1, 2, 3) if not layer.out_height % pool and not layer.out_width % pool
    ]
    return layer.model_copy(
        update={
            "residual": draw(st.sampled_from([*added, None])),
            "pool": draw(st.sampled_from(pools)),
        }
    )


@st.composite
def chains(draw: Draw, mask_group: int) -> Network:
    """One to five layers on any tensor made before; tall maps, to be tiled by rows."""
    height = draw(st.sampled_from([1, 2, 3, 5, 8, 12, 16, 20, 24]))
    width = draw(st.sampled_from([1, 2, 3, 4, 5, 6, 7, 9]))
    made = {INPUT: (draw(st.sampled_from(CHANNELS)), height, width)}
    chain = []
    first = draw(layers("conv0", made, mask_group))
    for position in range(draw(st.integers(1, 5))):
        layer = first if position == 0 else draw(layers(f"conv{position}", made, mask_group))
        made[layer.name] = (layer.out_channels, layer.pooled_height, layer.pooled_width)
        chain.append(layer)
    # Construction, unlike copying, validates every layer again.
    return Network(name="chain", layers=[layer.model_dump() for layer in chain])


@st.composite
def blocks(draw: Draw, mask_group: int) -> Network:
    """Stem, a residual block with a 1x1 / 2 shortcut, classifier."""
    groups = draw(st.sampled_from([2, 4]))
    narrow = groups * draw(st.integers(1, 8 // groups))
    wide = groups * mask_group * draw(st.integers(1, max(1, 16 // (groups * mask_group))))
    size = draw(st.sampled_from([4, 6, 8]))
    half = (size // 2, size // 2)
    stem = conv("stem", (3, narrow), (size, size), kernel=3)
    down = conv("down", (narrow, wide), (size, size), 3, 2, groups, input="stem")
    shortcut = conv("shortcut", (narrow, wide), (size, size), 1, 2, input="stem")
    add = conv(
        "add", (wide, wide), half, 3, 1, groups, input="down", residual="shortcut", pool=size // 2
    )
    classifier = conv("classifier", (wide, 10), (1, 1), input="add")
    return Network(name="block", layers=(stem, down, shortcut, add, classifier))


@st.composite
def cases(draw: Draw) -> Case:
    """A run that both sides either count or refuse."""
    arch = draw(machines())
    mask_group = draw(st.sampled_from([1, 1, 2, 8]))
    shapes = st.one_of(chains(mask_group), chains(mask_group), blocks(mask_group))
    network = draw(shapes.filter(lambda network: bool(network.gated_layers)))
    lanes = arch.index.lane_group
    shared = f"structured-{lanes}x"
    if mask_group % lanes or not exact(shared, network, arch, mask_group):
        shared = f"lockstep-{lanes}"
    schemes = ["dense", "dense-zero-gated", "gated", "unstructured", "unstructured", *[shared] * 3]
    scheme = draw(st.sampled_from(schemes))
    images = draw(st.integers(1, 4))
    batch = draw(st.integers(1, 3))
    density = draw(st.sampled_from([0.0, 0.02, 0.05, 0.2, 0.5, 0.8, 1.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    masks, zeros = {}, {}
    for layer in network.gated_layers:
        shape = (
            images,
            layer.out_channels // mask_group,
            layer.out_height,
            layer.out_width,
        )
        masks[layer.name] = rng.random(shape) < density
        zeros[layer.name] = rng.integers(0, layer.macs + 1, images)
    return Case(
        arch=arch,
        network=network,
        scheme=scheme,
        mask_group=mask_group,
        batch=batch,
        images=images,
        masks=masks,
        zero_operand_macs=zeros,
    )


def lists_of_lane_groups(
    scheme: str, network: Network, arch: ArchConfig, mask_group: int
) -> list[list[set[int]]]:
    """For every channel tile of the gated layers, the mask lists of each of its lane groups."""
    return [
        [
            {channels[lane] // mask_group for lane in group}
            for group in hardware(scheme).lane_groups(len(channels))
        ]
        for layer in network.gated_layers
        for channels in cut_channels(layer, arch, scheme)
    ]


def exact(scheme: str, network: Network, arch: ArchConfig, mask_group: int) -> bool:
    """Whether no lane group has more than one mask list."""
    tiles = lists_of_lane_groups(scheme, network, arch, mask_group)
    return all(len(lists) == 1 for groups in tiles for lists in groups)


def modes(case: Case) -> set[str]:
    """Which residencies the first batch of a case meets."""
    plans = plan(case.network, case.arch, case.scheme, min(case.batch, case.images))
    seen = set()
    for at, this in enumerate(plans):
        there = this.placement
        seen.add("input whole" if there.input_resident else "input tiled")
        seen.add(f"weights {this.weights}")
        if len(this.tiles) > 1 and this.tiles[0].channels != this.tiles[1].channels:
            several = {part.pixels[0] for part in this.tiles}
            seen.add("pixels outer" if len(several) > 1 else "one pixel tile")
        if there.input_on_chip:
            seen.add("output kept")
        if this is not plans[-1]:
            if there.output_stored:
                seen.add("output stored in between")
            seen.add("prefetched" if both_fit(this, plans[at + 1], case.arch) else "not prefetched")
        if this.layer.residual is not None:
            seen.add("residual on chip" if there.residual_on_chip else "residual spilled")
    return seen
