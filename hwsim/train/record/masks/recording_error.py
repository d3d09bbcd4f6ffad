"""What is wrong with a recording, in one line."""

from __future__ import annotations

from hwsim.errors import UserError


class RecordingError(UserError):
    """Gates, masks or runs that cannot be recorded; the message names the layer."""
