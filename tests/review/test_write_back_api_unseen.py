"""Over the API, too, nobody reads what was said of a unit that he is judging himself."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from governance.access import actor_of
from governance.models import User
from governance.roles import Role
from mes_integration import resolution
from mes_integration.mappings import shipped_document
from mes_integration.models import DeliveryAttempt, MappingProfile, MesChange, WriteBack
from tests import factories
from tests.factories import NOW
from tests.mes_integration.plant import enqueued, state_of
from tests.review.test_decisions import claimed
from tests.review.test_mes_conflicts import LATER, _targets, confirmed, said_there
from tests.review.test_own_bench_elsewhere import OWN, WHY, client_of
from traceability.models import Unit
from traceability.refusals import Conflict

__all__ = ["_targets"]
pytestmark = pytest.mark.django_db
JSON = "application/json"


@pytest.fixture
def lead() -> User:
    return factories.user(Role.LEAD, name="lena")


@pytest.fixture
def colleague() -> User:
    return factories.user(Role.LEAD, name="lars")


def told(person: User, address: str) -> dict[str, Any]:
    answer = client_of(person).get(f"/api/v1/{address}")
    assert answer.status_code == 200
    return dict(answer.json())


def on_the_bench_of(person: User, unit: Unit) -> None:
    factories.task(factories.inspection(unit))
    claimed(actor_of(person))


def stuck() -> WriteBack:
    row = enqueued(factories.unit("SN-7"), kind="REWORK")
    WriteBack.objects.filter(pk=row.pk).update(
        state="REJECTED", attempts=3, last_error=WHY, reference="NCR-88"
    )
    DeliveryAttempt.objects.create(
        site=row.site, write_back=row, at=NOW, outcome="REFUSED", answer=WHY
    )
    row.refresh_from_db()
    return row


def test_a_write_back_says_nothing_of_what_was_decided(lead: User, colleague: User) -> None:
    row = stuck()
    on_the_bench_of(lead, row.unit)
    [listed] = told(lead, "write-backs/undelivered?target=mes")["items"]
    one = told(lead, f"write-backs/{row.uuid}")
    for each in (listed, one):
        text = json.dumps(each)
        assert not [w for w in ("REWORK", "porosity", "NCR-88", "verdict-") if w in text], text
        assert (each["disposition"], each["revision"], each["withheld"]) == (None, None, OWN)
        assert (each["unit"], each["state"], each["attempts"]) == ("SN-7", "REJECTED", 3)
    assert one["tries"] == []
    theirs = told(colleague, f"write-backs/{row.uuid}")
    assert (theirs["disposition"], theirs["withheld"], len(theirs["tries"])) == ("REWORK", "", 1)
    assert theirs["next_step"]["field"] == "verdict-REWORK"


def test_it_is_still_sent_again_and_a_refusal_tells_nothing(lead: User) -> None:
    row = stuck()
    on_the_bench_of(lead, row.unit)
    address = f"/api/v1/write-backs/{row.uuid}/send-again"
    asked = {"attempts": 3, "state": "REJECTED"}
    answer = client_of(lead).post(address, asked, JSON)
    assert (answer.status_code, state_of(row)) == (200, "RETRY")
    WriteBack.objects.filter(pk=row.pk).update(state="REJECTED")
    enqueued(row.unit, kind="SCRAP")
    refused = client_of(lead).post(address, asked, JSON)
    why_not = told(lead, f"write-backs/{row.uuid}")["why_not_send_again"]
    assert (refused.status_code, refused.json()["detail"]) == (409, why_not)
    assert "Revision" not in why_not
    assert "told after your verdict" in why_not


def blocked(**document: Any) -> WriteBack:
    """Stopped by the site's mapping, which has another word for nothing but what it is given."""
    MappingProfile.objects.create(
        site=factories.site(),
        target="mes",
        version=1 + MappingProfile.objects.count(),
        document={**shipped_document("generic"), **document},
        author="ada",
        at=NOW,
    )
    row = enqueued(factories.unit("SN-7"))
    WriteBack.objects.filter(pk=row.pk).update(state="NEEDS_PERSON", last_error=WHY)
    row.refresh_from_db()
    return row


def overtaken() -> WriteBack:
    row = stuck()
    enqueued(row.unit, kind="SCRAP")
    return row


def settled(state: str) -> WriteBack:
    row = stuck()
    WriteBack.objects.filter(pk=row.pk).update(state=state, settled_at=NOW)
    return row


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (stuck, "mend_there"),
        (overtaken, "settle"),
        (lambda: blocked(defects={"crack": "NC-17"}), "add_word"),
        (lambda: blocked(required=["work_order"]), "supply"),
        (lambda: settled("SUPERSEDED"), "nothing"),
    ],
)
def test_what_is_to_be_done_next_tells_nothing_by_its_code_either(
    lead: User, colleague: User, made: Callable[[], WriteBack], code: str
) -> None:
    row = made()
    address = f"write-backs/{row.uuid}"
    assert told(lead, address)["next_step"]["code"] == code
    on_the_bench_of(lead, row.unit)
    step = {"code": "withheld", "sentence": OWN, "field": ""}
    assert told(lead, address)["next_step"] == step
    for each in told(lead, "write-backs/undelivered")["items"]:
        assert (each["next_step"], each["may_send_again"]) == (step, each["state"] != "PENDING")
    assert told(colleague, address)["next_step"]["code"] == code


