"""Takes a batch of messages: read first, then everything that follows in one transaction."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final, TypeVar

from django.conf import settings
from django.db import DatabaseError, DataError, IntegrityError, OperationalError

from governance import audit
from governance.access import Actor
from governance.audit import Trail
from governance.roles import Capability
from inference_bridge import dead_letters, facts, policy, settling
from inference_bridge.consequences import Seen, Standing, deadline_of
from inference_bridge.envelopes import LARGEST, Address, Nothing, Sidecars, Unreadable
from inference_bridge.events import PredictionEvent, read
from inference_bridge.facts import Sighting
from inference_bridge.routing import badness, inclusion, is_sampled
from inference_bridge.sifting import Sieve
from review.line import checks
from review.line.checks import Fitness
from review.models import ReviewTask
from traceability.gateways import object_store
from traceability.models import Inspection, Route
from traceability.refusals import Refusal, Unavailable

log = logging.getLogger(__name__)

Fetch = Callable[[Address], bytes]
T = TypeVar("T")
DEADLOCK: Final = "40P01"
# What the database refuses, and what a fault of the program raises: the message that meets it must
# not stop the line.
UNFORESEEN: Final = (
    DataError,
    IntegrityError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
TRIES: Final = 3


class Status(Enum):
    """What became of a message."""

    TAKEN = "taken"
    REPEATED = "repeated"
    REFUSED = "refused"
    IGNORED = "ignored"
    NOT_NOW = "not_now"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A message as it came. A refused one is kept as a dead letter unless its sender is told."""

    message_id: str
    body: str
    received_at: datetime | None = None
    is_kept: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one event. NOT_NOW: leave the message where it is and offer it again."""

    message_id: str
    status: Status
    code: str = ""
    sentence: str = ""
    site: str = ""
    source: str = ""
    event_id: str = ""
    route: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """A message as it was read: an event, nothing to do, or why it cannot be taken."""

    message: Incoming
    found: PredictionEvent | Nothing | Unreadable | Unavailable


def fetch_sidecar(address: Address) -> bytes:
    """The sidecar's bytes; a Refusal when the store cannot give them."""
    store = object_store.store(address.bucket)
    if store.size(address.key) > LARGEST:
        raise Unreadable("too_large", f"The sidecar {address.key} is larger than 1 MiB.")
    return store.read(address.key)


def take(
    *,
    actor: Actor,
    messages: Sequence[Incoming],
    at: datetime,
    needs: Capability | None = None,
    fetch: Fetch = fetch_sidecar,
) -> list[Outcome]:
    """Take what can be taken, refuse the rest, and commit both; an outcome for each event.

    `needs`: the capability the actor must hold at the event's line; None for the consumer, which
    speaks for every sender the queue lets in. A database that fails raises OperationalError:
    nothing was taken then.
    """
    readings = [found for message in messages for found in read_message(message, at, fetch)]
    return past_deadlocks(lambda: _take(actor, readings, at=at, needs=needs))


def past_deadlocks(work: Callable[[], T]) -> T:
    """The work's result; a transaction the server chose to end is tried again."""
    for _try in range(TRIES - 1):
        try:
            return work()
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) != DEADLOCK:
                raise
    return work()


def _take(
    actor: Actor, readings: Sequence[Reading], *, at: datetime, needs: Capability | None
) -> list[Outcome]:
    try:
        with audit.recorded(actor=actor, at=at) as trail:
            return absorb(trail=trail, readings=readings, needs=needs)
    except UNFORESEEN as error:
        if len(readings) > 1:
            log.warning("a batch of %d is taken one by one: %s", len(readings), error)
            return [
                outcome
                for reading in readings
                for outcome in _take(actor, [reading], at=at, needs=needs)
            ]
        log.exception("a message cannot be taken")
        reason = unforeseen(error)
    refused = [Reading(readings[0].message, reason)]
    with audit.recorded(actor=actor, at=at) as trail:
        return absorb(trail=trail, readings=refused, needs=needs)


def unforeseen(error: Exception) -> Unreadable:
    """Why a message that met such an error cannot be taken."""
    if isinstance(error, DatabaseError):
        return Unreadable("database", f"The database refuses it: {error}"[:1000])
    return Unreadable(
        "fault",
        f"Loupe failed on it ({type(error).__name__}: {error}); the log has the details."[:1000],
    )


