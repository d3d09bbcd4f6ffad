"""Fixtures shared by the tests: the default machine, a small network, small trace files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from models import MODELS, Model, parameter
from small_traces import write_small_trace

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import load_arch
from hwsim.network import Network, resnet18
from hwsim.train.images import sources


@pytest.fixture(scope="session", autouse=True)
def images_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded images go to a temporary folder, not to the user's cache.

    XDG_CACHE_HOME stays as it is: compiled kernels are kept there.
    """
    folder = tmp_path_factory.mktemp("images")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "images_folder", lambda: folder)
        yield


@pytest.fixture(scope="session")
def pe16x16() -> ArchConfig:
    return load_arch("pe16x16")


@pytest.fixture(scope="session")
def baseline() -> ArchConfig:
    """Neither zeros gated nor run-ahead: a MAC of a mask's bit is an executed one."""
    return load_arch("pe16x16-baseline")


@pytest.fixture(params=[parameter(model) for model in MODELS])
def model(request: pytest.FixtureRequest) -> Model:
    """Kernel, reference and RTL in turn."""
    return request.param


@pytest.fixture(scope="session")
def small_network() -> Network:
    """ResNet-18 of width 64 on 8x8 images: every layer kind, a few thousand mask bits."""
    return resnet18(input_size=8)


@pytest.fixture(scope="session")
def trace_folder(tmp_path_factory: pytest.TempPathFactory, small_network: Network) -> Path:
    """A folder with small-cdg.h5 (mask group 1) and small-scdg.h5 (mask group 8)."""
    folder = tmp_path_factory.mktemp("traces")
    write_small_trace(folder / "small-cdg.h5", small_network, "cdg", 1)
    write_small_trace(folder / "small-scdg.h5", small_network, "scdg", 8)
    return folder
