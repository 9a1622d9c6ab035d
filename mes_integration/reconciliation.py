"""Reconciliation: every night what we hold as acknowledged is read back, target by target.

A run is a row with a place to go on from, so that a crash costs one batch. No transaction is open
while a target is asked; what it said is written behind a fence, so that two never write one run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from governance.access import Actor, system
from governance.audit import Trail, recorded
from mes_integration import comparison, mappings
from mes_integration.comparison import Finding
from mes_integration.models import Reconciliation, ReconciliationException, WriteBack
from mes_integration.targets import Target, adapter_of, target, targets
from mes_integration.transitions import State
from traceability.models import Site
from traceability.refusals import Invalid, Refusal, Unavailable

NIGHTLY: Final = system("reconciliation")
BATCH: Final = 20
LEASE: Final = timedelta(minutes=10)
PATIENCE: Final = 5
"""Unread answers in a row after which the target, not the row, is taken to be at fault."""
GIVEN_UP: Final = timedelta(hours=20)
"""How long a run waits for its target; the next night has its own."""
_Open = ReconciliationException.State.OPEN


@dataclass(frozen=True, slots=True)
class Pair:
    """A site and a target of it."""

    site: Site
    target: Target


def pairs() -> Iterator[Pair]:
    """Every site with each of its targets."""
    for site in Site.objects.order_by("code"):
        for found in targets():
            if found.serves(site.code):
                yield Pair(site, found)


def why_not(*, site: Site, name: str) -> str:
    """The sentence that says why a target cannot be reconciled; empty when it can."""
    found = target(name)
    if found is None:
        return _("No such target configured.")
    try:
        _version, profile = mappings.in_force(site_id=site.pk, target=found)
    except Refusal:
        # Each row is asked for by the mapping it was said with.
        return ""
    if not profile.capabilities.read_back:
        return _("This target cannot be asked what it holds.")
    return ""


def start(
    *, site: Site, name: str, at: datetime, days: int | None = None, actor: Actor = NIGHTLY
) -> Reconciliation:
    """The pair's open run, or a new one over the last days; Invalid when it cannot be made."""
    if sentence := why_not(site=site, name=name):
        raise Invalid(sentence)
    with recorded(actor=actor, at=at) as trail:
        Site.objects.select_for_update(no_key=True).get(pk=site.pk)
        running = _open(site, name)
        if running is not None and running.started_at > at - GIVEN_UP:
            trail.nothing_changed()
            return running
        if running is not None:
            _finish(trail, running, trouble=running.trouble or _("It was never ended."))
        since = at - timedelta(days=days or settings.LOUPE.mes_reconcile_days)
        run = Reconciliation.objects.create(
            site=site,
            target=name,
            since=since,
            until=at,
            after_at=since,
            started_at=at,
            asked_by=actor.name if actor.kind == "person" else "",
        )
        _note(trail, "reconciliation.start", run)
    return run


def start_all(*, at: datetime) -> int:
    """A run for every pair that can be reconciled; how many there are."""
    able = [p for p in pairs() if not why_not(site=p.site, name=p.target.name)]
    for pair in able:
        start(site=pair.site, name=pair.target.name, at=at)
    return len(able)


def _open(site: Site, name: str) -> Reconciliation | None:
    return (
        Reconciliation.objects.select_for_update()
        .filter(site=site, target=name, finished_at__isnull=True)
        .first()
    )


def carry_on(*, clock: Callable[[], datetime], for_s: float) -> None:
    """Take the open runs as far as they go in `for_s` seconds; other workers' are left alone."""
    ends = time.monotonic() + for_s
    pace = _Pace(settings.LOUPE.mes_reconcile_per_s)
    unfinished = Reconciliation.objects.filter(finished_at__isnull=True).order_by("pk")
    for pk in list(unfinished.values_list("pk", flat=True)):
        run = _take(pk, at=clock())
        if run is None:
            continue
        while time.monotonic() < ends and _batch(run, pace, at=clock()):
            pass
        Reconciliation.objects.filter(pk=run.pk, fence=run.fence).update(lease_expires_at=None)


