"""Conflicts with the MES over the API: listed, looked at, and answered by the rules of the page."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from governance.models import AuditEntry, User
from governance.roles import Role
from mes_integration.models import MesChange, WriteBack
from review.models import ReviewTask
from tests import factories
from tests.factories import NOW
from tests.review.test_approvals import asked
from tests.review.test_calls import at_once
from tests.review.test_conflict_answers import asked_about, page_of, scrapped
from tests.review.test_mes_conflicts import LATER, _targets, confirmed, said_there, tell
from traceability.models import Disposition, Unit

__all__ = ["_targets"]
pytestmark = pytest.mark.django_db
API = "/api/v1/conflicts"
JSON = "application/json"
NOBODYS = "01a20700-0000-7000-8000-000000000000"
OURS, THEIRS = "OURS_STANDS", "THEIRS_STANDS"


@pytest.fixture
def lead() -> User:
    return factories.user(Role.LEAD, name="lea")


def client_of(who: User) -> Client:
    client = Client(headers={"Accept-Language": "en"})
    client.force_login(who)
    return client


def read(who: User, change: MesChange) -> dict[str, Any]:
    return dict(client_of(who).get(f"{API}/{change.uuid}").json())


def answered(who: User, change: MesChange, answer: str, **more: Any) -> Any:
    """By who has just looked, unless the test says otherwise."""
    revision = Unit.objects.get(pk=change.unit_id).disposition_revision
    said = {"answer": answer, "revision": revision, "reason": "Seen with the MRB.", **more}
    return client_of(who).post(f"{API}/{change.uuid}/answer", said, JSON)


def to_rework() -> MesChange:
    """Held here, sent to rework there: nobody else has to want it."""
    return said_there(confirmed().unit, "REWORK")


def alike(change: MesChange, number: int, **fields: Any) -> MesChange:
    """Another one of another unit."""
    unit = factories.unit(f"SN-9{number}")
    given = {
        "site": change.site,
        "unit": unit,
        "target": "mes",
        "event_id": f"alike-{number}",
        "about": "DISPOSITION",
        "word": "REWORK",
        "kind": "REWORK",
        "changed_at": LATER,
        "received_at": LATER,
        "our_revision": 0,
        "state": "OPEN",
    }
    return MesChange.objects.create(**given | fields)


def ids(who: User, query: str = "") -> list[str]:
    return [item["id"] for item in client_of(who).get(API + query).json()["items"]]


def test_they_are_listed_newest_first_and_by_state_target_and_unit(lead: User) -> None:
    first = to_rework()
    second = alike(first, 1, target="qms")
    third = alike(first, 2, state="NOTED", resolved_at=LATER)
    newest_first = [str(each.uuid) for each in (third, second, first)]
    assert ids(lead) == newest_first
    assert ids(lead, "?state=OPEN") == newest_first[1:]
    assert ids(lead, "?target=qms") == [str(second.uuid)]
    assert ids(lead, f"?unit={first.unit.serial}") == [str(first.uuid)]
    for size in (1, 2):
        found: list[str] = []
        ahead: str | None = f"?limit={size}"
        while ahead:
            page = client_of(lead).get(API + ahead).json()
            found += [item["id"] for item in page["items"]]
            ahead = page["next"]
        assert found == newest_first


def test_both_sides_are_told_and_the_revision_an_answer_names(lead: User) -> None:
    change = to_rework()
    [listed] = client_of(lead).get(API).json()["items"]
    one = read(lead, change)
    assert {name: one[name] for name in listed} == listed
    assert (one["theirs"], one["means"], one["by"]) == ("REWORK", "REWORK", "u.meyer")
    assert (one["ours"], one["ours_now"], one["our_revision"], one["revision"]) == (
        *("HOLD", "HOLD"),
        *(change.our_revision, change.our_revision),
    )
    assert (one["state"], one["write_back"], one["resolved_at"]) == ("OPEN", None, None)
    assert (one["may_answer"], one["why_not_answer"], one["meanings"]) == (True, "", [])
    inspector = read(factories.user(Role.INSPECTOR), change)
    assert inspector["may_answer"] is False


@pytest.mark.parametrize(
    "query", ["state=NONE", "before=x", f"before={NOBODYS}", "limit=0", "limit=201"]
)
def test_a_question_that_makes_no_sense_is_refused(lead: User, query: str) -> None:
    answer = client_of(lead).get(f"{API}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


def test_another_site_s_do_not_exist(lead: User) -> None:
    change = to_rework()
    foreign = factories.user(Role.LEAD, at=factories.site("plant-2"))
    assert ids(foreign) == []
    assert client_of(foreign).get(f"{API}?before={change.uuid}").status_code == 422
    assert client_of(foreign).get(f"{API}/{change.uuid}").status_code == 404
    assert answered(foreign, change, OURS).status_code == 404
    assert answered(foreign, change, "NEITHER").status_code == 404
    change.refresh_from_db()
    assert change.state == "OPEN"
    assert client_of(lead).get(f"{API}/{NOBODYS}").status_code == 404


@pytest.mark.parametrize("role", [Role.INSPECTOR, Role.AUDITOR])
def test_who_may_only_look_does_not_answer(role: Role) -> None:
    change, who = to_rework(), factories.user(role)
    assert read(who, change)["state"] == "OPEN"
    answer = answered(who, change, OURS)
    assert answer.status_code == 403
    assert "code" in answer.json()


def test_the_list_costs_the_same_statements_whatever_its_length(lead: User) -> None:
    client = client_of(lead)

    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(API).status_code == 200
        return len(queries)

    change = to_rework()
    row = WriteBack.objects.filter(unit=change.unit, target="mes").latest("pk")
    alike(change, 0, write_back=row)
    few = statements()
    for number in range(1, 8):
        alike(change, number, write_back=row)
    assert statements() == few
    assert few <= 6


def test_ours_stands_and_is_told_again(lead: User) -> None:
    change = to_rework()
    answer = answered(lead, change, OURS)
    assert answer.status_code == 200
    told = answer.json()
    assert (told["state"], told["resolved_by"], told["reason"]) == (
        *("OURS_STANDS", "lea"),
        "Seen with the MRB.",
    )
    assert told["revision"] == change.our_revision + 1
    assert told["may_answer"] is False
    assert told["why_not_answer"] == told["why_not_ours"] == told["why_not_theirs"] != ""
    [row] = WriteBack.objects.filter(revision=told["revision"])
    assert (row.target, row.state) == ("mes", "PENDING")


def test_theirs_stands_and_is_told_to_the_others(lead: User) -> None:
    change = to_rework()
    told = answered(lead, change, THEIRS).json()
    assert (told["state"], told["ours"], told["ours_now"]) == ("THEIRS_STANDS", "HOLD", "REWORK")
    [row] = WriteBack.objects.filter(revision=told["revision"])
    assert row.target == "qms"


def by_page(who: User, change: MesChange, answer: str) -> None:
    revision = Unit.objects.get(pk=change.unit_id).disposition_revision
    way = {OURS: "ours", THEIRS: "theirs"}[answer]
    client_of(who).post(
        f"/review/conflicts/{change.uuid}/{way}/",
        {"revision": str(revision), "reason": "Seen with the MRB."},
    )


def by_api(who: User, change: MesChange, answer: str) -> None:
    answered(who, change, answer)


def traces(way: Callable[[User, MesChange, str], None], who: User, answer: str) -> list[Any]:
    """What an answer leaves in the audit trail, without what is another each time."""
    unit = factories.unit(f"SN-{way.__name__}")
    factories.hold(factories.inspection(unit), at=NOW)
    tell(unit)
    MesChange.objects.update(event_id="the one before")
    change = said_there(unit, "REWORK")
    before = AuditEntry.objects.latest("pk").pk
    way(who, change, answer)
    return [
        (each.actor, each.action, each.reason, sorted(each.detail), each.detail.get("state"))
        for each in AuditEntry.objects.filter(pk__gt=before).order_by("pk")
    ]


@pytest.mark.parametrize("answer", [OURS, THEIRS])
def test_it_leaves_the_same_in_the_audit_trail_as_the_page(lead: User, answer: str) -> None:
    found = traces(by_page, lead, answer)
    assert traces(by_api, lead, answer) == found
    assert ("lea", "mes_change.resolve", "Seen with the MRB.") in [each[:3] for each in found]


@pytest.mark.parametrize("answer", [OURS, THEIRS])
def test_the_same_answer_twice_counts_once(lead: User, answer: str) -> None:
    change = to_rework()
    revision = change.our_revision
    first = answered(lead, change, answer)
    again = answered(lead, change, answer, revision=revision)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    assert Disposition.objects.filter(unit=change.unit, revision__gt=revision).count() == 1
    resolved = AuditEntry.objects.filter(action="mes_change.resolve")
    assert resolved.count() == 1


@pytest.mark.django_db(transaction=True)
def test_pressed_by_two_at_the_same_time_one_answer_counts() -> None:
    """His own second press is answered like the first; the other one's is refused."""
    change = to_rework()
    revision = change.our_revision
    lea, lou = (factories.user(Role.LEAD, name=name) for name in ("lea", "lou"))
    sent = [partial(answered, who, change, OURS, revision=revision) for who in (lea, lea, lou, lou)]
    codes = sorted(getattr(answer, "status_code", 0) for answer in at_once(*sent))
    assert codes == [200, 200, 409, 409]
    assert Disposition.objects.filter(unit=change.unit, revision__gt=revision).count() == 1
    assert AuditEntry.objects.filter(action="mes_change.resolve").count() == 1


