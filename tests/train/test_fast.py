"""The fast path against its definition in fp64, and against the plain path in training."""

from __future__ import annotations

import copy
import itertools
import os
import subprocess
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from near import assert_near
from torch import Tensor

from hwsim.train import fast
from hwsim.train.fast import layers
from hwsim.train.fast.packing import convolve, images_per_strip, pack, unpack, widest_packed
from hwsim.train.networks import models
from hwsim.train.networks.gating import BRANCHES, Branch, GatedConv2d, _Gate
from hwsim.train.networks.methods import (
    MASK_GROUP,
    METHODS,
    Method,
    conv3x3,
    pairing,
    view_branches,
)
from hwsim.train.networks.models import BasicBlock, Compute, ResNet18

needs_fast = pytest.mark.usefixtures("fast_path")


@pytest.fixture
def fast_path() -> None:
    """Not when the file is imported: the library would be loaded for all other tests, too."""
    why_not = fast.refusal(torch.device("cpu"), "bf16", "batch")
    if why_not is not None:
        pytest.skip(f"no fast path: {why_not}")


BF16 = 2.0**-8
"""A bf16 number is off by at most this share of itself."""


def maps(generator: torch.Generator, *shape: int) -> Tensor:
    """Of bf16 values, in fp64."""
    return torch.randn(shape, generator=generator).bfloat16().double()


def assert_rounded(found: Tensor, wanted: Tensor) -> None:
    """Each value is the wanted one but for its own rounding, and 1e-5 of the tensor's size."""
    wanted = wanted.detach().double()
    size = float(wanted.square().mean().sqrt())
    torch.testing.assert_close(found.detach().double(), wanted, rtol=BF16, atol=1e-5 * size)


def defined(
    base: Tensor, full: Tensor | None, tau: Tensor, group: int, mask: Tensor | None, relu: bool,
    gamma: Tensor, beta: Tensor, residual: Tensor | None,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """The output and the mask, by torch's own operations in the inputs' precision."""
    y = base
    if full is not None:
        if mask is None:
            mean = base.unflatten(1, (-1, group)).mean(2)
            margin = F.batch_norm(mean, None, None, training=True) - tau[:, None, None]
            mask = margin.detach() > 0
            y = _Gate.apply(base, full, margin, mask)
        else:
            wide = mask.repeat_interleave(group, 1)
            y = torch.where(wide, full, base)
    y = F.batch_norm(y, None, None, gamma, beta, training=True)
    if residual is not None:
        y = y + residual
    return (F.relu(y) if relu else y), mask


CASES = list(
    itertools.product(
        [(4, 16, 6, 6), (3, 24, 5, 7), (2, 512, 3, 4)], [None, 1, 2, 4, 8], [True, False],
        [True, False],
    )
)  # fmt: skip


@needs_fast
@pytest.mark.parametrize(("shape", "group", "added", "relu"), CASES)
def test_forward_and_gradients_equal_the_definition(
    shape: tuple[int, int, int, int], group: int | None, added: bool, relu: bool
) -> None:
    generator = torch.Generator().manual_seed(1)
    channels = shape[1]
    base, upstream = maps(generator, *shape), maps(generator, *shape)
    full = maps(generator, *shape) * 2 if group else None
    residual = maps(generator, *shape) if added else None
    tau = 0.3 * torch.randn(channels // (group or 1), generator=generator)
    gamma = 1 + 0.2 * torch.randn(channels, generator=generator)
    beta = 0.2 * torch.randn(channels, generator=generator)
    vectors = [tau.double(), gamma.double(), beta.double()]
    leaves = [v.clone().requires_grad_() for v in (base, full, residual, *vectors) if v is not None]
    named = iter(leaves)
    inputs = [next(named) if v is not None else None for v in (base, full, residual, *vectors)]
    b, f, r, t, g, s = inputs
    wanted, _ = defined(b, f, t, group or 1, None, relu, g, s, r)
    gradients = torch.autograd.grad(wanted, leaves, upstream, allow_unused=True)

    def bf16(map: Tensor | None) -> Tensor | None:
        if map is None:
            return None
        found = map.bfloat16().contiguous(memory_format=torch.channels_last)
        return found.requires_grad_()

    def fp32(vector: Tensor) -> Tensor:
        return vector.float().requires_grad_()

    maps_in = [bf16(base), bf16(full), bf16(residual)]
    vectors_in = [fp32(v) for v in vectors]
    rest = (group or 1, 1e-5, 1e-5, relu, False)
    found, *_ = layers._Normalised.apply(
        maps_in[0], maps_in[1], vectors_in[0] if group else None, None, *vectors_in[1:],
        maps_in[2], rest,
    )  # fmt: skip
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert_rounded(found, wanted)
    mine = [v for v in (*maps_in, *vectors_in) if v is not None]
    got = torch.autograd.grad(found, mine, upstream.bfloat16(), allow_unused=True)
    for a, b in zip(got, gradients, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert_rounded(a, b)


@needs_fast
def test_any_number_of_threads_gives_the_same_bits() -> None:
    generator = torch.Generator().manual_seed(1)
    base, full = (
        maps(generator, 8, 64, 24, 24).bfloat16().contiguous(memory_format=torch.channels_last)
        for _ in range(2)
    )
    ones, zeros = torch.ones(64), torch.zeros(64)
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        found.append(
            torch.ops.hwsim.normalised(
                base, full, zeros, None, ones, zeros, None, 1, 1e-5, 1e-5, True, True
            )
        )
    for one, other in itertools.pairwise(found):
        for a, b in zip(one, other, strict=True):
            assert a == b if isinstance(a, float) else torch.equal(a, b)


@needs_fast
@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda x: x.float(), "bf16"),
        (lambda x: x.contiguous(), "channels_last"),
        (lambda x: x[:, :4], "one shape"),
    ],
)
def test_maps_that_it_does_not_take(change, word: str) -> None:
    map = torch.randn(2, 8, 4, 4).bfloat16().contiguous(memory_format=torch.channels_last)
    vector = torch.zeros(8)
    with pytest.raises(RuntimeError, match=word):
        torch.ops.hwsim.normalised(
            map, change(map), vector, None, vector, vector, None, 1, 1e-5, 1e-5, True, False
        )


