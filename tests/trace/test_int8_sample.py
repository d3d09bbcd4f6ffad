"""Int8 data of one layer in a trace: read as written, covered by the hash, refused where wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from hwsim.network import Network
from hwsim.trace.files import verify, write_trace
from hwsim.trace.format.header import TraceError
from hwsim.trace.format.int8_sample import ARRAYS, LayerSample
from hwsim.trace.format.packing import pack_bits
from hwsim.trace.mask_trace import MaskTrace
from hwsim.trace.synthetic import synthetic_trace

LAYER = "layer1.0.conv1"


@pytest.fixture
def sample(small_network: Network) -> LayerSample:
    layer = small_network.by_name[LAYER]
    rng = np.random.default_rng(0)

    def drawn(*shape: int) -> np.ndarray:
        return rng.integers(-127, 128, shape).astype(np.int8)

    return LayerSample(
        layer=LAYER,
        image=1,
        activations=drawn(layer.in_channels, layer.in_height, layer.in_width),
        weights=drawn(layer.out_channels, layer.in_channels, 3, 3),
        thresholds=np.arange(layer.out_channels, dtype=np.int32),
        mask=pack_bits(rng.random((1, layer.mask_bits())) < 0.3)[0],
    )


def write(path: Path, network: Network, sample: LayerSample | None) -> Path:
    trace = synthetic_trace(network, 0.3, images=2)
    masks = {layer.name: trace.packed(layer.name) for layer in network.gated_layers}
    write_trace(path, trace.header, masks, sample=sample)
    return path


def test_a_sample_is_read_as_written(
    tmp_path: Path, small_network: Network, sample: LayerSample
) -> None:
    path = write(tmp_path / "trace.h5", small_network, sample)
    trace = verify(path)
    assert trace.sample is not None
    assert trace.sample.contents() == sample.contents()
    assert (trace.sample.layer, trace.sample.image) == (LAYER, 1)
    without = MaskTrace.open(write(tmp_path / "without.h5", small_network, None))
    assert without.sample is None
    assert without.sha256 != trace.sha256


@pytest.mark.parametrize("name", ARRAYS)
def test_data_exchanged_behind_the_checksums_are_told(
    tmp_path: Path, small_network: Network, sample: LayerSample, name: str
) -> None:
    path = write(tmp_path / "trace.h5", small_network, sample)
    with h5py.File(path, "r+") as file:
        file[f"sample/{name}"][0] += 1
    with pytest.raises(TraceError, match="do not match the recorded SHA-256"):
        verify(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer": "conv1"}, "sample of layer conv1, image 1: none such"),
        ({"layer": "none"}, "sample of layer none"),
        ({"image": 2}, "image 2: none such"),
        ({"thresholds": np.zeros(3, np.int32)}, "sample: thresholds int32(3,), not (64,)"),
        ({"mask": np.zeros(512, np.int8)}, "sample: mask int8(512,)"),
    ],
)
def test_what_does_not_fit_is_told(
    tmp_path: Path,
    small_network: Network,
    sample: LayerSample,
    change: dict[str, object],
    message: str,
) -> None:
    with pytest.raises(TraceError) as caught:
        write(tmp_path / "trace.h5", small_network, replace(sample, **change))
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_array_is_told(
    tmp_path: Path, small_network: Network, sample: LayerSample
) -> None:
    path = write(tmp_path / "trace.h5", small_network, sample)
    with h5py.File(path, "r+") as file:
        del file["sample/weights"]
    with pytest.raises(TraceError, match="damaged"):
        MaskTrace.open(path)
