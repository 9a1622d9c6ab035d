"""What is said of a write-back to be sent again is what is done first: asked for, or sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from governance.roles import Role
from mes_integration import delivery, leases, rests, transitions
from mes_integration.adapters.protocol import Handed
from mes_integration.delivery import Called
from mes_integration.mappings import shipped_document
from mes_integration.models import MappingProfile, WriteBack
from tests import factories
from tests.mes_integration.plant import NOW, Reply, ScriptedMes, enqueued, state_of

pytestmark = pytest.mark.django_db
LONGEST_S = 30
DUE = NOW + timedelta(days=4000)
TIME = f"{DUE:%Y-%m-%d %H:%M} UTC"
ASKED = f"At {TIME} the MES is asked whether it has it, and it is sent only if not: until then"
LEAVES = f"Leaves at {TIME}: until then"
LOOKED = f"Rests until {TIME}: the earlier call may still be at work there. Then somebody has to"


def can(**capabilities: bool) -> None:
    """What the site's MES can do; it takes a key as often as it is sent."""
    document: dict[str, Any] = shipped_document("generic")
    document["capabilities"] |= {"key": False, "max_processing_s": LONGEST_S, **capabilities}
    MappingProfile.objects.create(
        site=factories.site(), target="mes", version=1, document=document, author="test", at=NOW
    )


@pytest.fixture
def lead() -> Client:
    client = Client(headers={"Accept-Language": "en"})
    client.force_login(factories.user(Role.LEAD))
    return client


def handed(*, again_s: float | None = 2) -> WriteBack:
    """A middleman has taken it, and its acknowledgement is looked for soon."""
    row = enqueued()
    lease = leases.take_lease(at=NOW)
    assert lease is not None
    answer = Handed("It lies in the folder.", again_s=again_s)
    called = Called(*transitions.after_post(answer), answer)
    assert delivery.record(lease=lease, called=called, at=NOW)
    assert state_of(row) == "SENT"
    return row


def put(row: WriteBack, **fields: Any) -> None:
    WriteBack.objects.filter(pk=row.pk).update(**fields)


def pressed(lead: Client, row: WriteBack) -> str:
    """What the page says at once after a press on "Send again"."""
    return lead.post(f"/write-backs/{row.uuid}/resend/", follow=True).content.decode()


def test_what_was_handed_over_is_asked_for_first_and_every_page_says_so(
    scripted: ScriptedMes, lead: Client
) -> None:
    can()
    row = handed()
    put(row, due_at=DUE)
    text = pressed(lead, row)
    assert text.count(ASKED) >= 2
    for path in ("/write-backs/undelivered/", "/write-backs/rows/"):
        text += lead.get(path).content.decode()
    assert text.count(ASKED) >= 4
    assert "Leaves at" not in text
    put(row, due_at=NOW)
    scripted.says(Reply(404), Reply())
    delivery.deliver_due(at=NOW, limit=1)
    assert scripted.posted() == []
    delivery.deliver_due(at=NOW + timedelta(seconds=1), limit=1)
    assert len(scripted.posted()) == 1


def test_its_own_page_says_so_in_a_day_that_is_today(scripted: ScriptedMes) -> None:
    can()
    row = handed()
    put(row, state="RETRY")
    row.refresh_from_db()
    said = rests.sentences([row], at=NOW)[row.pk]
    assert said.startswith(f"At {NOW + timedelta(seconds=2):%H:%M:%S} UTC the MES is asked")


@pytest.mark.parametrize("replied", [Reply(reset=True), Reply(504)])
def test_what_fell_silent_is_asked_for_first(
    scripted: ScriptedMes, lead: Client, replied: Reply
) -> None:
    can()
    row = enqueued()
    scripted.says(replied)
    delivery.deliver_due(at=NOW, limit=1)
    put(row, due_at=DUE)
    text = pressed(lead, row)
    assert ASKED in text
    assert "Leaves at" not in text


