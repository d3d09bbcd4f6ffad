"""Pages in headless Chromium: every chart drawn, sorting and choosing, widths, dark, print.

Without Chromium and Playwright they are skipped, and say so; `make browser-test` installs both. A
screenshot of each page is kept in a temporary folder, which is printed, or in $SCREENSHOTS.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from named_networks import LAYERS, METHOD

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="PAGES NOT SEEN: no Playwright; make browser-test installs it"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
if not CHROMIUM:
    pytest.skip(
        "PAGES NOT SEEN: no Chromium; make browser-test installs it", allow_module_level=True
    )

PAGES = ("traces_page", "sweep_page", "network_page", "hostile_page")


DRAWN = """() => {
  const plots = [...document.querySelectorAll(".plot")];
  return plots.length > 0 && plots.every((each) => each.querySelector(".main-svg"));
}"""

WIDE_AS_ITS_PLACE = """() => [...document.querySelectorAll(".plot")].every(
  (each) => Math.abs(each.querySelector(".main-svg").clientWidth - each.clientWidth) < 2
)"""

MARKS = """() => [...document.querySelectorAll(".plot")].map((each) => each.querySelectorAll(
  ".scatterlayer path, .barlayer path, .heatmaplayer image"
).length)"""

LABELS = """() => [...document.querySelectorAll("[role=img]")].map(
  (each) => each.getAttribute("aria-label")
)"""

BUTTONS = """() => [...document.querySelectorAll(".modebar-btn")].map(
  (each) => each.dataset.title
)"""

SERVERS = """() => [...document.querySelectorAll(".plot")].map(
  (each) => each._context.plotlyServerURL
)"""

FEWER_POINTS = """([id, before]) =>
  document.getElementById(id).querySelectorAll(".points path").length < before"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Seen:
    """A page that is open, and all that it complained of or asked for."""

    def __init__(self, browser: Any, path: Path, width: int = 1000, colours: str = "light") -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=colours)
        self.troubles: list[str] = []
        self.page.on("console", lambda said: self.troubles.append(f"{said.type}: {said.text}"))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("dialog", lambda dialog: self.troubles.append(dialog.message))
        self.page.on("request", self._asked)
        self.page.goto(path.as_uri())
        self.page.wait_for_function(DRAWN)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            self.troubles.append(f"asked for {request.url}")

    def texts(self, selector: str) -> list[str]:
        found: list[str] = self.page.locator(selector).all_text_contents()
        return found


@pytest.mark.parametrize("name", PAGES)
def test_every_chart_is_drawn_at_every_width(
    name: str, browser: Any, screenshots: Path, request: pytest.FixtureRequest
) -> None:
    """With marks inside its axes, and a name for who cannot see it; without a complaint.

    No page is wider than its window; light and dark.
    """
    seen = Seen(browser, request.getfixturevalue(name), width=1600)
    for width, colours in ((1600, "light"), (800, "dark"), (400, "light")):
        seen.page.emulate_media(color_scheme=colours)
        seen.page.set_viewport_size({"width": width, "height": 900})
        seen.page.wait_for_function(WIDE_AS_ITS_PLACE)
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
        seen.page.screenshot(path=screenshots / f"{name}-{width}-{colours}.png", full_page=True)
        marks = seen.page.evaluate(MARKS)
        assert all(marks), marks
    labels = seen.page.evaluate(LABELS)
    assert len(labels) >= len(marks)
    assert all(len(label) > 20 for label in labels)
    assert seen.troubles == []
    seen.page.close()
    print(f"screenshots: {screenshots}")


def column(seen: Seen, table: Any, at: int) -> list[str]:
    found: list[str] = table.locator(f"tbody td:nth-child({at})").all_text_contents()
    return found


def test_a_click_on_a_heading_sorts(browser: Any, traces_page: Path) -> None:
    """Figures by their size, rising and then falling; names by their letters; "-" comes last."""
    seen = Seen(browser, traces_page)
    table = seen.page.locator("table:visible", has_text="Every scheme, all figures").first
    head = table.locator("thead th", has_text="cycles").first
    head.locator("button").click()
    cycles = [int(cell.replace(",", "")) for cell in column(seen, table, 4)]
    assert cycles == sorted(cycles)
    assert head.get_attribute("aria-sort") == "ascending"
    head.locator("button").click()
    assert [int(cell.replace(",", "")) for cell in column(seen, table, 4)] == sorted(cycles)[::-1]
    assert head.get_attribute("aria-sort") == "descending"
    ideal = table.locator("thead th", has_text="ideal gated")
    for _ in range(2):
        ideal.locator("button").click()
        cells = column(seen, table, 6)
        assert cells[-1] == "-"
        figures = [float(cell.removesuffix("x")) for cell in cells if cell != "-"]
        assert figures in (sorted(figures), sorted(figures)[::-1])
    table.locator("thead th", has_text="scheme").locator("button").press("Enter")
    schemes = column(seen, table, 2)
    assert schemes == sorted(schemes, key=lambda name: (name.split("-")[0], name))
    assert head.get_attribute("aria-sort") is None
    assert seen.troubles == []
    seen.page.close()


