"""The page "Your network": its example runs, and its table is what the zoo's networks give.

``python tests/docs/test_networks_page.py`` writes the table; the test compares it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1])]

from zoo.families import FAMILIES, Family  # noqa: E402
from zoo.flops import flops_of_torch  # noqa: E402
from zoo.harder import HARDER  # noqa: E402

from hwsim.counters import DRAM_COUNTERS, C  # noqa: E402
from hwsim.network import MapLayer, load_network  # noqa: E402
from hwsim.run.simulate import simulate  # noqa: E402
from hwsim.train.derive import LayerListError, derive_network  # noqa: E402

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "networks.md"
TABLE = re.compile(r"(?<=<!-- families -->\n).*?(?=<!-- /families -->)", re.DOTALL)
HEADINGS = (
    "family", "layers (maps)", "MACs per image", "torch counts", "cycles", "DRAM bytes",
    "energy nJ",
)  # fmt: skip
HEADING = f"| {' | '.join(HEADINGS)} |\n|---|{'---:|' * (len(HEADINGS) - 1)}\n"
IMAGES = 16


def row(name: str, family: Family) -> str:
    model, example = family.build(), family.example()
    try:
        network = derive_network(model, example)
    except LayerListError as error:
        return f"| {name} | refused: {error} | | | | | |"
    maps = sum(isinstance(layer, MapLayer) for layer in network.layers)
    counted = flops_of_torch(model, example)
    same = "the same" if counted == network.macs else f"{counted:,}"
    result = simulate("pe16x16", network, batch=IMAGES)
    moved = int(result.counters[:, [C[counter] for counter in DRAM_COUNTERS]].sum())
    figures = result.cycles, moved, sum(result.energy_pj.values()) / 1e3
    cells = [name, f"{len(network.layers)} ({maps})", f"{network.macs:,}", same]
    return f"| {' | '.join(cells + [f'{total / IMAGES:,.0f}' for total in figures])} |"


def table() -> str:
    return HEADING + "".join(
        f"{row(name, family)}\n" for name, family in (FAMILIES | HARDER).items()
    )


def test_the_table_is_what_the_networks_give() -> None:
    (shown,) = TABLE.findall(PAGE.read_text())
    assert shown == table()


def test_most_families_are_derived_with_torchs_total() -> None:
    (shown,) = TABLE.findall(PAGE.read_text())
    rows = shown.splitlines()[2:]
    derived = [line for line in rows if "| the same |" in line]
    refused = [line for line in rows if " refused: operator " in line]
    assert len(derived) >= 22
    assert sorted(derived + refused) == sorted(rows)
    assert len(rows) >= 25


def test_the_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(compile(code, "docs/guide/networks.md", "exec"), {})
    # 27 * 16 * 1024, 144 * 32 * 256, 320.
    assert capsys.readouterr().out.splitlines()[:3] == [
        "0 input 16 442368", "4 0 32 1179648", "8 4 10 320"
    ]  # fmt: skip
    assert load_network(tmp_path / "mine.yaml").macs == 442_368 + 1_179_648 + 320


if __name__ == "__main__":
    PAGE.write_text(TABLE.sub(lambda _: table(), PAGE.read_text()))