def carry_through(run: Reconciliation, *, clock: Callable[[], datetime]) -> Reconciliation:
    """Take one run to its end now; Unavailable when somebody else is at it."""
    taken = _take(run.pk, at=clock())
    if taken is None:
        raise Unavailable(
            _("A reconciliation with %(target)s is running; wait for it.") % {"target": run.target}
        )
    pace = _Pace(settings.LOUPE.mes_reconcile_per_s)
    while _batch(taken, pace, at=clock()):
        pass
    Reconciliation.objects.filter(pk=run.pk, fence=taken.fence).update(lease_expires_at=None)
    run.refresh_from_db()
    return run


def _take(pk: int, *, at: datetime) -> Reconciliation | None:
    """The run under a fence of our own; None when it is over or somebody works on it."""
    free = Q(lease_expires_at__isnull=True) | Q(lease_expires_at__lt=Now())
    with recorded(actor=NIGHTLY, at=at) as trail:
        trail.nothing_changed()
        run = (
            Reconciliation.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("site")
            .filter(free, pk=pk, finished_at__isnull=True)
            .first()
        )
        if run is None:
            return None
        run.fence += 1
        Reconciliation.objects.filter(pk=pk).update(fence=run.fence, lease_expires_at=Now() + LEASE)
    return run


def _batch(run: Reconciliation, pace: _Pace, *, at: datetime) -> bool:
    """Compare some rows and write down what came of it; whether there is more to do now."""
    mes = adapter_of(run.target)
    if mes is None:
        return _end(run, trouble=_("No such target configured."), at=at)
    is_again = False
    rows = list(_next_rows(run))
    if not rows:
        rows, is_again = list(_still_open(run)), True
    if not rows:
        return _end(run, trouble="", at=at)
    skipped = comparison.overwritten(rows)
    findings: list[Finding] = []
    trouble = ""
    for row in rows:
        if row.pk in skipped:
            findings.append(Finding(row))
            continue
        if not comparison.can_be_asked(row):
            findings.append(Finding(row, is_unasked=True))
            continue
        pace.wait()
        findings.append(comparison.compare(mes, row))
        if trouble := _trouble(findings):
            break
    return _write(run, _heard(findings), trouble=trouble, moves=not is_again, at=at)


def _next_rows(run: Reconciliation) -> QuerySet[WriteBack]:
    """What is compared next, as it was acknowledged: what was sent and has a reference."""
    return (
        WriteBack.objects.filter(
            site=run.site_id,
            target=run.target,
            state=State.ACKNOWLEDGED,
            settled_at__gte=run.after_at,
            settled_at__lt=run.until,
            reference__gt="",
            message__isnull=False,
        )
        .exclude(settled_at=run.after_at, pk__lte=run.after_pk)
        .select_related("unit__lot", "unit__work_order", "site", "disposition__inspection")
        .order_by("settled_at", "pk")[:BATCH]
    )


def _still_open(run: Reconciliation) -> QuerySet[WriteBack]:
    """What is open from before and lies outside the days of this run."""
    return (
        WriteBack.objects.filter(
            state=State.ACKNOWLEDGED,
            exceptions__state=_Open,
            exceptions__seen_at__lt=run.started_at,
            site=run.site_id,
            target=run.target,
        )
        .select_related("unit__lot", "unit__work_order", "site", "disposition__inspection")
        .order_by("pk")[:BATCH]
    )


def _trouble(findings: Sequence[Finding]) -> str:
    """Why the run rests: the target is away, or has not let itself be read for a while."""
    asked = [finding for finding in findings if not finding.is_unasked]
    if not asked:
        return ""
    last = asked[-1]
    if last.is_silent:
        return last.theirs
    unread = asked[-PATIENCE:]
    if len(unread) == PATIENCE and all(f.kind is comparison.Kind.UNREAD for f in unread):
        return last.theirs
    return ""


def _heard(findings: Sequence[Finding]) -> list[Finding]:
    """Without those at the end that say nothing but that the target is in trouble."""
    if not _trouble(findings):
        return list(findings)
    heard = list(findings)
    while heard and heard[-1].kind is comparison.Kind.UNREAD:
        heard.pop()
    return heard


