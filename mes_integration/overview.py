"""What does not get through, and how each target does: what `/write-backs/` opens with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import (
    Case,
    Count,
    F,
    IntegerField,
    Min,
    Q,
    QuerySet,
    TextField,
    Value,
    When,
)

from governance.access import Actor, sites_for
from governance.roles import Capability
from mes_integration.models import (
    DeliveryAttempt,
    MesChange,
    Ncr,
    ReconciliationException,
    WriteBack,
    WriteBackAlarm,
)
from mes_integration.resolution import LINE
from mes_integration.targets import fault_of, targets, targets_of
from mes_integration.transitions import Outcome, State

SEE: Final = Capability.SEE_WRITE_BACKS
WORST_FIRST: Final = (
    State.NEEDS_PERSON,
    State.REJECTED,
    State.UNCERTAIN,
    State.RETRY,
    State.SENT,
    State.PENDING,
    State.SENDING,
)
COUNTED_UP_TO: Final = 1000
GROUPS: Final = 12
_WINDOW: Final = 1000
"""The latest attempts of all, in which is looked whether a target answers."""
_SILENT: Final = (Outcome.NOT_TAKEN, Outcome.UNCERTAIN, Outcome.UNREAD)
_NO_CALL: Final = (
    Outcome.LOST,
    Outcome.WAITING,
    Outcome.SILENT,
    Outcome.BLOCKED,
    Outcome.PERSON,
    Outcome.REOPENED,
)


@dataclass(frozen=True, slots=True)
class Reach:
    """Whether a target answers: None while nobody has tried lately; since when it does not."""

    answers: bool | None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class AtTarget:
    """One target of one site; `fault`: why nothing can go there as it is set."""

    site: str
    target: str
    is_configured: bool
    waiting: int
    needs_person: int
    oldest: datetime | None
    acknowledged_at: datetime | None
    reach: Reach
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Undelivered write-backs that have the same reason; `own`: how many of them the person who
    looks may send again. `unseen`: stands in place of a reason he is not told; such are sent again
    one by one."""

    site: str
    target: str
    state: State
    last_error: str
    count: int
    own: int
    oldest: datetime
    unseen: str = ""


def undelivered(actor: Actor) -> QuerySet[WriteBack]:
    """Everything of the actor's that no target has taken yet."""
    return WriteBack.objects.filter(actor.within(SEE, line=LINE), settled_at__isnull=True)


def needing_person(actor: Actor) -> QuerySet[WriteBack]:
    """What of it does not go on by itself."""
    return undelivered(actor).filter(state__in=[State.REJECTED, State.NEEDS_PERSON])


def worst_first(rows: QuerySet[WriteBack]) -> QuerySet[WriteBack]:
    """What needs a person, then what is in doubt, then what leaves by itself; oldest first."""
    rank = Case(
        *(When(state=state, then=Value(place)) for place, state in enumerate(WORST_FIRST)),
        default=Value(len(WORST_FIRST)),
        output_field=IntegerField(),
    )
    return rows.select_related("unit", "site", "disposition__inspection").order_by(
        rank, "enqueued_at", "pk"
    )


def groups(
    rows: QuerySet[WriteBack], *, actor: Actor, withheld: Mapping[int, str] | None = None
) -> list[Group]:
    """The reasons most of them have in common; what simply waits for its turn has none. Of the
    units `withheld` from the actor the phrase stands in its place, as `unseen.units` has it."""
    mine = actor.within(Capability.RESOLVE_WRITE_BACKS, line=LINE)
    of_phrase: dict[str, list[int]] = {}
    for unit, phrase in (withheld or {}).items():
        of_phrase.setdefault(str(phrase), []).append(unit)
    phrases = [When(unit__in=units, then=Value(phrase)) for phrase, units in of_phrase.items()]
    found = (
        # What is on its way right now can be sent by nobody else.
        rows.exclude(last_error="")
        .exclude(state=State.SENDING)
        .annotate(unseen=Case(*phrases, default=Value(""), output_field=TextField()))
        .annotate(said=Case(When(unseen="", then=F("last_error")), default=Value("")))
        .values_list("site__code", "target", "state", "said", "unseen")
        .annotate(count=Count("pk"), own=Count("pk", filter=mine), oldest=Min("enqueued_at"))
        .order_by("-count", "oldest")[:GROUPS]
    )
    return [
        Group(site, target, State(state), said, count, own, oldest, unseen)
        for site, target, state, said, unseen, count, own, oldest in found
    ]


