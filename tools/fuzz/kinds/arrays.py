"""Arrays given to the Python interface: short scripts that write traces and replay them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from tools.fuzz import hostile, sound
from tools.fuzz.case import INPUTS, PYTHON, Case, Kind

SCRIPT = f"{INPUTS}/call.py"

HEAD = """\
import warnings
import numpy as np
from hwsim import MaskTrace, simulate, write_trace
from tools.fuzz import sound

header = sound.header()
found = sound.arrays(header)
masks, zeros, salience, scale, conditional, inputs = (dict(part) for part in found)
sample = sound.sample(header)
"""

WRITE = """
write_trace("out.h5", header, masks, zeros, salience, scale, sample, conditional, inputs)
trace = MaskTrace.open("out.h5")
"""

MEMORY = """
layers = header.network.by_name
def bits(packed, shape):
    single = np.unpackbits(packed, axis=1, bitorder="little")[:, : int(np.prod(shape))]
    return single.reshape(-1, *shape)
whole = {name: bits(masks[name], header.mask_shape(layers[name])).astype(bool) for name in masks}
CHANGE
trace = MaskTrace.from_masks(header, whole, zeros, conditional)
"""

TAIL = """
for scheme in ("dense", "unstructured"):
    result = simulate("pe16x16", trace, scheme=scheme, threads=1)
    print(scheme, result.cycles, result.totals, result.energy_pj)
"""

PARTS = ("masks", "zeros", "salience", "scale", "conditional", "inputs")
"""Names of sound.Arrays in the scripts."""

ARRAYS = (
    "{a}.astype('{type}')", "{a}.astype('{type}')", "{a}.astype('{type}')", "{a}[:-1]", "{a}[:0]",
    "{a}[..., :-1]", "{a}[..., None]", "{a}.ravel()", "{a}.T", "{a}.tolist()", "{a} * 1.5", "-{a}",
    "{a} * 0", "np.asfortranarray({a})", "{a}[:, ::-1][:, ::-1]", "np.ma.array({a})",
    "{a}.view('i1')", "np.concatenate([{a}, {a}])", "None", "'text'", "{a}.astype(object)",
    "{a}.tobytes()", "memoryview({a})", "np.array({number})", "np.full({a}.shape, {number})",
    "np.full_like({a}, {number})", "{{}}", "[]", "np.broadcast_to({a}[:1], {a}.shape)",
    "{a}.newbyteorder() if hasattr({a}, 'newbyteorder') else {a}.astype('>i8')",
)  # fmt: skip
"""What takes the place of an array: most with other values or types, some with equal ones."""

TYPES = (
    "int8", "int16", "uint16", "int32", "int64", "uint64", ">i8", "float16", "float32", "float64",
    "complex64", "bool", "S3", "U3", "datetime64[s]", "object",
)  # fmt: skip

EQUAL, REFUSED, FREE = "equal", "refused", "free"
"""What a changed array has to give: the array's own result or a refusal; a refusal; anything that
makes sense."""

BROKEN = "broken"
"""Of an expression that NumPy itself does not take."""


def prepare(base: Path) -> None:
    """The scripts without a change, whose results are compared."""
    for name, script in (("written", HEAD + WRITE + TAIL), ("memory", HEAD + _memory("") + TAIL)):
        folder = base / name / INPUTS
        folder.mkdir(parents=True)
        (folder / "call.py").write_text(script)


def _memory(change: str) -> str:
    return MEMORY.replace("CHANGE", change)


def draw(random: Random, base: Path, folder: Path) -> Case:
    """Arrays of other types, shapes and values; names of layers; headers."""
    how = random.choice((_array, _array, _array, _bits, _names, _key))
    change, script, name, worth = how(random)
    (folder / SCRIPT).write_text(script, encoding="utf-8", errors="backslashreplace")
    reference = base / name if worth == EQUAL else None
    argv, outputs, refused = (PYTHON, SCRIPT), ("out.h5",), worth == REFUSED
    sort = how.__name__.strip("_")
    return Case(change, argv, reference, outputs, refused=refused, sort=f"{sort} {worth}")


def _expression(
    random: Random, part: str, layer: str, arrays: Mapping[str, Any]
) -> tuple[str, str]:
    """What takes the place of a layer's array, in Python, and what that is worth."""
    worth = BROKEN
    while worth == BROKEN:
        form, array = random.choice(ARRAYS), f"{part}[{layer!r}]"
        number = repr(hostile.number(random)).replace("inf", "np.inf").replace("nan", "np.nan")
        put = form.format(a=array, type=random.choice(TYPES), number=number)
        worth = _worth(part, layer, arrays[part][layer], put, arrays)
    return put, worth


