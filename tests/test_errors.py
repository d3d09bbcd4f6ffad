"""Choices at the end of a message: the nearest, or those that there are."""

from __future__ import annotations

from hwsim.errors import nearest


def test_the_nearest_choice_is_named() -> None:
    assert nearest("sten", ["stem", "body"]) == "; nearest valid: 'stem'"


def test_of_many_choices_the_first_are_listed() -> None:
    """A model's first module is the model itself, whose path is empty."""
    few = ["", "a", "b"]
    assert nearest("zzz", few) == "; valid: a, b"
    assert nearest("zzz", []) == "; valid: none"
    many = [f"layer{at}" for at in range(100)]
    told = nearest("zzz", many)
    assert told.endswith("layer22, layer23, ... (100 in all)")
    assert "layer24" not in told