def test_a_second_answer_is_another_one_where_anything_of_it_differs(lead: User) -> None:
    change = to_rework()
    revision = change.our_revision
    assert answered(lead, change, OURS).status_code == 200
    other = factories.user(Role.QUALITY_ENGINEER)
    for who, answer, more in (
        (lead, THEIRS, {}),
        (lead, OURS, {"reason": "Another one."}),
        (lead, OURS, {"revision": revision + 1}),
        (other, OURS, {}),
    ):
        refused = answered(who, change, answer, **{"revision": revision, **more})
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
        assert "It is settled: what is decided here stands." in refused.json()["detail"]
    assert AuditEntry.objects.filter(action="mes_change.resolve").count() == 1


def test_repeated_after_the_unit_was_decided_anew_it_is_refused(lead: User) -> None:
    change = to_rework()
    assert answered(lead, change, OURS).status_code == 200
    factories.hold(factories.inspection(change.unit), at=LATER)
    assert answered(lead, change, OURS, revision=change.our_revision).status_code == 409


def test_an_answer_to_what_is_not_so_any_more_is_refused(lead: User) -> None:
    change = to_rework()
    seen = change.our_revision
    factories.hold(factories.inspection(change.unit), at=LATER)
    tell(change.unit)
    for answer in (OURS, THEIRS):
        refused = answered(lead, change, answer, revision=seen)
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
        assert "The unit was decided anew meanwhile" in refused.json()["detail"]
    change.refresh_from_db()
    assert change.state == "OPEN"
    assert not AuditEntry.objects.filter(action="mes_change.resolve").exists()


