"""What does not get through: shown worst first, sent again in one press."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from config.settings.environment import MesTarget
from governance.models import AuditEntry
from governance.roles import Role
from mes_integration import alarms, bulk, delivery, overview
from mes_integration.mappings import shipped_document
from mes_integration.models import DeliveryAttempt, MappingProfile, WriteBack
from tests import factories
from tests.mes_integration.conftest import Configure
from tests.mes_integration.plant import NOW, DemoMes, Reply, ScriptedMes, enqueued, state_of
from tests.mes_integration.test_pages import rejected, signed_in

pytestmark = pytest.mark.django_db

LIST = "/write-backs/"
PART = "/write-backs/undelivered/"
AGAIN = "/write-backs/send-again/"


@pytest.fixture
def lead() -> Client:
    return signed_in(factories.user(Role.LEAD))


def stands(row: WriteBack, state: str, **more: Any) -> WriteBack:
    WriteBack.objects.filter(pk=row.pk).update(state=state, **more)
    row.refresh_from_db()
    return row


def order(text: str) -> list[str]:
    """Ids of the undelivered rows, as they stand."""
    return re.findall(r'id="late-([\w-]+)"', text)


def test_worst_first_then_oldest(demo: DemoMes, lead: Client) -> None:
    waiting = enqueued(at=NOW)
    retrying = stands(enqueued(), "RETRY")
    young = stands(enqueued(at=NOW + timedelta(minutes=1)), "NEEDS_PERSON")
    old = stands(enqueued(), "NEEDS_PERSON")
    refused = rejected()
    uncertain = stands(enqueued(), "UNCERTAIN")
    found = order(lead.get(PART).content.decode())
    rows = [old, young, refused, uncertain, retrying, waiting]
    assert found == [str(row.uuid) for row in rows]


def test_what_has_just_been_decided_is_visible_at_once(lead: Client) -> None:
    row = enqueued(at=datetime.now(UTC), due_at=datetime.now(UTC) + timedelta(seconds=50))
    at_most = int((row.due_at - datetime.now(UTC)).total_seconds())
    text = lead.get(LIST).content.decode()
    at_least = int((row.due_at - datetime.now(UTC)).total_seconds())
    assert order(text) == [str(row.uuid)]
    left = re.search(r"Leaves in (\d+) s\.", text)
    assert left is not None
    assert at_least <= int(left[1]) <= at_most


def test_the_page_asks_for_what_is_undelivered_again_and_again(lead: Client) -> None:
    text = lead.get(LIST).content.decode()
    assert f'hx-get="{PART}" hx-trigger="every 5s"' in text
    assert "<html" not in lead.get(PART).content.decode()
    assert "hx-get" not in lead.get(LIST, {"state": "RETRY"}).content.decode().split("newest")[0]


def test_nothing_undelivered_is_said_so(demo: DemoMes, lead: Client) -> None:
    assert "Everything is delivered" in lead.get(LIST).content.decode()


def test_a_target_that_settings_do_not_name_is_said_to_be_none(demo: DemoMes, lead: Client) -> None:
    row = enqueued()
    WriteBack.objects.filter(pk=row.pk).update(target="qms")
    text = lead.get(PART).content.decode()
    assert text.count("No such target configured") == 2
    one = lead.get(f"/write-backs/{row.uuid}/").content.decode()
    assert "The settings name no target qms any more" in one
    assert "No such target configured" in lead.get("/write-backs/rows/").content.decode()


def at_mes(client: Client) -> overview.AtTarget:
    found = {each.target: each for each in client.get(PART).context["at_targets"]}
    each = found["mes"]
    assert isinstance(each, overview.AtTarget)
    return each


def test_a_target_is_silent_since_the_first_call_it_did_not_answer(
    scripted: ScriptedMes, lead: Client, configure: Configure
) -> None:
    assert at_mes(lead).reach.answers is None
    at = datetime.now(UTC)
    enqueued(at=at)
    delivery.deliver_due(at=at, limit=1)
    assert at_mes(lead).reach.answers
    acknowledged = at_mes(lead).acknowledged_at
    assert acknowledged is not None
    configure("http://127.0.0.1:9")
    for minutes in (1, 2):
        enqueued(at=at + timedelta(minutes=minutes))
        delivery.deliver_due(at=at + timedelta(minutes=minutes), limit=1)
    each = at_mes(lead)
    assert each.reach.answers is False
    assert each.reach.since is not None
    assert at + timedelta(minutes=1) <= each.reach.since < at + timedelta(minutes=2)
    assert (each.waiting, each.acknowledged_at) == (2, acknowledged)
    assert "Silent for" in lead.get(PART).content.decode()


def test_a_target_that_refuses_does_answer(scripted: ScriptedMes, lead: Client) -> None:
    scripted.says(Reply(422, b'{"detail": "no"}'))
    enqueued()
    delivery.deliver_due(at=NOW, limit=1)
    each = at_mes(lead)
    assert each.reach.answers
    assert each.needs_person == 1


def test_an_alarm_stands_above_everything(lead: Client) -> None:
    enqueued()
    alarms.watch(at=NOW + timedelta(seconds=301))
    text = lead.get(PART).content.decode()
    assert "does not get through to mes" in text
    assert text.index('role="alert"') < text.index('id="targets-title"')
    foreign = signed_in(factories.user(Role.LEAD, at=factories.site("plant-2")))
    assert 'role="alert"' not in foreign.get(PART).content.decode()


# --- sending many again ---


def blocked(count: int) -> Sequence[WriteBack]:
    return [stands(enqueued(), "REJECTED", last_error="No such lot.") for _ in range(count)]


def test_all_with_the_same_reason_go_again_in_one_press(lead: Client) -> None:
    rows, other = blocked(3), rejected()
    text = lead.get(PART).content.decode()
    assert "Send all 3 again" in text
    press = {
        "all": "1",
        "site": "plant-1",
        "target": "mes",
        "state": "REJECTED",
        "last_error": "No such lot.",
    }
    answer = lead.post(AGAIN, press, follow=True)
    assert "3 are sent again." in answer.content.decode()
    assert [state_of(row) for row in rows] == ["RETRY"] * 3
    assert state_of(other) == "REJECTED"
    assert AuditEntry.objects.filter(action="write_back.resend").count() == 3


def test_what_is_ticked_goes_again(lead: Client) -> None:
    first, second, third = blocked(3)
    lead.post(AGAIN, {"write_back": [str(first.uuid), str(third.uuid)]})
    assert [state_of(row) for row in (first, second, third)] == ["RETRY", "REJECTED", "RETRY"]


def test_what_was_decided_anew_or_left_meanwhile_stays(lead: Client) -> None:
    overtaken, gone = blocked(2)
    enqueued(overtaken.unit)
    stands(gone, "ACKNOWLEDGED", settled_at=NOW)
    answer = lead.post(AGAIN, {"write_back": [str(overtaken.uuid), str(gone.uuid)]}, follow=True)
    assert "None of them can be sent again" in answer.content.decode()
    assert (state_of(overtaken), state_of(gone)) == ("REJECTED", "ACKNOWLEDGED")


@pytest.mark.parametrize("given", [{}, {"write_back": "x"}])
def test_a_press_on_nothing_says_what_to_do(lead: Client, given: dict[str, str]) -> None:
    assert lead.post(AGAIN, given).status_code == 422


def test_another_sites_write_backs_are_not_sent() -> None:
    rows = blocked(2)
    foreign = signed_in(factories.user(Role.LEAD, at=factories.site("plant-2")))
    foreign.post(AGAIN, {"write_back": [str(row.uuid) for row in rows]})
    press = {"all": "1", "site": "plant-1", "target": "mes", "state": "REJECTED"}
    foreign.post(AGAIN, {**press, "last_error": "No such lot."})
    assert [state_of(row) for row in rows] == ["REJECTED"] * 2


def test_a_target_that_cannot_be_asked_is_sent_to_on_a_persons_word(
    scripted: ScriptedMes, lead: Client
) -> None:
    row = enqueued()
    can = {"key": False, "read_back": False, "ordered": True, "max_processing_s": 1}
    profile = {**shipped_document("generic"), "capabilities": can}
    MappingProfile.objects.create(
        site=row.site, target="mes", version=1, document=profile, author="ada", at=NOW
    )
    stands(row, "NEEDS_PERSON", message={"a": 1}, profile_version=1, attempts=1)
    lead.post(AGAIN, {"write_back": [str(row.uuid)]})
    assert DeliveryAttempt.objects.get(write_back=row).outcome == "PERSON"


def test_sending_many_costs_few_statements_for_each_two_hundred() -> None:
    lead = factories.actor(Role.LEAD)

    def statements(count: int) -> int:
        rows = blocked(count)
        wanted = WriteBack.objects.filter(pk__in=[row.pk for row in rows])
        with CaptureQueriesContext(connection) as queries:
            assert bulk.resend(actor=lead, rows=wanted, at=NOW) == count
        return len(queries)

    assert statements(2) == statements(12) <= 12


@pytest.mark.parametrize("path", [LIST, PART])
def test_a_page_costs_the_same_statements_for_any_number(
    demo: DemoMes, path: str, lead: Client
) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert lead.get(path).status_code == 200
        return len(queries)

    blocked(2)
    few = statements()
    blocked(60)
    assert statements() == few <= 24


def test_the_worst_are_paged(lead: Client) -> None:
    rows = blocked(52)
    first = lead.get(PART)
    assert len(order(first.content.decode())) == 50
    assert 'href="?from=50"' in first.content.decode()
    rest = order(lead.get(PART, {"from": "50"}).content.decode())
    assert rest == [str(row.uuid) for row in rows[50:]]
    assert lead.get(PART, {"from": "-1"}).status_code == 422


# --- one of them ---


def two_targets(configure: Configure, url: str) -> None:
    configure(url, mes_targets=[MesTarget(name="qms", adapter="http", url="http://127.0.0.1:9")])


def test_a_disposition_shows_all_its_targets_and_a_unit_its_revisions(
    demo: DemoMes, configure: Configure, lead: Client
) -> None:
    two_targets(configure, demo.url)
    first = enqueued(kind="HOLD")
    delivery.deliver_due(at=NOW, limit=1)
    enqueued(first.unit, kind="SCRAP", at=NOW + timedelta(minutes=1))
    text = lead.get(f"/write-backs/{first.uuid}/").content.decode()
    ways = text[text.index('id="siblings-title"') : text.index('id="chain-title"')]
    assert "qms" in ways
    assert "Scrap" not in ways
    chain = text[text.index('id="chain-title"') : text.index('id="attempts-title"')]
    assert "Scrap" in chain
    assert "qms" not in chain


def test_what_would_be_sent_is_shown_before_it_is(demo: DemoMes, lead: Client) -> None:
    row = enqueued()
    text = lead.get(f"/write-backs/{row.uuid}/").content.decode()
    assert "What would be sent" in text
    assert "com.loupe.disposition.v1" in text
    delivery.deliver_due(at=NOW, limit=1)
    assert "What is sent" in lead.get(f"/write-backs/{row.uuid}/").content.decode()


def test_the_target_filter_holds_for_page_part_and_api(
    demo: DemoMes, configure: Configure, lead: Client
) -> None:
    two_targets(configure, demo.url)
    enqueued()
    for path in (LIST, "/write-backs/rows/"):
        text = lead.get(path, {"target": "qms"}).content.decode()
        assert text.count('id="act-') + text.count('id="unit-') == 1
    items = lead.get("/api/v1/write-backs", {"target": "qms"}).json()["items"]
    assert [item["target"] for item in items] == ["qms"]


def test_the_tabs_count_what_is_open(lead: Client) -> None:
    rejected()
    text = lead.get(LIST).content.decode()
    assert '<span class="tabs__count">1</span>' in text
