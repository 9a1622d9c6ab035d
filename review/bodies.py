"""The bodies the bench sends again and again, checked by hand.

Making a serializer costs more than the rest of the reading. What is plainly right is taken here;
everything else (an odd type, blanks to trim, a mistake to explain) is the serializer's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from labeling.regions import FARTHEST, MOST_REGIONS
from review.models import Answer
from traceability.models import DispositionKind

Check = Callable[[Any], bool]
# What is no text to a database: the serializer refuses it in words.
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")


def read(name: str, body: object) -> dict[str, Any] | None:
    """The checked body of the request called `name`, defaults filled in; None if in doubt."""
    known = _KNOWN.get(name)
    if known is None or not isinstance(body, dict):
        return None
    checks, defaults = known
    found = {key: value for key, value in body.items() if key in checks}
    if all(checks[key](value) for key, value in found.items()):
        whole = {**defaults, **found}
        if whole.keys() >= _NEEDED[name]:
            return whole
    return None


def _whole(least: int, most: int) -> Check:
    # bool is an int to Python, not to the API.
    return lambda value: type(value) is int and least <= value <= most


def _text(most: int, *, least: int = 0, optional: bool = False) -> Check:
    def check(value: object) -> bool:
        if value is None:
            return optional
        return (
            isinstance(value, str)
            and least <= len(value) <= most
            and value == value.strip()
            and not _UNSTORABLE.search(value)
        )

    return check


def _one_of(values: list[str]) -> Check:
    return lambda value: isinstance(value, str) and value in values


def _seconds(value: object) -> bool:
    return value is None or (type(value) in {int, float} and 0 <= float(str(value)) < 1e9)


def _regions(value: object) -> bool:
    # What a region means is for Region.read to judge; here only that it has its shape.
    return isinstance(value, list) and len(value) <= MOST_REGIONS and all(map(_region, value))


def _region(value: object) -> bool:
    if not isinstance(value, dict) or len(value) != 3 or not (_name(value.get("label"))):
        return False
    if not _name(value.get("view")):
        return False
    if "box" in value:
        return _numbers(value["box"], 4)
    points = value.get("polygon")
    return isinstance(points, list) and all(_numbers(point, 2) for point in points)


def _numbers(value: object, count: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) == count
        and all(type(number) in {int, float} and abs(number) <= FARTHEST for number in value)
    )


_name: Final = _text(64, least=1)
_KNOWN: Final[Mapping[str, tuple[Mapping[str, Check], Mapping[str, Any]]]] = {
    "ClaimRequest": (
        {
            "site": _text(64, least=1, optional=True),
            "count": _whole(1, 4),
            "prefer": lambda value: value == [],
        },
        {"count": 1, "prefer": []},
    ),
    "DecisionRequest": (
        {
            "fence": _whole(1, 2**62),
            "answer": _one_of(Answer.values),
            "disposition": _one_of(DispositionKind.values),
            "defect_class": _text(64, optional=True),
            "comment": _text(1000),
            "concession": _text(1000),
            "regions": _regions,
            "seconds": _seconds,
            "images": _whole(0, 10_000),
        },
        {"comment": "", "regions": []},
    ),
}
_NEEDED: Final = {"ClaimRequest": set(), "DecisionRequest": {"fence", "answer", "disposition"}}
