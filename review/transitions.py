"""What a review task may become, and which disposition may follow which answer. Pure."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext as _

from review.models import Answer, TaskState
from traceability.models import DispositionKind
from traceability.refusals import Conflict, Invalid

ALLOWED: Final[dict[TaskState, frozenset[TaskState]]] = {
    TaskState.QUEUED: frozenset({TaskState.LEASED, TaskState.CLOSED}),
    TaskState.LEASED: frozenset(
        {TaskState.LEASED, TaskState.QUEUED, TaskState.DECIDED, TaskState.CLOSED}
    ),
    # Taken back, or asked again: a lead's turn, or a view that came late.
    TaskState.DECIDED: frozenset({TaskState.LEASED, TaskState.QUEUED}),
    TaskState.CLOSED: frozenset(),
}

DISPOSITIONS: Final[dict[Answer, frozenset[DispositionKind]]] = {
    Answer.CONFIRMED: frozenset(
        {DispositionKind.REWORK, DispositionKind.SCRAP, DispositionKind.HOLD}
    ),
    Answer.FALSE_CALL: frozenset({DispositionKind.ACCEPT, DispositionKind.HOLD}),
    Answer.INCONCLUSIVE: frozenset({DispositionKind.HOLD}),
}


def check_transition(before: TaskState, after: TaskState) -> None:
    """Raise Conflict when the table does not allow the step."""
    if after not in ALLOWED[before]:
        raise Conflict(
            _("This task is %(state)s and cannot become %(next)s.")
            % {"state": before.label, "next": after.label}
        )


def check_disposition(
    answer: Answer,
    kind: DispositionKind,
    *,
    is_within_limits: bool = False,
    is_concession: bool = False,
) -> None:
    """Raise Invalid when this disposition does not follow from this answer.

    A confirmed defect is accepted when all that was found is within the acceptance criteria, or
    by a concession; nothing else is one.
    """
    if is_concession and (answer is not Answer.CONFIRMED or kind is not DispositionKind.ACCEPT):
        raise Invalid(
            _("A concession accepts a confirmed defect; leave its reason out of other verdicts.")
        )
    if kind in DISPOSITIONS[answer]:
        return
    if answer is Answer.CONFIRMED and kind is DispositionKind.ACCEPT:
        if is_within_limits or is_concession:
            return
        raise Invalid(
            _(
                "Accepting a confirmed nonconformity is a concession: say why the part may be "
                "used, or hold it."
            )
        )
    allowed = ", ".join(sorted(str(k.label) for k in DISPOSITIONS[answer]))
    raise Invalid(
        _("%(answer)s goes with: %(allowed)s.") % {"answer": answer.label, "allowed": allowed}
    )
