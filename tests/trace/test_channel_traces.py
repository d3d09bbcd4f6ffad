"""Traces of masks of channels: written, read, refused, and on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from refusal import refusal

from hwsim.arch.schemes import SchemeError
from hwsim.network import Network
from hwsim.run.__main__ import main
from hwsim.run.simulate import simulate, usable_schemes
from hwsim.trace import __main__ as trace_module
from hwsim.trace.files import verify, write_trace
from hwsim.trace.format.contents import TraceContents
from hwsim.trace.format.header import TraceError, TraceHeader
from hwsim.trace.mask_trace import MaskTrace
from hwsim.trace.synthetic import synthetic_channels, synthetic_trace

FBS, DGC = "output-channel", "input-channel-by-head"


def written(path: Path, network: Network, granularity: str, zeros: bool = True) -> Path:
    """4 images at density 0.5, with counts of zero operands."""
    made = synthetic_channels(network, 0.5, granularity=granularity, images=4, seed=3)
    names = [layer.name for layer in network.gated_layers]
    counts = {name: np.arange(4, dtype=np.int64) for name in names} if zeros else None
    write_trace(path, made.header, {name: made.packed(name) for name in names}, counts)
    return path


@pytest.mark.parametrize(("granularity", "shape"), [(FBS, (4, 64)), (DGC, (4, 4, 64))])
def test_what_is_written_is_read(
    tmp_path: Path, small_network: Network, granularity: str, shape: tuple[int, ...]
) -> None:
    path = written(tmp_path / "made.h5", small_network, granularity)
    made = synthetic_channels(small_network, 0.5, granularity=granularity, images=4, seed=3)
    found = verify(path)
    assert found.header == made.header
    assert found.header.format_version == 4
    masks = found.masks("layer1.0.conv1")
    assert masks.shape == shape
    np.testing.assert_array_equal(masks, made.masks("layer1.0.conv1"))
    assert set(found.densities().values()) == {0.5}
    with h5py.File(path) as file:
        assert file["masks/layer1.0.conv1"].shape == (4, int(np.prod(shape[1:])) // 8)


def test_winners_take_all(small_network: Network) -> None:
    outputs = synthetic_channels(small_network, 0.3, images=2).masks("layer1.0.conv1")
    assert (outputs.sum(axis=1) == 20).all()  # ceil(0.3 * 64)
    heads = synthetic_channels(small_network, 0.3, granularity=DGC, images=2)
    assert (heads.masks("layer1.0.conv1").sum(axis=2) == 20).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mask_group": 8}, "mask group 1"),
        ({"gate_norm": "instance"}, "no gate norm 'instance'"),
        ({"format_version": 1}, "needs format version 2, found 1"),
    ],
)
def test_headers_that_do_not_fit(
    small_network: Network, change: dict[str, object], message: str
) -> None:
    data = json.loads(synthetic_channels(small_network, 0.5, images=1).header.as_json())
    with pytest.raises(ValueError, match=message):
        TraceHeader.model_validate(data | change)


def test_masks_of_a_wrong_shape_and_margins_are_told(small_network: Network) -> None:
    made = synthetic_channels(small_network, 0.5, images=2)
    packed = {layer.name: made.packed(layer.name) for layer in small_network.gated_layers}
    wrong = packed | {"layer1.0.conv1": np.zeros((2, 9), np.uint8)}
    with pytest.raises(TraceError, match=r"layer1.0.conv1: masks of shape \(2, 9\)"):
        TraceContents(made.header, wrong)
    margins = {name: np.ones((1, 8 * bits.shape[1]), np.int8) for name, bits in packed.items()}
    with pytest.raises(TraceError, match="salience and samples go with element masks"):
        TraceContents(made.header, packed, salience=margins)


@pytest.mark.parametrize("granularity", [FBS, DGC])
def test_schemes_that_fit(
    tmp_path: Path, pe16x16, small_network: Network, granularity: str
) -> None:
    trace = MaskTrace.open(written(tmp_path / "made.h5", small_network, granularity))
    assert usable_schemes(pe16x16, trace) == ["dense", "dense-zero-gated", "channels"]
    with pytest.raises(SchemeError, match=f"cannot use these masks.*{granularity}.*channels"):
        simulate(pe16x16, trace, "unstructured")
    elements = synthetic_trace(small_network, 0.5, images=1)
    with pytest.raises(SchemeError, match="a mask bit per channel"):
        simulate(pe16x16, elements, "channels")


def test_every_method_in_one_table(
    tmp_path: Path, trace_folder: Path, small_network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [
        str(written(tmp_path / "fbs.h5", small_network, FBS)),
        str(written(tmp_path / "dgc.h5", small_network, DGC, zeros=False)),
        *map(str, sorted(trace_folder.glob("*.h5"))),
    ]
    assert main(["--trace", *paths, "--layers"]) == 0
    out = capsys.readouterr().out
    assert "synthetic FBS" in out
    assert "channels: predictors are in cycles" in out
    assert main(["--trace", *paths, "--json", "-", "--out", str(tmp_path / "out")]) == 0
    report = json.loads(capsys.readouterr().out)
    rows = {(row["trace"], row["scheme"]) for row in report["schemes"]}
    assert {("fbs", "channels"), ("fbs", "dense-zero-gated"), ("dgc", "channels")} <= rows
    assert ("dgc", "dense-zero-gated") not in rows
    assert {row["trace"] for row in report["mask_by_hardware"]} == {"small-cdg", "small-scdg"}


def test_the_reference_is_refused_before_anything_runs(
    tmp_path: Path, small_network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(written(tmp_path / "fbs.h5", small_network, FBS))
    told = refusal(capsys, main, ["--trace", path, "--engine", "reference"])
    assert "fbs.h5: --engine reference does not model scheme 'channels'" in told


def test_inspect(
    tmp_path: Path, small_network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(written(tmp_path / "dgc.h5", small_network, DGC))
    assert trace_module.main(["inspect", path]) == 0
    out = capsys.readouterr().out
    assert "input-channel-by-head" in out
    assert "density layer1.0.conv1" in out
