"""Random small runs: machine, network, masks and scheme, all of them from one seed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

import numpy as np

from hwsim.arch.config import ArchConfig, Shape
from hwsim.arch.load import ArchError, build_arch
from hwsim.network import INPUT, ConvLayer, Network

from .lists import symbol_bits
from .machines import conv, machine
from .schemes import SKIP
from .shapes import keeps_structure
from .zero_draws import draw_inputs, draw_way

Map = tuple[int, int, int]
"""(channels, height, width) of a tensor."""

KINDS = ("dense", "clock-gated", "unstructured", "shared lists")
"""Schemes, with and without zero gating, and with structured or lockstep lane groups."""

CHANNELS = [2, 2, 3, 4, 4, 5, 6, 8, 9, 12, 16, 20, 24]


@dataclass(frozen=True)
class Case:
    """One run of either side, its masks and zero operands as the oracle's ``run`` takes them.

    ``zero_operand_macs_conditional`` is empty where a trace has not counted them, ``inputs`` where
    it has no input bits.
    """

    arch: ArchConfig
    network: Network
    scheme: str
    mask_group: int
    batch: int
    images: int
    masks: dict[str, np.ndarray]
    zero_operand_macs: dict[str, np.ndarray]
    gate_norm: str = "batch"
    zero_operand_macs_conditional: dict[str, np.ndarray] = field(default_factory=dict)
    inputs: dict[str, np.ndarray] = field(default_factory=dict)


def draw_machine(rng: Random) -> ArchConfig:
    """Arrays up to 12 x 8, buffers from one KiB, every other parameter odd now and then.

    Tiles have fewer pixels than a word of every bank has channels, or more.
    """
    rows = rng.choice([1, 2, 3, 4, 5, 7, 12])
    columns = rng.choice([1, 2, 3, 4, 6, 8, 8])
    tile_pixels = rng.choice([rng.randint(rows, 24), rng.choice([24, 60, 99, 160])])
    arch = machine(
        rows=rows,
        columns=columns,
        entries=columns * tile_pixels,
        word_channels=rng.choice([1, 1, 2, 2, 3, 4, 5]),
        banks=rng.choice([1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 8, 16]),
        word_bits=rng.choice([8, 16, 32, 64]),
        lane_group=rng.choice([2, 2, 2, 3, 4, 8]),
        activation_kib=rng.choice([1, 1, 2, 3, 4, 8]),
        weight_kib=rng.choice([1, 2, 2, 4, 16]),
        bandwidth_gb_per_s=rng.choice([0.03, 0.1, 0.7, 3.0]),
        efficiency_percent=rng.choice([33, 80, 100]),
        feed=rng.choice(["broadcast", "broadcast", "systolic"]),
        bank_conflicts=rng.choice(["exact", "exact", "exact", "exact", "bandwidth", "none"]),
        decoders=rng.choice(["private", "shared"]),
        index_format=rng.choice(["bitmap", "coordinate", "run-length"]),
        run_length_bits=rng.randint(2, 8),
        run_ahead=rng.choice([0, 0, 1, 1, 2, 4]),
        window=rng.choice([0, 0, 0, 1, rng.randint(2, 8), rng.randint(1, 2 * tile_pixels)]),
        zero_gating=rng.choice([False, False, True]),
    )
    emitted = min(rng.choice([1, 1, 1, 2, 3, 4]), symbols_of_a_word(arch))
    return changed(arch, index={"indices_per_cycle": emitted})


def changed(arch: ArchConfig, **parts: dict[str, object]) -> ArchConfig:
    """The machine with other values in some of its parts, validated again."""
    data = arch.model_dump()
    return build_arch({**data, **{part: {**data[part], **new} for part, new in parts.items()}})


def with_slow_decoders(arch: ArchConfig) -> ArchConfig:
    """The machine with long lists in narrow words, one symbol a cycle, and enough banks."""
    return changed(
        arch,
        partial_sums={"entries": 99 * arch.array.columns},
        activation={"buffer_kib": 8, "banks": 16},
        index={"word_bits": 8, "indices_per_cycle": 1},
    )


def other_shapes(arch: ArchConfig) -> list[Shape]:
    """Arrays of as many PEs whose columns divide the partial sums."""
    own, pes = arch.array.columns, arch.array.rows * arch.array.columns
    return [
        (pes // columns, columns)
        for columns in range(1, pes + 1)
        if columns != own and not pes % columns and not arch.partial_sums.entries % columns
    ]


def with_shapes(rng: Random, arch: ArchConfig, number: int) -> ArchConfig:
    """The machine with other shapes to choose from, or as it is: it may have room for fewer."""
    others = other_shapes(arch)
    try:
        return changed(arch, array={"reshape": rng.sample(others, min(number, len(others)))})
    except ArchError:  # coordinates of the narrowest shape are too long for an index word
        return arch


def symbols_of_a_word(arch: ArchConfig) -> int:
    """The most that a decoder can be told to consume in a cycle."""
    return arch.index.word_bits // symbol_bits(arch, arch.index.format)


def draw_layer(rng: Random, name: str, made: dict[str, Map], mask_group: int) -> ConvLayer:
    """A layer that reads any tensor made, the latest most often, and adds one where one fits.

    One group's gates zero what they mask off, or there are none.
    """
    source = rng.choice([*made, *[list(made)[-1]] * 3])
    channels, height, width = made[source]
    kernel = rng.choice([1, 1, 1, 2, 3, 3, 5])
    padding = rng.choice([kernel // 2, kernel // 2, kernel // 2, 0, 1])
    if min(height, width) + 2 * padding < kernel:
        kernel, padding = 1, 0
    groups = rng.choice([g for g in (1, 2, 2, 3, 4) if channels % g == 0])
    gated = groups > 1 or rng.random() < 0.4
    wanted = groups * mask_group if gated else 1
    choices = [n for n in [*CHANNELS, channels, channels] if n % groups == 0 and n % wanted == 0]
    if not choices:
        groups, gated, choices = 1, False, CHANNELS
    layer = conv(
        name,
        channels=(channels, rng.choice(choices)),
        size=(height, width),
        kernel=kernel,
        stride=rng.choice([1, 1, 1, 2, 3]),
        groups=groups,
        gated=gated,
        padding=padding,
        input=source,
    )
    shape = (layer.out_channels, layer.out_height, layer.out_width)
    added = [tensor for tensor, there in made.items() if there == shape]
    pools = [
        pool for pool in (1, 1, 2, 3) if not layer.out_height % pool and not layer.out_width % pool
    ]
    edges = {"residual": rng.choice([*added, None]), "pool": rng.choice(pools)}
    return layer.model_copy(update=edges)


def draw_chain(rng: Random, mask_group: int) -> Network:
    """One to five layers on any tensor made before; tall maps, to be tiled by rows."""
    height = rng.choice([1, 2, 3, 5, 8, 12, 16, 20, 24])
    width = rng.choice([1, 2, 3, 4, 5, 6, 7, 9])
    made = {INPUT: (rng.choice(CHANNELS), height, width)}
    chain = []
    first = draw_layer(rng, "conv0", made, mask_group)
    for position in range(rng.randint(1, 5)):
        layer = first if position == 0 else draw_layer(rng, f"conv{position}", made, mask_group)
        made[layer.name] = (layer.out_channels, layer.pooled_height, layer.pooled_width)
        chain.append(layer)
    # Construction, unlike copying, validates every layer again.
    return Network(name="chain", layers=[layer.model_dump() for layer in chain])


def draw_block(rng: Random, mask_group: int) -> Network:
    """Stem, a residual block with a 1x1 / 2 shortcut, classifier."""
    groups = rng.choice([1, 2, 2, 4, 4])
    narrow = groups * rng.randint(1, 8 // groups)
    wide = groups * mask_group * rng.randint(1, max(1, 16 // (groups * mask_group)))
    size = rng.choice([4, 6, 8])
    half = (size // 2, size // 2)
    stem = conv("stem", (3, narrow), (size, size), kernel=3)
    down = conv("down", (narrow, wide), (size, size), 3, 2, groups, gated=True, input="stem")
    shortcut = conv("shortcut", (narrow, wide), (size, size), 1, 2, input="stem")
    add = conv(
        "add", (wide, wide), half, 3, 1, groups, gated=True, input="down", residual="shortcut",
        pool=size // 2,
    )  # fmt: skip
    classifier = conv("classifier", (wide, 10), (1, 1), input="add")
    return Network(name="block", layers=(stem, down, shortcut, add, classifier))


def draw_short_rounds(rng: Random, mask_group: int) -> Network:
    """One gated 1x1 layer of few steps on a large map: its decoders are slower than the array."""
    groups = rng.choice([1, 2, 2, 3])
    outputs = groups * mask_group * rng.choice([1, 2, 3, 4, 8])
    size = (rng.choice([8, 12, 16, 20]), rng.choice([5, 6, 7, 9]))
    layer = conv("conv0", (groups, outputs), size, groups=groups, gated=True)
    return Network(name="short", layers=(layer,))


def draw_scheme(rng: Random, kind: str, network: Network, arch: ArchConfig, mask_group: int) -> str:
    """A scheme of a kind; lanes share a list in lockstep unless the masks have the structure.

    Where the machine gates zeros ``dense`` does, and has no scheme of it beside it.
    """
    if kind == "dense":
        scheme = rng.choice(["dense", "dense-zero-gated"])
        return "dense" if arch.array.zero_gating else scheme
    if kind != "shared lists":
        return kind
    lanes = arch.index.lane_group
    structured = f"structured-{lanes}x"
    if mask_group % lanes or not exact(structured, network, arch, mask_group):
        return f"lockstep-{lanes}"
    return structured


def draw_case(kind: str, seed: int) -> Case:
    """A run of a kind of scheme (one of KINDS) that both sides either count or refuse."""
    rng = Random(f"{kind} {seed}")
    arch = draw_machine(rng)
    mask_group = rng.choice([1, 1, 2, 8])
    draw = rng.choice([draw_chain, draw_chain, draw_block, draw_short_rounds])
    network = draw(rng, mask_group)
    while not network.gated_layers:
        network = draw(rng, mask_group)
    scheme = draw_scheme(rng, kind, network, arch, mask_group)
    images = rng.randint(1, 4)
    batch = rng.randint(1, 3)
    density = rng.choice([0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 0.8, 1.0])
    if draw is draw_short_rounds:
        arch, density = with_slow_decoders(arch), rng.choice([0.05, 0.1, 0.2])
    noise = np.random.default_rng(rng.getrandbits(32))
    masks, zeros, conditional = draw_masks(noise, network, mask_group, images, density)
    case = Case(
        arch=with_shapes(rng, arch, rng.choice([0, 0, 0, 1, 2])),
        network=network,
        scheme=scheme,
        mask_group=mask_group,
        batch=batch,
        images=images,
        masks=masks,
        zero_operand_macs=zeros,
        zero_operand_macs_conditional=conditional if rng.random() < 0.8 else {},
        gate_norm=rng.choice(["batch", "instance"]),
    )
    return with_zeros(Random(f"zeros of {kind} {seed}"), case, conditional)


Counts = dict[str, np.ndarray]


def draw_masks(
    noise: np.random.Generator, network: Network, mask_group: int, images: int, density: float
) -> tuple[Counts, Counts, Counts]:
    """By gated layer: masks of one density, and possible Z and Z_c, int (images,)."""
    masks, zeros, conditional = {}, {}, {}
    for layer in network.gated_layers:
        lists = layer.out_channels // mask_group
        shape = (images, lists, layer.out_height, layer.out_width)
        masks[layer.name] = noise.random(shape) < density
        base = noise.integers(0, layer.macs // layer.groups + 1, images)
        zeros[layer.name] = layer.groups * base
        run = masks[layer.name].reshape(images, -1).sum(axis=1) * mask_group
        # Those of set bits are among the conditional ones: all, where there is no base path.
        least = base if layer.groups > 1 else 0
        most = np.minimum(run * layer.conditional_steps, zeros[layer.name] - least)
        conditional[layer.name] = noise.integers(0, most + 1)
    return masks, zeros, conditional


def with_zeros(rng: Random, case: Case, conditional: dict[str, np.ndarray]) -> Case:
    """The case on a machine, or under a scheme, that skips zeros; or as it is, most often.

    ``conditional``: the counts that go with the input bits of gated layers.
    """
    way = draw_way(rng, case.scheme, case.arch)
    if way == "none":
        return case
    inputs = draw_inputs(rng, case.network, case.arch, case.images)
    if not any(layer.name in inputs for layer in case.network.gated_layers):
        conditional = case.zero_operand_macs_conditional
    found = replace(case, inputs=inputs, zero_operand_macs_conditional=conditional)
    if way == SKIP:
        return replace(found, scheme=case.scheme + SKIP)
    return replace(found, arch=changed(case.arch, array={"zero_skipping": way}))


def exact(scheme: str, network: Network, arch: ArchConfig, mask_group: int) -> bool:
    """Whether no lane group of the machine's own shape has more than one mask list."""
    return all(keeps_structure(layer, arch, scheme, mask_group) for layer in network.convolutions)
