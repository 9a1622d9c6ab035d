"""What follows from where an inspection's views were routed: task, disposition, alert."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from django.utils.translation import gettext as _

from inference_bridge.routing import Rule, badness
from review.models import ReviewTask, TaskKind, TaskState
from traceability.models import (
    DeciderKind,
    DispositionKind,
    Inspection,
    ModelVersion,
    Route,
)
from traceability.nameplates import Nameplate


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One view of an inspection as it was routed."""

    capture_id: int
    view: str
    route: Route
    score: float
    defect_class: str
    rule: Rule
    policy_version: int
    model: ModelVersion
    deadline: datetime

    @property
    def badness(self) -> tuple[int, float]:
        """Sorts views; the worst decides."""
        return badness(self.route, self.score)


class Stage(Enum):
    """How far an inspection has come."""

    WAITING = "waiting"
    PASSED = "passed"
    ASKED = "asked"
    ANSWERED = "answered"


class Cause(Enum):
    """Why a unit is held without a person."""

    MODEL = "model"
    CAPTURE = "capture"
    LATE_VIEW = "late view"
    INCOMPLETE = "inspection incomplete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is to be done now; everything off means wait."""

    opens: TaskKind | None = None
    raises: TaskKind | None = None
    reopens: TaskKind | None = None
    hold: Cause | None = None
    accepts: bool = False
    alerts: bool = False
    settles: bool = False


@dataclass(slots=True, kw_only=True)
class Standing:
    """An inspection with everything known of it: views of before, and those of this batch.

    `was_settled`: before this batch.
    """

    inspection: Inspection
    task: ReviewTask | None
    before: Sequence[Seen]
    now: Sequence[Seen]
    was_settled: bool
    nameplate: Nameplate | None = None
    is_audited: bool = False

    @property
    def stage(self) -> Stage:
        """Derived from task and settlement, never stored."""
        if self.task is not None:
            return Stage.ASKED if self.task.state in ("QUEUED", "LEASED") else Stage.ANSWERED
        return Stage.PASSED if self.was_settled else Stage.WAITING

    @property
    def is_decided(self) -> bool:
        """Whether a person has answered; a closed task is asked no more."""
        return self.task is not None and self.task.state == TaskState.DECIDED

    @property
    def is_complete(self) -> bool:
        """Whether every expected view is in."""
        views = {seen.view for seen in (*self.before, *self.now)}
        return len(views) >= self.inspection.views_expected

    @property
    def worst(self) -> Seen:
        """Of all views."""
        return max((*self.before, *self.now), key=lambda seen: seen.badness)

    @property
    def worst_now(self) -> Seen:
        """Of this batch's views."""
        return max(self.now, key=lambda seen: seen.badness)

    @property
    def is_whole(self) -> bool:
        """Whether every expected view is in and its latest image fit to judge."""
        latest = {seen.view: seen.route for seen in (*self.before, *self.now)}
        return self.is_complete and Route.CAPTURE_CHECK not in latest.values()

    @property
    def was_whole(self) -> bool:
        """The same, before this batch."""
        latest = {seen.view: seen.route for seen in self.before}
        is_complete = len(latest) >= self.inspection.views_expected
        return is_complete and Route.CAPTURE_CHECK not in latest.values()

    @property
    def capture_ids(self) -> list[int]:
        """Of all views."""
        return [seen.capture_id for seen in (*self.before, *self.now)]

    @property
    def deadline(self) -> datetime:
        """The earliest one any view asks for."""
        return min(seen.deadline for seen in (*self.before, *self.now))

    @property
    def asks(self) -> TaskKind | None:
        """What a person is to be asked of the worst view; nothing when it passes."""
        return _ASKS.get(self.worst.route)


_ASKS: Final = {
    Route.REVIEW: TaskKind.REVIEW,
    Route.CAPTURE_CHECK: TaskKind.CAPTURE_CHECK,
    Route.CONTAIN: TaskKind.CONTAIN,
}
_ROUTE_OF: Final = {
    TaskKind.AUDIT: Route.PASS,
    TaskKind.REVIEW: Route.REVIEW,
    TaskKind.CAPTURE_CHECK: Route.CAPTURE_CHECK,
    TaskKind.CONTAIN: Route.CONTAIN,
}
_HOLDS: Final = {Route.CONTAIN: Cause.MODEL, Route.CAPTURE_CHECK: Cause.CAPTURE}