def test_what_can_neither_be_asked_for_nor_told_twice_says_that_somebody_has_to_look(
    scripted: ScriptedMes, lead: Client
) -> None:
    can(read_back=False)
    row = handed()
    put(row, due_at=DUE)
    text = pressed(lead, row)
    assert text.count(LOOKED) >= 2
    assert "Leaves at" not in text
    put(row, due_at=NOW)
    delivery.deliver_due(at=NOW, limit=1)
    assert (state_of(row), scripted.requests) == ("NEEDS_PERSON", [])


def test_that_it_was_retried_by_itself_does_not_count_as_a_person_who_has_looked(
    scripted: ScriptedMes, lead: Client
) -> None:
    """Its answer lost, a program asks for the same again: by then the row waits for a person."""
    can(read_back=False)
    row, at = enqueued(), datetime.now(UTC)
    address = f"/api/v1/write-backs/{row.uuid}"
    scripted.says(Reply(reset=True), Reply())
    delivery.deliver_due(at=at, limit=1)
    looked = lead.get(address).json()
    asked = {name: looked[name] for name in ("attempts", "state")}
    assert asked == {"attempts": 1, "state": "UNCERTAIN"}

    def again(given: dict[str, Any]) -> Any:
        return lead.post(f"{address}/send-again", given, "application/json")

    for _ in range(2):
        assert (again(asked).status_code, state_of(row)) == (200, "RETRY")
    at += timedelta(seconds=LONGEST_S + 1)
    delivery.deliver_due(at=at, limit=1)
    assert (state_of(row), lead.get(address).json()["attempts"]) == ("NEEDS_PERSON", 1)
    for given in (asked, asked | {"state": "RETRY"}):
        answer = again(given)
        assert (answer.status_code, answer.json()["code"]) == (409, "stale")
    delivery.deliver_due(at=at, limit=1)
    assert (state_of(row), len(scripted.posted())) == ("NEEDS_PERSON", 1)
    assert again(asked | {"state": "NEEDS_PERSON"}).status_code == 200
    delivery.deliver_due(at=at + timedelta(seconds=60), limit=1)
    assert (state_of(row), len(scripted.posted())) == ("ACKNOWLEDGED", 2)
    assert again(asked).status_code == 409


def test_once_somebody_has_looked_it_leaves(scripted: ScriptedMes, lead: Client) -> None:
    can(read_back=False)
    row = handed()
    put(row, state="NEEDS_PERSON", due_at=DUE)
    assert LEAVES in lead.get(f"/write-backs/{row.uuid}/").content.decode()
    text = pressed(lead, row)
    assert text.count(LEAVES) >= 2
    assert "is asked whether" not in text
    put(row, due_at=NOW)
    scripted.says(Reply())
    delivery.deliver_due(at=NOW, limit=1)
    assert len(scripted.posted()) == 1


@pytest.mark.parametrize(
    ("key", "reads_back", "said"),
    [
        (True, True, "The MES is asked now whether it has it; it is sent only if not."),
        (True, False, "It is sent again now."),
    ],
)
def test_where_nothing_has_to_rest_the_answer_to_a_press_says_what_comes_first(
    lead: Client, key: bool, reads_back: bool, said: str
) -> None:
    can(key=key, read_back=reads_back)
    row = handed()
    put(row, due_at=datetime.now(UTC) + timedelta(days=1))
    assert said in pressed(lead, row)


def test_of_what_has_rested_long_enough_somebody_has_to_look_at_once(lead: Client) -> None:
    can(read_back=False)
    row = handed()
    assert "Look there, then settle it or send it again." in pressed(lead, row)


def test_the_lists_ask_no_more_of_many_that_rest(scripted: ScriptedMes, lead: Client) -> None:
    can()

    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert lead.get("/write-backs/rows/").content.decode().count(ASKED) > 0
        return len(queries)

    put(handed(), state="RETRY", due_at=DUE)
    few = statements()
    for _more in range(5):
        put(handed(), state="RETRY", due_at=DUE)
    assert statements() == few
