"""What a tensor's dimensions are of the map that it shows: images, channels, pixels.

A tensor of any rank is a view of one map (C, H, W) per image. Each of its dimensions is a product
of atoms: factors of the batch ("n"), of the map's channels ("c") or of its pixels ("p"), or
repetitions ("r"). Transposing and reshaping only reorder and regroup atoms, so a map that was
flattened, turned and cut into heads is known for what it is, and no value has moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import NamedTuple, TypeAlias

Shape: TypeAlias = tuple[int, int, int]
"""(channels, height, width) of a map."""


class Atom(NamedTuple):
    """A factor of a dimension: ``size`` steps of ``stride`` along an axis of the map."""

    axis: str
    stride: int
    size: int


Group: TypeAlias = tuple[Atom, ...]
"""The atoms of one dimension, the slowest first; none where its size is 1."""

Dims: TypeAlias = tuple[Group, ...]


def extent(group: Iterable[Atom]) -> int:
    """The size of a dimension."""
    return prod(atom.size for atom in group)


def shape_of(dims: Dims) -> tuple[int, ...]:
    return tuple(extent(group) for group in dims)


def flat(dims: Iterable[Group]) -> Group:
    """All dimensions as one."""
    return merged(atom for group in dims for atom in group)


def merged(atoms: Iterable[Atom]) -> Group:
    """Neighbours that continue each other become one atom; atoms of size 1 are none."""
    found: list[Atom] = []
    for atom in atoms:
        if atom.size == 1:
            continue
        last = found[-1] if found else None
        if last and last.axis == atom.axis and last.stride == atom.stride * atom.size:
            found[-1] = Atom(atom.axis, atom.stride, last.size * atom.size)
        else:
            found.append(atom)
    return tuple(found)


def whole(axis: str, size: int) -> Group:
    """All of an axis, in its order."""
    return merged([Atom(axis, 1, size)])


def of(axes: str, group: Iterable[Atom]) -> Group:
    """The atoms of these axes."""
    return tuple(atom for atom in group if atom.axis in axes)


def without_repeats(dims: Dims) -> Dims:
    return tuple(of("ncp", group) for group in dims)


def regrouped(dims: Dims, shape: Sequence[int]) -> Dims | None:
    """The dimensions after a reshape, or None where it cuts atoms at no multiple of their parts."""
    left = list(flat(dims))[::-1]
    groups: list[Group] = []
    for size in shape:
        group: list[Atom] = []
        wanted = size
        while wanted > 1:
            if not left:
                return None
            atom = left.pop()
            if wanted % atom.size == 0:
                wanted //= atom.size
                group.append(atom)
            elif atom.size % wanted == 0:
                rest = atom.size // wanted
                group.append(Atom(atom.axis, atom.stride * rest, wanted))
                left.append(Atom(atom.axis, atom.stride, rest))
                wanted = 1
            else:
                return None
        groups.append(merged(group))
    return None if left else tuple(groups)


def as_kind(group: Group, kind: str) -> Group:
    """A dimension whose atoms become one of this axis; only the batch's stay what they are."""
    found: list[Atom] = []
    for atom in group:
        if atom.axis == "n":
            found.append(atom)
        elif found and found[-1].axis == kind:
            found[-1] = Atom(kind, 0, found[-1].size * atom.size)
        else:
            found.append(Atom(kind, 0, atom.size))
    return tuple(found)


def ordered(dims: Dims) -> Dims:
    """The same dimensions of a new map, whose channels and pixels lie in the tensor's order."""
    strides = {"c": 1, "p": 1}
    groups: list[Group] = []
    for group in reversed(dims):
        atoms: list[Atom] = []
        for atom in reversed(group):
            if atom.axis in strides:
                atom = Atom(atom.axis, strides[atom.axis], atom.size)
                strides[atom.axis] *= atom.size
            atoms.append(atom)
        groups.append(merged(reversed(atoms)))
    return tuple(reversed(groups))


def map_shape(dims: Dims) -> Shape:
    """(C, H, W) of the map of :func:`ordered` dimensions: tokens are rows of one pixel."""
    channels = prod(extent(of("c", group)) for group in dims)
    sides = [size for group in dims if (size := extent(of("p", group))) > 1]
    # A side of one pixel is one all the same where the tensor has it as a dimension.
    if len(sides) < 2:
        plain = [group for group in dims[2:] if not of("cnr", group)]
        if len(plain) == 2 and dims and len(dims) == 4:
            return channels, extent(plain[0]), extent(plain[1])
    height = sides[0] if sides else 1
    return channels, height, prod(sides[1:])
