"""Small machines and gated layers drawn at random, each a function of one seed."""

from __future__ import annotations

from random import Random

from oracle.machines import conv, machine

from hwsim.arch.config import ArchConfig
from hwsim.arch.schemes import Scheme, parse_scheme, schemes_for

from .data import LayerData, draw_data
from .replay import Replay


def draw(seed: int) -> tuple[ArchConfig, Scheme, LayerData]:
    """A machine, one of its schemes, and a layer whose channel tiles cut no mask list."""
    rng = Random(f"compute {seed}")
    mask_group = rng.choice([1, 1, 2, 4])
    columns = mask_group * rng.randint(1, 8 // mask_group)
    arch = _draw_machine(rng, columns)
    groups = rng.choice([2, 3, 4])
    kernel = rng.choice([1, 3, 3])
    layer = conv(
        channels=(groups * rng.randint(1, 6), groups * mask_group * rng.randint(1, 4)),
        size=(rng.randint(3, 8), rng.randint(3, 8)),
        kernel=kernel,
        stride=rng.choice([1, 2]),
        groups=groups,
        padding=rng.choice([kernel // 2, kernel // 2, 0, 1]),
    )
    sparse = schemes_for(arch, mask_group, [layer])[3:]
    scheme = parse_scheme(rng.choice([*sparse * 4, "clock-gated", "dense"]), arch)
    rank = rng.choice([0.0, 0.2, 0.5, 0.7, 0.9, 1.0])
    images, inverse = rng.randint(1, 2), rng.random() < 0.5
    return arch, scheme, draw_data(layer, images, mask_group, rank, inverse, seed)


def _draw_machine(rng: Random, columns: int) -> ArchConfig:
    word_bits = rng.choice([8, 16, 32, 64])
    return machine(
        rows=rng.randint(1, 6),
        columns=columns,
        entries=columns * rng.choice([6, 16, 31, 64, 100]),
        word_channels=rng.randint(1, 5),
        banks=rng.choice([1, 2, 3, 4, 8]),
        word_bits=word_bits,
        indices_per_cycle=rng.randint(1, word_bits // 8),
        lane_group=rng.choice([1, 2, 3, 4]),
        activation_kib=rng.choice([1, 2, 512, 512]),
        weight_kib=rng.choice([2, 160]),
        decoders=rng.choice(["private", "shared"]),
        index_format=rng.choice(["bitmap", "coordinate", "run-length"]),
        run_length_bits=rng.randint(2, 8),
    )


SITUATIONS = {
    "unstructured", "structured", "lockstep", "clock-gated", "dense",
    "bitmap", "coordinate", "run-length", "private", "shared",
    "kernel 1", "kernel 3", "stride 1", "stride 2", "diagonal", "inverse",
    "short beats", "ragged channel tiles", "ragged pixel tiles", "input tiled",
    "no bit set", "idle lanes", "bank conflicts", "masks of several channels",
}  # fmt: skip
"""What eighty draws have to meet together."""


def situations(run: Replay) -> set[str]:
    """Which of SITUATIONS a replay met."""
    layer, arch, scheme = run.data.layer, run.arch, run.scheme
    inputs, outputs = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    pixels = run.mapping.total_pixels
    of_lists = {
        "short beats": inputs % arch.activation.word_channels > 0,
        "ragged channel tiles": outputs > arch.array.columns and outputs % arch.array.columns > 0,
        "ragged pixel tiles": pixels > run.mapping.pixels and pixels % run.mapping.pixels > 0,
        "input tiled": run.mapping.input == "tiled",
        "no bit set": not run.mask.any(),
        "idle lanes": scheme.lockstep and run.counts["macs_gated_off"] > 0,
        "bank conflicts": run.counts["bank_stall"] > 0,
        "masks of several channels": run.data.mask_group > 1,
    }
    always = {
        scheme.name if scheme.kind != "sparse" else scheme.name.split("-")[0],
        f"kernel {layer.kernel_size}",
        f"stride {layer.stride}",
        "inverse" if run.data.inverse else "diagonal",
    }
    if scheme.kind != "sparse":
        return always
    lists = {arch.index.format, arch.index.decoders}
    return always | lists | {name for name, met in of_lists.items() if met}
