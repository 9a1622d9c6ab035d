"""What was changed in the MES behind our back, and whose word stands."""

from __future__ import annotations

import json
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest
from django.db import connection, transaction
from django.test import Client
from knox.models import AuthToken

from config.settings.environment import MesTarget
from governance.access import Actor, actor_of
from governance.models import AuditEntry, User
from governance.roles import Role
from mes_integration import changes, mappings
from mes_integration.canonical import record_of
from mes_integration.changes import Said
from mes_integration.models import MappingProfile, MesChange, WriteBack
from mes_integration.transitions import State
from review import mes_conflicts
from review.mes_conflicts import Choice
from tests import factories
from tests.factories import NOW
from tests.mes_integration.plant import somebody_waits_for_a_lock
from tests.runner.waiting import wait_until
from traceability.models import DeciderKind, Disposition, Inspection, Site, Unit
from traceability.refusals import Conflict, Invalid, Unknown

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(hours=1)
SCHEMA = Path(changes.__file__).parent / "schemas" / "disposition.v1.schema.json"


@pytest.fixture(autouse=True)
def _targets(settings: Any) -> None:
    """Two targets, of which the second has one word for two dispositions."""
    made = [
        MesTarget.model_validate(
            {"name": name, "adapter": "http", "url": f"http://{name}.invalid", "profile": "generic"}
        )
        for name in ("mes", "qms")
    ]
    settings.LOUPE = settings.LOUPE.model_copy(update={"mes_targets": made, "mes_url": ""})


@pytest.fixture
def seen() -> Inspection:
    """A unit's inspection; the unit is held."""
    made = factories.inspection(factories.unit("SN-1"))
    factories.hold(made, at=NOW)
    made.unit.refresh_from_db()
    return made


@pytest.fixture
def lead() -> Actor:
    return factories.actor(Role.LEAD)


def machine(at: Site | None = None) -> Actor:
    return factories.actor(Role.MES, at=at or factories.site())


def record(
    word: Any = "ACCEPT", *, at: datetime = LATER, event_id: str = "e-1", target: str = "mes"
) -> MesChange:
    """The MES of plant-1 says this of SN-1."""
    said = Said(event_id=event_id, serial="SN-1", word=word, changed_at=at, by="u.meyer")
    change, _is_new = changes.record(
        actor=machine(), site=factories.site(), target_name=target, said=said, at=LATER
    )
    return change


def tell(unit: Unit, target: str = "mes") -> None:
    """What is on its way to the target has arrived there."""
    WriteBack.objects.filter(unit=unit, target=target).update(
        state=State.ACKNOWLEDGED, settled_at=NOW, reference="MES-1"
    )


def kind_of(unit: Unit) -> str:
    unit.refresh_from_db()
    return unit.disposition


def choice(change: MesChange, **more: Any) -> Choice:
    change.unit.refresh_from_db()
    given = {"revision": change.unit.disposition_revision, "reason": "Seen with the MRB.", **more}
    return Choice(change=change.uuid, **given)


# What comes of it


def test_what_agrees_with_ours_is_recorded_as_agreed(seen: Inspection) -> None:
    assert record("HOLD").state == "AGREED"
    assert kind_of(seen.unit) == "HOLD"


def test_a_release_there_alone_never_releases_here(seen: Inspection) -> None:
    tell(seen.unit)
    change = record("ACCEPT")
    assert (change.state, change.kind, change.our_kind, change.our_revision) == (
        "OPEN",
        "ACCEPT",
        "HOLD",
        1,
    )
    assert kind_of(seen.unit) == "HOLD"
    assert Disposition.objects.count() == 1
    entry = AuditEntry.objects.get(action="mes_change.record")
    assert (entry.detail["theirs"], entry.detail["ours"]) == ("ACCEPT", "HOLD")


def test_a_word_the_mapping_does_not_know_is_open_with_the_word_as_it_came(
    seen: Inspection,
) -> None:
    change = record({"status": "MRB"})
    assert (change.state, change.kind, change.word) == ("OPEN", "", {"status": "MRB"})
    assert seen.unit == change.unit


def test_a_word_for_two_dispositions_agrees_with_either_and_means_neither(
    seen: Inspection,
) -> None:
    words = {"ACCEPT": "OK", "CONCESSION": "OK", "HOLD": "NOK", "REWORK": "NOK"}
    MappingProfile.objects.create(
        site=seen.site,
        target="mes",
        version=1,
        document={**mappings.shipped_document("generic"), "verdicts": words},
        author="test",
        at=NOW,
    )
    assert record("NOK", event_id="a").state == "AGREED"
    # A concession is an acceptance: one word for both still means one thing.
    released = record("OK", event_id="b", at=LATER + timedelta(seconds=1))
    assert (released.state, released.kind) == ("OPEN", "ACCEPT")
    factories.release(seen, at=LATER)
    back = record("NOK", event_id="c", at=LATER + timedelta(seconds=2))
    assert (back.state, back.kind) == ("OPEN", "")


