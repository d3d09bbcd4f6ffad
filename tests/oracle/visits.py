"""What is done each time a tile's turn comes (docs/model/instance_gates.md)."""

from __future__ import annotations

from dataclasses import dataclass

from .layout import Pixel


@dataclass(frozen=True)
class Visit:
    """Which parts of a tile's work a visit does.

    ``base``: the base or dense pass. ``rest``: decisions, conditional pass and all that the output
    stage does. ``compares``: the decisions take cycles of their own. ``moves``: the partial sums
    are stored behind the base pass, or reloaded before the rest.
    """

    base: bool = True
    rest: bool = True
    compares: bool = False
    moves: bool = False

    @property
    def stores(self) -> bool:
        return self.moves and self.base

    @property
    def reloads(self) -> bool:
        return self.moves and self.rest


AT_ONCE = Visit()
"""All of a tile, decided while its base pass drains."""

ALONE = Visit(compares=True)
"""All of an image that is one tile."""

Place = list[tuple[list[Pixel], Visit]]
"""Visits that follow each other wherever the loops put them."""


def places(tiles: list[list[Pixel]], by_image: bool) -> list[Place]:
    """The visits to these tiles: one to each, or an image's one behind the other."""
    if not by_image:
        return [[(tile, AT_ONCE)] for tile in tiles]
    images = sorted({image for tile in tiles for image, _, _ in tile})
    return [image_visits([tile for tile in tiles if tile[0][0] == image]) for image in images]


def image_visits(tiles: list[list[Pixel]]) -> Place:
    """An image's base passes, then the rest of its tiles; the first one's sums stay."""
    if len(tiles) == 1:
        return [(tiles[0], ALONE)]
    bases = [(tile, Visit(rest=False, moves=tile is not tiles[0])) for tile in tiles]
    return bases + [
        (tile, Visit(base=False, compares=True, moves=tile is not tiles[0])) for tile in tiles
    ]
