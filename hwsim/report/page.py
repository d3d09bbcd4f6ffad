"""The page: parts as one HTML file that needs nothing beside it.

All text is escaped by Jinja; what charts are made of is data, not script; a policy in the page lets
its own two scripts run and nothing else, and nothing be loaded.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib import metadata, resources
from typing import Any

from hwsim.report.figures.chart import Chart
from hwsim.report.figures.parts import Part

_TEMPLATES = "hwsim.report", "templates"

SEPARATOR = "\n"
"""Between the values that name a variant of a chart, and between part and name of a choice."""


def require_libraries() -> None:
    """Raise ModuleNotFoundError now where the extra ``report`` is missing, not after a replay."""
    import jinja2  # noqa: F401
    import plotly  # noqa: F401


def page_of(parts: Sequence[Part], title: str) -> str:
    """The HTML of a page. Raises ModuleNotFoundError without the extra ``report``."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader(*_TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.globals |= {"values_of": _values_of, "begins": _begins, "listed": _listed}
    charts = {
        key: _plain(number, chart)
        for number, part in enumerate(parts)
        for key, chart in _charts(number, part)
    }
    chosen = {
        f"{number}-{name}": choice.start
        for number, part in enumerate(parts)
        for name, choice in part.choices.items()
        if choice.options
    }
    scripts = [_plotly(), _read("page.js")]
    return environment.get_template("page.html").render(
        title=title,
        parts=parts,
        version=metadata.version("hwsim"),
        policy=_policy(scripts),
        style=Markup(_read("page.css")),
        scripts=[Markup(script) for script in scripts],
        charts=Markup(_data(charts)),
        chosen=Markup(_data(chosen)),
    )


def _values_of(number: int, chosen: Mapping[str, str]) -> str:
    """Choices of a part by the names that they have on the page, as JSON."""
    return json.dumps({f"{number}-{name}": value for name, value in chosen.items()})


def _begins(part: Part, chosen: Mapping[str, str]) -> bool:
    """Whether this is what the page shows to begin with."""
    return all(part.choices[name].start == value for name, value in chosen.items())


def _listed(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _charts(number: int, part: Part) -> Iterator[tuple[str, Chart]]:
    """Every chart with the id of its element."""
    for at, section in enumerate(part.sections):
        for place, chart in enumerate(section.charts):
            yield f"chart-{number}-{at}-{place}", chart


def _plain(number: int, chart: Chart) -> dict[str, Any]:
    """A chart as the script of the page takes it."""
    variants = {SEPARATOR.join(key): variant for key, variant in chart.variants.items()}
    plain = asdict(chart) | {"variants": variants, "by": [f"{number}-{name}" for name in chart.by]}
    return {key: value for key, value in plain.items() if key != "heading"}


def _data(value: Mapping[str, Any]) -> str:
    """JSON that cannot end the element that it stands in, whatever texts it holds."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _read(name: str) -> str:
    return (resources.files(_TEMPLATES[0]) / _TEMPLATES[1] / name).read_text(encoding="utf-8")


def _plotly() -> str:
    script = resources.files("plotly") / "package_data" / "plotly.min.js"
    # A parser of HTML reads other line ends as these, and the hash is of what it reads.
    return script.read_text(encoding="utf-8").replace("\r\n", "\n").replace("\r", "\n")


def _policy(scripts: Sequence[str]) -> str:
    """Content-Security-Policy: these scripts, styles, and images inside the page; no network."""
    hashes = (hashlib.sha256(script.encode()).digest() for script in scripts)
    allowed = " ".join(f"'sha256-{base64.b64encode(each).decode()}'" for each in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