def read_message(message: Incoming, at: datetime, fetch: Fetch) -> list[Reading]:
    """The events in a message; several when it names several sidecars."""
    try:
        found = read(
            message.body,
            buckets=settings.LOUPE.image_buckets,
            at=at,
            received_at=message.received_at,
        )
    except Unreadable as reason:
        return [Reading(message, reason)]
    if not isinstance(found, Sidecars):
        return [Reading(message, found)]
    return [_read_sidecar(message, address, at, fetch) for address in found.addresses]


def _read_sidecar(message: Incoming, address: Address, at: datetime, fetch: Fetch) -> Reading:
    where = f"s3://{address.bucket}/{address.key}"
    try:
        text = fetch(address).decode()
        found = read(
            text, buckets=settings.LOUPE.image_buckets, at=at, received_at=message.received_at
        )
    except Unavailable as reason:
        return Reading(message, reason)
    except Refusal as refusal:
        return Reading(message, Unreadable(refusal.reason, str(refusal.sentence)))
    except UnicodeDecodeError:
        return Reading(message, Unreadable("not_json", f"{where} is not UTF-8 text."))
    except Unreadable as reason:
        return Reading(message, reason)
    if isinstance(found, Sidecars):
        return Reading(message, Unreadable("too_deep", f"{where} only names other objects."))
    return Reading(message, found)


def absorb(*, trail: Trail, readings: Sequence[Reading], needs: Capability | None) -> list[Outcome]:
    """Everything a batch leads to, within the caller's transaction."""
    sieve = Sieve(actor=trail.actor, needs=needs, at=trail.at)
    sieve.sort(
        [(n, r.found) for n, r in enumerate(readings) if isinstance(r.found, PredictionEvent)]
    )
    if sieve.sightings:
        _record(trail, list(sieve.sightings.values()), sieve.earlier)
    outcomes = [_outcome(number, reading, sieve) for number, reading in enumerate(readings)]
    kept = [
        dead_letters.Refused(
            message_id=reading.message.message_id,
            body=reading.message.body,
            code=outcome.code,
            reason=outcome.sentence,
            site_code=outcome.site,
        )
        for reading, outcome in zip(readings, outcomes, strict=True)
        if outcome.status is Status.REFUSED and reading.message.is_kept
    ]
    is_kept = dead_letters.keep(trail=trail, refused=kept)
    if not sieve.sightings and not is_kept:
        trail.nothing_changed()
    return outcomes


def _record(
    trail: Trail, sightings: Sequence[Sighting], earlier: dict[tuple[int, str], Inspection]
) -> None:
    facts.find_references(sightings, at=trail.at)
    # Before the new views are written, so that they are told apart.
    joined = list(earlier.values())
    views = _seen_before(sightings, earlier, at=trail.at) if joined else {}
    tasks = settling.tasks_of(joined) if joined else {}
    settled = {inspection.pk for inspection in joined if inspection.settled_at}
    by_inspection: dict[tuple[int, str], list[Sighting]] = {}
    for s in sightings:
        by_inspection.setdefault(s.inspection_key, []).append(s)
    for key, group in by_inspection.items():
        there = earlier.get(key)
        before = views.get(there.pk, []) if there else []
        _weigh(group, before, was_drawn=there is not None and there.pk in settled)
    facts.record(sightings, earlier=earlier, at=trail.at)
    settling.settle(
        trail=trail,
        standings=[
            _standing(group, views, tasks, settled, at=trail.at) for group in by_inspection.values()
        ],
    )
    for (site_id, site), routes in _counted(sightings).items():
        trail.add(
            "predictions.take",
            subject_kind="site",
            subject=site,
            site_id=site_id,
            detail={"routes": dict(routes)},
        )
    checks.saw(trail=trail, seen=_fitness(sightings), at=trail.at)


def _fitness(sightings: Sequence[Sighting]) -> list[Fitness]:
    """What the batch says of the images of each station, in the order it came."""
    return [
        Fitness(
            station_id=s.station_id,
            line_id=s.line_id,
            site_id=s.site.pk,
            capture_id=s.its_capture.pk,
            is_fit=s.event.shot.is_fit,
            quality=s.event.shot.quality,
        )
        for s in sightings
        if s.station_id is not None
    ]


