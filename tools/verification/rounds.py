"""The first round with which two models differ, once a tile is known to: less and less work in it.

Models are only ever run, on that tile alone with its first pixels or its lists' first ones; none is
asked what it does round by round. Rounds count from 0, as tiles do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from divergence import first_divergence
from oracle.schemes import hardware


@dataclass(frozen=True)
class Cut:
    """What is left of a tile: its first ``pixels``, and ``masks`` (lists, pixels of the batch).

    ``round`` is the last one left of what is cut, consecutive pixels or lists.
    """

    of: str
    round: int
    pixels: int
    masks: np.ndarray | None


Model = Callable[[Sequence[Cut]], Iterable[np.ndarray]]
"""The tile alone on one model: a row of causes and counters for each cut."""


@dataclass(frozen=True)
class Work:
    """A tile: its channels, its pixels as the batch numbers them, and the masks of the layer."""

    rows: int
    scheme: str
    mask_group: int
    masks: np.ndarray | None
    channels: range
    pixels: range

    def cuts(self) -> list[Cut]:
        """One round more in each; in the last one nothing is missing.

        Rounds of consecutive pixels come first, without a one where lists are followed: then
        rounds of the lists, all pixels being there.
        """
        return [*self._of_pixels(), *self._of_lists()]

    @property
    def _follows_lists(self) -> bool:
        return self.masks is not None and hardware(self.scheme).masks in ("sparse", "lockstep")

    def _of_pixels(self) -> Iterator[Cut]:
        for number, last in enumerate(range(self.rows, len(self.pixels) + self.rows, self.rows)):
            left = min(last, len(self.pixels))
            masks = None
            if self.masks is not None:
                masks = self.masks.copy()
                masks[
                    :, self.pixels[0] + (0 if self._follows_lists else left) : self.pixels.stop
                ] = 0
            yield Cut("consecutive pixels", number, left, masks)

    def _of_lists(self) -> Iterator[Cut]:
        """A mask list that several lane groups follow ends with the shortest of them."""
        if not self._follows_lists:
            return
        followed = self._followed()
        most = max(len(ones) for _, ones in followed)
        for number, last in enumerate(range(self.rows, most + self.rows, self.rows)):
            masks = self.masks.copy()
            for lists, ones in followed:
                if len(ones) > last:
                    masks[lists, self.pixels[0] + ones[last] : self.pixels.stop] = 0
            yield Cut("lists", number, len(self.pixels), masks)

    def _followed(self) -> list[tuple[list[int], np.ndarray]]:
        """The mask lists that each lane group ORs, and the ones of that, counted in the tile."""
        groups = hardware(self.scheme).lane_groups(len(self.channels))
        lists = [
            sorted({self.channels[lane] // self.mask_group for lane in group}) for group in groups
        ]
        inside = self.masks[:, self.pixels.start : self.pixels.stop]
        return [(few, np.flatnonzero(inside[few].any(axis=0))) for few in lists]


def first_round(cuts: Sequence[Cut], expected: Model, actual: Model, names: tuple[str, ...]) -> str:
    """Which round it is, and what it makes different; or that the tile alone tells nothing."""
    try:
        rows = zip(cuts, expected(cuts), actual(cuts), strict=True)
        for cut, right, mine in rows:
            if found := first_divergence(right[None], mine[None], names):
                told = f"{found.name}: expected {found.expected}, found {found.actual}"
                return f"first in round {cut.round} of its {cut.of} ({told} up to there)"
    except Exception as error:
        return f"no round found, {type(error).__name__}: {error}"
    return "the tile alone does not differ"