@pytest.mark.parametrize("state", ["SUPERSEDED", "WITHDRAWN"])
def test_why_it_is_not_settled_by_hand_tells_nothing_either(
    lead: User, colleague: User, state: str
) -> None:
    row = settled(state)
    on_the_bench_of(lead, row.unit)
    why_not = told(lead, f"write-backs/{row.uuid}")["why_not_settle"]
    assert why_not.endswith("why not is told after your verdict.")
    for person, sentence in (
        (lead, why_not),
        (colleague, told(colleague, f"write-backs/{row.uuid}")["why_not_settle"]),
    ):
        with pytest.raises(Conflict) as refused:
            resolution.settle(
                actor=actor_of(person), write_back=row, reference="", reason="Seen.", at=NOW
            )
        assert refused.value.sentence == sentence
    assert "revision" in sentence or "taken back" in sentence


def test_its_page_says_that_it_rests(lead: User, colleague: User) -> None:
    row = blocked(capabilities=shipped_document("generic")["capabilities"] | {"key": False})
    later = datetime.now(UTC) + timedelta(days=3)
    WriteBack.objects.filter(pk=row.pk).update(state="RETRY", attempts=1, due_at=later)
    DeliveryAttempt.objects.create(site=row.site, write_back=row, at=NOW, outcome="UNCERTAIN")
    on_the_bench_of(lead, row.unit)
    for person in (lead, colleague):
        page = client_of(person).get(f"/write-backs/{row.uuid}/").content.decode()
        assert "the MES is asked whether it has it" in page
        assert "Goes out at once" not in page


def conflict() -> MesChange:
    """Scrapped there by u.meyer, held here."""
    change = said_there(confirmed().unit, "SCRAP")
    MesChange.objects.filter(pk=change.pk).update(remark="Cracked.", reference="NC-1")
    return change


def test_a_conflict_says_nothing_of_either_side(lead: User, colleague: User) -> None:
    change = conflict()
    on_the_bench_of(lead, change.unit)
    [listed] = told(lead, "conflicts")["items"]
    for each in (listed, told(lead, f"conflicts/{change.uuid}")):
        text = json.dumps(each)
        assert not [w for w in ("SCRAP", "HOLD", "u.meyer", "Cracked", "NC-1") if w in text], text
        assert (each["theirs"], each["revision"], each["our_revision"]) == (None, None, None)
        assert (each["state"], each["withheld"]) == ("OPEN", OWN)
    one = told(lead, f"conflicts/{change.uuid}")
    assert one["may_answer"] is False
    assert "You are judging this unit at the bench" in one["why_not_answer"]
    assert told(colleague, f"conflicts/{change.uuid}")["by"] == "u.meyer"


def test_whose_word_stood_is_not_told_either(lead: User, colleague: User) -> None:
    change = conflict()
    MesChange.objects.filter(pk=change.pk).update(
        state="THEIRS_STANDS", resolved_at=LATER, resolved_by="lars", reason="By the board."
    )
    on_the_bench_of(lead, change.unit)
    for each in (told(lead, "conflicts")["items"][0], told(lead, f"conflicts/{change.uuid}")):
        assert (each["state"], each["resolved_by"], each["reason"]) == (None, "", "")
        assert each["resolved_at"] is None
    assert told(lead, "conflicts?state=THEIRS_STANDS")["items"] == []
    assert len(told(colleague, "conflicts?state=THEIRS_STANDS")["items"]) == 1


@pytest.mark.parametrize("answer", ["OURS_STANDS", "THEIRS_STANDS"])
@pytest.mark.parametrize("kind", ["", "ACCEPT"])
def test_who_is_judging_it_does_not_answer_and_is_told_nothing_by_it(
    lead: User, answer: str, kind: str
) -> None:
    change = conflict()
    revision = change.unit.disposition_revision
    on_the_bench_of(lead, change.unit)
    given = {"answer": answer, "revision": revision, "reason": "Seen."}
    for asked in (given, given | {"revision": 0}):
        body = {**asked, "kind": kind} if kind else asked
        refused = client_of(lead).post(f"/api/v1/conflicts/{change.uuid}/answer", body, JSON)
        assert refused.status_code == 409
        assert "You are judging this unit at the bench" in refused.json()["detail"]
    change.refresh_from_db()
    assert change.state == "OPEN"