def _seen_before(
    sightings: Sequence[Sighting], earlier: dict[tuple[int, str], Inspection], *, at: datetime
) -> dict[int, list[Seen]]:
    """The views of before, by inspection."""
    rows = settling.views_of(earlier.values())
    found: dict[int, list[Seen]] = {}
    for s in sightings:
        there = earlier.get(s.inspection_key)
        if there is not None and there.pk not in found:
            found[there.pk] = [
                settling.seen_before(
                    row,
                    in_force=policy.in_force(site_id=s.site.pk, at=at),
                    line=s.event.place.line,
                    part_number=s.event.shot.part_number,
                )
                for row in rows.get(there.pk, ())
            ]
    return found


def _weigh(group: Sequence[Sighting], before: Sequence[Seen], *, was_drawn: bool) -> None:
    """Give views the chance their inspection has to be judged: its worst view so far draws."""
    views = [(seen.badness, seen.route, seen.rule) for seen in before]
    if not (views and was_drawn and all(s.route == Route.PASS for s in group)):
        # A view that passes after the draw is not drawn again.
        views += [(badness(s.route, s.event.score), s.route, s.rule) for s in group]
    _badness, worst, rule = max(views, key=lambda view: view[0])
    first = group[0]
    lot = settling.drawn(site_id=first.site.pk, inspection=first.event.shot.inspection_id)
    for s in group:
        s.inclusion = inclusion(worst, rule.audit_rate)
        s.is_sampled = is_sampled(drawn=lot, route=worst, audit_rate=rule.audit_rate)


def _standing(
    group: Sequence[Sighting],
    views: dict[int, list[Seen]],
    tasks: dict[int, ReviewTask],
    settled: set[int],
    *,
    at: datetime,
) -> Standing:
    first = group[0]
    inspection = first.its_inspection
    return Standing(
        inspection=inspection,
        task=tasks.get(inspection.pk),
        before=views.get(inspection.pk, ()),
        now=[_seen(s, at=at) for s in group],
        was_settled=inspection.pk in settled,
        nameplate=first.nameplate,
    )


def _seen(s: Sighting, *, at: datetime) -> Seen:
    return Seen(
        capture_id=s.its_capture.pk,
        view=s.event.shot.view,
        route=s.route,
        score=s.event.score,
        defect_class=s.event.defect_class,
        rule=s.rule,
        policy_version=s.policy_version,
        model=s.its_model,
        deadline=deadline_of(asked=s.event.deadline, rule=s.rule, received_at=at),
    )


def _counted(sightings: Sequence[Sighting]) -> dict[tuple[int, str], Counter[str]]:
    found: dict[tuple[int, str], Counter[str]] = {}
    for s in sightings:
        found.setdefault((s.site.pk, s.site.code), Counter())[str(s.route)] += 1
    return found


def _outcome(number: int, reading: Reading, sieve: Sieve) -> Outcome:
    message_id, found = reading.message.message_id, reading.found
    if isinstance(found, Nothing):
        return Outcome(message_id=message_id, status=Status.IGNORED)
    if isinstance(found, Unavailable):
        return Outcome(
            message_id=message_id,
            status=Status.NOT_NOW,
            code=found.reason,
            sentence=str(found.sentence),
        )
    if isinstance(found, Unreadable):
        return _refusal(message_id, found, site=found.site)
    if number in sieve.refused:
        return _refusal(message_id, sieve.refused[number], site=found.place.site, event=found)
    sighting = sieve.sightings.get(number)
    return Outcome(
        message_id=message_id,
        status=Status.TAKEN if sighting else Status.REPEATED,
        site=found.place.site,
        source=found.source,
        event_id=found.event_id,
        route=sighting.route if sighting else "",
    )


def _refusal(
    message_id: str, reason: Unreadable, *, site: str, event: PredictionEvent | None = None
) -> Outcome:
    return Outcome(
        message_id=message_id,
        status=Status.REFUSED,
        code=reason.code,
        sentence=reason.sentence,
        site=site,
        source=event.source if event else "",
        event_id=event.event_id if event else "",
    )