@pytest.mark.parametrize(("width", "stride"), [(4, 1), (4, 2), (3, 1), (3, 2), (8, 2), (1, 1)])
@pytest.mark.parametrize("groups", [1, 4])
def test_packed_convolutions_equal_plain_ones(width: int, stride: int, groups: int) -> None:
    assert width <= widest_packed(stride)
    generator = torch.Generator().manual_seed(2)
    x = maps(generator, 6, 8, width + 1, width).contiguous(memory_format=torch.channels_last)
    weight = maps(generator, 12, 8 // groups, 3, 3).requires_grad_()
    x.requires_grad_()
    options = {"stride": (stride, stride), "padding": (1, 1), "groups": groups}
    found, wanted = convolve(x, weight, **options), F.conv2d(x, weight, **options)
    assert_near(found, wanted)
    assert found.is_contiguous(memory_format=torch.channels_last)
    upstream = torch.randn_like(wanted)
    for got, want in zip(
        *(torch.autograd.grad(y, (x, weight), upstream) for y in (found, wanted)), strict=True
    ):
        assert_near(got, want)


def test_packing_by_hand() -> None:
    x = torch.arange(8.0).view(4, 1, 1, 2)
    packed = pack(x, 2, 3)
    assert packed.tolist() == [[[[0, 1, 0, 2, 3, 0]]], [[[4, 5, 0, 6, 7, 0]]]]
    assert torch.equal(unpack(packed, 2, 3, 2), x)


@pytest.mark.parametrize(
    ("images", "cell", "count"), [(128, 5, 16), (128, 3, 16), (96, 5, 12), (7, 5, 7), (13, 20, 1)]
)
def test_images_per_strip(images: int, cell: int, count: int) -> None:
    # The divisors' widths nearest to 64: 80 and not 40; 48 and not 96; 60; 35; 20 and not 260.
    assert images_per_strip(images, cell) == count


def step(encoder: ResNet18, x: Tensor, fast_path: bool) -> tuple[Tensor, dict[str, Tensor]]:
    """Both views in bf16, or in fp64 where x is: features; gradients of a weighted sum of them."""
    path = fast.fast(encoder) if fast_path else nullcontext()
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=x.dtype == torch.float32)
    with autocast, path, pairing(encoder.method, encoder):
        views = zip((x, x.flip(3)), view_branches(encoder.method), strict=True)
        found = torch.cat([encoder(view, branch) for view, branch in views])
    weights = torch.linspace(-1, 1, found.numel(), dtype=found.dtype).view_as(found)
    (found * weights).sum().backward()
    return found.detach(), {n: p.grad for n, p in encoder.named_parameters() if p.grad is not None}