@pytest.mark.parametrize(
    "given",
    [
        {"answer": "NEITHER"},
        {"answer": None},
        {"revision": None},
        {"revision": "the last"},
        {"revision": -1},
        {"reason": ""},
        {"reason": " \n"},
        {"reason": "x" * 301},
        {"reason": "a\0b"},
        {"kind": "MRB"},
        {"answer": THEIRS, "kind": "SCRAP"},
    ],
)
def test_what_is_not_said_as_it_must_be_changes_nothing(lead: User, given: dict[str, Any]) -> None:
    change = to_rework()
    refused = answered(lead, change, **{"answer": OURS, **given})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid")
    change.refresh_from_db()
    assert change.state == "OPEN"


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (scrapped, "Scrapped before; a scrapped unit stays scrapped."),
        (asked_about, "Held until the other question about this unit is answered."),
    ],
)
def test_it_says_beforehand_what_it_would_refuse_in_the_page_s_words(
    lead: User, made: Callable[[], MesChange], sentence: str
) -> None:
    change = made()
    assert read(lead, change)["why_not_theirs"] == sentence
    assert sentence in page_of(change, lead)
    refused = answered(lead, change, THEIRS)
    assert (refused.status_code, refused.json()["detail"]) == (409, sentence)


def test_ours_is_not_taken_while_it_has_not_left_yet(lead: User) -> None:
    seen = factories.inspection(factories.unit("SN-1"))
    factories.hold(seen, at=NOW)
    change = said_there(seen.unit, "ACCEPT")
    sentence = read(lead, change)["why_not_ours"]
    assert "has not left for mes yet" in sentence
    refused = answered(lead, change, OURS)
    assert (refused.status_code, refused.json()["detail"]) == (409, sentence)