def at_targets(actor: Actor) -> list[AtTarget]:
    """Every target of the actor's sites, those also that only old write-backs still name."""
    sites = list(sites_for(actor, SEE))
    waiting = _waiting(actor)
    codes = {site.pk: site.code for site in sites}
    configured = {(s.pk, name) for s in sites for name in targets_of(s.code)}
    known = {found.name: found for found in targets()}
    reach = _reach(set(codes))
    return [
        AtTarget(
            site=codes[pk],
            target=name,
            is_configured=name in known,
            waiting=waiting.get((pk, name), {}).get("waiting", 0),
            needs_person=waiting.get((pk, name), {}).get("needs_person", 0),
            oldest=waiting.get((pk, name), {}).get("oldest"),
            acknowledged_at=_last_acknowledgement(pk, name),
            reach=reach.get((pk, name), Reach(None)),
            fault=fault_of(known[name]) if name in known else "",
        )
        for pk, name in sorted(configured | set(waiting), key=lambda k: (codes[k[0]], k[1]))
    ]


_Waiting = Mapping[tuple[int, str], Mapping[str, Any]]


def _waiting(actor: Actor) -> _Waiting:
    rows = (
        undelivered(actor)
        .values("site_id", "target")
        .annotate(
            waiting=Count("pk"),
            needs_person=Count("pk", filter=Q(state__in=[State.REJECTED, State.NEEDS_PERSON])),
            oldest=Min("enqueued_at"),
        )
        .order_by()
    )
    return {(row["site_id"], row["target"]): row for row in rows}


def _last_acknowledgement(site: int, target: str) -> datetime | None:
    return (
        WriteBack.objects.filter(site=site, target=target, state=State.ACKNOWLEDGED)
        .order_by("-settled_at")
        .values_list("settled_at", flat=True)
        .first()
    )


def _reach(sites: set[int]) -> dict[tuple[int, str], Reach]:
    """By the latest attempts: whether the last call was answered, else since when none was."""
    attempts = DeliveryAttempt.objects.order_by("-pk").values_list(
        "site_id", "write_back__target", "at", "outcome", "status"
    )[:_WINDOW]
    found: dict[tuple[int, str], Reach] = {}
    over: set[tuple[int, str]] = set()
    for site, target, at, outcome, status in attempts:
        key = (site, target)
        if site not in sites or key in over or outcome in _NO_CALL:
            continue
        if outcome in _SILENT and status is None:
            found[key] = Reach(answers=False, since=at)
            continue
        over.add(key)
        found.setdefault(key, Reach(answers=True))
    return found


def alarms(actor: Actor) -> list[WriteBackAlarm]:
    """Standing alarms of the actor's sites, oldest first."""
    sites = [site.pk for site in sites_for(actor, SEE)]
    return list(
        WriteBackAlarm.objects.filter(site__in=sites, cleared_at__isnull=True)
        .select_related("site")
        .order_by("raised_at")
    )


@dataclass(frozen=True, slots=True)
class Open:
    """How many of each need a person; COUNTED_UP_TO means that many or more."""

    write_backs: int
    conflicts: int
    exceptions: int
    blocked: int
    nonconformances: int


def open_counts(actor: Actor) -> Open:
    """What the tabs count."""
    stuck = needing_person(actor)
    conflicts = MesChange.objects.filter(actor.within(SEE), state=MesChange.State.OPEN)
    return Open(
        write_backs=_bounded(stuck),
        conflicts=_bounded(conflicts),
        exceptions=_bounded(open_exceptions(actor)),
        blocked=_bounded(
            stuck.filter(
                state=State.NEEDS_PERSON,
                message__isnull=True,
                delivery_attempts__outcome=Outcome.BLOCKED,
            ).distinct()
        ),
        nonconformances=_bounded(
            Ncr.objects.filter(actor.within(SEE)).exclude(state=Ncr.State.CLOSED)
        ),
    )


def open_exceptions(actor: Actor) -> QuerySet[ReconciliationException]:
    """What reconciliations found and nobody has dealt with, oldest first."""
    return (
        ReconciliationException.objects.filter(
            actor.within(SEE), state=ReconciliationException.State.OPEN
        )
        .select_related("site", "write_back__unit", "write_back__disposition")
        .order_by("pk")
    )


def _bounded(rows: QuerySet[Any]) -> int:
    return len(rows.order_by().values_list("pk")[:COUNTED_UP_TO])


def chain(row: WriteBack, *, limit: int) -> Sequence[WriteBack]:
    """The unit's revisions at the row's target, newest first."""
    return list(
        WriteBack.objects.filter(unit=row.unit_id, target=row.target)
        .select_related("unit", "site", "disposition__inspection")
        .order_by("-revision")[:limit]
    )


def siblings(row: WriteBack) -> Sequence[WriteBack]:
    """Where else the same disposition goes, and where it stands there."""
    return list(
        WriteBack.objects.filter(disposition=row.disposition_id)
        .select_related("unit", "site", "disposition__inspection")
        .order_by("target")
    )
