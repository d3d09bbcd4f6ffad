"""Format version 4: what its hashes are of; older versions; files that are made to harm."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from old_trace import write_old

from hwsim.errors import UserError
from hwsim.network import ConvLayer, Network
from hwsim.trace.files import verify, write_trace
from hwsim.trace.format.header import TraceError, TraceHeader
from hwsim.trace.format.writer import write_contents
from hwsim.trace.mask_trace import MaskTrace
from hwsim.trace.synthetic import synthetic_channels, synthetic_trace

LAYER = "layer2.0.conv1"


@pytest.fixture
def copy(trace_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(trace_folder / "small-cdg.h5", tmp_path / "copy.h5"))


def test_the_hashes_are_of_what_the_page_says(trace_folder: Path) -> None:
    trace = MaskTrace.open(trace_folder / "small-cdg.h5")
    hashes, scales = b"", b""
    with h5py.File(trace.path) as file:
        for layer in trace.network.gated_layers:
            for kind in ("masks", "zero_operand_macs", "salience"):
                data = file[f"{kind}/{layer.name}"]
                rows = 1 if kind == "salience" else 4
                for start in range(0, len(data), rows):
                    hashes += hashlib.sha256(data[start : start + rows].tobytes()).digest()
            scales += np.float64(0.03).tobytes()
        assert file["chunk_sha256"][:].tobytes() == hashes
        header = file.attrs["header"].encode()
        assert file.attrs["sha256"] == hashlib.sha256(header + hashes + scales).hexdigest()
        assert file.attrs["sha256"] == trace.sha256


def test_a_chunk_is_of_64_images(tmp_path: Path, small_network: Network) -> None:
    made = synthetic_trace(small_network, 0.3, images=130, seed=5)
    write_contents(made.contents, tmp_path / "t.h5")
    read = MaskTrace.open(tmp_path / "t.h5")
    for start, stop in ((0, 130), (63, 65), (64, 128), (129, 130), (5, 5), (100, None)):
        np.testing.assert_array_equal(
            read.contents.masks[LAYER][start:stop], made.packed(LAYER)[start:stop]
        )
    with h5py.File(tmp_path / "t.h5") as file:
        assert file[f"masks/{LAYER}"].chunks[0] == 64
        assert file["chunk_sha256"].shape == (3 * len(small_network.gated_layers), 32)


@pytest.mark.parametrize("version", [1, 2])
def test_older_versions_are_read(tmp_path: Path, small_network: Network, version: int) -> None:
    made = synthetic_trace(small_network, 0.3, images=3, seed=5)
    if version == 2:
        made = synthetic_channels(small_network, 0.5, images=3)
    write_old(tmp_path / "old.h5", made, version)
    read = verify(tmp_path / "old.h5")
    assert read.header.format_version == version
    for layer in small_network.gated_layers:
        np.testing.assert_array_equal(read.packed(layer.name), made.packed(layer.name))


def test_version_3_is_read_and_written_as_the_newest(tmp_path: Path, trace_folder: Path) -> None:
    small = MaskTrace.open(trace_folder / "small-cdg.h5")
    multiples = {
        layer.name: small.zero_operand_macs(layer.name) // layer.groups * layer.groups
        for layer in small.network.gated_layers
    }
    none = {name: np.zeros(4, np.int64) for name in multiples}
    masks = {name: small.packed(name) for name in multiples}
    margins = {name: small.contents.margins(name) for name in multiples}
    scales = small.contents.salience_scale
    write_trace(
        tmp_path / "new.h5", small.header, masks, multiples, margins, scales,
        zero_operand_macs_conditional=none,
    )  # fmt: skip
    new = MaskTrace.open(tmp_path / "new.h5")
    write_old(tmp_path / "old.h5", new, 3)
    old = verify(tmp_path / "old.h5")
    assert old.header.format_version == 3
    assert old.counts_conditional_zeros
    assert old.sha256 != new.sha256
    write_contents(old.contents, tmp_path / "again.h5")
    assert (tmp_path / "again.h5").read_bytes() == (tmp_path / "new.h5").read_bytes()


@pytest.mark.parametrize("version", [1, 3])
def test_an_older_file_that_was_changed_is_refused_when_it_is_opened(
    tmp_path: Path, trace_folder: Path, version: int
) -> None:
    write_old(tmp_path / "old.h5", MaskTrace.open(trace_folder / "small-cdg.h5"), version)
    with h5py.File(tmp_path / "old.h5", "r+") as file:
        file[f"masks/{LAYER}"][2, 0] ^= 1
    with pytest.raises(TraceError, match="contents do not match the recorded SHA-256"):
        MaskTrace.open(tmp_path / "old.h5")


WRONG_ARRAYS: dict[str, tuple[Callable[[ConvLayer], dict[str, object]], str]] = {
    "masks of another type": (lambda _: {"masks": np.int64}, "masks of type int64, expected uint8"),
    "margins of another type": (
        lambda _: {"salience": np.int16}, "salience of type int16, expected int8"
    ),
    "counts of another type": (
        lambda _: {"zeros": np.array([0.5, 1, 2, 3])},
        "zero_operand_macs of type float64, expected int64",
    ),
    "negative counts": (lambda _: {"zeros": np.array([0, -5, 0, 0])}, "outside 0 to"),
    "more zeros than MACs": (
        lambda layer: {"zeros": np.array([0, layer.macs + 1, 0, 0])}, "outside 0 to"
    ),
    "counts that wrap": (lambda _: {"zeros": np.full(4, 1 << 62)}, "outside 0 to"),
    "no scale": (lambda _: {"scale": np.nan}, "salience has scale nan"),
    "a scale of nothing": (lambda _: {"scale": 0.0}, "salience has scale 0"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_ARRAYS)
def test_the_writer_refuses(tmp_path: Path, trace_folder: Path, case: str) -> None:
    small = MaskTrace.open(trace_folder / "small-cdg.h5")
    made, message = WRONG_ARRAYS[case]
    change = made(small.network.by_name[LAYER])
    names = [layer.name for layer in small.network.gated_layers]
    masks = {name: small.packed(name) for name in names}
    zeros = {name: small.zero_operand_macs(name) for name in names}
    margins = {name: small.contents.margins(name) for name in names}
    scales = dict(small.contents.salience_scale)
    masks[LAYER] = masks[LAYER].astype(change.get("masks", np.uint8))
    margins[LAYER] = margins[LAYER].astype(change.get("salience", np.int8))
    zeros[LAYER] = np.asarray(change.get("zeros", zeros[LAYER]))
    scales[LAYER] = float(change.get("scale", scales[LAYER]))  # type: ignore[arg-type]
    with pytest.raises(TraceError, match=rf"layer2\.0\.conv1: .*{message}"):
        write_trace(tmp_path / "t.h5", small.header, masks, zeros, margins, scales)
    assert not list(tmp_path.iterdir())


ODD = Network(
    name="odd",
    layers=(
        ConvLayer(
            name="only", in_channels=4, in_height=3, in_width=3, out_channels=4, kernel_size=1,
            gated=True, groups=4,
        ),
    ),
)  # fmt: skip
"""36 mask bits: four of the fifth byte are padding."""


def odd(bits: np.ndarray, zeros: int = 0, conditional: int = 0) -> MaskTrace:
    header = TraceHeader(
        network=ODD, method="cdg", mask_group=1, dataset="none", image_ids=(0,), synthetic=True
    )
    counts = {"only": np.array([zeros])}
    split = {"only": np.array([conditional])}
    masks = bits.reshape(1, 4, 3, 3)
    return MaskTrace.from_masks(header, {"only": masks}, counts, split)


def test_bits_of_padding_are_no_masks(tmp_path: Path) -> None:
    made = odd(np.ones(36, bool))
    packed = made.packed("only").copy()
    packed[0, -1] |= 0x10
    with pytest.raises(TraceError, match="layer only: masks: padding bits are set"):
        write_trace(tmp_path / "t.h5", made.header, {"only": packed})


def test_conditional_zeros_are_of_macs_that_run() -> None:
    """A mask bit lets 4 - 4/4 = 3 MACs run; 8 bits let 24."""
    bits = np.arange(36) < 8
    assert odd(bits, 100, 24).counts_conditional_zeros
    with pytest.raises(TraceError, match=r"layer only, image 0: more zero_operand_macs_cond"):
        odd(bits, 100, 25)
    # 100 zeros of the dense convolution: 25 on the base path, 75 on the conditional one.
    assert odd(np.ones(36, bool), 100, 75).counts_conditional_zeros
    with pytest.raises(TraceError, match="more than zero_operand_macs allow"):
        odd(np.ones(36, bool), 100, 76)


def test_an_image_is_there_once(small_network: Network) -> None:
    header = synthetic_trace(small_network, 0.5, images=2).header
    for ids, message in (((1, 1), "an image is there twice"), ((-1, 0), "greater than or equal")):
        with pytest.raises(ValueError, match=message):
            header.model_copy(update={"image_ids": ids})


@pytest.mark.parametrize("images", [0, -1, (1 << 20) + 1, 1 << 62, 10**400])
def test_a_trace_has_no_more_images_than_a_command_takes(
    images: int, small_network: Network
) -> None:
    with pytest.raises(TraceError, match="images: expected 1 to 1,048,576"):
        MaskTrace.of_network(small_network, images)
    with pytest.raises(TraceError, match="images: expected 1 to 1,048,576"):
        synthetic_trace(small_network, 0.5, images=images)


def test_a_header_has_no_more_images_than_a_command_takes(small_network: Network) -> None:
    header = MaskTrace.of_network(small_network, 1 << 20).header
    with pytest.raises(ValueError, match="image_ids: Tuple should have at most 1048576 items"):
        header.model_copy(update={"image_ids": range((1 << 20) + 1)})


def test_margins_decide_as_the_masks_do(tmp_path: Path, trace_folder: Path) -> None:
    small = MaskTrace.open(trace_folder / "small-cdg.h5")
    names = [layer.name for layer in small.network.gated_layers]
    margins = {name: small.contents.margins(name).copy() for name in names}
    margins[LAYER][1, 7] = 5 if margins[LAYER][1, 7] <= 0 else -5
    masks = {name: small.packed(name) for name in names}
    scales = small.contents.salience_scale
    write_trace(tmp_path / "t.h5", small.header, masks, {}, margins, scales)
    for check in (lambda path: verify(path), lambda path: MaskTrace.open(path).shifted(0.1)):
        with pytest.raises(TraceError, match=rf"layer {LAYER}: masks are not where salience is"):
            check(tmp_path / "t.h5")


def zeroed(file: h5py.File) -> None:
    """HDF5's own checksum of zeros is zero: it takes them for whole."""
    file[f"masks/{LAYER}"][:] = 0


