"""Traces: written whole, read back exactly, and every kind of damage told in one line."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from refusal import refusal

from hwsim.network import Network
from hwsim.trace import __main__ as trace_module
from hwsim.trace.files import find_traces, open_traces, verify, write_trace
from hwsim.trace.format.header import TraceError
from hwsim.trace.format.writer import write_contents
from hwsim.trace.mask_trace import MaskTrace
from hwsim.trace.synthetic import synthetic_trace


@pytest.fixture
def copy(trace_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(trace_folder / "small-cdg.h5", tmp_path / "copy.h5"))


def test_what_was_written_is_read(tmp_path: Path, small_network: Network) -> None:
    made = synthetic_trace(small_network, 0.3, images=3, seed=5)
    names = [layer.name for layer in small_network.gated_layers]
    path = tmp_path / "made.h5"
    write_trace(path, made.header, {name: made.packed(name) for name in names})
    read = verify(path)
    assert not read.counts_zero_operands
    assert read.header == made.header
    for name in names:
        np.testing.assert_array_equal(read.masks(name), made.masks(name))
        np.testing.assert_array_equal(read.masks(name, 1, 2), made.masks(name)[1:2])
    assert list(tmp_path.iterdir()) == [path]


def test_densities_count_bits(small_network: Network) -> None:
    masks = {}
    for layer in small_network.gated_layers:
        bits = np.zeros((2, layer.out_channels, layer.out_height, layer.out_width), bool)
        bits[0] = True
        masks[layer.name] = bits
    header = synthetic_trace(small_network, 0.5, images=2).header
    trace = MaskTrace.from_masks(header, masks)
    assert set(trace.densities().values()) == {0.5}
    assert header.density_elements(trace.ones()) == 0.5
    assert header.density_macs(trace.ones()) == 0.5


def test_mac_density_weighs_layers_by_their_macs(small_network: Network) -> None:
    header = synthetic_trace(small_network, 0.5, images=1).header
    only = small_network.gated_layers[0]
    ones = {layer.name: 0 for layer in small_network.gated_layers}
    ones[only.name] = only.mask_bits()
    assert header.density_macs(ones) == pytest.approx(only.macs / small_network.gated_macs)
    assert header.density_elements(ones) == pytest.approx(
        only.mask_bits() / small_network.mask_bits()
    )


def test_shift_zero_reproduces_the_masks(trace_folder: Path) -> None:
    trace = MaskTrace.open(trace_folder / "small-cdg.h5")
    shifted = trace.shifted(0.0)
    assert shifted.images == 2
    for layer in trace.network.gated_layers:
        np.testing.assert_array_equal(shifted.masks(layer.name), trace.masks(layer.name, 0, 2))


def test_a_shift_cuts_the_margins(trace_folder: Path) -> None:
    trace = MaskTrace.open(trace_folder / "small-cdg.h5")
    name = trace.network.gated_layers[0].name
    with h5py.File(trace.path) as file:
        margins = file[f"salience/{name}"][:]
    # One step is 0.03: a shift of 0.3 keeps margins of more than 10 steps.
    expected = (margins > 10).reshape(trace.masks(name, 0, 2).shape)
    np.testing.assert_array_equal(trace.shifted(0.3001).masks(name), expected)
    assert "thresholds shifted" in trace.shifted(0.3001).header.label


@pytest.mark.parametrize("target", [0.05, 0.3, 0.6, 0.95])
def test_the_shift_for_a_density_meets_it(trace_folder: Path, target: float) -> None:
    trace = MaskTrace.open(trace_folder / "small-scdg.h5")
    shifted = trace.shifted(trace.shift_for_density(target))
    # Margins are uniform over 160 steps of one scale: a step is 1/160 of the bits.
    assert shifted.header.density_macs(shifted.ones()) == pytest.approx(target, abs=1 / 160)


def test_no_margins_no_shift(small_network: Network) -> None:
    with pytest.raises(TraceError, match="no salience stored"):
        synthetic_trace(small_network, 0.3).shifted(0.1)


@pytest.mark.parametrize("correlation", [0.0, 0.7])
def test_synthetic_density_is_met(small_network: Network, correlation: float) -> None:
    trace = synthetic_trace(small_network, 0.2836, images=8, correlation=correlation)
    ones = trace.ones()
    bits = 8 * small_network.mask_bits()
    # Independent bits: five standard deviations of the share.
    deviation = (0.2836 * 0.7164 / bits) ** 0.5
    assert sum(ones.values()) / bits == pytest.approx(0.2836, abs=5 * deviation)
    assert "synthetic" in trace.header.label


def assert_one_line(error: pytest.ExceptionInfo[TraceError], *parts: str) -> None:
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="no such file"):
        MaskTrace.open(tmp_path / "none.h5")


def test_a_truncated_file_is_told(copy: Path) -> None:
    copy.write_bytes(copy.read_bytes()[: copy.stat().st_size // 2])
    with pytest.raises(TraceError) as caught:
        verify(copy)
    assert_one_line(caught, str(copy), "truncated")


def test_a_layer_list_is_no_trace(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text("name: net")
    with pytest.raises(TraceError) as caught:
        MaskTrace.open(tmp_path / "net.yaml")
    assert_one_line(caught, "net.yaml", "a layer list runs with --network")


def test_a_name_is_opened_not_constructed() -> None:
    with pytest.raises(TraceError, match=r"t\.h5: MaskTrace\.open opens a file"):
        MaskTrace("t.h5")  # type: ignore[arg-type]


def test_a_file_of_something_else_is_told(tmp_path: Path) -> None:
    path = tmp_path / "text.h5"
    path.write_text("not HDF5")
    with pytest.raises(TraceError, match="not a readable HDF5 file"):
        MaskTrace.open(path)
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    with pytest.raises(TraceError, match="has no header"):
        MaskTrace.open(tmp_path / "empty.h5")


def test_a_flipped_bit_in_a_mask_names_the_layer(copy: Path) -> None:
    name = "layer2.0.conv1"
    with h5py.File(copy) as file:
        offset = file[f"masks/{name}"].id.get_chunk_info(0).byte_offset
    content = bytearray(copy.read_bytes())
    content[offset] ^= 4
    copy.write_bytes(bytes(content))
    trace = MaskTrace.open(copy)
    with pytest.raises(TraceError) as caught:
        trace.packed(name)
    assert_one_line(caught, str(copy), name, "damaged")


def test_a_flipped_bit_in_the_header_is_told(copy: Path) -> None:
    content = copy.read_bytes()
    place = content.index(b'"mask_group":1')
    copy.write_bytes(content[:place] + b'"mask_group":3' + content[place + 14 :])
    with pytest.raises(TraceError) as caught:
        MaskTrace.open(copy)
    assert_one_line(caught, str(copy), "header damaged")


def test_any_flipped_bit_is_told_or_changes_nothing(copy: Path) -> None:
    """64 places over the whole file: an error of one line, or the same header and contents."""
    content = copy.read_bytes()
    whole = verify(copy)
    generator = np.random.default_rng(0)
    told = 0
    for place in generator.integers(0, len(content), 64):
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(generator.integers(8))
        # A name of its own: HDF5 knows an open file by its inode and would not read it again.
        path = copy.with_name(f"{place}.h5")
        path.write_bytes(bytes(damaged))
        message = damage(path)
        if message:
            assert "\n" not in message
            told += 1
        else:
            assert MaskTrace.open(path).header == whole.header
            assert MaskTrace.open(path).sha256 == whole.sha256
    assert told


def damage(path: Path) -> str:
    """What is told of a file; empty where it verifies."""
    try:
        verify(path)
    except TraceError as error:
        return str(error)
    return ""


def test_an_array_exchanged_behind_the_checksums_is_told(copy: Path) -> None:
    with h5py.File(copy, "r+") as file:
        file["masks/layer1.0.conv1"][0, 0] ^= 1
    with pytest.raises(
        TraceError, match=r"layer1\.0\.conv1.*of images 0 to 3 do not match their SHA-256"
    ):
        verify(copy)


def test_masks_that_do_not_fit_the_layer_list_are_told(copy: Path) -> None:
    with h5py.File(copy, "r+") as file:
        file.move("masks/layer1.0.conv1", "masks/layer1.0.conv9")
    with pytest.raises(TraceError) as caught:
        MaskTrace.open(copy)
    assert_one_line(caught, str(copy), "layer1.0.conv9", "do not fit the layer list")


def test_masks_of_a_wrong_shape_are_told(copy: Path) -> None:
    with h5py.File(copy, "r+") as file:
        del file["masks/layer1.0.conv1"]
        file.create_dataset("masks/layer1.0.conv1", data=np.zeros((4, 7), np.uint8), chunks=(4, 7))
    with pytest.raises(TraceError) as caught:
        MaskTrace.open(copy)
    assert_one_line(caught, str(copy), "layer1.0.conv1", "(4, 7)", "expected (4, 512)")


def test_a_newer_format_is_told(copy: Path) -> None:
    with h5py.File(copy, "r+") as file:
        text = str(file.attrs["header"]).replace('"format_version":4', '"format_version":9')
        file.attrs["header"] = text
        file.attrs["header_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    with pytest.raises(TraceError, match="format version 9, this hwsim reads 1 to 4"):
        MaskTrace.open(copy)


def test_a_failed_write_leaves_nothing(
    tmp_path: Path, small_network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = synthetic_trace(small_network, 0.3, images=1)
    names = [layer.name for layer in small_network.gated_layers]

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    packed = {name: made.packed(name) for name in names}
    with pytest.raises(TraceError, match="cannot be written"):
        write_trace(tmp_path / "made.h5", made.header, packed)
    assert list(tmp_path.iterdir()) == []


def test_find_traces_takes_folders_files_and_names(trace_folder: Path) -> None:
    both = [trace_folder / "small-cdg.h5", trace_folder / "small-scdg.h5"]
    assert find_traces([trace_folder]) == both
    assert find_traces([both[1]]) == both[1:]
    with pytest.raises(TraceError, match="no such file or folder"):
        find_traces([trace_folder / "none.h5"])


def test_traces_are_opened_by_folder_or_as_shipped(trace_folder: Path) -> None:
    assert [trace.name for trace in open_traces(trace_folder)] == ["small-cdg", "small-scdg"]
    assert [trace.header.method for trace in open_traces()] == ["cdg", "scdg"]


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="no trace"):
        find_traces([tmp_path])


def test_inspect_and_verify(trace_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(trace_folder / "small-scdg.h5")
    assert trace_module.main(["inspect", path]) == 0
    assert "drawn at random" in capsys.readouterr().out
    assert trace_module.main(["verify", path]) == 0
    assert "ok, 4 images" in capsys.readouterr().out
    assert path in refusal(capsys, trace_module.main, ["verify", path + "x"])


def test_a_layers_name_may_be_a_path(tmp_path: Path, small_network: Network) -> None:
    """As in ONNX files, where one may also begin another; a dot is HDF5's name of the group."""
    gated = small_network.gated_layers[0]
    first = small_network.layers[0]
    network = Network(
        name="paths",
        layers=(
            first,
            *(
                gated.model_copy(update={"name": name, "input": first.name, "residual": None})
                for name in ("a", "a/b", ".", "..", "/", "%2F", "é %s")
            ),
        ),
    )
    trace = synthetic_trace(network, 0.5, images=2)
    write_contents(trace.contents, tmp_path / "t.h5")
    read = MaskTrace.open(tmp_path / "t.h5")
    verify(tmp_path / "t.h5")
    for layer in network.gated_layers:
        assert np.array_equal(read.contents.packed(layer.name), trace.contents.packed(layer.name))


FULL_DISK = """
import resource, sys
from hwsim.errors import UserError
from hwsim.network import resnet18
from hwsim.trace.files import verify, write_trace
from hwsim.trace.synthetic import synthetic_trace

trace = synthetic_trace(resnet18(input_size=8), 0.5, images=64)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
try:
    write_trace("t.h5", trace.header, trace.contents.masks)
except UserError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
write_trace("u.h5", trace.header, trace.contents.masks)
print(verify("u.h5").images)
"""


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path: Path) -> None:
    """In a process of its own, which HDF5 would end."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout == "t.h5: cannot be written (File too large)\n64\n", done
    assert [path.name for path in tmp_path.iterdir()] == ["u.h5"]


@pytest.mark.parametrize("action", ["inspect", "verify"])
def test_a_refusal_stands_alone(
    action: str, trace_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where a file before the bad one is sound."""
    bad = tmp_path / "bad.h5"
    bad.write_bytes(b"not HDF5")
    assert trace_module.main([action, str(trace_folder / "small-cdg.h5"), str(bad)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert "bad.h5" in told.err
