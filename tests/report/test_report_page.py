"""The page as a parser reads it: what it says, in which order, and that names are text."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest
from named_networks import LAYERS, METHOD
from parsed_page import Element, cells_of, data_of, read_page

from hwsim.arch.load import load_arch
from hwsim.energy.area import area_mm2
from hwsim.plots.style import scheme_style
from hwsim.run.record import record_run
from hwsim.run.simulate import simulate
from hwsim.trace.files import open_traces

NAMES = {"masks", "scheme", "layer", "component", "front"}
"""Columns of names and of places in an order, which have no unit."""


@pytest.fixture(scope="module")
def page(traces_page: Path) -> Element:
    return read_page(traces_page)


def test_sections_come_in_their_order(page: Element) -> None:
    assert [heading.text for heading in page.all("h3")] == [
        "The machine", "Energy against sparsity", "Where the energy goes", "Where the cycles go",
        "One layer", "Realised against ideal", "Roofline", "Masks of cdg", "Masks of scdg",
        "All figures", "All layers", "Provenance",
    ]  # fmt: skip


def test_the_answer_is_the_terminals(page: Element, trace_folder: Path) -> None:
    """Sentences and notes, word by word, but for the name of a table."""
    record = record_run(load_arch("pe16x16"), open_traces(trace_folder))
    (answer,) = [each for each in page.all("section") if each.attributes.get("class") == "answer"]
    wanted = [*record.sentences(), *record.zeros_skipped()]
    told = [
        each.text.replace("(table Other prices)", "(--tables prices)") for each in answer.all("p")
    ]
    assert told == wanted
    assert [each.text for each in answer.all("li")] == record.notes()
    assert any("Fastest" in each or "faster than dense" in each for each in told)


def test_nothing_is_loaded_and_no_other_script_runs(traces_page: Path, page: Element) -> None:
    """No address anywhere; the policy names the page's own two scripts by their hashes."""
    sources = [
        each.attributes.get(name)
        for tag in ("script", "img", "link", "iframe", "a")
        for each in page.all(tag)
        for name in ("src", "href")
        if each.attributes.get(name)
    ]
    assert all(str(source).startswith(("data:", "#")) for source in sources)
    (policy,) = [
        each.attributes["content"]
        for each in page.all("meta")
        if each.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    scripts = [each for each in page.all("script") if "type" not in each.attributes]
    hashes = [
        base64.b64encode(hashlib.sha256("".join(map(str, script.children)).encode()).digest())
        for script in scripts
    ]
    assert len(hashes) == 2
    assert re.findall("'sha256-(.*?)'", str(policy)) == [each.decode() for each in hashes]
    assert str(policy).startswith("default-src 'none'; script-src 'sha256-")
    assert traces_page.stat().st_size < 6_000_000


def test_every_head_has_a_unit_and_every_row_its_cells(page: Element, sweep_page: Path) -> None:
    for table in [*page.all("table"), *read_page(sweep_page).all("table")]:
        heads = table.all("thead")[0].all("th")
        for head in heads:
            unit = [each.text for each in head.all("span")]
            name = head.text.removesuffix(unit[0]).strip() if unit else head.text
            assert unit or name in NAMES, head.text
        assert {len(row) for row in cells_of(table)} == {len(heads)}


def test_figures_of_the_table_are_the_simulators(page: Element, trace_folder: Path) -> None:
    """Cycles, energy and area of a row, from a run of its own; energies under another table."""
    tables = [each for each in page.all("table") if each.all("caption")[0].text.startswith("Every")]
    result = simulate("pe16x16", trace_folder / "small-scdg.h5", "structured-8x")
    # One for each energy table, the machine's own first.
    for table, name in zip(tables, ("cacti22", "gates45", "horowitz45"), strict=True):
        head, *rows = cells_of(table)
        priced = result.repriced(table=name)
        (row,) = [each for each in rows if each[:3] == ["scdg", "structured-8x", "4"]]
        told = dict(zip(head, row, strict=True))
        assert told["cycles cycles/image"] == f"{result.cycles / 4:,.0f}"
        energy_uj = sum(priced.energy_pj.values()) / 4e6
        assert float(told["energy uJ/image"].replace(",", "")) == pytest.approx(energy_uj, rel=5e-3)
        area = area_mm2(priced.arch, "structured-8x", 8)
        assert told["area mm2"] == f"{area:.2f}"


def test_the_machine_is_drawn_from_its_keys(page: Element) -> None:
    drawings = [each for each in page.all("svg") if each.attributes.get("role") == "img"]
    # Energy tables; dense, lockstep and structured, clock-gated and unstructured for either trace.
    assert len(drawings) == 3 * (3 + 2 * 2)
    # What is shown to begin with: the last scheme, under the machine's own table.
    told = drawings[0].text
    for words in (
        "12.8 GB/s, 80 % of it sustained; 8 pJ a bit", "512 KiB, ", "16 banks, word of 4 channels",
        "160 KiB, ", "word of 128 bits", "16 rows x 16 columns", "at 500 MHz, broadcast",
        "2 lane groups of 8 columns", "32 pointers", "2 decoders, bitmap, 32-bit words",
        "2 x 4,096 of 32 bits", "tiles of up to 256 pixels",
    ):  # fmt: skip
        assert words in told
    assert "structured-8x: 16 x 16 PEs in 2 lane groups" in str(
        drawings[0].attributes["aria-label"]
    )
    shown = [each for each in page.all("figure") if "hidden" not in each.attributes]
    assert sum(bool(each.all("svg")) for each in shown) == 1


def test_charts_have_names_and_the_colours_of_figures(page: Element) -> None:
    charts = data_of(page, "charts")
    places = [each for each in page.all("div") if each.attributes.get("role") == "img"]
    assert [each.attributes["id"] for each in places] == list(charts)
    assert all(len(str(each.attributes["aria-label"])) > 20 for each in places)
    chosen = data_of(page, "chosen")
    for chart in charts.values():
        assert "\n".join(chosen[name] for name in chart["by"]) in chart["variants"]
    seen = set()
    for chart in charts.values():
        for variant in chart["variants"].values():
            for trace in variant["data"]:
                name = trace.get("name")
                if name in ("dense", "unstructured", "structured-8x", "lockstep-8", "clock-gated"):
                    own = trace.get("line") or trace["marker"]
                    assert own["color"] == scheme_style(name).colour
                    seen.add(name)
    assert len(seen) == 5


def test_names_are_text(hostile_page: Path) -> None:
    """A layer is no script, an entity no character, a quote ends no attribute."""
    page = read_page(hostile_page)
    assert len([each for each in page.all("script") if "type" not in each.attributes]) == 2
    assert not page.all("b")
    assert not page.all("i")
    layers = [
        table for table in page.all("table") if table.all("caption")[0].text.startswith("Layers")
    ]
    assert [row[0] for row in cells_of(layers[0])[1:]] == LAYERS
    assert any(METHOD in row for table in page.all("table") for row in cells_of(table))
    assert METHOD in page.all("main")[0].text
    options = {option.text for option in page.all("option")}
    assert set(LAYERS) <= options
    assert "a<b>&'" in page.all("pre")[0].text


def test_names_in_charts_are_no_markup_of_plotlys(hostile_page: Path) -> None:
    """Its texts know tags and entities: both are escaped; templates hold no name."""
    charts = data_of(read_page(hostile_page), "charts")
    templates, ticks = set(), set()
    for chart in charts.values():
        for variant in chart["variants"].values():
            parts = [*chart["common"], *variant["data"], variant.get("each", {})]
            templates |= {part["hovertemplate"] for part in parts if "hovertemplate" in part}
            layout = chart["layout"] | variant.get("layout", {})
            for name in ("xaxis", "yaxis"):
                ticks |= set(layout.get(name, {}).get("ticktext", []))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in ticks
    assert "&lt;/script&gt;&lt;b&gt;&amp;amp;" in ticks
    assert not any("<" in tick or ">" in tick for tick in ticks)
    assert not any(name[:8] in template for template in templates for name in LAYERS)


def test_a_network_without_gates_runs_dense(network_page: Path) -> None:
    page = read_page(network_page)
    headings = [heading.text for heading in page.all("h3")]
    assert "Energy against sparsity" not in headings
    assert "Realised against ideal" not in headings
    assert not any(heading.startswith("Masks") for heading in headings)
    (answer,) = [each for each in page.all("section") if each.attributes.get("class") == "answer"]
    assert answer.all("p")[0].text.startswith("Dense: ")
    assert page.all("h1")[0].text.startswith("plain on pe16x16, 1 image, no masks")


def test_several_inputs_are_parts_of_one_page(
    make, trace_folder: Path, run_folder: Path, sweep_folder: Path
) -> None:
    page = read_page(make(trace_folder / "small-cdg.h5", run_folder, sweep_folder, "--images", "2"))
    assert len(page.all("article")) == 3
    assert page.all("h1")[0].text == "3 results of hwsim"
    ids = [each.attributes["id"] for tag in ("div", "section") for each in page.all(tag)
           if "id" in each.attributes]  # fmt: skip
    assert len(set(ids)) == len(ids)
