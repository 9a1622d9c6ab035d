"""A conflict's page says beforehand which answer would be refused, by the rule that refuses it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from governance.access import actor_of
from governance.models import User
from governance.roles import Role
from mes_integration.models import MesChange
from review import mes_conflicts
from review.mes_conflicts import Choice
from review.models import ReviewTask
from tests import factories
from tests.factories import NOW
from tests.review.test_approvals import asked
from tests.review.test_mes_conflicts import LATER, _targets, confirmed, said_there, tell
from traceability.models import Unit
from traceability.refusals import Refusal

__all__ = ["_targets"]
pytestmark = pytest.mark.django_db


def page_of(change: MesChange, who: User) -> str:
    client = Client(headers={"Accept-Language": "en"})
    client.force_login(who)
    answer = client.get(f"/write-backs/conflicts/{change.uuid}/")
    assert answer.status_code == 200
    return answer.content.decode()


def refusal_of(change: MesChange, who: User, **more: Any) -> str:
    """What the domain says when this person takes theirs over."""
    change.unit.refresh_from_db()
    choice = Choice(
        change=change.uuid, revision=change.unit.disposition_revision, reason="Seen.", **more
    )
    with pytest.raises(Refusal) as refused:
        mes_conflicts.theirs_stands(actor=actor_of(who), choice=choice, at=LATER)
    return refused.value.sentence


def scrapped() -> MesChange:
    unit = confirmed("SCRAP").unit
    Unit.objects.filter(pk=unit.pk).update(
        disposition="SCRAP", held_since=None, held_at_station=None
    )
    unit.refresh_from_db()
    return said_there(unit, "REWORK")


def asked_about() -> MesChange:
    """Held with an open question at the bench, while the MES has released it."""
    seen = factories.inspection(factories.unit("SN-1"))
    factories.task(seen)
    factories.hold(seen, at=NOW)
    tell(seen.unit)
    return said_there(seen.unit, "ACCEPT")


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (scrapped, "Scrapped before; a scrapped unit stays scrapped."),
        (asked_about, "Held until the other question about this unit is answered."),
    ],
)
def test_what_the_unit_may_not_become_is_not_offered(made: Any, sentence: str) -> None:
    change, lead = made(), factories.user(Role.LEAD, name="lea")
    text = page_of(change, lead)
    assert f'id="why-not-theirs"><span class="state state--warn state--long">{sentence}' in text
    assert '<button class="button" disabled aria-describedby="why-not-theirs">' in text
    assert 'id="why-not-ours"' not in text
    assert refusal_of(change, lead) == sentence


def test_the_open_question_is_named_with_who_answers_it_and_a_way_there() -> None:
    change = asked_about()
    task = ReviewTask.objects.get()
    text = page_of(change, factories.user(Role.LEAD, name="lea"))
    assert "The question at the bench about" in text
    assert "an inspector answers it" in text
    assert f'href="/review/queue/{task.uuid}/"' in text
    ReviewTask.objects.update(is_escalated=True)
    assert "a lead answers it" in page_of(change, factories.user(Role.LEAD, name="lou"))


def test_the_open_approval_is_named_with_a_way_there() -> None:
    approval = asked(by=factories.actor(Role.INSPECTOR))
    tell(approval.unit)
    change = said_there(approval.unit, "ACCEPT")
    text = page_of(change, factories.user(Role.LEAD, name="lea"))
    assert "somebody else who may approve it answers" in text
    assert f'href="/review/approvals/{approval.uuid}/"' in text
    seen = page_of(change, factories.user(Role.ADMIN, name="ann"))
    assert "somebody else who may approve it answers" in seen
    assert f"/review/approvals/{approval.uuid}/" not in seen


def test_the_list_says_what_the_unit_is_now() -> None:
    change = asked_about()
    Unit.objects.filter(pk=change.unit_id).update(
        disposition="REWORK",
        disposition_revision=change.our_revision + 1,
        held_since=None,
        held_at_station=None,
        rework_since=NOW,
    )
    client = Client(headers={"Accept-Language": "en"})
    client.force_login(factories.user(Role.LEAD, name="lea"))
    text = client.get("/write-backs/conflicts/").content.decode()
    assert re.search(r'data-label="Ours">Rework <span[^>]*>was Hold</span>', text)


def test_who_needs_a_second_person_reads_so_and_the_second_person_does_not() -> None:
    change, admin = said_there(confirmed().unit, "ACCEPT"), factories.user(Role.ADMIN, name="a")
    text = page_of(change, admin)
    assert 'aria-describedby="why-not-theirs"' in text
    assert refusal_of(change, admin) in text
    assert 'id="why-not-theirs"' not in page_of(change, factories.user(Role.LEAD, name="lea"))


def test_who_asked_for_the_scrap_reads_that_somebody_else_answers() -> None:
    lead = factories.actor(Role.LEAD)
    approval = asked(by=lead)
    tell(approval.unit)
    change = said_there(approval.unit, "SCRAP")
    text = page_of(change, User.objects.get(username=lead.name))
    assert "You have asked for it yourself. Somebody else has to answer." in text
    assert 'aria-describedby="why-not-theirs"' in text


def test_of_an_unmapped_word_only_what_is_possible_can_be_chosen() -> None:
    seen = factories.inspection(factories.unit("SN-1"))
    factories.task(seen)
    ReviewTask.objects.update(second_for_scrap=True, state="DECIDED")
    factories.hold(seen, at=NOW)
    tell(seen.unit)
    text = page_of(said_there(seen.unit, "MRB"), factories.user(Role.LEAD, name="lea"))
    assert '<option value="SCRAP" disabled>' in text
    assert '<option value="REWORK">' in text
    assert "this takes two people" in text
    assert 'id="why-not-theirs"' not in text


def test_ours_is_not_offered_while_it_has_not_left_yet() -> None:
    seen = factories.inspection(factories.unit("SN-1"))
    factories.hold(seen, at=NOW)
    text = page_of(said_there(seen.unit, "ACCEPT"), factories.user(Role.LEAD, name="lea"))
    assert "has not left for mes yet; it is told by itself." in text
    assert 'disabled aria-describedby="why-not-ours"' in text


def test_the_units_own_page_leads_to_the_open_conflict() -> None:
    change = scrapped()
    client = Client(headers={"Accept-Language": "en"})
    client.force_login(factories.user(Role.LEAD, name="lea"))
    text = client.get("/units/SN-1/").content.decode()
    assert f'href="/write-backs/conflicts/{change.uuid}/">Choose whose word stands' in text
    assert "mes says “Rework” since" in text
    client.force_login(factories.user(Role.AUDITOR))
    looked_at = client.get("/units/SN-1/").content.decode()
    assert f'href="/write-backs/conflicts/{change.uuid}/">Conflict<' in looked_at
    client.force_login(factories.user(Role.LEAD))
    MesChange.objects.update(state="NOTED", resolved_at=LATER)
    assert "Choose whose word stands" not in client.get("/units/SN-1/").content.decode()
