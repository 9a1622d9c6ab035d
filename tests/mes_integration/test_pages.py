"""Who sees the write-backs, and what the page and the API say of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from governance.models import User
from governance.roles import Role
from mes_integration import delivery
from mes_integration.models import WriteBack
from mes_integration.presentation import age
from tests import factories
from tests.mes_integration.plant import NOW, DemoMes, enqueued, state_of

pytestmark = pytest.mark.django_db

LIST = "/write-backs/"
ROWS = "/write-backs/rows/"
API = "/api/v1/write-backs"


def rejected() -> WriteBack:
    row = enqueued()
    WriteBack.objects.filter(pk=row.pk).update(
        state="REJECTED", attempts=1, last_error="The MES answered 422: <b>no</b>."
    )
    row.refresh_from_db()
    return row


def one(row: WriteBack, what: str = "") -> str:
    return f"/write-backs/{row.uuid}/{what}"


def signed_in(who: User) -> Client:
    client = Client()
    client.force_login(who)
    return client


@pytest.fixture
def lead() -> Client:
    return signed_in(factories.user(Role.LEAD))


def test_the_list_shows_state_unit_and_last_words_newest_first(lead: Client) -> None:
    first, second = rejected(), enqueued()
    rows = lead.get(ROWS).content.decode()
    assert rows.index(second.unit.serial) < rows.index(first.unit.serial)
    text = lead.get(LIST).content.decode()
    assert "Refused by the MES" in text
    assert "422: &lt;b&gt;no&lt;/b&gt;." in text
    assert f'hx-get="{ROWS}"' in text
    assert 'hx-trigger="every 2s"' in text


def test_the_fragment_is_the_table_alone(lead: Client) -> None:
    row = rejected()
    text = lead.get(ROWS, headers={"HX-Request": "true"}).content.decode()
    assert row.unit.serial in text
    assert "<html" not in text
    assert f'href="/write-backs/{row.uuid}/#do">Settle it by hand</a>' in text


def test_who_may_not_resolve_is_not_offered_to() -> None:
    row = rejected()
    inspector = signed_in(factories.user(Role.INSPECTOR))
    text = inspector.get(ROWS).content.decode()
    assert "#do" not in text
    assert "A lead sees to it." in text
    assert "<textarea" not in inspector.get(one(row)).content.decode()


def test_the_state_filter_holds_for_the_fragment_too(lead: Client) -> None:
    stuck, waiting = rejected(), enqueued()
    page = lead.get(LIST, {"state": "REJECTED"}).content.decode()
    assert f'hx-get="{ROWS}?state=REJECTED"' in page
    for text in (page, lead.get(ROWS, {"state": "REJECTED"}).content.decode()):
        assert stuck.unit.serial in text
        assert waiting.unit.serial not in text


def test_a_long_list_goes_on_with_older_ones(lead: Client) -> None:
    rows = [enqueued() for _ in range(51)]
    text = lead.get(ROWS).content.decode()
    assert rows[0].unit.serial not in text
    older = lead.get(LIST, {"before": str(rows[1].uuid)}).content.decode()
    assert rows[0].unit.serial in older
    assert rows[1].unit.serial not in older
    assert f"before={rows[1].uuid}" in text


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"state": "NONE"}, 422),
        ({"before": "x"}, 422),
        ({"before": str(uuid4())}, 422),
        ({"unit": "a\0b"}, 422),
    ],
)
def test_a_question_that_makes_no_sense_is_answered_so(
    lead: Client, query: dict[str, str], status: int
) -> None:
    assert lead.get(LIST, query).status_code == status
    assert lead.get(API, query).status_code == status


@pytest.mark.parametrize("query", ["", "?state=REJECTED"])
def test_an_empty_list_says_what_to_do(lead: Client, query: str) -> None:
    text = lead.get(LIST + query).content.decode()
    assert "empty__title" in text
    assert ("Show all" in text) == bool(query)


@pytest.mark.parametrize("path", [LIST, ROWS, API])
def test_the_list_costs_the_same_statements_whatever_its_length(path: str, lead: Client) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert lead.get(path).status_code == 200
        return len(queries)

    enqueued()
    few = statements()
    for _ in range(20):
        enqueued()
    assert statements() == few


def test_a_lead_sends_again_from_the_page(demo: DemoMes, lead: Client) -> None:
    row = rejected()
    answer = lead.post(one(row, "resend/"), follow=True)
    assert answer.status_code == 200
    assert "It is sent again now." in answer.content.decode()
    delivery.deliver_due(at=datetime.now(UTC), limit=5)
    assert state_of(row) == "ACKNOWLEDGED"
    text = lead.get(one(row)).content.decode()
    assert row.reference in text
    assert "Settle by hand" not in text
    assert "Send again" not in text


def test_a_lead_settles_from_the_page_and_must_say_why(lead: Client) -> None:
    row = rejected()
    refused = lead.post(one(row, "settle/"), {"reference": "MES-1", "reason": ""})
    assert refused.status_code == 422
    assert "Say why" in refused.content.decode()
    lead.post(one(row, "settle/"), {"reference": "MES-1", "reason": "Typed in by hand."})
    assert state_of(row) == "ACKNOWLEDGED"


def test_a_second_press_is_refused_with_a_sentence(lead: Client) -> None:
    row = rejected()
    press = {"reference": "", "reason": "Checked."}
    assert lead.post(one(row, "settle/"), press).status_code == 302
    again = lead.post(one(row, "settle/"), press)
    assert again.status_code == 409
    assert "It is settled" in again.content.decode()


def test_the_page_shows_what_was_tried_and_what_is_sent(demo: DemoMes, lead: Client) -> None:
    demo.fault("reject")
    row = enqueued()
    delivery.deliver_due(at=NOW, limit=5)
    text = lead.get(one(row)).content.decode()
    assert "not in production" in text
    assert "Refused" in text
    assert "com.loupe.disposition.v1" in text


# --- who, and how ---

READ = [lambda row: LIST, lambda row: ROWS, one]
WRITE = [lambda row: one(row, "resend/"), lambda row: one(row, "settle/")]
Address = Callable[[WriteBack], str]


@pytest.mark.parametrize("address", READ + WRITE)
def test_a_stranger_is_sent_to_the_login(address: Address) -> None:
    row = rejected()
    client = Client()
    call = client.post if address in WRITE else client.get
    answer = call(address(row))
    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("governance:login"))
    assert state_of(row) == "REJECTED"


@pytest.mark.parametrize("address", READ)
@pytest.mark.parametrize("role", [Role.OPERATOR, Role.MACHINE, None])
def test_a_role_without_the_capability_is_refused(address: Address, role: Role | None) -> None:
    assert signed_in(factories.user(role)).get(address(rejected())).status_code == 403


@pytest.mark.parametrize("address", WRITE)
@pytest.mark.parametrize("role", [Role.INSPECTOR, Role.AUDITOR, Role.OPERATOR, None])
def test_who_may_only_look_does_not_press(address: Address, role: Role | None) -> None:
    row = rejected()
    answer = signed_in(factories.user(role)).post(address(row), {"reason": "Mine."})
    assert answer.status_code == 403
    assert state_of(row) == "REJECTED"


@pytest.mark.parametrize("address", [one, *WRITE])
def test_another_sites_write_back_is_not_there(address: Address) -> None:
    row = rejected()
    foreign = signed_in(factories.user(Role.LEAD, at=factories.site("plant-2")))
    call = foreign.post if address in WRITE else foreign.get
    assert call(address(row), {"reason": "Mine."} if address in WRITE else None).status_code == 404
    assert state_of(row) == "REJECTED"


@pytest.mark.parametrize("path", [LIST, ROWS, API])
def test_another_sites_write_backs_are_not_listed(path: str) -> None:
    row = rejected()
    foreign = signed_in(factories.user(Role.LEAD, at=factories.site("plant-2")))
    assert row.unit.serial not in foreign.get(path).content.decode()
    assert foreign.get(path, {"before": str(row.uuid)}).status_code == 422


@pytest.mark.parametrize("path", [LIST, ROWS, API])
def test_a_role_for_one_line_sees_that_line(path: str) -> None:
    row = rejected()
    here = signed_in(factories.user(Role.INSPECTOR, on=factories.line(code="line-1")))
    there = signed_in(factories.user(Role.INSPECTOR, on=factories.line(code="line-2")))
    assert row.unit.serial in here.get(path).content.decode()
    assert row.unit.serial not in there.get(path).content.decode()


@pytest.mark.parametrize("address", READ + WRITE)
@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_other_methods_are_not_allowed(address: Address, method: str, lead: Client) -> None:
    assert getattr(lead, method)(address(rejected())).status_code == 405


def test_reading_does_not_change_and_pressing_is_not_reading(lead: Client) -> None:
    row = rejected()
    assert lead.get(one(row, "resend/")).status_code == 405
    assert lead.get(one(row, "settle/")).status_code == 405
    assert lead.post(LIST).status_code == 405


def test_a_press_from_another_page_is_refused() -> None:
    row = rejected()
    client = Client(enforce_csrf_checks=True)
    client.force_login(factories.user(Role.LEAD))
    assert client.post(one(row, "resend/")).status_code == 403
    assert state_of(row) == "REJECTED"


# --- the API ---


def test_the_api_tells_state_and_reference(demo: DemoMes, lead: Client) -> None:
    row = enqueued()
    delivery.deliver_due(at=NOW, limit=5)
    row.refresh_from_db()
    (item,) = lead.get(API).json()["items"]
    assert item["id"] == str(row.uuid)
    assert (item["site"], item["unit"], item["revision"]) == ("plant-1", row.unit.serial, 1)
    assert (item["state"], item["disposition"]) == ("ACKNOWLEDGED", "HOLD")
    assert item["reference"] == row.reference
    assert item["attempts"] == 1


def test_the_api_filters_by_state_and_unit(lead: Client) -> None:
    stuck, waiting = rejected(), enqueued()

    def units(**query: str) -> list[str]:
        return [item["unit"] for item in lead.get(API, query).json()["items"]]

    assert units(state="REJECTED") == [stuck.unit.serial]
    assert units(unit=waiting.unit.serial) == [waiting.unit.serial]
    assert units(unit=waiting.unit.serial, state="REJECTED") == []


def test_the_api_pages_through_everything_once_although_new_ones_arrive(lead: Client) -> None:
    rows = [enqueued() for _ in range(7)]
    seen: list[str] = []
    query: str | None = "?limit=3"
    while query:
        page = lead.get(API + query).json()
        seen += [item["id"] for item in page["items"]]
        query = page["next"]
        enqueued()
    assert seen == [str(row.uuid) for row in reversed(rows)]


@pytest.mark.parametrize("limit", ["0", "201", "x", "-1", "²", "9" * 5000])
def test_the_api_refuses_a_limit_that_is_none(lead: Client, limit: str) -> None:
    assert lead.get(API, {"limit": limit}).status_code == 422


def test_the_api_is_closed_to_strangers_and_other_roles() -> None:
    assert Client().get(API).status_code == 401
    assert signed_in(factories.user(Role.OPERATOR)).get(API).status_code == 403
    assert signed_in(factories.user(Role.MACHINE)).get(API).status_code == 403


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_the_api_only_reads(lead: Client, method: str) -> None:
    assert getattr(lead, method)(API).status_code == 405


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (timedelta(seconds=-1), "0 s"),
        (timedelta(seconds=59.9), "59 s"),
        (timedelta(seconds=60), "1 min"),
        (timedelta(hours=3), "3 h"),
        (timedelta(days=2), "2 d"),
    ],
)
def test_an_age_is_one_number_and_one_unit(duration: timedelta, words: str) -> None:
    assert age(duration.total_seconds()) == words