def _write(
    run: Reconciliation,
    findings: Sequence[Finding],
    *,
    trouble: str,
    moves: bool,
    at: datetime,
) -> bool:
    """The batch's findings and the place to go on from, unless the fence is stale."""
    with recorded(actor=NIGHTLY, at=at) as trail:
        trail.nothing_changed()
        held = Reconciliation.objects.select_for_update().filter(pk=run.pk, fence=run.fence)
        if not held.exists():
            return False
        for finding in findings:
            _keep(trail, run, finding)
        if findings and moves:
            last = findings[-1].row
            run.after_at, run.after_pk = last.settled_at or run.after_at, last.pk
            run.compared += len(findings)
        run.differing += sum(f.kind is not None for f in findings)
        held.update(
            after_at=run.after_at,
            after_pk=run.after_pk,
            compared=run.compared,
            differing=run.differing,
            trouble=trouble[:500],
            lease_expires_at=Now() + LEASE,
        )
    return not trouble


def _keep(trail: Trail, run: Reconciliation, finding: Finding) -> None:
    """Open an exception, see it again, or close it because both agree; unasked it stays open."""
    row = finding.row
    known = (
        ReconciliationException.objects.select_for_update()
        .filter(write_back=row.pk, state=_Open)
        .first()
    )
    if finding.kind is None:
        if known is not None and finding.is_unasked:
            # Seen, or this run would come back to it for ever; what was found then still stands.
            known.seen_at = trail.at
            known.save(update_fields=["seen_at"])
        elif known is not None:
            close(trail=trail, found=known, state=ReconciliationException.State.AGREED)
        return
    if known is not None:
        known.kind, known.theirs, known.seen_at = finding.kind, finding.theirs, trail.at
        known.save(update_fields=["kind", "theirs", "seen_at"])
        return
    if not _stands(row):
        return
    opened = ReconciliationException.objects.create(
        site_id=row.site_id,
        line_id=row.disposition.inspection.line_id,
        target=row.target,
        write_back=row,
        reconciliation=run,
        kind=finding.kind,
        theirs=finding.theirs,
        opened_at=trail.at,
        seen_at=trail.at,
    )
    note(trail, "reconciliation.differ", opened)


def _stands(row: WriteBack) -> bool:
    """Whether it is still acknowledged: a person may have sent it again meanwhile."""
    return WriteBack.objects.filter(pk=row.pk, state=State.ACKNOWLEDGED).exists()


def close(
    *,
    trail: Trail,
    found: ReconciliationException,
    state: ReconciliationException.State,
    reason: str = "",
) -> None:
    """Put an exception away; the caller holds its lock."""
    found.state, found.closed_at, found.reason = state, trail.at, reason
    found.closed_by = "" if trail.actor.kind == "system" else trail.actor.name
    found.save(update_fields=["state", "closed_at", "closed_by", "reason"])
    note(trail, "reconciliation.settle", found, reason=reason)


def note(trail: Trail, action: str, found: ReconciliationException, *, reason: str = "") -> None:
    """Audit what became of an exception."""
    trail.add(
        action,
        subject_kind="unit",
        subject=found.write_back.unit.serial,
        site_id=found.site_id,
        detail={
            "write_back": str(found.write_back.uuid),
            "target": found.target,
            "kind": found.kind,
            "theirs": found.theirs,
            "state": found.state,
        },
        reason=reason,
    )


def _end(run: Reconciliation, *, trouble: str, at: datetime) -> bool:
    with recorded(actor=NIGHTLY, at=at) as trail:
        trail.nothing_changed()
        held = Reconciliation.objects.select_for_update().filter(pk=run.pk, fence=run.fence).first()
        if held is not None:
            _finish(trail, held, trouble=trouble)
    return False


def _finish(trail: Trail, run: Reconciliation, *, trouble: str) -> None:
    run.finished_at, run.trouble, run.lease_expires_at = trail.at, trouble[:500], None
    run.fence += 1
    run.save(update_fields=["finished_at", "trouble", "lease_expires_at", "fence"])
    _note(trail, "reconciliation.finish", run)


def _note(trail: Trail, action: str, run: Reconciliation) -> None:
    trail.add(
        action,
        subject_kind="target",
        subject=run.target,
        site_id=run.site_id,
        detail={
            "since": run.since.isoformat(),
            "compared": run.compared,
            "differing": run.differing,
            "trouble": run.trouble,
        },
    )


@dataclass(slots=True)
class _Pace:
    """At most so many calls a second."""

    per_s: float
    _next: float = field(default=0.0)

    def wait(self) -> None:
        """Until the next call may be made."""
        now = time.monotonic()
        if self._next > now:
            time.sleep(self._next - now)
        self._next = max(now, self._next) + 1 / self.per_s
