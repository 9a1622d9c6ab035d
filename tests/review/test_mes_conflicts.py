"""A choice between two systems is no way round the second person, and loses nobody's word."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from config.settings.environment import MesTarget
from governance.access import Actor, system
from governance.audit import recorded
from governance.roles import Role
from mes_integration import changes, delivery, mappings
from mes_integration.adapters.protocol import Answer, Applied, Message
from mes_integration.changes import Said
from mes_integration.models import MappingProfile, MesChange, WriteBack
from mes_integration.transitions import State
from review import mes_conflicts
from review.dispositions import Draft, dispose_all
from review.mes_conflicts import Choice
from review.models import ReviewTask
from tests import factories
from tests.factories import NOW
from tests.review.test_approvals import asked
from traceability.models import (
    DeciderKind,
    Disposition,
    DispositionKind,
    Inspection,
    Unit,
)
from traceability.refusals import Conflict, Invalid, NotAllowed

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(hours=1)
FOUND = [{"defect_class": "scratch", "severity": "major", "count": 1}]


@pytest.fixture(autouse=True)
def _targets(settings: Any) -> None:
    made = [
        MesTarget.model_validate(
            {"name": name, "adapter": "http", "url": f"http://{name}.invalid", "profile": "generic"}
        )
        for name in ("mes", "qms")
    ]
    settings.LOUPE = settings.LOUPE.model_copy(update={"mes_targets": made, "mes_url": ""})


class Mes:
    """Takes what it is sent."""

    def __init__(self) -> None:
        self.sent: list[Message] = []

    def post(self, message: Message) -> Answer:
        self.sent.append(message)
        return Applied("MES-2")

    def read_back(self, _message: Message) -> Answer | None:
        return None

    def close(self) -> None:
        """Nothing is open."""


def said_there(unit: Unit, word: Any, *, ahead: timedelta = timedelta()) -> MesChange:
    said = Said(
        event_id="e-1", serial=unit.serial, word=word, changed_at=LATER + ahead, by="u.meyer"
    )
    change, _is_new = changes.record(
        actor=factories.actor(Role.MES), site=unit.site, target_name="mes", said=said, at=LATER
    )
    assert change.state == "OPEN"
    return change


def theirs(change: MesChange, by: Actor, **more: Any) -> None:
    change.unit.refresh_from_db()
    revision = change.unit.disposition_revision
    choice = Choice(change=change.uuid, revision=revision, reason="Seen with the MRB.", **more)
    mes_conflicts.theirs_stands(actor=by, choice=choice, at=LATER)


def tell(unit: Unit) -> None:
    """What was on its way to either has arrived there."""
    WriteBack.objects.filter(unit=unit).update(
        state=State.ACKNOWLEDGED, settled_at=NOW, reference="MES-1"
    )


def confirmed(kind: str = "HOLD") -> Inspection:
    """A unit with a confirmed nonconformity, told to both targets."""
    seen = factories.inspection(factories.unit("SN-1"))
    made = factories.hold(seen, at=NOW)
    Unit.objects.filter(pk=seen.unit_id).update(disposition_revision=made.revision + 1)
    Disposition.objects.create(
        site=seen.site,
        unit=seen.unit,
        inspection=seen,
        revision=made.revision + 1,
        kind=kind,
        nonconformities=FOUND,
        decider_kind="inspector",
        decider="4711",
        decided_at=NOW,
        policy_version=1,
    )
    tell(seen.unit)
    seen.unit.refresh_from_db()
    return seen


def test_who_asked_for_a_scrap_does_not_get_it_by_the_mes() -> None:
    lead = factories.actor(Role.LEAD)
    approval = asked(by=lead)
    tell(approval.unit)
    change = said_there(approval.unit, "SCRAP")
    with pytest.raises(Conflict, match="Somebody else"):
        theirs(change, lead)
    approval.unit.refresh_from_db()
    assert approval.unit.disposition == "HOLD"

    theirs(change, factories.actor(Role.QUALITY_ENGINEER))
    approval.unit.refresh_from_db()
    assert approval.unit.disposition == "SCRAP"


def test_a_concession_is_not_approved_by_who_may_not_approve() -> None:
    seen = confirmed()
    change = said_there(seen.unit, "ACCEPT")
    with pytest.raises(NotAllowed, match="approve"):
        theirs(change, factories.actor(Role.ADMIN))
    seen.unit.refresh_from_db()
    assert seen.unit.disposition == "HOLD"


def test_a_scrap_that_two_must_want_is_not_one_persons_reading_of_a_word() -> None:
    seen = factories.inspection(factories.unit("SN-1"))
    factories.task(seen)
    ReviewTask.objects.update(second_for_scrap=True, state="DECIDED")
    factories.hold(seen, at=NOW)
    tell(seen.unit)
    change = said_there(seen.unit, "MRB")
    with pytest.raises(Invalid, match="two people"):
        theirs(change, factories.actor(Role.LEAD), kind="SCRAP")
    theirs(change, factories.actor(Role.LEAD), kind="REWORK")


def test_nor_is_a_concession() -> None:
    change = said_there(confirmed().unit, "MRB")
    with pytest.raises(Invalid, match="two people"):
        theirs(change, factories.actor(Role.LEAD), kind="ACCEPT")


def test_what_has_not_left_yet_does_not_undo_theirs_by_coming_later() -> None:
    """The hold still waits for its undo window when the MES's release is taken over."""
    seen = factories.inspection(factories.unit("SN-1"))
    factories.hold(seen, at=NOW)
    change = said_there(seen.unit, "ACCEPT")
    theirs(change, factories.actor(Role.LEAD))
    mes = Mes()
    for _number in range(3):
        delivery.deliver_due(at=NOW + timedelta(days=3650), limit=3, mes=mes)
    assert [message.record["verdict"] for message in mes.sent][-1] == "ACCEPT"


