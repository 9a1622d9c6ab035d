"""Carries out what follows from a batch's routes: tasks, dispositions, alerts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from governance import audit
from governance.access import system
from governance.audit import Trail
from inference_bridge import alerts, policy
from inference_bridge.consequences import (
    Cause,
    Seen,
    Standing,
    Step,
    deadline_of,
    holding,
    lifts_nothing,
    next_step,
)
from inference_bridge.policy import Policy
from inference_bridge.routing import inclusion, is_sampled
from labeling.catalogue import SEVERITY_RANK, learn
from labeling.models import Severity
from review import approvals
from review.dispositions import Draft, dispose_all
from review.line.claims import take_from_tablets
from review.models import ControlSample, ReviewTask, TaskKind, TaskPurpose, TaskState
from review.queue import OPEN, STOPPING, TaskDraft, due_minute, open_tasks
from review.transitions import check_transition
from traceability import tasks as image_tasks
from traceability.draws import draw
from traceability.models import (
    DeciderKind,
    DispositionKind,
    Inspection,
    Prediction,
    Route,
    Unit,
)

PATIENCE: Final = timedelta(minutes=2)
_RAISED: Final = [
    "kind",
    "score",
    "defect_class",
    "policy_version",
    "review_from",
    "contain_from",
    "inclusion_probability",
    "deadline",
    "due",
    "severity",
    "is_blind",
    "wants_second",
    "control_rate",
    "operators_until",
    "second_for_scrap",
    "second_for_concession",
    "state",
    "holder",
    "lease_expires_at",
]
_REOPENED: Final = [*_RAISED, "held_at"]


def drawn(*, site_id: int, inspection: str, label: str = "") -> float:
    """The inspection's lot in a draw (the audit's, unless another is named), in [0, 1)."""
    key = settings.SECRET_KEY.encode()
    return draw(site=str(site_id), inspection=inspection, key=key, label=label)


def is_drawn(standing: Standing, label: str, share: float) -> bool:
    """Whether the inspection is among the share of this draw; 0 draws none, 1 draws all."""
    if share <= 0:
        return False
    inspection = standing.inspection
    lot = drawn(site_id=inspection.site_id, inspection=inspection.external_id, label=label)
    return lot < share


def tasks_of(inspections: Iterable[Inspection]) -> dict[int, ReviewTask]:
    """The inspections' tasks, locked, by inspection."""
    tasks = ReviewTask.objects.select_for_update(of=("self",)).filter(
        inspection__in=inspections, purpose=TaskPurpose.FIRST
    )
    return {task.inspection_id: task for task in tasks.order_by("pk")}


def views_of(inspections: Iterable[Inspection]) -> dict[int, list[Prediction]]:
    """What is known of the inspections' views, by inspection."""
    found: dict[int, list[Prediction]] = defaultdict(list)
    for row in (
        Prediction.objects.filter(capture__inspection__in=inspections)
        .select_related("capture", "model_version")
        .order_by("pk")
    ):
        found[row.capture.inspection_id].append(row)
    return found


def seen_before(prediction: Prediction, *, in_force: Policy, line: str, part_number: str) -> Seen:
    """A view of before, under the rule of today: the one its task will be shown with."""
    rule = in_force.rule_for(
        line=line, part_number=part_number, defect_class=prediction.defect_class
    )
    return Seen(
        capture_id=prediction.capture_id,
        view=prediction.capture.view,
        route=Route(prediction.route),
        score=prediction.score,
        defect_class=prediction.defect_class,
        rule=rule,
        policy_version=in_force.version,
        model=prediction.model_version,
        deadline=deadline_of(
            asked=prediction.deadline, rule=rule, received_at=prediction.received_at
        ),
    )


