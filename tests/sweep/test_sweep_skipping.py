"""Sweeps of machines that skip zeros, or code them in DRAM, on traces whose activations differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwsim.errors import UserError
from hwsim.run.simulate import simulate
from hwsim.sweep.sweep import run_sweep
from hwsim.trace.format.contents import TraceContents
from hwsim.trace.format.packing import pack_bits
from hwsim.trace.format.writer import write_contents
from hwsim.trace.mask_trace import MaskTrace


@pytest.fixture(scope="module")
def traces(trace_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The small traces with input bits for three of their four images: few operands, and many."""
    folder = tmp_path_factory.mktemp("skipping")
    paths = []
    for share, path in zip((0.2, 0.7), sorted(trace_folder.glob("*.h5")), strict=True):
        trace = MaskTrace.open(path)
        draw = np.random.default_rng(3).random
        inputs = {
            layer.name: draw((3, layer.in_channels, layer.in_height, layer.in_width)) < share
            for layer in trace.network.layers
            if layer.input != "input"
        }
        names = [layer.name for layer in trace.network.gated_layers]
        none = {name: np.zeros(trace.images, np.int64) for name in names}
        contents = TraceContents(
            trace.header, {name: trace.packed(name) for name in names}, none, none,
            input_bits={name: pack_bits(bits) for name, bits in inputs.items()},
        )  # fmt: skip
        write_contents(contents, folder / path.name)
        paths.append(folder / path.name)
    return paths


def test_each_trace_is_measured_by_its_own_dense_run(traces: list[Path], tmp_path: Path) -> None:
    axes = {"array.zero_skipping": ["none", "word", "free-rows"]}
    rows = run_sweep(
        "pe16x16", axes, tmp_path, traces=traces, schemes=["dense", "unstructured"], images=3,
        workers=1,
    )  # fmt: skip
    assert len(rows) == 3 * 2 * 2
    dense = rows[rows["scheme"] == "dense"].set_index(["trace", "array.zero_skipping"])
    assert (dense["speedup"] == 1).all()
    assert dense["cycles_per_image"].xs("word", level=1).nunique() == 2
    for _, row in rows[rows["scheme"] == "unstructured"].iterrows():
        yardstick = dense.loc[(row["trace"], row["array.zero_skipping"])]
        over = yardstick["cycles_per_image"] / row["cycles_per_image"]
        assert row["speedup"] == pytest.approx(over, rel=1e-12)


def test_a_suffix_is_measured_by_the_machine_that_skips_nothing(
    traces: list[Path], tmp_path: Path
) -> None:
    rows = run_sweep(
        "pe16x16", {}, tmp_path, traces=traces, schemes=["structured-skip"], images=3, workers=1
    )
    (row,) = rows.to_dict("records")  # the unstructured trace cannot run it
    trace = MaskTrace.open(traces[1]).head(3)
    assert row["scheme"] == "structured-8x-skip"
    dense, found = (simulate("pe16x16", trace, name) for name in ("dense", row["scheme"]))
    assert row["speedup"] == dense.cycles / found.cycles > 1


@pytest.mark.parametrize("options", [{}, {"images": 4}])
def test_images_without_input_bits_are_refused_before_anything_runs(
    traces: list[Path], tmp_path: Path, options: dict[str, int]
) -> None:
    with pytest.raises(UserError, match=r"needs the input bits of all 4 images.*--images 3"):
        run_sweep(
            "pe16x16", {"array.zero_skipping": ["word"]}, tmp_path, traces=traces,
            schemes=["dense"], workers=1, **options,
        )  # fmt: skip
    assert not list(tmp_path.iterdir())


def test_how_maps_lie_in_dram_is_an_axis(traces: list[Path], tmp_path: Path) -> None:
    """Few operands take less than a byte a value; with many the code is longer than the values."""
    axes = {"activation.dram_format": ["dense", "run-length"], "activation.buffer_kib": [40]}
    rows = run_sweep(
        "pe16x16", axes, tmp_path, traces=traces, schemes=["dense"], images=3, workers=1
    )  # fmt: skip
    moved = rows.set_index(["trace", "activation.dram_format"])["dram_bytes_per_image"]
    few, many = (path.stem for path in traces)
    assert moved[few, "run-length"] < moved[few, "dense"]
    assert moved[many, "run-length"] > moved[many, "dense"]


def test_images_without_bits_of_coded_maps_are_refused(traces: list[Path], tmp_path: Path) -> None:
    with pytest.raises(
        UserError,
        match=r"h5: activation.dram_format: run-length needs the input bits of all 4.*--images 3",
    ):
        run_sweep(
            "pe16x16", {"activation.dram_format": ["run-length"]}, tmp_path, traces=traces,
            schemes=["dense"], workers=1,
        )  # fmt: skip
    assert not list(tmp_path.iterdir())