def test_an_echo_of_what_it_was_told_last_is_no_conflict_while_the_next_has_not_left(
    seen: Inspection,
) -> None:
    tell(seen.unit)
    factories.release(seen)
    assert record("HOLD", event_id="a").state == "AGREED"
    # Once the release may have arrived there, a hold is somebody's doing.
    WriteBack.objects.filter(unit=seen.unit, revision=2).update(state=State.RETRY, attempts=1)
    assert record("HOLD", event_id="b", at=LATER + timedelta(seconds=1)).state == "OPEN"


def test_the_same_event_again_is_known_and_another_under_its_id_is_a_conflict(
    seen: Inspection,
) -> None:
    first = record("ACCEPT")
    assert record("ACCEPT") == first
    with pytest.raises(Conflict, match="used before"):
        record("SCRAP")
    assert MesChange.objects.get().unit == seen.unit


def test_only_the_latest_change_of_a_unit_stays_open(seen: Inspection) -> None:
    first = record("ACCEPT", event_id="a", at=LATER)
    second = record("SCRAP", event_id="b", at=LATER + timedelta(minutes=1))
    late = record("REWORK", event_id="c", at=LATER - timedelta(minutes=1))
    first.refresh_from_db()
    assert [first.state, second.state, late.state] == ["NOTED", "OPEN", "NOTED"]
    back = record("HOLD", event_id="d", at=LATER + timedelta(minutes=2))
    second.refresh_from_db()
    assert [second.state, back.state] == ["AGREED", "AGREED"]
    assert seen.unit == back.unit


def test_each_target_has_its_own_conflict(seen: Inspection) -> None:
    assert record("ACCEPT", target="mes").state == "OPEN"
    assert record("ACCEPT", target="qms").state == "OPEN"
    assert MesChange.objects.filter(unit=seen.unit, state="OPEN").count() == 2


def test_of_a_unit_nobody_has_decided_about_it_is_noted() -> None:
    factories.unit("SN-1")
    assert record("HOLD").state == "NOTED"


def test_unknown_units_targets_and_sites_are_refused(seen: Inspection) -> None:
    with pytest.raises(Unknown, match="targets there are: mes, qms"):
        record(target="erp")
    said = Said(event_id="e", serial="SN-9", word="HOLD", changed_at=LATER)
    with pytest.raises(Unknown, match="SN-9"):
        changes.record(actor=machine(), site=seen.site, target_name="mes", said=said, at=LATER)
    foreign = machine(factories.site("plant-2"))
    with pytest.raises(Unknown):
        changes.record(actor=foreign, site=seen.site, target_name="mes", said=said, at=LATER)
    with pytest.raises(Invalid, match="5 minutes ahead"):
        record(at=LATER + timedelta(minutes=6))
    assert not MesChange.objects.exists()


# Whose word stands


def test_ours_stands_goes_to_that_target_alone_as_a_new_revision(
    seen: Inspection, lead: Actor
) -> None:
    tell(seen.unit)
    tell(seen.unit, "qms")
    change = record("ACCEPT")
    mes_conflicts.ours_stands(actor=lead, choice=choice(change), at=LATER)
    change.refresh_from_db()
    assert (change.state, change.resolved_by, change.reason) == (
        "OURS_STANDS",
        lead.name,
        "Seen with the MRB.",
    )
    assert kind_of(seen.unit) == "HOLD"
    rows = WriteBack.objects.filter(unit=seen.unit).order_by("revision", "target")
    assert [(row.revision, row.target, row.state) for row in rows] == [
        (1, "mes", State.ACKNOWLEDGED),
        (1, "qms", State.ACKNOWLEDGED),
        (2, "mes", State.PENDING),
    ]
    assert len({row.uuid for row in rows}) == 3
    assert rows[2].due_at == LATER
    made = Disposition.objects.get(unit=seen.unit, revision=2)
    assert (made.kind, made.decider_kind, made.decider) == ("HOLD", "inspector", lead.badge)
    assert AuditEntry.objects.filter(action="mes_change.resolve", reason=change.reason).exists()


