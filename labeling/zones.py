"""Zones of a part's surface in one view, and whether a finding touches one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from labeling.models import Severity
from labeling.regions import Point

# Drawings name surfaces by letter; A is the one that matters most.
SURFACES: Final = {"A": Severity.CRITICAL, "B": Severity.MAJOR, "C": Severity.MINOR}


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A polygon in image pixels whose findings have its severity; an empty revision means all."""

    name: str
    view: str
    part_number: str
    part_revision: str = ""
    severity: Severity
    polygon: tuple[Point, ...]

    def is_on(self, *, part_number: str, part_revision: str) -> bool:
        """Whether a part of this number and revision has the zone."""
        return self.part_number == part_number and self.part_revision in ("", part_revision)

    def as_json(self) -> dict[str, Any]:
        """As it is stored and as the bench draws it."""
        return {
            "name": self.name,
            "view": self.view,
            "part_number": self.part_number,
            "part_revision": self.part_revision,
            "severity": str(self.severity),
            "polygon": [list(point) for point in self.polygon],
        }


def corners(box: Sequence[float]) -> tuple[Point, ...]:
    """A box (x, y, width, height) as a polygon."""
    x, y, width, height = box
    return (x, y), (x + width, y), (x + width, y + height), (x, y + height)


def touch(one: Sequence[Point], other: Sequence[Point]) -> bool:
    """Whether two polygons share a point; a common edge counts."""
    if is_inside(one[0], other) or is_inside(other[0], one):
        return True
    # Only edges that come near the other polygon can cross one of its own.
    near, there = _near(_edges(one), other), _near(_edges(other), one)
    return any(_cross(a, b, c, d) for a, b in near for c, d in there)


def _near(
    edges: Sequence[tuple[Point, Point]], other: Sequence[Point]
) -> list[tuple[Point, Point]]:
    """Those of the edges that reach into the other polygon's bounds."""
    xs, ys = [x for x, _y in other], [y for _x, y in other]
    left, right, top, bottom = min(xs), max(xs), min(ys), max(ys)
    return [
        (a, b)
        for a, b in edges
        if min(a[0], b[0]) <= right
        and max(a[0], b[0]) >= left
        and min(a[1], b[1]) <= bottom
        and max(a[1], b[1]) >= top
    ]


def is_inside(point: Point, polygon: Sequence[Point]) -> bool:
    """By the even-odd rule; a point on the edge may be either, crossing edges are seen apart."""
    x, y = point
    found = False
    for (x1, y1), (x2, y2) in _edges(polygon):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            found = not found
    return found


def _edges(polygon: Sequence[Point]) -> list[tuple[Point, Point]]:
    return list(pairwise([*polygon, polygon[0]]))


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    sides = (_side(a, b, c), _side(a, b, d), _side(c, d, a), _side(c, d, b))
    if sides[0] * sides[1] < 0 and sides[2] * sides[3] < 0:
        return True
    ends = ((sides[0], a, b, c), (sides[1], a, b, d), (sides[2], c, d, a), (sides[3], c, d, b))
    return any(side == 0 and _is_between(p, q, r) for side, p, q, r in ends)


def _side(a: Point, b: Point, c: Point) -> int:
    turn = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return (turn > 0) - (turn < 0)


def _is_between(a: Point, b: Point, c: Point) -> bool:
    """Whether c, on the line through a and b, lies between them."""
    return min(a[0], b[0]) <= c[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= c[1] <= max(a[1], b[1])