def never_written(file: h5py.File) -> None:
    stored = file[f"masks/{LAYER}"]
    form = {"shape": stored.shape, "dtype": stored.dtype, "chunks": stored.chunks}
    del file[f"masks/{LAYER}"]
    file.create_dataset(f"masks/{LAYER}", **form)


def virtual(file: h5py.File) -> None:
    shape = file[f"masks/{LAYER}"].shape
    del file[f"masks/{LAYER}"]
    layout = h5py.VirtualLayout(shape=shape, dtype=np.uint8)
    layout[:] = h5py.VirtualSource("missing.h5", "masks", shape=shape)
    file.create_virtual_dataset(f"masks/{LAYER}", layout)


def outside(file: h5py.File) -> None:
    del file[f"masks/{LAYER}"]
    file[f"masks/{LAYER}"] = h5py.ExternalLink("missing.h5", "masks")


def in_another_file(file: h5py.File) -> None:
    shape = file[f"masks/{LAYER}"].shape
    del file[f"masks/{LAYER}"]
    space = h5py.h5s.create_simple(shape)
    form = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    form.set_external(b"/dev/zero", 0, h5py.h5f.UNLIMITED)
    masks = file["masks"].id
    h5py.h5d.create(masks, LAYER.encode(), h5py.h5t.STD_U8LE, space, form)


