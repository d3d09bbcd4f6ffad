"""The page of a sweep's folder: its sentences, its points, its fronts, the machine of the best."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from parsed_page import cells_of, data_of, read_page

from hwsim.report.figures.points import Points, read_points
from hwsim.report.figures.sweeps import MOST_VALUES, over_key
from hwsim.report.sweeps import MOST_ROWS, part_of_sweep

CYCLES, ENERGY = "cycles_per_image", "energy_uj_per_image"


@pytest.fixture(scope="module")
def points(sweep_folder: Path) -> Points:
    return read_points(sweep_folder)


def unbeaten(rows: pd.DataFrame) -> set[tuple[float, float]]:
    """Cycles and energies that no other row beats in both, by comparing every two."""
    figures = [tuple(each) for each in rows[[CYCLES, ENERGY]].to_numpy()]
    return {
        own
        for own in figures
        if not any(other != own and other[0] <= own[0] and other[1] <= own[1] for other in figures)
    }


def test_sentences_name_the_best_points(points: Points) -> None:
    rows = points.rows
    fewest, least, smallest, fronts = part_of_sweep(points).answer
    assert f": {rows[CYCLES].min():,.0f} cycles an image (" in fewest
    assert f"{rows[ENERGY].min():.0f} uJ" in least
    assert f"{rows['area_mm2'].min():.2f} mm2" in smallest
    assert fronts.startswith(f"No other point beats {points.front.sum()} of 20 points")


def test_the_front_is_what_nothing_beats(points: Points) -> None:
    best = set(zip(points.best[CYCLES], points.best[ENERGY], strict=True))
    assert best == unbeaten(points.rows)
    assert list(points.best[CYCLES]) == sorted(points.best[CYCLES])


def test_points_are_drawn_where_they_are(sweep_page: Path, points: Points) -> None:
    """Cycles to the right, energy upwards; behind the schemes' points, their fronts."""
    charts = data_of(read_page(sweep_page), "charts").values()
    (chart,) = [each for each in charts if "two figures of each" in each["label"]]
    schemes = [trace["name"] for trace in chart["common"] if trace["mode"] == "markers"]
    data = chart["variants"]["0"]["data"]
    for scheme, own, front in zip(schemes, data, data[len(schemes) :], strict=False):
        rows = points.rows[points.rows["scheme"] == scheme]
        np.testing.assert_allclose(sorted(own["x"]), sorted(rows[CYCLES]), rtol=1e-4)
        np.testing.assert_allclose(sorted(own["y"]), sorted(rows[ENERGY]), rtol=1e-4)
        wanted = sorted(unbeaten(rows))
        drawn = sorted(set(zip(front["x"], front["y"], strict=True)))
        np.testing.assert_allclose(drawn, wanted, rtol=1e-4)


def test_the_table_has_every_point(sweep_page: Path, points: Points) -> None:
    (table,) = read_page(sweep_page).all("table")
    head, *rows = cells_of(table)
    assert len(rows) == len(points.rows)
    at = head.index("cycles cycles/image")
    cycles = [int(row[at].replace(",", "")) for row in rows]
    assert cycles == sorted(round(value) for value in points.rows[CYCLES])
    numbers = [row[head.index("front")] for row in rows if row[head.index("front")]]
    assert sorted(numbers, key=int) == [str(at) for at in range(1, len(points.best) + 1)]
    assert "activation.banks banks" in head


def test_the_machine_of_a_point_is_its_rows(sweep_page: Path, points: Points) -> None:
    page = read_page(sweep_page)
    fewest = points.rows.iloc[int(np.argmin(points.rows[CYCLES]))]
    told = page.all("svg")[0].text
    assert f"{fewest['activation.banks']} banks, word of 4 channels" in told
    columns = {"structured-8x": 8, "structured-4x": 4, "unstructured": 1}[fewest["scheme"]]
    assert f"lane groups of {columns} column" in told


def test_of_too_many_points_every_scheme_keeps_its_fastest(points: Points) -> None:
    """And the front: no point of it is left out."""
    copies = MOST_ROWS // len(points.rows) + 1
    slower = [
        points.rows.assign(**{name: points.rows[name] * (1 + copy) for name in (CYCLES, ENERGY)})
        for copy in range(copies)
    ]
    rows = pd.concat(slower, ignore_index=True)
    many = Points(points.path, rows, len(rows), 0)
    part = part_of_sweep(many)
    (table,) = part.sections[-1].tables
    assert len(table.rows) == MOST_ROWS < len(rows)
    assert {row[1] for row in table.rows} == set(rows["scheme"])
    assert f"Shown are 1,000 of {len(rows):,} points, those of the fronts first." in part.notes
    assert many.best[CYCLES].tolist() == points.best[CYCLES].tolist()


def test_many_numbers_have_an_axis_of_numbers(points: Points) -> None:
    """Few values stand side by side and are joined."""
    few = over_key(points, points.rows, "small-scdg", ["0"]).variants["0", "0"]
    assert few["layout"]["xaxis"]["ticktext"] == ["8", "16"]
    assert len(few["data"][-1]["x"]) == 2
    clocks = np.arange(len(points.rows)) * 25 + 100
    varied = Points(points.path, points.rows.assign(clock_mhz=clocks), 20, 0)
    assert len(clocks) > MOST_VALUES
    assert varied.varied[0] == "clock_mhz"
    many = over_key(varied, varied.rows, "small-scdg", ["0"]).variants["0", "0"]
    assert "ticktext" not in many["layout"]["xaxis"]
    assert not any(line["x"] for line in many["data"][len(many["data"]) // 2 :])
    drawn = [at for trace in many["data"] for at in trace["x"]]
    assert sorted(drawn) == clocks.tolist()
