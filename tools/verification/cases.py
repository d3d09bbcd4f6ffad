"""One case from one seed: a value of every parameter, and the machine and masks they make."""

from __future__ import annotations

from random import Random

import numpy as np
from by_hand import machine
from oracle.cases import Case, with_shapes

from hwsim.arch.config import Shape
from hwsim.arch.schemes import SKIP, schemes_for
from hwsim.network import ConvLayer, Network

Value = str | int | float

MASKED = ("clock-gated", "unstructured", "structured", "lockstep")
GATHERING = ("unstructured", "structured", "lockstep")

PARAMETERS: dict[str, tuple[Value, ...]] = {
    "scheme": ("dense", "dense-zero-gated", *MASKED),
    "R": (1, 2, 3, 4, 6),
    "C": (1, 2, 3, 4, 6, 8),
    "P": (6, 16, 31, 64, 65, 100, 127, 128, 130),
    "reshape": ("none", "one shape", "two shapes"),
    "A": (1, 2, 3, 4, 5),
    "B": (1, 2, 3, 4, 8, 12),
    "run-ahead": (0, 1, 2, 5),
    "window": (0, 1, 3, 9, 40, 200),
    "zero gating": ("off", "on", "dense counts alone"),
    "zero skipping": ("none", "word", "suffix", "free-rows"),
    "inputs": (0.0, 0.1, 0.4, 0.8, 1.0),
    "V": (1, 2, 3, 4),
    "W": (8, 16, 32, 64),
    "E": (1, 2, 3, 4),
    "decoders": ("private", "shared"),
    "format": ("bitmap", "coordinate", *(f"run-length {bits}" for bits in range(2, 9))),
    "feed": ("broadcast", "systolic"),
    "bank conflicts": ("exact", "bandwidth", "none"),
    "activation KiB": (1, 2, 4, 512),
    "weight KiB": (1, 2, 160),
    "DRAM GB/s": (0.1, 1.0, 12.8),
    "G": (1, 2, 3, 4),
    "mask group": (1, 2, 3, 4, 6, 8),
    "density": (0.0, 0.05, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0),
    "masks": ("independent", "clustered", "uneven"),
    "gate normalisation": ("batch", "instance"),
    "kernel": (1, 3),
    "stride": (1, 2),
    "padding": (0, 1),
    "pool": (1, 2),
    "network": ("alone", "after a stem", "between two", "with a shortcut"),
    "images": (1, 2, 3),
    "batch": (1, 2, 3),
}

MASK_PARAMETERS = ("W", "mask group", "density", "masks", "gate normalisation")
"""Without effect where no masks are used."""

WEIGHTS = {
    "scheme": (1, 1, 2, 4, 4, 4),
    "R": (4, 3, 3, 2, 1),
    "P": (2, 2, 4, 4, 1, 2, 1, 1, 1),
    "reshape": (4, 1, 1),
    "density": (1, 1, 2, 2, 2, 2, 2, 1),
    "format": (6, 4, *[1] * 7),
    "bank conflicts": (3, 1, 1),
    "run-ahead": (2, 2, 1, 1),
    "window": (4, 1, 1, 1, 1, 1),
    "zero gating": (2, 2, 1),
    "zero skipping": (4, 2, 1, 1),
    "G": (1, 2, 2, 2),
    "activation KiB": (1, 3, 4, 4),
}
"""Where the values of a parameter are not drawn evenly."""

MOST_STEPS = 8000
"""Of the array, in any of a case's shapes: above it another case is drawn, as the reference takes
its time for each."""


def draw_case(seed: int) -> tuple[dict[str, Value], Case]:
    """The values of a case and what they make; the scheme is kept until the rest fits it."""
    rng = Random(f"verify {seed}")
    scheme = draw_value("scheme", rng)
    while True:
        values = {name: draw_value(name, rng) for name in PARAMETERS} | {"scheme": scheme}
        if case := build(values, rng):
            return values, case


def draw_value(name: str, rng: Random) -> Value:
    """One of the parameter's values."""
    return rng.choices(PARAMETERS[name], WEIGHTS.get(name))[0]