def block_pass(block: BasicBlock, x: Tensor, branch: Branch, compute: Compute) -> dict[str, Tensor]:
    """Output and all gradients of a weighted sum of it, by name; in bf16 unless x is fp64."""
    x = x.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=x.dtype != torch.float64):
        found = block(x, branch, compute)
    weights = torch.linspace(-1, 1, found.numel(), dtype=torch.float64).view_as(found)
    (found.double() * weights.cos()).sum().backward()
    gradients = {name: p.grad for name, p in block.named_parameters() if p.grad is not None}
    return {"output": found.detach(), "input": x.grad, **gradients}


@needs_fast
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.parametrize("stride", [1, 2])
def test_a_block_is_as_near_to_fp64_as_the_plain_path(
    method: Method, branch: Branch, stride: int
) -> None:
    """One block, since a gate near its threshold flips, and a network of gates is chaotic."""
    torch.manual_seed(4)
    outputs = 64 * stride
    layer = partial(conv3x3, method, mask_group=MASK_GROUP.get(method, 1), gate_norm="batch")
    block = BasicBlock(method, layer, 64, outputs, stride).to(memory_format=torch.channels_last)
    x = torch.randn(32, 64, 8, 8).relu().bfloat16().contiguous(memory_format=torch.channels_last)
    exact = block_pass(copy.deepcopy(block).double(), x.double(), branch, models.conv_norm)
    plain = block_pass(copy.deepcopy(block), x, branch, models.conv_norm)
    quick = block_pass(copy.deepcopy(block), x, branch, layers.conv_norm)
    assert exact.keys() == plain.keys() == quick.keys()
    for name, wanted in exact.items():
        far = [float((d[name].double() - wanted).norm() / wanted.norm()) for d in (plain, quick)]
        assert far[1] < 1.25 * far[0] + BF16, (name, far)
        assert far[1] < 0.35, (name, far)


@needs_fast
def test_running_statistics_and_densities_follow_as_in_the_plain_path() -> None:
    torch.manual_seed(0)
    encoder = ResNet18("scdg", 32, stages=(1, 1)).to(memory_format=torch.channels_last)
    x = torch.randn(16, 3, 16, 16).contiguous(memory_format=torch.channels_last)
    plain, quick = copy.deepcopy(encoder), copy.deepcopy(encoder)
    step(plain, x, False)
    step(quick, x, True)
    states = quick.state_dict()
    for name, wanted in plain.state_dict().items():
        if "running" in name:
            assert float((states[name] - wanted).norm() / wanted.norm()) < 0.02, name
        elif "tracked" in name:
            assert states[name] == wanted
    for one, other in zip(plain.modules(), quick.modules(), strict=True):
        if isinstance(one, GatedConv2d):
            assert float(other.density) == pytest.approx(float(one.density), rel=0.02)


@pytest.mark.parametrize(
    ("device", "precision", "norm", "word"),
    [
        ("cpu", "fp32", "batch", "bf16"),
        ("cuda", "bf16", "batch", "CPUs"),
        ("cpu", "bf16", "instance", "instance"),
    ],
)
def test_where_it_cannot_run_it_says_why(device: str, precision: str, norm: str, word: str) -> None:
    why = fast.refusal(torch.device(device), precision, norm)
    assert why is not None
    assert word in why


@needs_fast
@pytest.mark.parametrize("compiler", ["c++", "no-such-compiler"])
def test_it_is_compiled_where_there_is_a_compiler(compiler: str, tmp_path: Path) -> None:
    """In a process of its own: the first that compiles, and loads once more."""
    program = (
        "from hwsim.train.fast import native as n; print(n.load()); n.load.cache_clear(); "
        "print(n.load())"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "CXX": compiler}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    kept = list(tmp_path.rglob("*.so"))
    if compiler == "c++":
        assert done.stdout.split() == ["None", "None"]
        assert "compiling the fast path" in done.stderr
        assert len(kept) == 1
    else:
        assert done.stdout.count("there is no C++ compiler") == 2
        assert not kept