def test_what_the_target_will_be_told_anyway_is_not_told_twice(
    seen: Inspection, lead: Actor
) -> None:
    change = record("ACCEPT")
    with pytest.raises(Conflict, match="has not left for mes yet"):
        mes_conflicts.ours_stands(actor=lead, choice=choice(change), at=LATER)
    assert WriteBack.objects.filter(unit=seen.unit, target="mes").count() == 1


def test_a_release_of_what_was_confirmed_is_a_concession_asked_for_there_and_approved_here(
    seen: Inspection, lead: Actor
) -> None:
    found = [{"defect_class": "porosity", "severity": "major", "count": 1}]
    Unit.objects.filter(pk=seen.unit_id).update(disposition_revision=2)
    Disposition.objects.create(
        site=seen.site,
        unit=seen.unit,
        inspection=seen,
        revision=2,
        kind="HOLD",
        nonconformities=found,
        decider_kind=DeciderKind.INSPECTOR,
        decider="4711",
        decided_at=NOW,
        policy_version=1,
    )
    tell(seen.unit)
    change = record("ACCEPT")
    mes_conflicts.theirs_stands(actor=lead, choice=choice(change), at=LATER)
    made = Disposition.objects.get(unit=seen.unit, revision=3)
    assert made.nonconformities == found
    assert made.concession == {
        "reason": "Seen with the MRB.",
        "asked_by": "mes u.meyer",
        "approved_by": lead.badge,
        "at": LATER.isoformat(),
    }
    row = WriteBack.objects.get(unit=seen.unit, revision=3)
    assert (row.target, record_of(row)["verdict"]) == ("qms", "CONCESSION")


def test_theirs_stands_becomes_ours_and_every_other_target_is_told(
    seen: Inspection, lead: Actor
) -> None:
    tell(seen.unit)
    change = record("ACCEPT")
    mes_conflicts.theirs_stands(actor=lead, choice=choice(change), at=LATER)
    change.refresh_from_db()
    assert change.state == "THEIRS_STANDS"
    assert kind_of(seen.unit) == "ACCEPT"
    made = Disposition.objects.get(unit=seen.unit, revision=2)
    assert (made.decider_kind, made.decider) == (DeciderKind.MES, "mes u.meyer")
    told = WriteBack.objects.filter(unit=seen.unit, revision=2)
    assert [row.target for row in told] == ["qms"]
    assert told[0].payload["data"]["decided_by"] == {"kind": "mes", "name": "mes u.meyer"}
    fastjsonschema.compile(json.loads(SCHEMA.read_text()))(told[0].payload)


def test_a_word_without_a_meaning_needs_one_from_the_person(seen: Inspection, lead: Actor) -> None:
    change = record("MRB")
    with pytest.raises(Invalid, match="choose a disposition"):
        mes_conflicts.theirs_stands(actor=lead, choice=choice(change), at=LATER)
    mes_conflicts.theirs_stands(actor=lead, choice=choice(change, kind="REWORK"), at=LATER)
    assert kind_of(seen.unit) == "REWORK"


def test_a_scrapped_unit_does_not_come_back_by_the_mes(seen: Inspection, lead: Actor) -> None:
    Unit.objects.filter(pk=seen.unit_id).update(
        disposition="SCRAP", held_since=None, held_at_station=None
    )
    change = record("ACCEPT")
    with pytest.raises(Conflict, match="stays scrapped"):
        mes_conflicts.theirs_stands(actor=lead, choice=choice(change), at=LATER)
    change.refresh_from_db()
    assert change.state == "OPEN"
    assert Disposition.objects.count() == 1


def test_a_unit_somebody_is_still_asked_about_is_not_released(lead: Actor) -> None:
    made = factories.inspection(factories.unit("SN-1"))
    factories.hold(made, at=NOW)
    factories.task(made)
    change = record("ACCEPT")
    with pytest.raises(Conflict, match="other question"):
        mes_conflicts.theirs_stands(actor=lead, choice=choice(change), at=LATER)
    assert kind_of(made.unit) == "HOLD"


def test_where_both_have_come_to_agree_nothing_new_is_made(seen: Inspection, lead: Actor) -> None:
    change = record("ACCEPT")
    factories.release(seen)
    mes_conflicts.theirs_stands(actor=lead, choice=choice(change), at=LATER)
    change.refresh_from_db()
    assert change.state == "AGREED"
    assert Disposition.objects.count() == 2


def test_what_was_decided_meanwhile_is_looked_at_first(seen: Inspection, lead: Actor) -> None:
    change = record("ACCEPT")
    looked = choice(change)
    factories.hold(seen)
    for answer in (mes_conflicts.ours_stands, mes_conflicts.theirs_stands):
        with pytest.raises(Conflict, match="revision 2"):
            answer(actor=lead, choice=looked, at=LATER)