@pytest.mark.parametrize("ahead", [timedelta(), timedelta(minutes=4)])
def test_what_was_told_since_the_change_does_not_undo_theirs(ahead: timedelta) -> None:
    """The MES released the part, was then told of another hold, and is taken at its first word."""
    seen = factories.inspection(factories.unit("SN-1"))
    factories.hold(seen, at=NOW)
    tell(seen.unit)
    change = said_there(seen.unit, "ACCEPT", ahead=ahead)
    factories.hold(seen, at=LATER)
    WriteBack.objects.filter(settled_at=None).update(
        state=State.ACKNOWLEDGED, settled_at=LATER + timedelta(seconds=5), reference="MES-9"
    )
    theirs(change, factories.actor(Role.LEAD))
    mes = Mes()
    delivery.deliver_due(at=LATER + timedelta(minutes=1), limit=3, mes=mes)
    assert [message.record["verdict"] for message in mes.sent] == ["ACCEPT"]


def test_ours_stands_is_told_also_where_the_verdict_was_thought_final() -> None:
    document = mappings.shipped_document("generic")
    document["capabilities"]["terminal_verdicts"] = ["SCRAP"]
    MappingProfile.objects.create(
        site=factories.site(), target="mes", version=1, document=document, author="x", at=NOW
    )
    seen = factories.inspection(factories.unit("SN-1"))
    draft = Draft(
        inspection=seen,
        kind=DispositionKind.SCRAP,
        decider_kind=DeciderKind.INSPECTOR,
        decider="4711",
        policy_version=1,
    )
    with recorded(actor=system("test"), at=NOW) as trail:
        dispose_all(trail=trail, drafts=[draft], due_at=NOW)
    tell(seen.unit)
    change = said_there(seen.unit, "HOLD")
    change.unit.refresh_from_db()
    choice = Choice(
        change=change.uuid, revision=change.unit.disposition_revision, reason="It is cracked."
    )
    mes_conflicts.ours_stands(actor=factories.actor(Role.LEAD), choice=choice, at=LATER)
    mes = Mes()
    delivery.deliver_due(at=LATER + timedelta(minutes=1), limit=3, mes=mes)
    assert [message.record["verdict"] for message in mes.sent] == ["SCRAP"]
    row = WriteBack.objects.get(revision=change.our_revision + 1, target="mes")
    assert (row.state, row.reference) == ("ACKNOWLEDGED", "MES-2")
