"""What of a verdict waits for a second person: the strictest of two policies.

A task keeps the policy it was queued under. From the moment another one is in force no scrap and no
concession it lets wait leaves by one person's word, however long its unit was on the bench before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from review import approvals
from review.models import Approval
from review.rulings import Ruling
from review.taking import Taken


@dataclass(frozen=True, slots=True)
class Asked:
    """What a policy lets wait; `version` names it, 0 where a site has none."""

    version: int
    for_scrap: bool
    for_concession: bool


NOTHING: Final = Asked(version=0, for_scrap=False, for_concession=False)


class InForce(Protocol):
    """Says what the policy in force lets wait. It lives on a floor above: a setting names it."""

    def __call__(
        self, *, site_id: int, line: str, part_number: str, defect_class: str, at: datetime
    ) -> Asked:
        """What the rule asks for that a unit like this one would come under now."""


@dataclass(frozen=True, slots=True)
class Waits:
    """What waits, and the version of the policy that says so."""

    kind: Approval.Kind
    policy_version: int


def in_force(
    *, site_id: int, line: str, part_number: str, defect_class: str, at: datetime
) -> Asked:
    """What the policy in force lets wait; read anew, as another process may have set it."""
    found: InForce = import_string(settings.SECOND_PERSONS_IN_FORCE)
    return found(
        site_id=site_id, line=line, part_number=part_number, defect_class=defect_class, at=at
    )


def waits_for(*, task: Taken, ruling: Ruling, at: datetime) -> Waits | None:
    """What of this ruling waits; None where it counts at once. The policy in force is looked up for
    what could wait and does not by the task's own."""
    own = Asked(task.policy_version, task.second_for_scrap, task.second_for_concession)
    if (found := _by(own, ruling)) is not None:
        return found
    if approvals.waits_for(ruling, second_for_scrap=True, second_for_concession=True) is None:
        return None
    now = in_force(
        site_id=task.inspection.site_id,
        line=task.nameplate.line,
        part_number=task.nameplate.part_number or "",
        defect_class=task.defect_class,
        at=at,
    )
    return _by(now, ruling)


def _by(asked: Asked, ruling: Ruling) -> Waits | None:
    kind = approvals.waits_for(
        ruling, second_for_scrap=asked.for_scrap, second_for_concession=asked.for_concession
    )
    return Waits(kind, asked.version) if kind is not None else None
