"""Regions of an image: boxes and polygons in its pixels, and when they make no sense."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from django.utils.translation import gettext as _

from traceability.refusals import Invalid

Point = tuple[float, float]

# What a pointer may miss the image's edge by and still mean the edge, in pixels.
SLACK: Final = 1.0
MOST_POINTS: Final = 2000
FARTHEST: Final = 1e9
# Of one unit, over all its views.
MOST_REGIONS: Final = 1000
MOST_POINTS_TOGETHER: Final = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A defect's place in one view, in pixels, origin top left: a box (x, y, width, height) or a
    polygon of at least three points, never both."""

    defect_class: str
    view: str = "main"
    box: tuple[float, float, float, float] | None = None
    polygon: tuple[Point, ...] | None = None

    @classmethod
    def read(
        cls,
        *,
        defect_class: str,
        view: str = "main",
        box: Sequence[float] | None = None,
        polygon: Sequence[Sequence[float]] | None = None,
    ) -> Self:
        """A region from outside; Invalid says what is wrong with it."""
        if not defect_class:
            raise Invalid(_("A region needs a defect class."))
        if (box is None) == (polygon is None):
            raise Invalid(_("A region is either a box or a polygon."))
        if box is not None:
            return cls(defect_class=defect_class, view=view, box=_read_box(box))
        return cls(defect_class=defect_class, view=view, polygon=_read_polygon(polygon or ()))

    @property
    def shape(self) -> str:
        """`box` or `polygon`."""
        return "polygon" if self.box is None else "box"

    @property
    def geometry(self) -> list[Any]:
        """[x, y, width, height], or [[x, y], ...]."""
        if self.box is not None:
            return list(self.box)
        return [list(point) for point in self.polygon or ()]

    def inside(self, *, width: int, height: int) -> Self:
        """The region within an image of this size; Invalid when it reaches beyond its edge."""
        if self.box is not None:
            x, y, w, h = self.box
            left, top = _fitted(x, width), _fitted(y, height)
            right, bottom = _fitted(x + w, width), _fitted(y + h, height)
            return replace(self, box=_sized(left, top, right - left, bottom - top))
        points = tuple((_fitted(x, width), _fitted(y, height)) for x, y in self.polygon or ())
        return replace(self, polygon=points)


def read_all(rows: Sequence[Mapping[str, Any]]) -> tuple[Region, ...]:
    """All that was drawn of a unit; Invalid for more than can be held to the acceptance criteria
    while the unit waits."""
    regions = tuple(
        Region.read(
            defect_class=row["label"],
            view=row["view"],
            box=row.get("box"),
            polygon=row.get("polygon"),
        )
        for row in rows
    )
    points = sum(len(region.polygon or ()) for region in regions)
    if points > MOST_POINTS_TOGETHER:
        raise Invalid(
            _("All polygons together may have %(most)d points, these have %(points)d.")
            % {"most": MOST_POINTS_TOGETHER, "points": points}
        )
    return regions


def _read_box(numbers: Sequence[float]) -> tuple[float, float, float, float]:
    if len(numbers) != 4:
        raise Invalid(_("A box is four numbers: x, y, width, height."))
    x, y, width, height = (_finite(number) for number in numbers)
    return _sized(x, y, width, height)


def _sized(x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
    if width <= 0 or height <= 0:
        raise Invalid(_("A box needs a width and a height above zero."))
    return x, y, width, height


def _read_polygon(points: Sequence[Sequence[float]]) -> tuple[Point, ...]:
    if not 3 <= len(points) <= MOST_POINTS:
        raise Invalid(_("A polygon needs 3 to %(most)d points.") % {"most": MOST_POINTS})
    if any(len(point) != 2 for point in points):
        raise Invalid(_("A point of a polygon is two numbers: x, y."))
    read = tuple((_finite(x), _finite(y)) for x, y in points)
    if _area(read) == 0:
        raise Invalid(_("The polygon encloses nothing: its points lie on one line."))
    return read


def _area(points: Sequence[Point]) -> float:
    following = [*points[1:], points[0]]
    doubled = sum(
        x * next_y - next_x * y for (x, y), (next_x, next_y) in zip(points, following, strict=True)
    )
    return abs(doubled) / 2


def _finite(number: float) -> float:
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise Invalid(_("A region is made of numbers only."))
    # Compared first: a whole number may be too large to become a float at all.
    if not abs(number) <= FARTHEST or not math.isfinite(number):
        raise Invalid(_("A region is made of finite numbers only."))
    return float(number)


def _fitted(place: float, length: int) -> float:
    if not -SLACK <= place <= length + SLACK:
        raise Invalid(
            _("The region reaches outside the image: %(place)g is not within 0 to %(length)d.")
            % {"place": place, "length": length}
        )
    return min(max(place, 0.0), float(length))