def test_it_is_chosen_once_and_with_a_reason(seen: Inspection, lead: Actor) -> None:
    tell(seen.unit)
    change = record("ACCEPT")
    with pytest.raises(Invalid, match="Say why"):
        mes_conflicts.ours_stands(actor=lead, choice=choice(change, reason=" "), at=LATER)
    mes_conflicts.ours_stands(actor=lead, choice=choice(change), at=LATER)
    with pytest.raises(Conflict, match="what is decided here stands"):
        mes_conflicts.theirs_stands(actor=lead, choice=choice(change), at=LATER)
    assert kind_of(seen.unit) == "HOLD"


@pytest.mark.parametrize("role", [Role.INSPECTOR, Role.AUDITOR, Role.OPERATOR, Role.MES])
def test_who_may_not_choose_finds_nothing(seen: Inspection, role: Role) -> None:
    change = record("ACCEPT")
    with pytest.raises(Unknown):
        mes_conflicts.ours_stands(actor=factories.actor(role), choice=choice(change), at=LATER)
    assert kind_of(seen.unit) == "HOLD"


@pytest.mark.django_db(transaction=True)
def test_two_leads_who_choose_at_once_do_not_both_succeed() -> None:
    made = factories.inspection(factories.unit("SN-1"))
    factories.hold(made, at=NOW)
    tell(made.unit)
    change = record("ACCEPT")
    leads = [actor_of(factories.user(Role.LEAD)) for _ in range(2)]
    chosen = choice(change)
    barrier = threading.Barrier(2)
    answers: list[str] = []

    def choose(answer: Any, by: Actor) -> None:
        barrier.wait()
        try:
            answer(actor=by, choice=chosen, at=LATER)
            answers.append("done")
        except Conflict:
            answers.append("conflict")
        finally:
            connection.close()

    both = (mes_conflicts.ours_stands, mes_conflicts.theirs_stands)
    threads = [threading.Thread(target=choose, args=pair) for pair in zip(both, leads, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["conflict", "done"]
    assert Disposition.objects.filter(unit=made.unit).count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_verdict_that_falls_while_a_lead_chooses_is_looked_at_first() -> None:
    made = factories.inspection(factories.unit("SN-1"))
    factories.hold(made, at=NOW)
    tell(made.unit)
    change, lead = record("ACCEPT"), actor_of(factories.user(Role.LEAD))
    chosen = choice(change)
    answers: list[str] = []

    def choose() -> None:
        try:
            mes_conflicts.ours_stands(actor=lead, choice=chosen, at=LATER)
        except Conflict as conflict:
            answers.append(conflict.sentence)
        finally:
            connection.close()

    thread = threading.Thread(target=choose)
    with transaction.atomic():
        factories.release(made)
        thread.start()
        assert wait_until(somebody_waits_for_a_lock)
    thread.join()
    assert ["revision 2" in answer for answer in answers] == [True]
    assert Disposition.objects.filter(unit=made.unit).count() == 2


@pytest.mark.django_db(transaction=True)
def test_the_same_event_twice_at_once_is_kept_once() -> None:
    factories.hold(factories.inspection(factories.unit("SN-1")), at=NOW)
    sender, site = machine(), factories.site()
    for number in range(6):
        said = Said(
            event_id=f"e-{number}",
            serial="SN-1",
            word="ACCEPT",
            changed_at=LATER + timedelta(seconds=number),
        )
        barrier = threading.Barrier(2)
        answers: list[bool] = []

        def send(
            said: Said = said,
            barrier: threading.Barrier = barrier,
            answers: list[bool] = answers,
        ) -> None:
            barrier.wait()
            try:
                found = changes.record(
                    actor=sender, site=site, target_name="mes", said=said, at=LATER
                )
                answers.append(found[1])
            finally:
                connection.close()

        threads = [threading.Thread(target=send) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) == [False, True]
    assert MesChange.objects.count() == 6
    assert MesChange.objects.filter(state="OPEN").count() == 1


# Over HTTP, and the pages


def post(body: Any, *, at: str = "plant-1") -> Any:
    user = factories.user(Role.MES, at=factories.site(at))
    _row, token = AuthToken.objects.create(user)
    return Client().post(
        "/api/v1/mes/changes",
        body,
        "application/json",
        headers={"Authorization": f"Bearer {token}"},
    )


BODY = {
    "event_id": "e-1",
    "serial": "SN-1",
    "disposition": "ACCEPT",
    "at": NOW.isoformat(),
    "by": "u.meyer",
}


def test_the_mes_reports_a_change_over_the_api(seen: Inspection) -> None:
    answers = [post(BODY), post(BODY), post({**BODY, "disposition": "SCRAP"})]
    assert [answer.status_code for answer in answers] == [201, 200, 409]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["state"] == "OPEN"
    assert (answers[0].json()["means"], answers[0].json()["ours"]) == ("ACCEPT", "HOLD")
    assert kind_of(seen.unit) == "HOLD"


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"serial": "SN-9"}, 404),
        ({"site": "plant-2"}, 404),
        ({"target": "erp"}, 404),
        ({"event_id": ""}, 422),
        ({"at": "yesterday"}, 422),
        ({"at": "2036-01-01T00:00:00Z"}, 422),
        ({"dispositon": "ACCEPT"}, 422),
        ({"by": "a\0b"}, 422),
        ({"disposition": {"a": "b\0c"}}, 422),
        ({"disposition": "\ud800"}, 422),
        ({"disposition": "x" * 2001}, 422),
    ],
)
def test_a_report_that_is_wrong_is_refused_with_its_status(
    seen: Inspection, changed: dict[str, Any], status: int
) -> None:
    factories.site("plant-2")
    answer = post({**BODY, **changed})
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert not MesChange.objects.filter(unit=seen.unit).exists()


