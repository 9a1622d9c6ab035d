"""What does not get through, over the API: worst first, one with its attempts, sent again once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from config.settings.environment import MesTarget
from governance.models import AuditEntry
from governance.roles import Role
from mes_integration.models import DeliveryAttempt, WriteBack
from tests import factories
from tests.mes_integration.plant import NOW, enqueued, state_of
from tests.mes_integration.test_next_steps import in_force, put
from tests.mes_integration.test_pages import signed_in

pytestmark = pytest.mark.django_db
LIST = "/api/v1/write-backs/undelivered"
JSON = "application/json"
NOBODYS = "01a20700-0000-7000-8000-000000000000"


@pytest.fixture(autouse=True)
def _target(settings: Settings) -> None:
    target = MesTarget.model_validate(
        {"name": "mes", "adapter": "http", "url": "http://mes.invalid", "profile": "generic"}
    )
    settings.LOUPE = settings.LOUPE.model_copy(update={"mes_targets": [target], "mes_url": ""})


@pytest.fixture
def lead() -> Client:
    return signed_in(factories.user(Role.LEAD))


def one(row: WriteBack) -> str:
    return f"/api/v1/write-backs/{row.uuid}"


def again(client: Client, row: WriteBack, attempts: object) -> Any:
    given = {"attempts": attempts, "state": row.state}
    return client.post(f"{one(row)}/send-again", given, JSON)


def ids(client: Client, query: str = "") -> list[str]:
    return [item["id"] for item in client.get(LIST + query).json()["items"]]


def walk(client: Client, query: str) -> list[str]:
    """Every id, page by page."""
    found: list[str] = []
    ahead: str | None = query
    while ahead:
        page = client.get(LIST + ahead).json()
        found += [item["id"] for item in page["items"]]
        ahead = page["next"]
    return found


def stuck(state: str = "REJECTED", **more: Any) -> WriteBack:
    return put(enqueued(), state=state, **{"attempts": 2, "last_error": "422", **more})


def test_the_worst_come_first_and_of_these_the_oldest(lead: Client) -> None:
    waiting = enqueued()
    refused = stuck()
    retrying = put(enqueued(), state="RETRY")
    younger = put(enqueued(at=NOW + timedelta(minutes=1)), state="NEEDS_PERSON")
    older = put(enqueued(), state="NEEDS_PERSON")
    put(enqueued(), state="ACKNOWLEDGED", settled_at=NOW)
    order = [str(row.uuid) for row in (older, younger, refused, retrying, waiting)]
    assert ids(lead) == order
    assert ids(lead, "?needs_person=true") == order[:3]
    assert ids(lead, "?state=RETRY") == [str(retrying.uuid)]
    assert ids(lead, f"?unit={waiting.unit.serial}") == [str(waiting.uuid)]
    assert ids(lead, "?target=qms") == []
    for size in (1, 2, 4):
        assert walk(lead, f"?limit={size}") == order
    assert walk(lead, "?needs_person=true&limit=1") == order[:3]


def test_nothing_is_left_out_when_the_last_of_a_page_leaves_meanwhile(lead: Client) -> None:
    rows = [stuck() for _ in range(4)]
    page = lead.get(f"{LIST}?limit=2").json()
    put(rows[1], state="ACKNOWLEDGED", settled_at=NOW)
    assert ids(lead, page["next"]) == [str(row.uuid) for row in rows[2:]]


@pytest.mark.parametrize(
    "query",
    [
        "state=NONE",
        "needs_person=1",
        "limit=0",
        "limit=201",
        "after=x",
        f"after=REJECTED.{NOBODYS}",
        "after=REJECTED.x",
        "after=ACKNOWLEDGED.",
    ],
)
def test_a_question_that_makes_no_sense_is_refused(lead: Client, query: str) -> None:
    answer = lead.get(f"{LIST}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


def test_one_goes_on_only_from_what_is_ones_own(lead: Client) -> None:
    row = stuck()
    foreign = signed_in(factories.user(Role.LEAD, at=factories.site("plant-2")))
    assert foreign.get(LIST).json() == {"items": [], "next": None}
    assert foreign.get(f"{LIST}?after=REJECTED.{row.uuid}").status_code == 422
    assert foreign.get(one(row)).status_code == 404
    assert again(foreign, row, 2).status_code == 404
    assert again(foreign, row, "many").status_code == 404
    assert state_of(row) == "REJECTED"


def test_the_list_costs_the_same_statements_whatever_its_length(lead: Client) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert lead.get(LIST).status_code == 200
        return len(queries)

    def one_of_each() -> None:
        for state in ("REJECTED", "NEEDS_PERSON", "RETRY", "UNCERTAIN"):
            stuck(state)
        enqueued()

    one_of_each()
    few = statements()
    for _ in range(4):
        one_of_each()
    assert statements() == few
    assert few <= 14


def step(client: Client, row: WriteBack) -> dict[str, str]:
    found: dict[str, str] = client.get(one(row)).json()["next_step"]
    [listed] = client.get(f"{LIST}?unit={row.unit.serial}&state={row.state}").json()["items"]
    assert listed["next_step"] == found
    return found


def test_the_next_step_is_the_page_s_with_a_name_for_programs(lead: Client) -> None:
    in_force(defects={"crack": "NC-17"})
    row = stuck("NEEDS_PERSON", attempts=0)
    assert step(lead, row) == {
        "code": "add_word",
        "sentence": "Add a word for porosity",
        "field": "defect-porosity",
    }
    text = lead.get("/write-backs/undelivered/").content.decode()
    assert "A quality engineer adds what the mapping lacks." in text
    in_force(defects={"porosity": "NC-18"})
    assert step(lead, row)["code"] == "send_again"
    in_force(required=["work_order"])
    assert step(lead, row)["code"] == "supply"
    in_force(adapter="mqtt")
    assert step(lead, row)["code"] == "mend_mapping"


def test_the_other_steps_have_names_too(lead: Client, settings: Settings) -> None:
    row = stuck("NEEDS_PERSON", message={"a": 1}, profile_version=0)
    assert step(lead, row) == {
        "code": "look_there",
        "sentence": "Look whether the MES has it",
        "field": "",
    }
    refused = stuck()
    assert step(lead, refused)["code"] == "mend_there"
    assert step(lead, refused)["field"] == "verdict-HOLD"
    later = enqueued(refused.unit)
    assert step(lead, refused)["code"] == "settle"
    assert step(lead, later)["code"] == "wait"
    settings.LOUPE = settings.LOUPE.model_copy(update={"mes_targets": []})
    assert step(lead, refused)["code"] == "settle"
    put(refused, state="ACKNOWLEDGED", settled_at=NOW)
    nothing = {"code": "nothing", "sentence": "", "field": ""}
    assert lead.get(one(refused)).json()["next_step"] == nothing


def test_one_tells_what_was_tried_and_what_can_be_done(lead: Client) -> None:
    row = stuck()
    for number, outcome in enumerate(("UNCERTAIN", "REFUSED")):
        DeliveryAttempt.objects.create(
            site=row.site,
            write_back=row,
            at=NOW + timedelta(minutes=number),
            outcome=outcome,
            status=422,
            answer="No such part.",
        )
    told = lead.get(one(row)).json()
    assert [each["outcome"] for each in told["tries"]] == ["REFUSED", "UNCERTAIN"]
    assert told["tries"][0] == {
        "at": (NOW + timedelta(minutes=1)).isoformat().replace("+00:00", "Z"),
        "outcome": "REFUSED",
        "status": 422,
        "answer": "No such part.",
    }
    assert (told["why"], told["attempts"], told["disposition"]) == ("422", 2, "HOLD")
    assert (told["may_send_again"], told["why_not_send_again"]) == (True, "")
    inspector = signed_in(factories.user(Role.INSPECTOR))
    assert inspector.get(one(row)).json()["may_send_again"] is False
    assert again(inspector, row, 2).status_code == 403


def test_it_is_sent_again_once_however_often_it_is_asked_for(lead: Client) -> None:
    row = stuck()
    for _ in range(2):
        answer = again(lead, row, 2)
        assert (answer.status_code, answer.json()["state"]) == (200, "RETRY")
    assert state_of(row) == "RETRY"
    assert AuditEntry.objects.filter(action="write_back.resend").count() == 1


def test_what_only_waits_for_its_next_try_is_hurried_once(lead: Client) -> None:
    row = stuck("RETRY")
    WriteBack.objects.filter(pk=row.pk).update(due_at=NOW + timedelta(days=3650))
    for _ in range(2):
        assert again(lead, row, 2).status_code == 200
    row.refresh_from_db()
    assert row.due_at < NOW + timedelta(days=3650)
    assert AuditEntry.objects.filter(action="write_back.resend").count() == 1


def test_what_was_tried_since_is_not_sent_again_on_an_old_look(lead: Client) -> None:
    row = stuck(attempts=3)
    answer = again(lead, row, 2)
    assert (answer.status_code, answer.json()["code"]) == (409, "stale")
    assert "3 attempts so far" in answer.json()["detail"]
    assert state_of(row) == "REJECTED"
    assert not AuditEntry.objects.filter(action="write_back.resend").exists()


@pytest.mark.parametrize("given", [None, -1, "many", []])
def test_without_how_often_it_was_tried_it_is_not_sent_again(lead: Client, given: object) -> None:
    row = stuck()
    assert again(lead, row, given).status_code == 422
    assert state_of(row) == "REJECTED"


def test_nor_what_stands_elsewhere_since(lead: Client) -> None:
    row = stuck("UNCERTAIN")
    WriteBack.objects.filter(pk=row.pk).update(state="NEEDS_PERSON")
    answer = again(lead, row, 2)
    assert (answer.status_code, answer.json()["code"]) == (409, "stale")
    assert "“Needs a person” meanwhile" in answer.json()["detail"]
    assert state_of(row) == "NEEDS_PERSON"
    for given in ({"attempts": 2}, {"attempts": 2, "state": "ASLEEP"}):
        assert lead.post(f"{one(row)}/send-again", given, JSON).status_code == 422


@pytest.mark.parametrize("state", ["REJECTED", "NEEDS_PERSON"])
def test_nobody_may_send_again_what_a_later_revision_has_overtaken(
    lead: Client, state: str
) -> None:
    row = stuck(state)
    assert lead.get(one(row)).json()["may_send_again"] is True
    enqueued(row.unit)
    told = lead.get(one(row)).json()
    [listed] = lead.get(f"{LIST}?state={state}").json()["items"]
    assert told["why_not_send_again"] != ""
    assert [each["may_send_again"] for each in (told, listed)] == [False, False]


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ("PENDING", "leaves by itself"),
        ("ACKNOWLEDGED", "has acknowledged it"),
        ("SUPERSEDED", "a later revision of this unit goes instead"),
    ],
)
def test_what_cannot_be_sent_again_is_refused_with_the_page_s_sentence(
    lead: Client, state: str, sentence: str
) -> None:
    settled = None if state == "PENDING" else NOW
    row = stuck(state, settled_at=settled)
    answer = again(lead, row, 2)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert answer.json()["detail"] == lead.get(one(row)).json()["why_not_send_again"]
    assert sentence in answer.json()["detail"]
    assert state_of(row) == state


def test_what_a_later_revision_has_overtaken_is_not_sent_over_it(lead: Client) -> None:
    row = stuck()
    enqueued(row.unit)
    answer = again(lead, row, 2)
    assert answer.status_code == 409
    assert "Revision 2 of this unit has been decided since" in answer.json()["detail"]
