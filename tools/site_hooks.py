"""What mkdocs calls while it builds the site (mkdocs.yml, hooks)."""

from __future__ import annotations

import re

ROLE = re.compile(r":(?:class|func|meth|mod|data):(?=<code>)")
"""Docstrings say :func:`name`, which Markdown shows with its role."""


def on_page_content(html: str, **_: object) -> str:
    return ROLE.sub("", html)