def client(user: User) -> Client:
    found = Client()
    found.force_login(user)
    return found


def test_the_page_lists_what_is_open_first_and_names_both_sides(seen: Inspection) -> None:
    record("HOLD", event_id="agreed")
    record("ACCEPT", event_id="open", at=LATER + timedelta(seconds=1))
    record("REWORK", event_id="noted")
    page = client(factories.user(Role.INSPECTOR)).get("/write-backs/conflicts/").content.decode()
    assert page.index("Open") < page.index("Noted") < page.index("Agreed")
    assert seen.unit.serial in page
    assert "u.meyer" in page
    foreign = factories.user(Role.LEAD, at=factories.site("plant-2"))
    assert "No conflicts" in client(foreign).get("/write-backs/conflicts/").content.decode()


def test_a_lead_chooses_on_the_page_and_others_only_read(seen: Inspection) -> None:
    change = record("MRB")
    address = f"/write-backs/conflicts/{change.uuid}/"
    read = client(factories.user(Role.INSPECTOR)).get(address).content.decode()
    assert "“MRB”" in read
    assert "Ours stands: send again" not in read
    lead = client(factories.user(Role.LEAD))
    assert "What their word means" in lead.get(address).content.decode()
    posted = {"revision": "1", "reason": "Seen with the MRB.", "kind": "SCRAP"}
    answer = lead.post(f"/review/conflicts/{change.uuid}/theirs/", posted, follow=True)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "Theirs stands" in page
    assert "It is settled" in page
    assert kind_of(seen.unit) == "SCRAP"


def test_a_stale_page_and_one_that_says_no_revision_are_refused(seen: Inspection) -> None:
    change = record("ACCEPT")
    lead = client(factories.user(Role.LEAD))
    address = f"/review/conflicts/{change.uuid}/ours/"
    assert lead.post(address, {"revision": "7", "reason": "x"}).status_code == 409
    assert lead.post(address, {"revision": "one", "reason": "x"}).status_code == 422
    assert lead.post(address, {"revision": "1", "reason": ""}).status_code == 422
    assert Disposition.objects.filter(unit=seen.unit).count() == 1


def test_a_contradicting_acknowledgement_is_settled_without_a_revision(
    seen: Inspection, lead: Actor
) -> None:
    row = WriteBack.objects.get(unit=seen.unit, target="mes")
    change = MesChange.objects.create(
        site=seen.site,
        line=seen.line,
        unit=seen.unit,
        target="mes",
        event_id="ack",
        about="ACKNOWLEDGEMENT",
        write_back=row,
        word="applied",
        reference="MES-2",
        remark="Acknowledged under MES-1, and now under MES-2 as well.",
        changed_at=NOW,
        received_at=NOW,
        our_revision=1,
        our_kind="HOLD",
        state="OPEN",
    )
    page = client(User.objects.get(username=lead.name)).get(
        f"/write-backs/conflicts/{change.uuid}/"
    )
    assert "now under MES-2 as well" in page.content.decode()
    assert "Settled there" in page.content.decode()
    mes_conflicts.theirs_stands(actor=lead, choice=choice(change), at=LATER)
    change.refresh_from_db()
    assert change.state == "AGREED"
    assert Disposition.objects.count() == 1