def settle(*, trail: Trail, standings: Sequence[Standing]) -> None:
    """Take each inspection's next step; the statements do not depend on how many there are."""
    standings = _without_controls(standings)
    for standing in standings:
        standing.is_audited = is_sampled(
            drawn=drawn(
                site_id=standing.inspection.site_id, inspection=standing.inspection.external_id
            ),
            route=standing.worst.route,
            audit_rate=standing.worst.rule.audit_rate,
        )
    steps = [(standing, next_step(standing)) for standing in standings]
    severity = _severities(
        trail, [s for s, step in steps if step.opens or step.raises or step.reopens]
    )
    opened = [
        _task(standing, step.opens, severity, at=trail.at) for standing, step in steps if step.opens
    ]
    if opened:
        open_tasks(trail=trail, drafts=opened)
    _raise_tasks(trail, [(s, step.raises) for s, step in steps if step.raises], severity)
    _reopen_tasks(trail, [(s, step.reopens) for s, step in steps if step.reopens], severity)
    # The units are locked since their facts were written.
    dispose_all(trail=trail, drafts=_dispositions(steps), due_at=trail.at, units_are_locked=True)
    alerts.raise_all(trail=trail, standings=[s for s, step in steps if step.alerts])
    _mark_settled([s.inspection for s, step in steps if step.settles], at=trail.at)
    _prepare_images([s for s, step in steps if step.opens or step.reopens])


def _without_controls(standings: Sequence[Standing]) -> Sequence[Standing]:
    """What came late for a control is kept as a fact, and nothing follows from it."""
    settled = [s.inspection.pk for s in standings if s.was_settled]
    if not settled:
        return standings
    samples = ControlSample.objects.filter(inspection__in=settled)
    controls = set(samples.values_list("inspection_id", flat=True))
    return [s for s in standings if s.inspection.pk not in controls]


def hold_incomplete(*, at: datetime, limit: int = 200) -> int:
    """Hold units of inspections that have missed a view for too long; returns how many it found."""
    with audit.recorded(actor=system("incomplete"), at=at) as trail:
        inspections = list(
            # As in `facts`: a verdict that points at the inspection does not wait for this.
            Inspection.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
            .select_related("line", "unit__part_revision__part_number")
            .filter(settled_at__isnull=True, opened_at__lt=at - PATIENCE)
            .order_by("opened_at")[:limit]
        )
        if not inspections:
            trail.nothing_changed()
            return 0
        tasks, views = tasks_of(inspections), views_of(inspections)
        _look_again(inspections)
        standings = [
            Standing(
                inspection=inspection,
                task=tasks.get(inspection.pk),
                before=_seen_of(inspection, views[inspection.pk], at=at),
                now=(),
                was_settled=False,
            )
            for inspection in inspections
            if views[inspection.pk]
        ]
        _give_up(trail, standings)
        _mark_settled(inspections, at=at)
        for inspection in inspections:
            trail.add(
                "inspection.give_up_waiting",
                subject_kind="inspection",
                subject=inspection.external_id,
                site_id=inspection.site_id,
                detail={"views_expected": inspection.views_expected},
            )
        return len(inspections)


def _give_up(trail: Trail, standings: Sequence[Standing]) -> None:
    """Hold them, and ask about what nobody is asked about; a verdict was on too few views."""
    unasked = [s for s in standings if s.task is None]
    judged = [s for s in standings if s.is_decided]
    severity = _severities(trail, [*unasked, *judged])
    if unasked:
        drafts = [
            _task(s, s.asks or TaskKind.CAPTURE_CHECK, severity, at=trail.at) for s in unasked
        ]
        open_tasks(trail=trail, drafts=drafts)
    _reopen_tasks(trail, [(s, s.asks or TaskKind.CAPTURE_CHECK) for s in judged], severity)
    _prepare_images([*unasked, *judged])
    dispose_all(
        trail=trail,
        drafts=[
            _hold(s, Cause.INCOMPLETE)
            for s in standings
            if lifts_nothing(s.inspection.unit.disposition)
        ],
        due_at=trail.at,
        units_are_locked=True,
    )


def _look_again(inspections: Sequence[Inspection]) -> None:
    """What is done with the units, locked: a verdict may have come before the tasks were."""
    units = Unit.objects.select_for_update(no_key=True).filter(
        pk__in={inspection.unit_id for inspection in inspections}
    )
    there = dict(units.order_by("pk").values_list("pk", "disposition"))
    for inspection in inspections:
        inspection.unit.disposition = there[inspection.unit_id]


def _seen_of(inspection: Inspection, rows: Sequence[Prediction], *, at: datetime) -> list[Seen]:
    in_force = policy.in_force(site_id=inspection.site_id, at=at)
    revision = inspection.unit.part_revision
    number = revision.part_number.number if revision else ""
    return [
        seen_before(row, in_force=in_force, line=inspection.line.code, part_number=number)
        for row in rows
    ]


