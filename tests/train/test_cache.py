"""Where decoded images go: to the user's cache, or where --cache says."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.train import __main__ as cli
from hwsim.train.images import sources
from hwsim.train.images.sources import images_folder as real_images_folder

COMMAND = [
    "--method", "dense", "--data", "tiny", "--stages", "1,1", "--width", "8", "--batch", "8",
    "--steps", "1", "--train-images", "16", "--resolution", "8", "--device", "cpu",
]  # fmt: skip


def test_the_folder_is_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert real_images_folder() == tmp_path / "hwsim" / "images"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert real_images_folder() == tmp_path / "home" / ".cache" / "hwsim" / "images"


def test_tests_keep_out_of_the_users_cache() -> None:
    assert sources.images_folder() != real_images_folder()


@pytest.mark.parametrize("asked", [False, True])
def test_decoded_images_are_not_left_in_out(
    asked: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "asked" if asked else sources.images_folder()
    out = tmp_path / "out"
    options = ["--out", str(out), *(["--cache", str(folder)] if asked else [])]
    assert cli.main([*COMMAND, *options]) == 0
    assert not list(out.glob("*.npy"))
    assert len(list(folder.glob("train-images-*.npy"))) >= 1
    assert capsys.readouterr().out.splitlines()[-1] == f"decoded images: {folder}"