def test_choosing_shows_what_was_chosen(browser: Any, traces_page: Path) -> None:
    """A price: in charts, drawing and tables at once; a run; a layer; a layer of the masks."""
    seen = Seen(browser, traces_page)
    page = seen.page
    energies = "section:has(h3:text-is('Where the energy goes')) "
    before = page.locator(energies + "h4").text_content()
    cells = page.locator(energies + "table:visible td").all_text_contents()
    page.locator(energies + "select[data-choice='0-price']").select_option("gates45")
    assert page.locator(energies + "h4").text_content() != before
    assert page.locator(energies + "table:visible td").all_text_contents() != cells
    others = page.locator("select[data-choice='0-price']")
    assert others.count() > 2
    assert {each.input_value() for each in others.all()} == {"gates45"}
    assert page.locator("figure.drawing:visible").count() == 1

    layers = "section:has(h3:text-is('All layers')) "
    title = page.locator(layers + "caption:visible").text_content()
    page.locator(layers + "select").first.select_option("1")
    assert page.locator(layers + "caption:visible").text_content() != title
    assert page.locator(layers + "table:visible").count() == 1

    one = "section:has(h3:text-is('One layer')) "
    page.locator(one + "select[data-choice='0-layer']").select_option("2")
    chosen = page.locator(one + "select[data-choice='0-layer'] option:checked").text_content()
    assert f"Fewest cycles in {chosen}: " in page.locator(one + "h4").text_content()

    shapes = "section:has(h3:text-is('Masks of scdg')) "
    first = page.locator(shapes + ".heatmaplayer image").first
    drawn = first.evaluate("(image) => image.outerHTML")
    page.locator(shapes + "select").select_option("3")
    assert first.evaluate("(image) => image.outerHTML") != drawn
    assert seen.troubles == []
    page.close()


def test_the_legend_hides_a_scheme(browser: Any, traces_page: Path) -> None:
    """A click on its name in the roofline: a layer of points less."""
    seen = Seen(browser, traces_page)
    chart = seen.page.locator("section:has(h3:text-is('Roofline')) .plot").first
    points = chart.locator(".scatterlayer .points path")
    before = points.count()
    chart.locator(".legend .traces", has_text="unstructured").locator(".legendtoggle").click()
    identity = chart.get_attribute("id")
    seen.page.wait_for_function(FEWER_POINTS, arg=[identity, before])
    fewer = points.count()
    assert fewer < before
    # It stays hidden where the page is drawn again.
    seen.page.locator("#theme").click()
    assert points.count() == fewer
    seen.page.close()


def test_the_switch_turns_the_colours(browser: Any, traces_page: Path) -> None:
    """Of the page and of its charts: the dense scheme is drawn in the page's ink."""
    seen = Seen(browser, traces_page, colours="dark")
    ink = "getComputedStyle(document.body).color"
    lines = ".scatterlayer path.js-line"
    dark = seen.page.evaluate(ink), seen.page.locator(lines).first.get_attribute("style")
    seen.page.locator("#theme").click()
    light = seen.page.evaluate(ink), seen.page.locator(lines).first.get_attribute("style")
    assert seen.page.locator("#theme").text_content() == "dark"
    assert dark[0] == "rgb(230, 237, 243)"
    assert light[0] == "rgb(31, 35, 40)"
    assert "rgb(230, 237, 243)" in str(dark[1])
    assert "rgb(31, 35, 40)" in str(light[1])
    seen.page.close()


def test_no_chart_can_be_sent_anywhere(browser: Any, traces_page: Path) -> None:
    """Plotly's own buttons are those that work on the page; a picture of a chart is a download."""
    seen = Seen(browser, traces_page)
    titles = seen.page.evaluate(BUTTONS)
    assert set(titles) == {
        "Download plot as a PNG", "Zoom", "Pan", "Zoom in", "Zoom out", "Autoscale", "Reset axes"
    }  # fmt: skip
    assert set(seen.page.evaluate(SERVERS)) == {""}
    chart = seen.page.locator(".plot").first
    chart.hover()
    with seen.page.expect_download() as download:
        chart.locator(".modebar-btn").first.click()
    assert download.value.suggested_filename.endswith(".png")
    assert seen.troubles == []
    seen.page.close()


def test_it_prints_in_light_on_paper(browser: Any, traces_page: Path, screenshots: Path) -> None:
    seen = Seen(browser, traces_page, colours="dark")
    printed = screenshots / "traces_page.pdf"
    seen.page.pdf(path=printed, format="A4", print_background=True)
    assert printed.read_bytes().startswith(b"%PDF")
    # Afterwards it is what it was.
    assert seen.page.evaluate("getComputedStyle(document.body).color") == "rgb(230, 237, 243)"
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 1000
    assert seen.troubles == []
    seen.page.close()


def test_names_are_text_on_the_screen(browser: Any, hostile_page: Path) -> None:
    """On axes, in tables, in the lists to choose from; nothing of them runs."""
    seen = Seen(browser, hostile_page)
    ticks = seen.texts(".xtick text")
    assert set(LAYERS) <= set(ticks)
    assert METHOD in seen.texts("td.name")
    assert set(LAYERS) <= set(seen.texts("option"))
    assert any(text.startswith(METHOD) for text in seen.texts(".ytick text"))
    assert seen.page.locator("main b, main i").count() == 0
    assert seen.troubles == []
    seen.page.close()
