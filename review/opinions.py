"""What a task does not show: the model's opinion to who judges blind, an earlier verdict to who
inspects a second time, a name to who adjudicates, and that it is one to who judges a control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from django.utils.translation import gettext as _

from review.agreement import standing_pair
from review.claimed import ClaimedTask
from review.models import Decision, TaskKind, TaskPurpose
from traceability.models import DeciderKind, DispositionKind

# Whatever else the bench is told some day is withheld until it is known to say nothing.
_SAYS_NOTHING: Final = frozenset(
    {
        *("id", "fence", "lease_expires_in", "deadline", "opened_at", "is_escalated", "unit"),
        *("station", "views", "history", "comments", "is_blind", "adjudication"),
        *("views_expected", "criteria"),
    }
)
_VIEW_SAYS_NOTHING: Final = frozenset(
    {
        *("capture", "view", "width", "height", "image_url", "captured_at", "quality"),
        *("tiles", "tiles_state", "preview", "golden", "zones"),
    }
)
# Neither the first verdict nor what was said about it is seen from here.
_ALONE: Final = (TaskPurpose.SECOND, TaskPurpose.CONTROL)


def as_seen(task: ClaimedTask, shown: dict[str, Any]) -> dict[str, Any]:
    """The task's JSON as this very task may be seen; `shown` is not kept."""
    seen = {**shown, "is_blind": task.is_blind, "adjudication": None}
    seen["history"] = history(task)
    if task.purpose in _ALONE:
        seen["history"] = []
        if "comments" in seen:
            seen["comments"] = []
    if task.purpose == TaskPurpose.CONTROL:
        seen["views"] = [_moved(view, task) for view in seen["views"]]
    if task.purpose == TaskPurpose.ADJUDICATION:
        seen["adjudication"] = {"verdicts": _verdicts(task)}
        # Who noted something may be one of the two.
        seen["comments"] = [{**c, "by": _("inspector")} for c in seen["comments"]]
        seen["question"] = _("Two inspectors do not agree. Which verdict holds?")
    return _blind(seen) if task.is_blind else seen


def history(task: ClaimedTask) -> Sequence[Mapping[str, Any]]:
    """The unit's earlier dispositions, those of the model left out where it is blind."""
    past = task.history
    if task.is_blind:
        # A rule's reason tells what the model said of a view.
        past = [p for p in past if p["decider"] == DeciderKind.INSPECTOR]
    if task.purpose == TaskPurpose.ADJUDICATION:
        past = [{**p, "by": _("inspector")} if _is_of_two(p, task) else p for p in past]
    return [
        {"at": p["at"], "by": p["by"], "what": str(DispositionKind(p["kind"]).label)} for p in past
    ]


def _is_of_two(disposed: Mapping[str, Any], task: ClaimedTask) -> bool:
    """Whether it is by one of the two; what a model or a rule did may be told."""
    here = disposed["inspection"] == task.inspection_id
    return bool(here and disposed["decider"] == DeciderKind.INSPECTOR)


def _blind(seen: dict[str, Any]) -> dict[str, Any]:
    known = {key: value if key in _SAYS_NOTHING else None for key, value in seen.items()}
    return {
        **known,
        # Why a person is asked is the model's opinion already.
        "kind": TaskKind.REVIEW.value,
        "question": _("Is this part good?"),
        "model": {"name": None, "version": None},
        "views": [_blind_view(view) for view in seen["views"]],
    }


def _blind_view(view: Mapping[str, Any]) -> dict[str, Any]:
    known = {key: value if key in _VIEW_SAYS_NOTHING else None for key, value in view.items()}
    return {**known, "regions": []}


def _moved(view: Mapping[str, Any], task: ClaimedTask) -> dict[str, Any]:
    """The view as if it had been taken when the task says it came."""
    taken = datetime.fromisoformat(view["captured_at"])
    return {
        **view,
        "captured_at": (taken + (task.opened_at - task.inspected_at)).isoformat(),
    }


def _verdicts(task: ClaimedTask) -> list[dict[str, Any]]:
    """Both verdicts in their order, without the names."""
    who = (_("first inspector"), _("second inspector"))
    pair = standing_pair(task.inspection_id)
    return [_verdict(name, decision) for name, decision in zip(who, pair or (), strict=False)]


def _verdict(name: str, decision: Decision) -> dict[str, Any]:
    return {
        "by": name,
        "answer": decision.answer,
        "disposition": decision.disposition_kind,
        "defect_class": decision.defect_class or None,
        "comment": decision.comment,
    }
