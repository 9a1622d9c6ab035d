"""The bodies the bench sends again and again, checked by hand.

Making a serializer costs more than the rest of the reading. What is plainly right is taken here;
everything else (an odd type, blanks to trim, a mistake to explain) is the serializer's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from review.models import Answer
from traceability.models import DispositionKind

Check = Callable[[Any], bool]


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
            and "\0" not in value
        )

    return check


def _one_of(values: list[str]) -> Check:
    return lambda value: isinstance(value, str) and value in values


def _seconds(value: object) -> bool:
    return value is None or (type(value) in {int, float} and 0 <= float(str(value)) < 1e9)


_KNOWN: Final[Mapping[str, tuple[Mapping[str, Check], Mapping[str, Any]]]] = {
    "ClaimRequest": (
        {"site": _text(64, least=1, optional=True), "count": _whole(1, 4)},
        {"count": 1},
    ),
    "DecisionRequest": (
        {
            "fence": _whole(1, 2**62),
            "answer": _one_of(Answer.values),
            "disposition": _one_of(DispositionKind.values),
            "defect_class": _text(64, optional=True),
            "comment": _text(1000),
            # Drawn regions are rare, and have much to check.
            "regions": lambda value: value == [],
            "seconds": _seconds,
        },
        {"comment": "", "regions": []},
    ),
}
_NEEDED: Final = {"ClaimRequest": set(), "DecisionRequest": {"fence", "answer", "disposition"}}
