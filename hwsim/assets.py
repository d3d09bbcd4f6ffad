"""Where the files that travel with the package lie: beside it in a checkout, inside a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def asset_dir(name: str) -> Path:
    """Folder ``arch_configs``, ``traces`` or ``energy_tables``.

    In a checkout (and an editable install) the folder stands beside the package; in a wheel it was
    put into ``hwsim/_assets``. The installed copy wins, because it belongs to the code that asks.
    """
    installed = _PACKAGE / "_assets" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