def test_a_second_person_is_asked_for_as_on_the_page(lead: User) -> None:
    change = said_there(confirmed().unit, "ACCEPT")
    admin = factories.user(Role.ADMIN)
    refused = answered(admin, change, THEIRS)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    assert refused.json()["detail"] == read(admin, change)["why_not_theirs"]
    assert answered(lead, change, THEIRS).status_code == 200


def test_who_asked_for_the_scrap_does_not_get_it_this_way() -> None:
    asker = factories.actor(Role.LEAD)
    approval = asked(by=asker)
    tell(approval.unit)
    change = said_there(approval.unit, "SCRAP")
    refused = answered(User.objects.get(username=asker.name), change, THEIRS)
    assert (refused.status_code, refused.json()["code"]) == (409, "same_person")


def test_of_a_word_the_mapping_does_not_know_the_answer_says_what_it_means(lead: User) -> None:
    seen = factories.inspection(factories.unit("SN-1"))
    factories.task(seen)
    ReviewTask.objects.update(second_for_scrap=True, state="DECIDED")
    factories.hold(seen, at=NOW)
    tell(seen.unit)
    change = said_there(seen.unit, "MRB")
    meanings = {each["kind"]: each["why_not"] for each in read(lead, change)["meanings"]}
    assert meanings["REWORK"] == ""
    assert "this takes two people" in meanings["SCRAP"]
    revision = change.our_revision
    assert answered(lead, change, THEIRS).status_code == 422
    refused = answered(lead, change, THEIRS, kind="SCRAP")
    assert (refused.status_code, refused.json()["detail"]) == (422, meanings["SCRAP"])
    for _ in range(2):
        taken = answered(lead, change, THEIRS, kind="REWORK", revision=revision)
        assert (taken.status_code, taken.json()["ours_now"]) == (200, "REWORK")
    otherwise = answered(lead, change, THEIRS, kind="HOLD", revision=revision)
    assert otherwise.status_code == 409


def test_an_acknowledgement_that_was_put_right_is_settled_by_it_twice_as_well(lead: User) -> None:
    change = to_rework()
    MesChange.objects.filter(pk=change.pk).update(about="ACKNOWLEDGEMENT", word="", kind="")
    for _ in range(2):
        taken = answered(lead, change, THEIRS, revision=change.our_revision)
        assert (taken.status_code, taken.json()["state"]) == (200, "AGREED")
    assert AuditEntry.objects.filter(action="mes_change.resolve").count() == 1