def next_step(standing: Standing) -> Step:
    """The rule of the house for one inspection; pure.

    Waiting: the worst view holds at once; it passes or is asked about when every view is in.
    Passed: what comes late and is not fine is held and asked about.
    Asked: the task gets worse, never better.
    Answered: the answer was about the views of then; a doubtful one since is held and asked about,
    and so is a unit that was held for want of the view that has come.
    """
    stage = standing.stage
    settles = standing.is_complete and standing.inspection.settled_at is None
    if stage is Stage.WAITING:
        return _first_step(standing, settles=settles)
    late = standing.worst_now.route
    alerts = late == Route.CONTAIN
    if late == Route.PASS:
        return Step(reopens=_made_whole(standing), settles=settles)
    hold = _HOLDS.get(late)
    if stage is Stage.PASSED:
        return Step(opens=_ASKS[late], hold=hold or Cause.LATE_VIEW, alerts=alerts, settles=settles)
    if stage is Stage.ANSWERED:
        again = standing.asks if standing.is_decided else None
        return Step(reopens=again, hold=hold or Cause.LATE_VIEW, alerts=alerts, settles=settles)
    return _raised(standing, hold, alerts=alerts, settles=settles)


def _made_whole(standing: Standing) -> TaskKind | None:
    """What is asked again: a unit held because a view was missing or unfit can now be judged."""
    is_held = standing.inspection.unit.disposition == DispositionKind.HOLD
    if not (standing.is_decided and is_held and standing.is_whole and not standing.was_whole):
        return None
    return standing.asks if standing.worst.route == Route.CONTAIN else TaskKind.REVIEW


def _first_step(standing: Standing, *, settles: bool) -> Step:
    worst = standing.worst.route
    if worst == Route.PASS:
        if not standing.is_complete:
            return Step()
        audit = TaskKind.AUDIT if standing.is_audited else None
        return Step(accepts=True, opens=audit, settles=settles)
    # An answer given to some of the views would be taken for one to all of them.
    asks = _ASKS[worst] if standing.is_complete else None
    return Step(opens=asks, hold=_HOLDS.get(worst), alerts=worst == Route.CONTAIN, settles=settles)


def _raised(standing: Standing, hold: Cause | None, *, alerts: bool, settles: bool) -> Step:
    task = standing.task
    if task is None:
        raise AssertionError("an inspection is asked about without a task")
    late, kind = standing.worst_now, TaskKind(task.kind)
    if kind is TaskKind.AUDIT:
        # Its unit was accepted when it passed.
        hold = hold or Cause.LATE_VIEW
    is_worse = late.badness > badness(_ROUTE_OF[kind], task.score)
    return Step(
        raises=_ASKS[late.route] if is_worse else None, hold=hold, alerts=alerts, settles=settles
    )


def deadline_of(*, asked: datetime | None, rule: Rule, received_at: datetime) -> datetime:
    """When the line needs the answer: what the event says, else what the rule allows."""
    return asked or received_at + timedelta(seconds=rule.review_within_s)


@dataclass(frozen=True, slots=True)
class Holding:
    """Who holds a unit, and the sentence why."""

    decider_kind: DeciderKind
    decider: str
    reason: str


def holding(cause: Cause, seen: Seen) -> Holding:
    """How a hold is recorded."""
    if cause is Cause.MODEL:
        return Holding(
            DeciderKind.MODEL,
            f"{seen.model.name} {seen.model.version}",
            _("Score %(score)s is at or above the contain threshold %(from)s.")
            % {"score": f"{seen.score:.3f}", "from": f"{seen.rule.contain_from:g}"},
        )
    return Holding(DeciderKind.RULE, cause.value, _why(cause))


def _why(cause: Cause) -> str:
    return {
        Cause.CAPTURE: _("The image is not fit to judge."),
        Cause.LATE_VIEW: _("A view that came after the unit was judged is doubtful."),
        Cause.INCOMPLETE: _("Not every expected view has arrived."),
    }[cause]


def lifts_nothing(kind: str) -> bool:
    """Whether a model or a rule may dispose a unit that stands at `kind`: they lift no hold."""
    return kind not in (DispositionKind.HOLD, DispositionKind.SCRAP)