def _worth(
    part: str, layer: str, before: np.ndarray, expression: str, names: Mapping[str, Any]
) -> str:
    """EQUAL where the expression has the array's values, REFUSED where it is no such array."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            after = np.asarray(eval(expression, {"np": np, **names}))
            flat = after.ravel() if after.size == before.size else None
            equal = flat is not None and bool((flat == before.ravel()).all())
    except Exception:
        return BROKEN
    if equal:
        return EQUAL
    if after.shape != before.shape or after.dtype.kind not in "iub":
        return REFUSED
    least, most = int(after.min()), int(after.max())
    macs = sound.network().by_name[layer].macs
    low, high = {"masks": (0, 255), "inputs": (0, 255), "salience": (-128, 127)}.get(
        part, (0, macs)
    )
    return FREE if low <= least and most <= high else REFUSED


def _array(random: Random) -> tuple[str, str, str, str]:
    """One array of one layer changed, then written and read."""
    part, layer = random.choice(PARTS), random.choice(("second", "third"))
    if part == "scale":
        value = hostile.number(random)
        put = repr(value).replace("inf", "np.inf").replace("nan", "np.nan")
        worth = FREE if isinstance(value, float) and 0 < value < math.inf else REFUSED
        worth = FREE if isinstance(value, int) and value > 0 else worth
    else:
        found = dict(zip(PARTS, sound.arrays(sound.header()), strict=True))
        put, worth = _expression(random, part, layer, found)
    change = f"{part}[{layer!r}] = {put}"
    return change, f"{HEAD}{_quiet(change)}\n{WRITE}{TAIL}", "written", worth


def _bits(random: Random) -> tuple[str, str, str, str]:
    """One layer's bool mask changed, kept in memory."""
    layer = random.choice(("second", "third"))
    told = sound.header()
    shape = told.mask_shape(told.network.by_name[layer])
    packed = sound.arrays(told).masks[layer]
    bits = np.unpackbits(packed, axis=1, bitorder="little")[:, : math.prod(shape)]
    before = bits.reshape(-1, *shape).astype(bool)
    put, worth = _expression(random, "whole", layer, {"whole": {layer: before}})
    change = f"whole[{layer!r}] = {put}"
    return change, HEAD + _memory(_quiet(change)) + TAIL, "memory", worth


def _quiet(change: str) -> str:
    """What NumPy says of the expression itself is not hwsim's."""
    return f"with warnings.catch_warnings(action='ignore'):\n    {change}"


def _names(random: Random) -> tuple[str, str, str, str]:
    """A gated layer of another name, in every place where it is named."""
    name = hostile.text(random)
    lines = (
        "from hwsim.network import ConvLayer, Network",
        f"name = {name!r}",
        "layers = [dict(layer) for layer in sound.LAYERS]",
        "for layer in layers:",
        "    for key, value in layer.items():",
        "        layer[key] = name if value == 'second' else value",
        "network = Network(name='small', layers=tuple(ConvLayer(**layer) for layer in layers))",
        "header = header.model_copy(update={'network': network})",
        "for part in (masks, zeros, salience, scale, conditional, inputs):",
        "    part[name] = part.pop('second')",
        "sample = None",
    )
    taken = name in ("first", "third", "input") or name.startswith("input:")
    script = HEAD + "\n".join(lines) + "\n" + WRITE + TAIL
    return f"layer {name!r}", script, "written", FREE if taken else EQUAL


def _key(random: Random) -> tuple[str, str, str, str]:
    """A value of the header."""
    keys = ("method", "mask_group", "squeeze", "branch", "gate_norm", "dataset", "image_ids",
            "training", "synthetic", "granularity", "format_version")  # fmt: skip
    key = random.choice(keys)
    value = repr(hostile.plain(random)).replace("inf", "np.inf").replace("nan", "np.nan")
    lines = (
        f"data = {{**header.model_dump(), {key!r}: {value}}}",
        "from hwsim import TraceHeader",
        "header = TraceHeader(**data)",
    )
    change = f"{key} = {value[:60]}"
    return change, HEAD + "\n".join(lines) + "\n" + WRITE + TAIL, "", FREE


KIND = Kind(
    "arrays",
    0.1,
    "scripts that give `write_trace` and `MaskTrace.from_masks` arrays of other types, shapes and "
    "values, headers with other values, layers of hostile names, and replay what was written",
    prepare,
    draw,
)
