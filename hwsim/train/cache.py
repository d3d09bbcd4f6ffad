"""hwsim's folder in the user's cache: what is there can be deleted and is made anew."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache() -> Path:
    """``hwsim`` in $XDG_CACHE_HOME, or in ~/.cache where that is not set."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hwsim"


def images_folder() -> Path:
    """Where decoded images are kept, unless --cache names another folder."""
    return user_cache() / "images"
