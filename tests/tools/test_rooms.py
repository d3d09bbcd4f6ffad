"""Rooms, floors and arrows of small packages, and the bounds that the package keeps."""

from __future__ import annotations

from pathlib import Path

from tools.rooms import arrows_of, floors_of

PACKAGE = Path(__file__).parents[2] / "hwsim"
MOST_LINES, MOST_FILES = 350, 14


def package(folder: Path, files: dict[str, str]) -> Path:
    root = folder / "p"
    for name, source in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return root


def test_arrows_go_from_room_to_room(tmp_path: Path) -> None:
    root = package(
        tmp_path,
        {
            "__init__.py": "from p.top.a import x\n",
            "base.py": "",
            "low/__init__.py": "",
            "low/a.py": "import os\nfrom p.base import y\n",
            "low/b.py": "from p.low import a\nfrom p import base\n",
            "top/a.py": "def f():\n    from p.low.b import z\n",
        },
    )
    arrows = arrows_of(root)
    assert arrows == {"base": set(), "low": {"base"}, "top": {"low"}}
    assert floors_of(arrows) == {"base": 1, "low": 2, "top": 3}


def test_rooms_in_a_circle_share_a_floor() -> None:
    arrows = {"a": {"b"}, "b": {"a", "c"}, "c": set(), "d": {"a"}}
    assert floors_of(arrows) == {"a": 2, "b": 2, "c": 1, "d": 3}


def test_the_package_keeps_its_bounds() -> None:
    """No circle of rooms, no file of many lines, no room of many files."""
    arrows = arrows_of(PACKAGE)
    floors = floors_of(arrows)
    assert all(floors[target] < floors[room] for room in arrows for target in arrows[room])
    for path in PACKAGE.rglob("*.py"):
        assert len(path.read_text().splitlines()) <= MOST_LINES, path
    for folder in {path.parent for path in PACKAGE.rglob("*.py")}:
        assert len(list(folder.glob("*.py"))) <= MOST_FILES, folder
