"""Descriptions: keys and values as files and code give them, whose mistakes are one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import index
from typing import Annotated, Any, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from hwsim.errors import UserError, escaped, nearest, one_line, shown


class Described(BaseModel):
    """A frozen description whose mistakes are one line: a UserError with the key and the value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            named = f" {fields['name']!r}" if "name" in fields else ""
            what = first_mistake(error, list(type(self).model_fields))
            raise UserError(f"{type(self).__name__}{named}: {what}") from None

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy that is checked like any other, and remembers nothing of what it is a copy of."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**{**fields, **(update or {})})


def first_mistake(error: ValidationError, keys: Sequence[str]) -> str:
    """The news of a validation, in one line; ``keys``: those that may be given."""
    # A key spelt wrong is also a key missing: the spelling is the news.
    errors = error.errors()
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown key {shown(key)}" + nearest(key, keys)
    if first["type"] == "missing":
        missing = [".".join(map(str, e["loc"])) for e in errors if e["type"] == "missing"]
        return f"missing key{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
    message = one_line(first.get("ctx", {}).get("error", first["msg"]))
    return f"{key}: {message}, found {shown(first['input'])}" if key else message


def _one_name(name: str) -> str:
    if not name or len(name) > LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise ValueError(
            f"expected a name of 1 to {LONGEST_NAME} characters that can be printed on a line, "
            "without blanks at its ends"
        )
    return name


def as_name(text: str) -> str:
    """A :data:`Name` made of what nobody can be asked to change, such as the name of a file.

    What is one already stays as it is.
    """
    return escaped(text, LONGEST_NAME).strip() or "unnamed"


def _extents(least: int, *, sides: bool = False) -> Callable[[Any], Any]:
    """A check of a number, or of two (height, width), or with ``sides`` of four.

    Equal ones become the shorter form, so that one layer is written in one way.
    """

    def check(value: Any) -> Any:
        numbers = (value,) if isinstance(value, int) else value
        lengths = (1, 2, 4) if sides else (1, 2)
        if (
            not isinstance(numbers, tuple | list)
            or len(numbers) not in lengths
            or any(type(n) is not int or not least <= n <= LARGEST for n in numbers)
        ):
            two = ", two (height, width), or four (top, left, bottom, right)"
            more = two if sides else ", or two (height, width)"
            raise ValueError(f"expected an integer from {least} to {LARGEST:,}{more}")
        if len(numbers) == 4 and numbers[:2] == numbers[2:]:
            numbers = numbers[:2]
        return numbers[0] if len(set(numbers)) == 1 else tuple(numbers)

    return check


def _whole(value: Any) -> int:
    """An integer of Python or NumPy; what only looks like one, or is a truth, is a mistake."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise ValueError("expected an integer")
    return index(value)


def _one_or_more(value: Any) -> Any:
    names = value if isinstance(value, tuple | list) else (value,)
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError("expected the name of a tensor, or a list of names")
    return names[0] if len(names) == 1 else value


Extent: TypeAlias = Annotated[int | tuple[int, int], BeforeValidator(_extents(1))]
"""A number of both directions, or one each: (height, width)."""

# One kind of tuple: of two pydantic would try the wrong one first, and warn, as it writes.
Padding: TypeAlias = Annotated[int | tuple[int, ...], BeforeValidator(_extents(0, sides=True))]
"""Of all sides; or (height, width); or (top, left, bottom, right), as in ONNX."""

LONGEST_NAME = 255

Name: TypeAlias = Annotated[str, AfterValidator(_one_name)]
"""Whatever is named in a file: a network, a layer, a tensor, a method, a dataset, a machine.

1 to 255 characters that can be printed, none of them a control character, and no blanks at its
ends: what is shown or drawn somewhere is decided here, once.
"""

LARGEST = 1 << 24

Count: TypeAlias = Annotated[int, BeforeValidator(_whole), Field(gt=0, le=LARGEST)]
"""Channels, groups, or pixels of one direction."""

Flag: TypeAlias = Annotated[bool, Field(strict=True)]
"""Yes or no, and nothing that looks like it."""

LARGEST_MAP = 1 << 30
"""Values of an image's map; a machine's tiles are counted one by one."""

MOST_MACS = 1 << 53
"""Of a layer, for an image; counters have 63 bits."""


MOST_OPERANDS = 1 << 24
"""Of the passes of an output: taps times input channels times gating groups."""


def refuse_huge(what: str, values: int, macs: int, operands: int) -> None:
    """Raise ValueError where a map has so many values, or a layer so many MACs or operands."""
    if values > LARGEST_MAP:
        raise ValueError(f"{what}: a map of {values:,} values; at most {LARGEST_MAP:,} can be run")
    if macs > MOST_MACS:
        raise ValueError(f"{what}: {macs:,} MACs; at most {MOST_MACS:,} can be run")
    if operands > MOST_OPERANDS:
        raise ValueError(
            f"{what}: taps x input channels x gating groups are {operands:,}; "
            f"at most {MOST_OPERANDS:,} can be run"
        )


Tensors: TypeAlias = Annotated[Name | tuple[Name, ...], BeforeValidator(_one_or_more)]
"""A tensor's name, or those of several that are concatenated along their channels."""


def both(extent: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width) of an :data:`Extent`."""
    return (extent, extent) if isinstance(extent, int) else extent