def _severities(trail: Trail, standings: Sequence[Standing]) -> dict[tuple[int, str], int]:
    """(site, defect class) to the queue's severity, 0 the worst; a new class is learnt."""
    codes: dict[int, set[str]] = defaultdict(set)
    for standing in standings:
        if standing.worst.defect_class:
            codes[standing.inspection.site_id].add(standing.worst.defect_class)
    return {
        (site_id, code): SEVERITY_RANK[found.severity]
        for site_id, named in codes.items()
        for code, found in learn(trail=trail, site_id=site_id, codes=named).items()
    }


def _severity(standing: Standing, severity: dict[tuple[int, str], int]) -> int:
    known = (standing.inspection.site_id, standing.worst.defect_class)
    return severity.get(known, SEVERITY_RANK[Severity.MAJOR])


def _task(
    standing: Standing, kind: TaskKind, severity: dict[tuple[int, str], int], *, at: datetime
) -> TaskDraft:
    worst = standing.worst
    return TaskDraft(
        inspection=standing.inspection,
        kind=kind,
        score=worst.score,
        defect_class=worst.defect_class,
        policy_version=worst.policy_version,
        review_from=worst.rule.review_from,
        contain_from=worst.rule.contain_from,
        inclusion_probability=(
            inclusion(worst.route, worst.rule.audit_rate) if kind is TaskKind.AUDIT else 1.0
        ),
        deadline=standing.deadline,
        severity=_severity(standing, severity),
        is_blind=is_drawn(standing, "blind", worst.rule.blind_rate),
        wants_second=is_drawn(standing, "second", worst.rule.second_rate),
        control_rate=worst.rule.control_rate,
        operators_until=_operators_until(standing, kind, at=at),
        second_for_scrap=worst.rule.second_for_scrap,
        second_for_concession=worst.rule.second_for_concession,
    )


def _operators_until(standing: Standing, kind: TaskKind, *, at: datetime) -> datetime | None:
    """Until when only the station's operators are asked; None where the question is not theirs."""
    rule = standing.worst.rule
    is_theirs = kind is TaskKind.REVIEW and standing.inspection.station_id is not None
    if not is_theirs or not rule.operators_within_s:
        return None
    if is_drawn(standing, "blind", rule.blind_rate):
        return None
    return min(standing.deadline, at + timedelta(seconds=rule.operators_within_s))


def _raise_tasks(
    trail: Trail,
    raised: Sequence[tuple[Standing, TaskKind | None]],
    severity: dict[tuple[int, str], int],
) -> None:
    """Make open tasks as grave as their worst view; an inspector who holds one keeps it, a tablet
    does not keep what is no longer for operators."""
    tasks, not_operators = [], []
    for standing, kind in raised:
        task = standing.task
        if task is None or kind is None:
            continue
        draft = _task(standing, kind, severity, at=trail.at)
        task.deadline = min(task.deadline, draft.deadline)
        was_operators = task.operators_until is not None
        _make_graver(trail, task, draft, action="task.raise")
        if was_operators and draft.operators_until is None:
            not_operators.append(task)
        tasks.append(task)
    take_from_tablets(trail=trail, tasks=not_operators)
    if tasks:
        ReviewTask.objects.bulk_update(tasks, _RAISED)


def _reopen_tasks(
    trail: Trail,
    reopened: Sequence[tuple[Standing, TaskKind | None]],
    severity: dict[tuple[int, str], int],
) -> None:
    """Ask again what was answered on fewer views; the answer of then stays on record."""
    tasks = []
    for standing, kind in reopened:
        task = standing.task
        if task is None or kind is None:
            continue
        check_transition(TaskState(task.state), TaskState.QUEUED)
        # The first question's deadline was met; this one has its own.
        task.deadline = min((seen.deadline for seen in standing.now), default=task.deadline)
        draft = _task(standing, kind, severity, at=trail.at)
        _make_graver(trail, task, draft, action="task.reopen")
        task.state, task.holder, task.lease_expires_at = TaskState.QUEUED, None, None
        task.held_at = None
        tasks.append(task)
    if tasks:
        ReviewTask.objects.bulk_update(tasks, _REOPENED)
        approvals.overtake(
            trail=trail,
            inspections=[task.inspection_id for task in tasks],
            words=_("Another view has come; it is judged anew."),
        )