def a_link(file: h5py.File) -> None:
    del file[f"masks/{LAYER}"]
    file[f"masks/{LAYER}"] = h5py.SoftLink("/masks/layer2.0.conv2")


def a_circle(file: h5py.File) -> None:
    del file[f"masks/{LAYER}"]
    file[f"masks/{LAYER}"] = h5py.SoftLink(f"/masks/{LAYER}")


def a_group(file: h5py.File) -> None:
    del file[f"masks/{LAYER}"]
    file.create_group(f"masks/{LAYER}")


def a_table_of_text(file: h5py.File) -> None:
    del file["masks"]
    file["masks"] = "masks"


def huge(file: h5py.File) -> None:
    """Four images of 4 GiB each, in a file of some KiB."""
    del file[f"masks/{LAYER}"]
    form = {"shape": (4, 1 << 32), "dtype": np.uint8, "chunks": (1, 1 << 31)}
    file.create_dataset(f"masks/{LAYER}", compression="gzip", **form)


def a_bomb(file: h5py.File) -> None:
    """128 MiB of zeros in some hundred KiB."""
    del file["salience"]
    zeros = np.zeros((2, 1 << 26), np.int8)
    form = {"chunks": (1, 1 << 26), "compression": "gzip", "compression_opts": 1}
    file.create_dataset(f"salience/{LAYER}", data=zeros, **form)


