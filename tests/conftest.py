"""Fixtures shared by the tests: the default machine, a small network, small trace files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from models import MODELS, Model, parameter

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import load_arch
from hwsim.trace.files import write_trace
from hwsim.trace.header import TraceHeader
from hwsim.trace.packing import pack_bits
from hwsim.train import cache
from hwsim.workload import Network, resnet18


@pytest.fixture(scope="session", autouse=True)
def images_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded images go to a temporary folder, not to the user's cache.

    XDG_CACHE_HOME stays as it is: compiled kernels are kept there.
    """
    folder = tmp_path_factory.mktemp("images")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "images_folder", lambda: folder)
        yield


@pytest.fixture(scope="session")
def pe16x16() -> ArchConfig:
    return load_arch("pe16x16")


@pytest.fixture(params=[parameter(model) for model in MODELS])
def model(request: pytest.FixtureRequest) -> Model:
    """Kernel, reference and RTL in turn."""
    return request.param


@pytest.fixture(scope="session")
def small_network() -> Network:
    """ResNet-18 of width 64 on 8x8 images: every layer kind, a few thousand mask bits."""
    return resnet18(input_size=8)


def write_small_trace(path: Path, network: Network, method: str, mask_group: int) -> Path:
    """4 images of random masks with margins for 2, drawn from a fixed seed."""
    generator = np.random.default_rng(mask_group)
    masks, margins, scales, zeros = {}, {}, {}, {}
    for layer in network.gated_layers:
        shape = (4, layer.out_channels // mask_group, layer.out_height, layer.out_width)
        z = generator.integers(-100, 60, shape).astype(np.int8)
        masks[layer.name] = pack_bits(z > 0)
        margins[layer.name] = z[:2].reshape(2, -1)
        scales[layer.name] = 0.03
        zeros[layer.name] = generator.integers(0, layer.macs, 4)
    header = TraceHeader(
        network=network,
        method=method,
        mask_group=mask_group,
        dataset="drawn at random",
        image_ids=(3, 1, 4, 5),
        training={"epochs": 0},
        synthetic=True,
    )
    write_trace(path, header, masks, zeros, margins, scales)
    return path


@pytest.fixture(scope="session")
def trace_folder(tmp_path_factory: pytest.TempPathFactory, small_network: Network) -> Path:
    """A folder with small-cdg.h5 (mask group 1) and small-scdg.h5 (mask group 8)."""
    folder = tmp_path_factory.mktemp("traces")
    write_small_trace(folder / "small-cdg.h5", small_network, "cdg", 1)
    write_small_trace(folder / "small-scdg.h5", small_network, "scdg", 8)
    return folder
