"""The benchmarks' own parts: the plain loop, repeated masks, rows and tables. No times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import report, results
from benchmarks.loop import gated_layers
from benchmarks.masks import label, of_images
from benchmarks.measure import Figure
from hwsim.arch.config import ArchConfig
from hwsim.counters import C
from hwsim.network import Network
from hwsim.run.simulate import simulate
from hwsim.trace.synthetic import synthetic_trace

MACS = C["macs_conditional"]
RUN = {name: "1" for name in results.PROVENANCE}
FIGURES = [
    Figure("unstructured", "cdg, 64 repeated", 640, 1, "speed", 5_000.0, "images/CPU s"),
    Figure("unstructured", "cdg, 64 repeated", 640, 1, "peak memory", 200.25, "MiB"),
    Figure("structured-8x", "scdg", 64, 1, "speed", 14_999.0, "images/CPU s"),
]


@pytest.mark.parametrize(("scheme", "mask_group"), [("unstructured", 1), ("structured-8x", 8)])
@pytest.mark.parametrize("density", [0.0, 0.3, 1.0])
def test_plain_loop_equals_the_kernel(
    baseline: ArchConfig, small_network: Network, scheme: str, mask_group: int, density: float
) -> None:
    trace = synthetic_trace(small_network, density, mask_group=mask_group, images=4)
    layers = list(gated_layers(baseline, trace, scheme, batch=2))
    assert len(layers) == len(small_network.gated_layers)
    for layer in layers:
        for found, expected in zip(layer.by_index(), layer.by_kernel(), strict=True):
            np.testing.assert_array_equal(found, expected, layer.plan.name)


def test_repeated_images_begin_anew(pe16x16: ArchConfig, small_network: Network) -> None:
    trace = synthetic_trace(small_network, 0.3, images=4)
    more = of_images(trace, 10)
    name = small_network.gated_layers[0].name
    np.testing.assert_array_equal(
        more.packed(name), trace.packed(name)[[0, 1, 2, 3, 0, 1, 2, 3, 0, 1]]
    )
    np.testing.assert_array_equal(more.packed(name, 3, 6), trace.packed(name)[[3, 0, 1]])
    np.testing.assert_array_equal(of_images(trace, 3).packed(name), trace.packed(name, 0, 3))
    assert (label(trace, 10), label(trace, 3)) == ("synthetic, 4 repeated", "synthetic")
    once, twice = (
        simulate(pe16x16, of_images(trace, images), "unstructured", batch=4) for images in (4, 8)
    )
    np.testing.assert_array_equal(twice.counters[:, MACS], 2 * once.counters[:, MACS])


def test_rows_are_appended_whole(tmp_path: Path) -> None:
    file = tmp_path / "results.csv"
    rows = results.rows_of("schemes", RUN, FIGURES)
    results.append(rows[:1], file)
    results.append(rows[1:], file)
    assert results.read(file) == rows
    assert file.read_text().count("date") == 1
    assert all(row[name] for row in rows for name in results.COLUMNS)


def test_a_run_knows_where_it_ran() -> None:
    assert set(results.provenance("now")) == set(results.PROVENANCE)


@pytest.mark.parametrize("torn", ["date,value\n", "{header}\n1,2", "{header}\n1,2\n"])
def test_nothing_is_appended_to_a_file_that_is_not_whole(tmp_path: Path, torn: str) -> None:
    file = tmp_path / "results.csv"
    file.write_text(torn.format(header=",".join(results.COLUMNS)))
    before = file.read_text()
    with pytest.raises(ValueError, match=r"columns|whole"):
        results.append(results.rows_of("schemes", RUN, FIGURES), file)
    assert file.read_text() == before


def test_the_page_is_rewritten_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"above\n{report.START}\nold\n{report.END}\nbelow\n")
    rows = results.rows_of("schemes", RUN, FIGURES)
    report.write(rows, page)
    once = page.read_text()
    report.write(rows, page)
    assert page.read_text() == once
    assert once.startswith(f"above\n{report.START}\n")
    assert once.endswith(f"{report.END}\nbelow\n")
    assert "old" not in once
    assert "| unstructured | cdg, 64 repeated | 640 | 1 | 5,000 | 200 |" in once
    assert "target 4,000: met" in once
    assert "target 15,000: missed" in once


def test_the_page_shows_the_latest_run_of_each_section() -> None:
    old, new = ({**RUN, "date": date} for date in ("2026-01-01", "2026-01-02"))
    first, again, other = (
        results.rows_of(section, run, FIGURES)
        for section, run in (("schemes", old), ("schemes", new), ("startup", old))
    )
    assert report.latest([*first, *other, *again]) == [*again, *other]


def test_results_and_page_of_the_repository_are_whole() -> None:
    assert results.read()
    text = report.PAGE.read_text(encoding="utf-8")
    assert text.index(report.START) < text.index(report.END)
