"""What somebody has on his own bench: what others said of it he is told once he has judged it."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast
from django.utils.translation import gettext as _

from governance import unseen
from governance.access import Actor
from governance.unseen import Judged
from review import lots
from review.models import (
    Approval,
    Decision,
    LotMember,
    LotReview,
    ReviewTask,
    SecondOpinion,
    TaskState,
)
from traceability.models import Capture, Inspection, Unit
from traceability.refusals import Conflict


def tasks_of(actor: Actor) -> QuerySet[ReviewTask]:
    """What he is judging right now, or has lying ready."""
    return ReviewTask.objects.filter(holder=actor.user_id, state=TaskState.LEASED)


def said_with(actor: Actor) -> QuerySet[LotMember]:
    """All parts of which something was said in one action with a unit he is judging."""
    return _said_of(tasks_of(actor).values("unit"))


def _said_of(units: QuerySet[Any, Any]) -> QuerySet[LotMember]:
    said = LotReview.objects.filter(decided_at__isnull=False, members__task__unit__in=units)
    return LotMember.objects.filter(review__in=said.values("pk"))


def is_his(actor: Actor, *, unit: str = "pk") -> Exists:
    """For a statement over units, or what has one at `unit`: whether he is judging it."""
    return Exists(tasks_of(actor).filter(unit=OuterRef(unit)))


def is_of_his_lot(actor: Actor, *, unit: str = "pk") -> Exists:
    """The same: whether something was said of it together with a unit he is judging."""
    return Exists(said_with(actor).filter(task__unit=OuterRef(unit)))


def is_any_of(judges: Collection[int], *, unit: str) -> Q:
    """For a statement over what has a unit at `unit`: whether one of these is judging it, or
    something was said of it together with such a one."""
    units = ReviewTask.objects.filter(holder__in=judges, state=TaskState.LEASED).values("unit")
    return Q(**{f"{unit}__in": units}) | Q(**{f"{unit}__in": _said_of(units).values("task__unit")})


def tag(holders: Q) -> str:
    """Another one as soon as something else is on a bench of theirs; empty while nothing is."""
    leased = ReviewTask.objects.filter(holders, state=TaskState.LEASED)
    held = sorted(leased.values_list("pk", flat=True))
    return "." + sha256(repr(held).encode()).hexdigest()[:12] if held else ""


def tells(actor: Actor) -> Q:
    """Of approvals those that would tell him of a unit he is judging: its own, and whatever was
    said of its lot in one action."""
    units = tasks_of(actor).values("unit")
    of_its_lot = lots.said_of_the_lot().filter(review__members__task__unit__in=units)
    return Q(unit__in=units) | Q(Exists(of_its_lot))


def why_unseen(actor: Actor, approval: Approval) -> str:
    """Why he is told nothing of an approval yet; empty when he may see it."""
    if tasks_of(actor).filter(unit=approval.unit_id).exists():
        return _of_the_unit()
    if Approval.objects.filter(tells(actor), pk=approval.pk).exists():
        return _of_the_lot()
    return ""


def check_is_not_his(actor: Actor, unit: int) -> None:
    """Raise Conflict while he is judging the unit, or a part of its lot."""
    if tasks_of(actor).filter(unit=unit).exists():
        raise Conflict(_of_the_unit())
    if said_with(actor).filter(task__unit=unit).exists():
        raise Conflict(_of_the_lot())


def why_lot_unseen(actor: Actor, review: LotReview) -> str:
    """The same for all that one verdict on a lot asks for."""
    if review.members.filter(task__unit__in=tasks_of(actor).values("unit")).exists():
        return _of_the_lot()
    return ""


def judged(actor: Actor) -> Judged:
    """The same for the pages of the floors below, which do not know the bench."""
    return Judged(
        units=tasks_of(actor).values("unit"),
        of_lots=said_with(actor).values(unit=F("task__unit")),
        named=lambda among: _named(actor, among),
    )


unseen.register(judged)


def _named(actor: Actor, among: Collection[str]) -> dict[tuple[int, str], bool]:
    """By whatever a record calls them: the units, their inspections, images and lots, and what was
    asked, answered and judged about them."""
    his, of_lots = tasks_of(actor).values("unit"), said_with(actor).values("task__unit")
    said_of_his = LotReview.objects.filter(decided_at__isnull=False, members__task__unit__in=his)
    numbers = _numbers(among)
    of_units: list[tuple[QuerySet[Any], str, str]] = [
        (Unit.objects.filter(serial__in=among), "serial", "pk"),
        (Inspection.objects.filter(external_id__in=among), "external_id", "unit"),
        *((model.objects.filter(uuid__in=numbers), "uuid", unit) for model, unit in _ABOUT_A_UNIT),
    ]
    lots_of_his = said_of_his.annotate(is_own=Value(value=False), word=F("lot__code"))
    found = lots_of_his.filter(lot__code__in=among).order_by().values_list(*_SAID)
    rows = found.union(
        *(
            each.filter(Q(**{f"{unit}__in": his}) | Q(**{f"{unit}__in": of_lots}))
            .order_by()
            .annotate(is_own=Q(**{f"{unit}__in": his}), word=Cast(column, TextField()))
            .values_list(*_SAID)
            for each, column, unit in of_units
        )
    )
    return {(site, word): is_own for site, word, is_own in rows}


_SAID: Final = ("site_id", "word", "is_own")
_ABOUT_A_UNIT: Final[Sequence[tuple[Any, str]]] = (
    (ReviewTask, "unit"),
    (Approval, "unit"),
    (Decision, "task__unit"),
    (SecondOpinion, "task__unit"),
    (Capture, "inspection__unit"),
)


def _numbers(words: Collection[str]) -> list[UUID]:
    """Those of the words that are the number of a record."""
    return [UUID(word) for word in words if _NUMBER.fullmatch(word)]


_NUMBER: Final = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _of_the_unit() -> str:
    return _("You are judging this unit at the bench. Finish there, or give it back, first.")


def _of_the_lot() -> str:
    return _(
        "You are judging a part of this lot at the bench. Finish there, or give it back, first."
    )
