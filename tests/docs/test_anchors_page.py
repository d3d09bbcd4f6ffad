"""docs/evidence/anchors.md shows what `make anchors` prints, and its sentences follow from it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.anchors import channel_gating, eyeriss_dram, eyeriss_v2, page, scalesim
from benchmarks.anchors.__main__ import ANCHORS
from benchmarks.anchors.row import Row, Settings
from hwsim.model.kernel.jit import DISABLED

FOLDER = os.environ.get("HWSIM_ANCHORS")


def test_the_page_has_a_table_for_each_anchor() -> None:
    tables = page.tables()
    assert list(tables) == list(ANCHORS)
    assert all(table.count("\n") > 2 for table in tables.values())
    assert "not run" not in "".join(tables.values())


def test_scalesim_on_the_page_is_as_printed() -> None:
    assert page.tables()[scalesim.NAME] == page.table_of(list(scalesim.rows(Settings())))


def test_coded_maps_on_the_page_are_as_printed() -> None:
    table = page.table_of(list(eyeriss_dram.rows(Settings())))
    assert page.tables()[eyeriss_dram.NAME] == table


def test_eyeriss_v2_on_the_page_is_as_published() -> None:
    """Without the masks: every layer has its published figure twice, theirs and ours."""
    lines = page.tables()[eyeriss_v2.NAME].splitlines()[2:]
    for line, layer in zip(lines, eyeriss_v2.LAYERS, strict=False):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[0].startswith(layer.name)
        assert cells[1:3] == [f"{layer.cycles:,}"] * 2
        assert cells[-1] == "exact"


@pytest.mark.slow
@pytest.mark.skipif(not FOLDER, reason="HWSIM_ANCHORS names no folder of others' files")
@pytest.mark.skipif(DISABLED, reason="millions of cycles: hours without compiled kernels")
def test_eyeriss_v2_on_the_page_is_as_printed() -> None:
    rows = list(eyeriss_v2.rows(Settings(Path(str(FOLDER)))))
    assert page.tables()[eyeriss_v2.NAME] == page.table_of(rows)


@pytest.mark.slow
@pytest.mark.skipif(DISABLED, reason="thousands of images: hours without compiled kernels")
def test_channel_gating_on_the_page_is_as_printed() -> None:
    rows = list(channel_gating.rows(Settings()))
    assert page.tables()[channel_gating.NAME] == page.table_of(rows)
    assert verdicts(rows, "SCDG's masks, V = 8") == ["reached", "reached"]
    assert verdicts(rows, "CDG's masks, V = 1") == ["missed", "missed"]
    assert verdicts(rows, "CDG's masks, V = 1, P up to 2,048") == ["reached", "missed"]
    assert verdicts(rows, "masks of 1 at random, 224x224, V = 1") == ["reached", "reached"]


def verdicts(rows: list[Row], what: str) -> list[str]:
    """The first word, MICRO's figure and NeurIPS'."""
    return [row.verdict.split(":")[0] for row in rows if row.what == what]
