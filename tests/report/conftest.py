"""Pages of small traces, of networks, of a run's folder and of a small sweep."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from named_networks import LAYERS, METHOD, network_named
from small_traces import write_small_trace

Make = Callable[..., Path]


@pytest.fixture(autouse=True)
def libraries() -> None:
    """Of the extra; without them a page cannot be written."""
    for name in ("plotly", "jinja2"):
        pytest.importorskip(name, reason=f"PAGES NOT TESTED: no {name} (extra report)")


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A page of the command line's arguments."""
    from hwsim.report.__main__ import main

    pytest.importorskip("plotly", reason="PAGES NOT TESTED: no plotly (extra report)")

    def made(*arguments: object) -> Path:
        path = tmp_path_factory.mktemp("page") / "report.html"
        assert main([*map(str, arguments), "--out", str(path)]) == 0
        return path

    return made


@pytest.fixture(scope="session")
def traces_page(make: Make, trace_folder: Path) -> Path:
    """Of small-cdg and small-scdg."""
    return make(trace_folder)


@pytest.fixture(scope="session")
def hostile_page(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a trace whose layers and method are named to be taken for something else."""
    path = tmp_path_factory.mktemp("hostile") / "a<b>&'.h5"
    write_small_trace(path, network_named(LAYERS), METHOD, 1)
    return make(path)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory, trace_folder: Path) -> Path:
    """What hwsim run --out writes of small-cdg and small-scdg."""
    from hwsim.run.__main__ import main

    folder = tmp_path_factory.mktemp("run")
    assert main(["--trace", str(trace_folder), "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="session")
def sweep_folder(tmp_path_factory: pytest.TempPathFactory, trace_folder: Path) -> Path:
    """Two lane groups times two numbers of banks, small-scdg, all schemes."""
    from hwsim.sweep.sweep import run_sweep

    folder = tmp_path_factory.mktemp("sweep")
    axes = {"activation.banks": [8, 16], "index.lane_group": [4, 8]}
    run_sweep("pe16x16", axes, folder, traces=[trace_folder / "small-scdg.h5"], workers=1)
    return folder


@pytest.fixture(scope="session")
def sweep_page(make: Make, sweep_folder: Path) -> Path:
    return make(sweep_folder)


@pytest.fixture(scope="session")
def network_page(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a network without gates, one image."""
    from hwsim.network import ConvLayer, Network, save_network

    layers = (
        ConvLayer(name="first", in_channels=3, in_height=8, in_width=8, out_channels=16,
                  kernel_size=3, padding=1),
        ConvLayer(name="second", input="first", in_channels=16, in_height=8, in_width=8,
                  out_channels=32, kernel_size=1),
    )  # fmt: skip
    path = tmp_path_factory.mktemp("network") / "plain.yaml"
    save_network(Network(name="plain", layers=layers), path)
    return make(path, "--images", "1")