def acting(values: dict[str, Value]) -> dict[str, Value]:
    """The values that the case's scheme makes use of, V as it sees it."""
    scheme = values["scheme"]
    seen = {**values, "V": 1} if scheme == "unstructured" else {**values}
    if values["zero skipping"] == "none":
        del seen["inputs"]
    return {name: value for name, value in seen.items() if not without_effect(scheme, name)}


def without_effect(scheme: Value, name: str) -> str | None:
    """Why the scheme takes no notice of a parameter; None if it does."""
    if scheme not in MASKED and name in MASK_PARAMETERS:
        return "dense passes use no masks"
    if scheme not in GATHERING and name in ("V", "E", "decoders", "format", "window"):
        return "dense and gated follow no lists"
    if scheme == "dense-zero-gated" and name == "zero gating":
        return "dense with zero gating is called dense where the option is on"
    return None


def impossible(pair: dict[str, Value]) -> str | None:
    """Why no case can have both values; None where one can."""
    scheme, lanes = pair.get("scheme"), pair.get("V")
    skipping = pair.get("zero skipping", "none")
    if "inputs" in pair and pair.get("zero skipping") == "none":
        return "no input bits are read"
    if pair.get("feed") == "systolic" and (skipping != "none" or "inputs" in pair):
        return "operands of a systolic array hop in step"
    if skipping == "suffix" and scheme == "dense-zero-gated":
        return "dense-zero-gated has no suffix"
    if scheme is None:
        return None
    (other,) = set(pair) - {"scheme"}
    if lanes is not None and scheme in GATHERING and (scheme == "unstructured") != (lanes == 1):
        return "unstructured is V = 1, structured and lockstep are V > 1"
    if scheme == "structured" and pair.get("mask group") == 1:
        return "structured needs a V > 1 that divides the mask group"
    return without_effect(scheme, other)


def build(values: dict[str, Value], rng: Random) -> Case | None:
    """The machine, network and masks of these values; None if they do not go together."""
    v: dict = values
    form, bits = [*v["format"].split(), "4"][:2]
    symbol = {"bitmap": 1, "coordinate": (v["P"] - 1).bit_length(), "run-length": int(bits)}[form]
    if v["scheme"] == "structured" and (v["V"] == 1 or v["mask group"] % v["V"]):
        return None
    skipping = v["zero skipping"]
    if skipping != "none" and v["feed"] == "systolic":
        return None
    if skipping == "suffix" and v["scheme"] == "dense-zero-gated":
        return None
    network = draw_network(v, rng)
    if v["E"] > v["W"] // symbol or not network:
        return None
    arch = machine(
        rows=v["R"],
        columns=v["C"],
        tile_pixels=v["P"],
        word_channels=v["A"],
        banks=v["B"],
        lane_group=v["V"],
        word_bits=v["W"],
        indices_per_cycle=v["E"],
        activation_kib=v["activation KiB"],
        weight_kib=v["weight KiB"],
        gb_per_s=v["DRAM GB/s"],
        feed=v["feed"],
        bank_conflicts=v["bank conflicts"],
        decoders=v["decoders"],
        index_format=form,
        run_length_bits=int(bits),
        run_ahead=v["run-ahead"],
        window=v["window"],
        zero_gating=v["zero gating"] != "off" and v["scheme"] != "dense-zero-gated",
        zero_skipping="none" if skipping == "suffix" else skipping,
    )
    others = PARAMETERS["reshape"].index(v["reshape"])
    arch = with_shapes(rng, arch, others)
    if len(arch.array.reshape) < others:
        return None
    if max(steps(network, v["images"], shape) for shape in arch.array.shapes) > MOST_STEPS:
        return None
    suffix = {"structured": f"-{v['V']}x", "lockstep": f"-{v['V']}"}.get(v["scheme"], "")
    scheme = v["scheme"] + suffix
    if scheme not in schemes_for(arch, v["mask group"], network.layers):
        return None
    noise = np.random.default_rng(rng.getrandbits(32))
    (gated,) = network.gated_layers
    masks = {gated.name: draw_masks(v, gated, noise)}
    most = gated.macs // gated.groups
    zeros = {gated.name: gated.groups * noise.integers(0, most + 1, v["images"])}
    conditional, inputs = {}, {}
    if skipping != "none":
        inputs = draw_inputs(v, network, noise)
        scheme += SKIP if skipping == "suffix" else ""
    if v["zero gating"] == "on" or gated.name in inputs:
        ones = masks[gated.name].reshape(v["images"], -1).sum(axis=1) * v["mask group"]
        # Those of set bits are among the zeros of the conditional path.
        base = zeros[gated.name] // gated.groups if gated.groups > 1 else 0
        possible = np.minimum(ones * gated.conditional_steps, zeros[gated.name] - base)
        conditional[gated.name] = noise.integers(0, possible + 1)
    return Case(
        arch, network, scheme, v["mask group"], v["batch"], v["images"], masks, zeros,
        v["gate normalisation"], conditional, inputs,
    )  # fmt: skip