def floats(file: h5py.File) -> None:
    stored = file[f"masks/{LAYER}"][:]
    del file[f"masks/{LAYER}"]
    file.create_dataset(f"masks/{LAYER}", data=stored.astype(float), chunks=stored.shape)


def no_hashes(file: h5py.File) -> None:
    del file["chunk_sha256"]


def a_number_for_a_header(file: h5py.File) -> None:
    file.attrs["header"] = 5


def a_twin(file: h5py.File) -> None:
    """Two names of one layer."""
    file[f"masks/{LAYER.replace('l', '%6C', 1)}"] = file[f"masks/{LAYER}"][:]


HARMS = (
    zeroed, never_written, virtual, outside, in_another_file, a_link, a_circle, a_group,
    a_table_of_text, huge, floats, no_hashes, a_number_for_a_header, a_twin,
)  # fmt: skip


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_what_is_stored_in_another_way_is_refused(
    copy: Path, harm: Callable[[h5py.File], None]
) -> None:
    with h5py.File(copy, "r+") as file:
        harm(file)
    with pytest.raises(TraceError) as caught:
        MaskTrace.open(copy).packed(LAYER)
    message = str(caught.value)
    assert message.startswith(f"{copy}: ")
    assert "\n" not in message
    assert len(message) < 400 + len(str(copy))


def test_a_small_file_does_not_fill_the_memory(copy: Path) -> None:
    with h5py.File(copy, "r+") as file:
        a_bomb(file)
    assert copy.stat().st_size < 4 << 20
    with pytest.raises(TraceError, match=r"salience/layer2\.0\.conv1 has shape .* in a file of"):
        MaskTrace.open(copy)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "t.h5")
    with pytest.raises(TraceError, match="is no regular file"):
        MaskTrace.open(tmp_path / "t.h5")
    with pytest.raises(TraceError, match="is no regular file"):
        MaskTrace.open(tmp_path)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("\ud800", "surrogates not allowed"),
        ({"nested": ["\udfff"]}, "surrogates not allowed"),
        (float("nan"), "Out of range float"),
        ({1, 2}, "set is not JSON serializable"),
        (np.int64(3), "int64 is not JSON serializable"),
    ],
)
def test_what_json_cannot_hold_is_refused_with_the_header(
    value: object, why: str, small_network: Network
) -> None:
    """In one line, before anything is written."""
    header = synthetic_trace(small_network, 0.5, images=1).header
    with pytest.raises(UserError, match=f"training: expected values .* JSON .*{why}") as told:
        header.model_copy(update={"training": {"noted": value}})
    assert "\n" not in str(told.value)