def _make_graver(trail: Trail, task: ReviewTask, draft: TaskDraft, *, action: str) -> None:
    before = {"kind": task.kind, "score": task.score}
    task.kind, task.score, task.defect_class = draft.kind, draft.score, draft.defect_class
    task.policy_version = draft.policy_version
    task.review_from, task.contain_from = draft.review_from, draft.contain_from
    task.inclusion_probability = 1.0
    due = due_minute(draft.kind, task.deadline)
    # Where a lead moved it to the front it stays.
    task.due = min(task.due, due) if task.raised_at else due
    task.severity = min(task.severity, draft.severity)
    task.wants_second, task.control_rate = draft.wants_second, draft.control_rate
    task.operators_until = draft.operators_until
    task.second_for_scrap = draft.second_for_scrap
    task.second_for_concession = draft.second_for_concession
    if task.fence == 0:
        # Once somebody has had it on the screen, blind would be too late.
        task.is_blind = draft.is_blind
    trail.add(
        action,
        subject_kind="task",
        subject=task.uuid,
        site_id=task.site_id,
        detail={"was": before, "is": {"kind": draft.kind, "score": draft.score}},
    )


def _dispositions(steps: Sequence[tuple[Standing, Step]]) -> list[Draft]:
    """Holds first: a unit held in this very batch is not accepted by it.

    Nor is one that a person is asked about: his answer to the other inspection decides.
    """
    holds = [
        (standing, step.hold)
        for standing, step in steps
        if step.hold and lifts_nothing(standing.inspection.unit.disposition)
    ]
    held = {standing.inspection.unit_id for standing, _cause in holds}
    passing = [
        standing
        for standing, step in steps
        if step.accepts
        and standing.inspection.unit_id not in held
        and lifts_nothing(standing.inspection.unit.disposition)
    ]
    asked = _asked_about({standing.inspection.unit_id for standing in passing})
    accepted = [_accept(s) for s in passing if s.inspection.unit_id not in asked]
    return [_hold(standing, cause) for standing, cause in holds] + accepted


def _asked_about(units: Collection[int]) -> set[int]:
    """Those of the units with an open question, or one that waits for the rest of its views.

    An audit sample's unit was accepted already.
    """
    if not units:
        return set()
    tasks = ReviewTask.objects.filter(unit__in=units, state__in=OPEN, purpose__in=STOPPING).exclude(
        kind=TaskKind.AUDIT
    )
    doubts = Prediction.objects.filter(capture__inspection=OuterRef("pk")).exclude(route=Route.PASS)
    waiting = Inspection.objects.filter(
        Exists(doubts), unit__in=units, settled_at__isnull=True
    ).values_list("unit_id", flat=True)
    return set(tasks.values_list("unit_id", flat=True).union(waiting))


def _hold(standing: Standing, cause: Cause) -> Draft:
    seen = standing.worst
    how = holding(cause, seen)
    return Draft(
        inspection=standing.inspection,
        kind=DispositionKind.HOLD,
        decider_kind=how.decider_kind,
        decider=how.decider,
        policy_version=seen.policy_version,
        model_version=seen.model,
        reason=how.reason,
        nameplate=standing.nameplate,
    )


def _accept(standing: Standing) -> Draft:
    seen = standing.worst
    return Draft(
        inspection=standing.inspection,
        kind=DispositionKind.ACCEPT,
        decider_kind=DeciderKind.MODEL,
        decider=f"{seen.model.name} {seen.model.version}",
        policy_version=seen.policy_version,
        model_version=seen.model,
        nameplate=standing.nameplate,
    )


def _mark_settled(inspections: Sequence[Inspection], *, at: datetime) -> None:
    if inspections:
        for inspection in inspections:
            inspection.settled_at = at
        Inspection.objects.filter(pk__in=[i.pk for i in inspections]).update(settled_at=at)


def _prepare_images(standings: Sequence[Standing]) -> None:
    """Have the previews made that a person will ask for; a sweep finds what is lost here."""
    captures = [capture_id for standing in standings for capture_id in standing.capture_ids]
    if captures:
        # Robust: the broker may be away, the rows are what counts.
        transaction.on_commit(lambda: image_tasks.make_previews.delay(captures), robust=True)