def draw_inputs(v: dict, network: Network, noise: np.random.Generator) -> dict[str, np.ndarray]:
    """Input bits of some layers, at least of the gated one: bool (images, C_in, H, W)."""
    return {
        layer.name: noise.random((v["images"], layer.in_channels, layer.in_height, layer.in_width))
        < v["inputs"]
        for layer in network.layers
        if layer.gated or noise.random() < 0.7
    }


def draw_network(v: dict, rng: Random) -> Network | None:
    """A gated layer on a small map, alone or with dense 1x1 layers around it."""
    kernel, stride, padding, pool = v["kernel"], v["stride"], v["padding"], v["pool"]
    height, width = (rng.choice([2, 4, 6, 8, 10] if pool == 2 else range(2, 11)) for _ in "yx")
    height, width = ((size - 1) * stride + kernel - 2 * padding for size in (height, width))
    shortcut = v["network"] == "with a shortcut"
    if min(height, width) < 1 or (shortcut and kernel != 1 + 2 * padding):
        return None
    channels = v["G"] * rng.choice([1, 2, 3, 5, 8])
    made = v["G"] * v["mask group"] * rng.choice([1, 1, 2, 3])
    map_in = {"in_height": height, "in_width": width}
    source = "input" if v["network"] == "alone" else "stem"
    gated = ConvLayer(
        name="gated", input=source, in_channels=channels, out_channels=made, groups=v["G"],
        gated=True, kernel_size=kernel, stride=stride, padding=padding, pool=pool, **map_in,
        residual="shortcut" if shortcut else None,
    )  # fmt: skip
    layers = [gated]
    if v["network"] == "between two":
        map_out = {"in_height": gated.pooled_height, "in_width": gated.pooled_width}
        layers.append(conv1x1("last", "gated", made, rng.randint(1, 5), **map_out))
    if shortcut:
        layers.insert(0, conv1x1("shortcut", "stem", channels, made, stride=stride, **map_in))
    if source == "stem":
        layers.insert(0, conv1x1("stem", "input", rng.randint(1, 4), channels, **map_in))
    return Network(name="small", layers=tuple(layers))


def conv1x1(name: str, source: str, channels: int, made: int, **shape: int) -> ConvLayer:
    """A dense layer of single taps."""
    return ConvLayer(
        name=name, input=source, in_channels=channels, out_channels=made, kernel_size=1, **shape
    )


def steps(network: Network, images: int, shape: Shape) -> int:
    """Steps of the array if every pass were dense and no tile ragged: what a case costs."""
    rows, columns = shape
    return sum(
        -(-images * layer.out_pixels // rows) * -(-layer.out_channels // columns)
        * layer.steps for layer in network.layers
    )  # fmt: skip


def draw_masks(v: dict, layer: ConvLayer, noise: np.random.Generator) -> np.ndarray:
    """Bool (images, lists, height, width): bits alone, in 2x2 blocks, or lists of all densities."""
    lists, height, width = layer.out_channels // v["mask group"], layer.out_height, layer.out_width
    bits = noise.random((v["images"], lists, height, width))
    if v["masks"] == "clustered":
        bits = bits[..., ::2, ::2].repeat(2, axis=2).repeat(2, axis=3)[..., :height, :width]
    spread = noise.uniform(0, 2, (1, lists, 1, 1)) if v["masks"] == "uneven" else 1.0
    return bits < v["density"] * spread
