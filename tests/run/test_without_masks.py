"""Networks without masks: the dense machine's figures, from a file of layers alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from refusal import refusal

from hwsim.arch.config import ArchConfig
from hwsim.errors import UserError
from hwsim.network import ConvLayer, MapLayer, Network, save_network
from hwsim.network.gates import with_gates
from hwsim.run.__main__ import main
from hwsim.run.comparison import compare
from hwsim.run.simulate import simulate
from hwsim.trace.files import open_network, open_traces, verify
from hwsim.trace.format.writer import write_contents
from hwsim.trace.mask_trace import MaskTrace
from hwsim.trace.synthetic import synthetic_trace


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, small_network: Network) -> Path:
    path = tmp_path_factory.mktemp("network") / "net.yaml"
    save_network(small_network, path)
    return path


def test_a_file_is_no_folder_to_write_to(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(capsys, main, ["--network", str(file), "--out", str(file)])
    assert said.startswith(f"hwsim run: {file}: is a file; expected a folder")


def test_zero_gating_without_zeros_is_told(
    file: Path, tmp_path: Path, small_network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--network", str(file)]) == 0
    assert "a layer list knows no zeros: array.zero_gating is without" in capsys.readouterr().out
    write_contents(
        synthetic_trace(small_network, images=2, density=0.5).contents, tmp_path / "s.h5"
    )
    assert main(["--trace", str(tmp_path / "s.h5"), "--batch", "2"]) == 0
    assert "s counts no zero operands: array.zero_gating is" in capsys.readouterr().out


def test_a_layer_list_is_no_trace_to_compare(small_network: Network) -> None:
    for given in (small_network, [small_network]):
        with pytest.raises(UserError, match=r"has no masks: MaskTrace\.of_network"):
            compare("pe16x16", given)  # type: ignore[arg-type]


def test_a_result_shows_what_it_is_of_in_one_line(small_network: Network) -> None:
    result = simulate("pe16x16", small_network)
    said = f"SimResult({small_network.name} on pe16x16, dense, 16 images in batches of 16: "
    assert repr(result) == f"{said}{result.cycles:,} cycles)"


def test_a_layer_without_macs_has_no_utilisation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An addition multiplies nothing: not 0 % of what it could."""
    shape = {"in_channels": 16, "in_height": 4, "in_width": 4, "out_channels": 16}
    network = Network(
        name="n",
        layers=(
            ConvLayer(name="a", kernel_size=1, **shape),
            ConvLayer(name="b", kernel_size=1, input="a", **shape),
            MapLayer(
                name="c",
                operator="add",
                input="a",
                residual="b",
                out_height=4,
                out_width=4,
                **shape,
            ),
        ),
    )
    save_network(network, tmp_path / "n.yaml")
    assert main(["--network", str(tmp_path / "n.yaml"), "--layers"]) == 0
    rows = {line[:1]: line.split() for line in capsys.readouterr().out.splitlines() if line}
    assert rows["c"][1:4] == ["-", rows["c"][2], "-"]
    assert rows["b"][4] == "%"


def test_resnet18_takes_the_cycles_of_the_shipped_traces_dense_row(tmp_path: Path) -> None:
    """Counters as well, but for zeros, which no file of layers knows."""
    (trace, *_) = open_traces()
    path = tmp_path / "resnet18.yaml"
    save_network(trace.network, path)
    ours = simulate("pe16x16-baseline", open_network(path), batch=4)
    theirs = simulate("pe16x16-baseline", trace.head(4), "dense", batch=4)
    assert (ours.causes == theirs.causes).all()
    assert (ours.counters == theirs.counters).all()
    assert ours.energy_pj == theirs.energy_pj


def test_a_run_shows_the_dense_machine_and_says_that_masks_are_missing(
    file: Path, small_network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    json_file = tmp_path / "s.json"
    arguments = ["--network", str(file), "--images", "3", "--batch", "2", "--json", str(json_file)]
    assert main([*arguments, "--tables", "all", "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "resnet18-8 on pe16x16, 3 images, no masks" in printed
    assert "no masks: 16 gated layers run dense" in printed
    (row,) = json.loads(json_file.read_text())["schemes"]
    expected = simulate("pe16x16", synthetic_trace(small_network, 0.5, images=3), "dense", batch=2)
    assert row["cycles_per_image"] == expected.cycles / 3
    assert (row["scheme"], row["density_macs"], row["density_elements"]) == ("dense", None, None)
    assert (row["ideal_speedup"], row["share_realised"]) == (1.0, None)
    assert (tmp_path / "out" / "layers.csv").exists()


def test_a_batch_is_the_default(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--network", str(file), "--set", "batch=2", "--json", "-"]) == 0
    rows = json.loads(capsys.readouterr().out)["schemes"]
    assert [(row["images"], row["batch"]) for row in rows] == [(2, 2), (2, 1)]


def test_networks_without_a_gated_layer_run(small_network: Network, pe16x16: ArchConfig) -> None:
    """The layout of gating groups of 16 channels is that of no groups."""
    plain = with_gates(small_network, [], 1)
    ours, gated = (simulate(pe16x16, network, batch=2) for network in (plain, small_network))
    assert ours.cycles == gated.cycles
    assert ours.ideal_speedup == ours.ideal_speedup_network == 1.0
    rows = compare(pe16x16, MaskTrace.of_network(plain, 2)).to_frame()
    assert set(rows["scheme"]) == {"dense"}


def test_what_does_not_go_without_masks_is_one_line(
    file: Path, trace_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, said in (
        (["--trace"], "--network runs without masks: leave --trace out"),
        (["--trace", str(trace_folder)], "--network runs without masks: leave --trace out"),
        (["--scheme", "structured"], "scheme 'structured' cannot use these masks"),
        (["--scheme", "dense-skip"], "needs the input bits of all"),
    ):
        assert said in refusal(capsys, main, ["--network", str(file), *arguments])
    for name, said in (("none.yaml", "no such file"), ("net.toml", "expected a network, a file")):
        told = refusal(capsys, main, ["--network", str(file.parent / name)])
        assert told.startswith(f"hwsim run: {file.parent / name}: {said}")


def test_a_trace_without_masks_is_written_and_read(
    small_network: Network, tmp_path: Path, pe16x16: ArchConfig
) -> None:
    path = tmp_path / "none.h5"
    write_contents(MaskTrace.of_network(small_network, 2).contents, path)
    trace = verify(path)
    assert not trace.header.has_masks
    assert trace.header.format_version == 4
    assert trace.header.bits == 0
    assert trace.densities() == {}
    assert open_network(path) == small_network
    assert simulate(pe16x16, trace).cycles == simulate(pe16x16, small_network, batch=2).cycles
