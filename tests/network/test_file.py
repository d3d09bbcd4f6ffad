"""Network files: what is written is read back equal, and a mistake is one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.errors import UserError
from hwsim.network import ConvLayer, MapLayer, Network, load_network, resnet18, save_network

TEXT = """\
name: by hand
layers:
- {name: stem, in_channels: 3, in_height: 8, in_width: 6, out_channels: 8, kernel_size: 3,
   padding: 1}
- name: dw            # a block is a layer, too
  input: stem
  in_channels: 8
  in_height: 8
  in_width: 6
  out_channels: 8
  kernel_size: [3, 1]
  padding: [2, 0, 0, 0]
  conv_groups: 8
- {name: sum, operator: add, input: stem, residual: dw, in_channels: 8, in_height: 8, in_width: 6,
   out_channels: 8, out_height: 8, out_width: 6}
- {name: both, input: [stem, sum], in_channels: 16, in_height: 8, in_width: 6, out_channels: 4,
   kernel_size: 1, gated: true, groups: 2}
"""


def by_hand() -> Network:
    maps = {"in_channels": 8, "in_height": 8, "in_width": 6, "out_channels": 8}
    return Network(
        name="by hand",
        layers=(
            ConvLayer(name="stem", kernel_size=3, padding=1, **maps | {"in_channels": 3}),
            ConvLayer(
                name="dw", input="stem", kernel_size=(3, 1), padding=(2, 0, 0, 0), conv_groups=8,
                **maps,
            ),
            MapLayer(
                name="sum", operator="add", input="stem", residual="dw", out_height=8, out_width=6,
                **maps,
            ),
            ConvLayer(
                name="both", input=("stem", "sum"), kernel_size=1, gated=True, groups=2,
                **maps | {"in_channels": 16, "out_channels": 4},
            ),
        ),
    )  # fmt: skip


def test_a_file_by_hand_is_the_network_that_it_says(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(TEXT)
    assert load_network(path) == by_hand()


@pytest.mark.parametrize("suffix", ["yaml", "yml", "json"])
@pytest.mark.parametrize("network", [by_hand(), resnet18(224)], ids=["by hand", "resnet18"])
def test_what_is_written_is_read_back(network: Network, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"net.{suffix}"
    save_network(network, path)
    assert load_network(path) == network
    save_network(load_network(path), tmp_path / f"again.{suffix}")
    assert (tmp_path / f"again.{suffix}").read_text() == path.read_text()


def test_names_that_yaml_would_read_otherwise_stay(tmp_path: Path) -> None:
    """Numbers, truth values, blanks and long names; ``- {`` begins each layer."""
    names = ["1e3", "yes", "null", "a: b", "{x}", "ü #1", "'", "long " * 40 + "end"]
    layers = [
        ConvLayer(
            name=name, input=before, in_channels=1, in_height=1, in_width=1, out_channels=1,
            kernel_size=1,
        )
        for name, before in zip(names, ["input", *names], strict=False)
    ]  # fmt: skip
    network = Network(name="no", layers=tuple(layers))
    save_network(network, tmp_path / "n.yaml")
    assert load_network(tmp_path / "n.yaml") == network
    assert (tmp_path / "n.yaml").read_text().count("\n- {name:") == len(names)


def test_defaults_are_not_written(tmp_path: Path) -> None:
    save_network(resnet18(), tmp_path / "n.yaml")
    text = (tmp_path / "n.yaml").read_text()
    first = text.splitlines()[2]
    assert first.startswith("- {name: conv1, in_channels: 3, in_height: 32, in_width: 32,")
    assert "stride: 1" not in text
    assert "null" not in text
    assert max(map(len, text.splitlines())) <= 100


TOO_LONG = "9" * 5000
LAYER = "in_channels: 8, in_height: 4, in_width: 4, out_channels: 8, kernel_size: 1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- {name: a, kernal_size: 3}", "layer 1 'a': unknown key 'kernal_size'; near"),
        ("- {name: a}", "layer 1 'a': missing keys in_channels, in_height, in_width, out_channels"),
        (f"- {{name: a, {LAYER}, pool: 9}}", "layer 1 'a': pool 9 is larger than the 4x4 output"),
        (f"- {{name: a, {LAYER}, stride: [1, 2, 3]}}", "layer 1 'a': stride: expected an integer"),
        (f"- {{{LAYER}}}", "layer 1: missing key name"),
        (f"- {{name: a, {LAYER}, name: b}}", "duplicate key 'name' (line 3)"),
        (f"- {{name: a, {LAYER}}}\n- {{name: b, {LAYER}, input: c}}",
         "layer 2 'b': reads 'c', which no layer before it makes"),
        (f"- {{name: stem, {LAYER}}}\n- {{name: b, {LAYER}, input: sten}}",
         "layer 2 'b': reads 'sten', which no layer before it makes; nearest valid: 'stem'"),
        (f"- {{name: 0, {LAYER}}}", "layer 1 0: name: expected a name; one such as 0 stands in"),
        (f"- {{name: '0', {LAYER}}}\n- {{name: b, {LAYER}, input: [0, 0]}}",
         "layer 2 'b': input: expected a name; one such as 0 stands in quotes"),
        (f"- {{name: '', {LAYER}}}", "layer 1 '': name: "),
        (f"- {{name: a, {LAYER}, input: []}}",
         "layer 1 'a': input: expected the name of a tensor, or a list of names, found []"),
        (f"- {{name: a, {LAYER}, out_height: 4}}",
         "layer 1 'a': out_height: only a layer with an operator, a map, has this key"),
        (f"- {{name: a, {LAYER}}}\n- {{name: a, {LAYER}, input: a}}",
         "layer 2 'a': the name is used twice"),
        (f"- {{name: a, {LAYER}, operator: pol, out_height: 1, out_width: 1}}",
         "layer 1 'a': kernel_size: a layer with an operator is a map, and has no such key"),
        ("- 3", "layer 1: expected a mapping, found 3"),
        ("  {", "not valid YAML"),
        ("", "layers: expected a list of layers"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_that_names_layer_and_key(
    text: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(f"name: n\nlayers:\n{text}\n")
    with pytest.raises(UserError) as caught:
        load_network(path)
    assert str(caught.value).startswith(f"{path}: {said}")
    assert "\n" not in str(caught.value)


def test_what_is_no_network_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "l.yaml").write_text("[1]")
    (tmp_path / "e.yaml").write_text("")
    (tmp_path / "k.yaml").write_text("layer: []")
    (tmp_path / "d.json").write_text('{"name": "a", "name": "b"}')
    (tmp_path / "s.json").write_text('{"name": ')
    for name, said in (
        ("l.yaml", "expected a mapping of keys, found a list"),
        ("e.yaml", "expected a mapping of keys, found an empty file"),
        ("k.yaml", "unknown key 'layer'; nearest valid: 'layers'"),
        ("d.json", "duplicate key 'name'"),
        ("s.json", "not valid JSON"),
        ("none.yaml", "no such file"),
        ("n.toml", "expected a name that ends in .yaml, .yml, .json"),
    ):
        with pytest.raises(UserError) as caught:
            load_network(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: {said}")


def test_a_failed_write_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        save_network(resnet18(), tmp_path / "none" / "n.yaml")
    assert not list(tmp_path.iterdir())


TOO_LONG = "9" * 5000
LAYER = "in_channels: 3, in_height: 8, in_width: 8, out_channels: 4, kernel_size: 3"
REFERENCES = [f"- &r{n} [{', '.join([f'*r{n - 1}' if n else 'x'] * 10)}]" for n in range(9)]


@pytest.mark.parametrize(
    ("suffix", "text", "told"),
    [
        ("yaml", f"layers: [{{name: a, {LAYER.replace('3', TOO_LONG)}}}]", "not valid YAML"),
        ("json", '{"layers": ' + TOO_LONG + "}", "not valid JSON"),
        ("yaml", "layers: " + "[" * 3000 + "]" * 3000, "not valid YAML"),
        ("json", '{"layers": ' + "[" * 100_000 + "]" * 100_000 + "}", "not valid JSON"),
        ("yaml", "name: 2026-13-41", "not valid YAML"),
        ("yaml", "layers: !!int zz", "not valid YAML"),
        ("yaml", "layers: !!timestamp zz", "not valid YAML"),
        ("yaml", "layers: !!bool zz", "not valid YAML"),
        ("json", "\ufeff{}", "layers: expected a list"),
        ("yaml", "layers:\n" + "\n".join(REFERENCES), "layer 1: expected a mapping"),
        ("yaml", f'layers: [{{name: "a\\nb", {LAYER}}}]', "at its ends, found 'a\\nb'"),
        ("yaml", f'layers: [{{name: " ", {LAYER}}}]', "printed on a line"),
        ("json", '{"name": "\\ud800", "layers": [{"name": "a", "in_channels": 3, "in_height": 8, '
                 '"in_width": 8, "out_channels": 4, "kernel_size": 3}]}', "printed on a line"),
        ("yaml", f"layers: [{{name: a, {LAYER.replace('3,', '1' + '0' * 20 + ',')}}}]", "16777216"),
        ("yaml", f"layers: [{{name: a, {LAYER}, padding: 100000000}}]", "from 0 to 16,777,216"),
        ("yaml", f"layers: [{{name: a, {LAYER}, padding: 100000}}]", "a map of 160,009,600,144 v"),
        ("yaml", f"layers: [{{name: a, {LAYER.replace(': 3', ': 9999999')}, padding: 5000000}}]",
                 "MACs; at most"),
    ],
)  # fmt: skip
def test_whatever_a_file_holds_a_mistake_is_one_short_line(
    suffix: str, text: str, told: str, tmp_path: Path
) -> None:
    path = tmp_path / f"net.{suffix}"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as mistake:
        load_network(path)
    line = str(mistake.value)
    assert told in line
    assert "\n" not in line
    assert len(line) < 500 + len(str(path))
