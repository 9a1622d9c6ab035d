"""What a person is told nowhere now, because he is judging it himself.

Who hands out the units stands on a floor above the pages that would tell: he registers here how
they are found.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self

from django.db.models import Q, QuerySet, Value
from django.utils.translation import gettext as _

from governance.access import Actor


@dataclass(frozen=True, slots=True)
class Judged:
    """Ids of `units` he judges, and those `of_lots` of which something was said together with one
    of them: both statements of the one column `unit`. `named`: which of some words, each with the
    site it is of, name one of them or what was made about it, and whether he is judging that."""

    units: QuerySet[Any, Any]
    of_lots: QuerySet[Any, Any]
    named: Callable[[Collection[str]], Mapping[tuple[int, str], bool]]


class Phrase(str):
    """Stands where something is withheld. `is_own`: of a unit he judges, not of a part of its
    lot."""

    __slots__ = ("is_own",)
    is_own: bool

    @classmethod
    def of(cls, text: str, *, is_own: bool) -> Self:
        """The text, and which of the two it says."""
        made = cls(text)
        made.is_own = is_own
        return made


Source = Callable[[Actor], Judged]
_sources: list[Source] = []


def register(source: Source) -> None:
    """Say how the units are found that an actor is judging right now; once, as the app starts."""
    if source not in _sources:
        _sources.append(source)


def units(actor: Actor) -> Mapping[int, Phrase]:
    """The units, by id, with the phrase that stands where something is withheld; one statement."""
    found: dict[int, Phrase] = {}
    for judged in _judged(actor):
        own = judged.units.order_by().annotate(is_own=Value(1)).values_list("unit", "is_own")
        of_lots = judged.of_lots.order_by().annotate(is_own=Value(0)).values_list("unit", "is_own")
        for unit, is_own in own.union(of_lots):
            if is_own or unit not in found:
                found[unit] = own_phrase() if is_own else lot_phrase()
    return found


def about(actor: Actor, *, unit: str = "unit") -> Q:
    """Of rows with a unit those about one of them."""
    found = Q(pk__in=[])
    for judged in _judged(actor):
        found |= Q(**{f"{unit}__in": judged.units}) | Q(**{f"{unit}__in": judged.of_lots})
    return found


def named(actor: Actor, among: Collection[str]) -> Mapping[tuple[int, str], Phrase]:
    """Which of the words name one of them, each with the site it is of, and the same phrase; one
    statement."""
    return {
        each: own_phrase() if is_own else lot_phrase()
        for judged in _judged(actor)
        for each, is_own in judged.named(among).items()
    }


def own_phrase() -> Phrase:
    """Stands in place of what is withheld of a unit on one's own bench."""
    return Phrase.of(_("on your bench; told after your verdict"), is_own=True)


def lot_phrase() -> Phrase:
    """The same of another part of its lot."""
    said = _("a part of its lot is on your bench; told after your verdict")
    return Phrase.of(said, is_own=False)


def sentence(phrase: Phrase) -> str:
    """The same where there is room for it."""
    if phrase.is_own:
        return _(
            "You are judging this unit at the bench. Its story is told here after your verdict."
        )
    return _(
        "You are judging a part of its lot at the bench. Its story is told here after your verdict."
    )


def _judged(actor: Actor) -> list[Judged]:
    return [] if actor.user_id is None else [source(actor) for source in _sources]
