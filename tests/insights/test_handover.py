"""The shift handover: exactly what is open, signed by who takes it over, kept as it was signed."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core import signing
from django.db import connection, transaction
from django.db.models import Model
from django.db.utils import IntegrityError
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from governance import audit, duty
from governance.access import Actor, actor_of, system
from governance.models import AuditEntry, Duty, SignInFailure, User
from governance.roles import Role
from inference_bridge import policy
from inference_bridge.routing import Rule
from insights import handover, open_items
from insights.handover import Changed, Document, NotRead
from insights.models import Handover
from mes_integration.models import WriteBack
from retraining import deployments
from review.models import (
    AndonCall,
    CaptureCheck,
    HoldAcknowledgement,
    ReviewTask,
    SecondOpinion,
    TaskKind,
    TaskPurpose,
)
from tests import factories
from tests.factories import NOW
from tests.retraining import plant
from tests.review.test_adjudication import BAD, GOOD, UNSURE, judge
from tests.review.test_controls import Bench, control, waiting
from traceability.models import Disposition, Line, Site, Unit
from traceability.refusals import Invalid, NotAllowed

LATER = NOW + timedelta(hours=1)


def lead(name: str = "leo", **where: Any) -> Actor:
    return actor_of(factories.user(Role.LEAD, name=name, **where))


def person(actor: Actor) -> User:
    return User.objects.get(username=actor.name)


def read(actor: Actor, *, at: Any = LATER) -> Document:
    return handover.document(actor=actor, site=factories.site(), at=at)


def sign(actor: Actor, document: Document | None = None, **given: Any) -> Handover:
    values = {"password": factories.PASSWORD, "remark": "", "at": LATER, **given}
    seen = values.pop("seen", (document or read(actor)).sealed())
    return handover.sign(actor=actor, site=factories.site(), seen=seen, **values)


def changes(actor: Actor) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read(actor).content["changes"]["rows"]
    return rows


def units(document: Document, name: str) -> list[str]:
    return [row["unit"] for row in document.content[name]["rows"]]


def held(at: Site | None = None, *, minutes: int = 0) -> Unit:
    """A unit on hold since then."""
    seen = factories.inspection(factories.unit(at=at))
    factories.hold(seen, at=NOW + timedelta(minutes=minutes))
    return Unit.objects.get(pk=seen.unit_id)


def call(on: Line, kind: str = "HELP", **fields: Any) -> AndonCall:
    return AndonCall.objects.create(
        site=on.site,
        line=on,
        station=factories.station(on),
        kind=kind,
        key=uuid.uuid4(),
        made_at=NOW,
        called_at=NOW,
        **fields,
    )


def check(on: Line, **fields: Any) -> CaptureCheck:
    return CaptureCheck.objects.create(
        site=on.site,
        line=on,
        station=factories.station(on),
        capture=factories.capture(factories.inspection(on=on)),
        causes=["blurred"],
        opened_at=NOW,
        **fields,
    )


def opinion(on: Line, **fields: Any) -> SecondOpinion:
    station = factories.station(on)
    task = factories.task(on=on)
    device, _token = factories.tablet(station)
    return SecondOpinion.objects.create(
        site=on.site,
        station=station,
        task=task,
        key=uuid.uuid4(),
        device=device,
        by=factories.user(Role.OPERATOR, at=on.site),
        said={},
        why=SecondOpinion.Why.DECIDED,
        sentence="Too late.",
        made_at=NOW,
        at=NOW,
        **fields,
    )


def write_back(of: Unit, state: str, **fields: Any) -> WriteBack:
    row = WriteBack.objects.get(disposition=Disposition.objects.get(unit=of))
    WriteBack.objects.filter(pk=row.pk).update(state=state, **fields)
    return row


def everything(site: Site) -> dict[str, set[str]]:
    """Two of each open thing at a site, and beside them what is not open; the units by list."""
    line = factories.line(site)
    boss = factories.user(Role.LEAD, at=site)
    refused, lost, sent = (held(site, minutes=n) for n in range(3))
    write_back(refused, "REJECTED", last_error="unknown serial")
    write_back(lost, "NEEDS_PERSON")
    write_back(sent, "ACKNOWLEDGED", settled_at=NOW)
    escalated, adjudicated, asked, plain, shown = factories.tasks(5, on=line)
    ReviewTask.objects.filter(pk=escalated.pk).update(is_escalated=True)
    ReviewTask.objects.filter(pk=adjudicated.pk).update(purpose=TaskPurpose.ADJUDICATION)
    ReviewTask.objects.filter(pk=asked.pk).update(kind=TaskKind.CONTAIN)
    ReviewTask.objects.filter(pk=shown.pk).update(purpose=TaskPurpose.CONTROL, is_escalated=True)
    done = factories.task(on=line)
    ReviewTask.objects.filter(pk=done.pk).update(state="CLOSED", is_escalated=True)
    call(line)
    call(line, "STOP", closed_at=NOW, closed_by=boss)
    check(line)
    late = opinion(line)
    assert late.task is not None
    opinion(line, seen_at=NOW, seen_by=boss)
    with audit.recorded(actor=system("test"), at=NOW) as trail:
        for kind, action in (("policy", "policy.set"), ("unit", "unit.comment")):
            trail.add(action, subject_kind=kind, subject="x", site_id=site.pk)
    return {
        "holds": {unit.serial for unit in (refused, lost, sent)},
        "for_leads": {escalated.unit.serial, adjudicated.unit.serial},
        "questions": {asked.unit.serial},
        # Nobody but leads is there, whom the escalated one can wait for.
        "refused": {refused.serial, lost.serial},
        "opinions": {late.task.unit.serial},
        "none": {plain.unit.serial},
    }


@pytest.mark.django_db
def test_the_document_lists_exactly_the_open_set() -> None:
    opened = everything(factories.site())
    elsewhere = everything(factories.site("plant-2"))
    document = read(lead())
    for name in ("holds", "for_leads", "questions", "refused", "opinions"):
        assert set(units(document, name)) == opened[name], name
        assert len(document.content[name]["keys"]) == len(opened[name]), name
    for name in ("calls", "checks", "changes"):
        assert len(document.content[name]["keys"]) == 1, name
    everywhere = handover.canonical(document.content)
    assert not [
        serial for serials in elsewhere.values() for serial in serials if serial in everywhere
    ]
    assert units(document, "unsent") == []
    assert next(iter(opened["none"])) not in everywhere


@pytest.mark.django_db
def test_a_unit_in_several_lists_is_one_thing_to_take_over() -> None:
    contained, other = held(), held()
    factories.task(factories.inspection(contained))
    asked = factories.task(factories.inspection(other))
    ReviewTask.objects.update(kind=TaskKind.CONTAIN)
    ReviewTask.objects.filter(pk=asked.pk).update(is_escalated=True)
    call(factories.line())
    document = read(lead())
    assert units(document, "holds") == [contained.serial, other.serial]
    assert units(document, "questions") == [contained.serial, other.serial]
    assert units(document, "for_leads") == [other.serial]
    assert document.items == 3
    signed = sign(lead("lea"), document)
    entry = AuditEntry.objects.get(action="handover.sign", subject=str(signed.uuid))
    assert entry.detail["items"] == 3


@pytest.mark.django_db
def test_a_hold_is_told_with_its_reason_place_station_and_owner() -> None:
    boss = lead()
    away, here = held(minutes=1), held(minutes=2)
    assert away.held_since is not None
    HoldAcknowledgement.objects.create(
        site=away.site,
        station=factories.station(),
        unit=away,
        held_since=away.held_since,
        place="red rack",
        key=uuid.uuid4(),
        by=factories.user(Role.OPERATOR, name="olga"),
        made_at=NOW,
        at=NOW,
    )
    # Of an earlier hold of this unit: nobody has put it away this time.
    HoldAcknowledgement.objects.create(
        site=here.site,
        station=factories.station(),
        unit=here,
        held_since=NOW - timedelta(days=1),
        place="red rack",
        key=uuid.uuid4(),
        by=factories.user(Role.OPERATOR),
        made_at=NOW,
        at=NOW,
    )
    first, second = read(boss).content["holds"]["rows"]
    assert first == {
        "since": (NOW + timedelta(minutes=1)).isoformat(),
        "unit": away.serial,
        "station": "line-1 st-1",
        "reason": "No verdict before the deadline.",
        "place": "red rack",
        "put_by": "olga",
        "owner": "leo",
    }
    assert (second["unit"], second["place"], second["put_by"]) == (here.serial, "", "")


@pytest.mark.django_db
def test_what_nobody_will_take_is_told() -> None:
    boss = lead(on=factories.line(code="line-2"))
    factories.user(Role.QUALITY_ENGINEER)
    task = factories.task(on=factories.line(code="line-3"))
    ReviewTask.objects.filter(pk=task.pk).update(is_escalated=True)
    User.objects.exclude(username=boss.name).update(is_active=False)
    whole = actor_of(factories.user(Role.AUDITOR))
    [row] = read(whole).content["stuck"]["rows"]
    assert (row["unit"], row["why"]) == (task.unit.serial, "line-3 has no lead.")


@pytest.mark.django_db
def test_a_long_list_names_every_unit_and_tells_the_first() -> None:
    serials = [held(minutes=n).serial for n in range(open_items.SHOWN + 3)]
    boss = lead()
    content = read(boss).content["holds"]
    assert [row["unit"] for row in content["rows"]] == serials[: open_items.SHOWN]
    assert [key.rpartition(" ")[0] for key in content["keys"]] == serials
    client = Client()
    client.force_login(person(boss))
    page = client.get("/handover/").content.decode()
    assert "And 3 more:" in page
    assert all(serial in page for serial in serials)


@pytest.mark.django_db
def test_the_document_costs_the_same_however_much_is_open() -> None:
    boss = lead()
    costs = []
    for _round in range(2):
        everything(factories.site())
        with CaptureQueriesContext(connection) as asked:
            read(boss)
        costs.append(len(asked))
        somebody = User.objects.first()
        AndonCall.objects.update(closed_at=NOW, closed_by=somebody)
        CaptureCheck.objects.update(closed_at=NOW)
    assert costs[0] == costs[1] <= 30


@pytest.mark.django_db
def test_the_figures_are_those_of_the_shift() -> None:
    boss = lead()
    for verdict in (GOOD, BAD, BAD, UNSURE):
        factories.task()
        judge(factories.actor(), verdict)
    figures = read(boss).content["figures"]
    assert figures["decided"] == 4
    assert figures["by"] == {"ACCEPT": 1, "REWORK": 2, "SCRAP": 0, "HOLD": 1}
    assert figures["held"] == 1
    assert read(boss, at=NOW + timedelta(hours=9)).content["figures"]["decided"] == 0


@pytest.mark.django_db
def test_missed_controls_are_counted_and_nobody_is_named() -> None:
    boss = lead()
    control(BAD)
    waiting(2)
    for verdict in (GOOD, BAD):
        bench = Bench(factories.user(name=f"judge-{verdict.answer}"))
        [task] = bench.claim()
        bench.decide(task, verdict)
    document = read(boss, at=timezone.now())
    assert document.content["controls"] == {"shown": 2, "missed": 1}
    assert "judge-" not in handover.canonical(document.content)


@pytest.mark.django_db
def test_write_backs_on_their_way_are_shown_once_they_are_late() -> None:
    boss = lead()
    unit = held()
    WriteBack.objects.update(due_at=NOW)
    assert units(read(boss, at=NOW + timedelta(seconds=30)), "unsent") == []
    document = read(boss)
    assert units(document, "unsent") == [unit.serial]
    WriteBack.objects.update(state="ACKNOWLEDGED", settled_at=NOW)
    # It came and went by itself: the signature does not stand for it.
    assert read(boss).keys == document.keys


@pytest.mark.django_db
def test_who_signs_has_the_duty_and_what_he_read_is_kept() -> None:
    boss = lead()
    everything(factories.site())
    document = read(boss)
    signed = sign(boss, document, remark=" Line 1 waits for glass. ")
    kept = Handover.objects.get(pk=signed.pk)
    assert kept.content == document.content
    assert handover.is_untouched(kept)
    assert (kept.incoming_id, kept.outgoing, kept.remark) == (
        boss.user_id,
        None,
        "Line 1 waits for glass.",
    )
    assert (kept.since, kept.signed_at) == (LATER - timedelta(hours=8), LATER)
    assert (kept.duty.user_id, kept.duty.began_at) == (boss.user_id, LATER)
    entry = AuditEntry.objects.get(action="handover.sign")
    assert entry.actor == "leo"
    assert entry.detail["meaning"] == "I take over these open items."
    assert entry.detail["content_sha256"] == kept.content_sha256


@pytest.mark.django_db
def test_the_next_shift_begins_where_the_last_was_signed() -> None:
    first, second = lead("leo"), lead("lena")
    unit = held()
    sign(first)
    evening = LATER + timedelta(hours=8)
    document = read(second, at=evening)
    assert document.content["since"] == LATER.isoformat()
    assert document.content["previous"]["by"] == "leo"
    assert units(document, "holds") == [unit.serial]
    assert document.content["holds"]["rows"][0]["owner"] == "leo"
    signed = sign(second, document, at=evening)
    assert (signed.outgoing_id, signed.incoming_id) == (first.user_id, second.user_id)
    night = sign(
        second, read(second, at=evening + timedelta(hours=8)), at=evening + timedelta(hours=8)
    )
    assert (night.outgoing_id, night.incoming_id) == (second.user_id, second.user_id)


@pytest.mark.django_db
def test_what_came_or_went_since_he_looked_keeps_him_from_signing() -> None:
    boss = lead()
    known = held()
    document = read(boss)
    fresh = held(minutes=3)
    with pytest.raises(Changed) as refused:
        sign(boss, document)
    assert (refused.value.code, refused.value.gone) == ("handover_changed", 0)
    assert {key.split()[1] for key in refused.value.new} == {fresh.serial}
    document = read(boss)
    Unit.objects.filter(pk=known.pk).update(
        disposition="ACCEPT", held_since=None, held_at_station=None
    )
    with pytest.raises(Changed) as refused:
        sign(boss, document)
    assert (refused.value.gone, refused.value.new) == (1, frozenset())
    assert not Handover.objects.exists()
    assert not Duty.objects.exists()


@pytest.mark.django_db
def test_a_unit_held_anew_is_another_item() -> None:
    boss = lead()
    unit = held()
    before = read(boss).keys
    Unit.objects.filter(pk=unit.pk).update(held_since=NOW + timedelta(minutes=9))
    assert read(boss).keys != before


@pytest.mark.django_db
@pytest.mark.parametrize("seen", ["", "made:up", "other site", "an hour ago"])
def test_only_what_was_read_just_now_can_be_signed(seen: str) -> None:
    boss = lead()
    if seen == "other site":
        elsewhere = factories.site("plant-2")
        seen = handover.document(actor=boss, site=elsewhere, at=LATER).sealed()
    elif seen == "an hour ago":
        seen = read(boss, at=NOW).sealed()
    with pytest.raises(NotRead):
        sign(boss, seen=seen)
    forged = signing.dumps({"site": "plant-1"}, salt="another")
    with pytest.raises(NotRead):
        sign(boss, seen=forged)


@pytest.mark.django_db
def test_a_wrong_password_signs_nothing_and_rests_after_several() -> None:
    boss = lead()
    held()
    document = read(boss)
    for _try in range(5):
        with pytest.raises(NotAllowed) as refused:
            sign(boss, document, password="not-the-password")
        assert refused.value.reason == "password_wrong"
    with pytest.raises(NotAllowed, match="Wait 1 minute") as refused:
        sign(boss, document)
    assert refused.value.reason == "password_rests"
    assert not Handover.objects.exists()
    assert AuditEntry.objects.filter(action="person.lock_out").count() == 1
    sign(boss, document, at=LATER + timedelta(minutes=1))
    assert not SignInFailure.objects.exists()


@pytest.mark.django_db
def test_a_line_is_not_the_site() -> None:
    mine, other = factories.line(code="line-1"), factories.line(code="line-2")
    factories.hold(factories.inspection(on=mine), at=NOW)
    factories.hold(factories.inspection(on=other), at=NOW)
    boss = lead(on=mine)
    document = read(boss)
    assert len(document.content["holds"]["keys"]) == 1
    with pytest.raises(NotAllowed, match="whole site"):
        sign(boss, document)
    with pytest.raises(NotAllowed, match="whole site"):
        sign(actor_of(factories.user(Role.AUDITOR)), document)
    whole = lead("lena")
    sign(whole)
    assert not handover.signed(actor=boss, site=factories.site()).exists()


@pytest.mark.django_db
def test_a_remark_has_its_length() -> None:
    boss = lead()
    with pytest.raises(Invalid, match="1000"):
        sign(boss, remark="x" * 1001)


@pytest.mark.django_db
@pytest.mark.parametrize("model", [Handover, Duty])
def test_what_was_signed_is_never_altered(model: type[Model]) -> None:
    sign(lead())
    rows = model._default_manager
    column = "remark" if model is Handover else "began_at"
    value = "changed" if model is Handover else NOW
    for change in (lambda: rows.update(**{column: value}), lambda: rows.all().delete()):
        with pytest.raises(IntegrityError), transaction.atomic():
            change()


@pytest.mark.django_db
def test_a_content_that_was_tampered_with_shows() -> None:
    signed = sign(lead())
    signed.content["holds"]["keys"].append("SN-9 2026-11-22T06:00:00+00:00")
    assert not handover.is_untouched(signed)


@pytest.mark.django_db(transaction=True)
def test_two_leads_who_sign_at_once_sign_one_after_the_other() -> None:
    people = [lead("leo"), lead("lena")]
    held()
    documents = [read(each) for each in people]
    begin = threading.Barrier(2)

    def work(number: int) -> None:
        begin.wait()
        try:
            sign(people[number], documents[number])
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = Handover.objects.order_by("pk")
    assert {first.incoming_id, second.incoming_id} == {each.user_id for each in people}
    assert (first.outgoing_id, second.outgoing_id) == (None, first.incoming_id)
    assert first.duty_id < second.duty_id
    owner = duty.owner_of(site_id=first.site_id, at=LATER)
    assert owner is not None
    assert owner.pk == second.incoming_id


def client_of(actor: Actor) -> Client:
    client = Client()
    client.force_login(person(actor))
    return client


def post(client: Client, document: Document, **given: str) -> Any:
    body = {"site": "plant-1", "seen": document.sealed(), "password": factories.PASSWORD, **given}
    return client.post("/handover/sign/", body)


@pytest.mark.django_db
def test_a_lead_signs_on_the_page_and_opens_what_he_signed() -> None:
    boss = lead()
    unit = held()
    client = client_of(boss)
    shown = client.get("/handover/")
    body = {
        "site": "plant-1",
        "seen": shown.context["seen"],
        "password": factories.PASSWORD,
        "remark": "Quiet.",
    }
    answer = client.post("/handover/sign/", body)
    signed = Handover.objects.get()
    assert answer.headers["Location"] == f"/handover/{signed.uuid}/"
    page = client.get(answer.headers["Location"]).content.decode()
    for words in (unit.serial, "leo", "Quiet.", "I take over these open items.", "UTC"):
        assert words in page
    assert signed.content_sha256 in page
    assert f"/handover/{signed.uuid}/" in client.get("/handover/").content.decode()


@pytest.mark.django_db
def test_a_refused_signature_shows_what_is_new_and_keeps_the_remark() -> None:
    boss = lead()
    client = client_of(boss)
    document = read(boss, at=timezone.now())
    fresh = held()
    answer = post(client, document, remark="Glass is missing.")
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "1 item is new; it is marked below." in page
    assert "Glass is missing." in page
    row = page.split('class="handover__new"', 1)[1].split("</tr>", 1)[0]
    assert fresh.serial in row
    assert factories.PASSWORD not in page
    wrong = post(client, read(boss, at=timezone.now()), password="not-the-password")
    assert wrong.status_code == 403
    assert "not yours" in wrong.content.decode()


@pytest.mark.django_db
def test_who_judges_a_unit_learns_nothing_of_it_here() -> None:
    boss = lead()
    task = factories.task()
    factories.hold(task.inspection, at=NOW)
    client = client_of(boss)
    assert "No verdict before the deadline." in client.get("/handover/").content.decode()
    ReviewTask.objects.filter(pk=task.pk).update(
        state="LEASED",
        holder=boss.user_id,
        lease_expires_at=timezone.now() + timedelta(minutes=1),
    )
    page = client.get("/handover/").content.decode()
    assert task.unit.serial in page
    assert "on your bench" in page
    assert "No verdict before the deadline." not in page


@pytest.mark.django_db
def test_earlier_handovers_are_listed_page_by_page() -> None:
    boss = lead()
    for hour in range(22):
        at = LATER + timedelta(hours=hour)
        sign(boss, read(boss, at=at), at=at)
    client = client_of(boss)
    first = client.get("/handover/").context
    assert len(first["earlier"]) == 20
    older = client.get("/handover/", {"before": str(first["older"])}).context
    assert len(older["earlier"]) == 2
    assert older["older"] is None
    assert client.get("/handover/", {"before": "x"}).status_code == 422


@pytest.mark.django_db
def test_the_home_page_says_who_answers() -> None:
    operator = actor_of(factories.user(Role.OPERATOR))
    client = client_of(operator)
    assert "Nobody answers for held units" in client.get("/").content.decode()
    boss = lead()
    assert "leo answers for held units; nobody has signed" in client.get("/").content.decode()
    now = timezone.now()
    sign(boss, read(boss, at=now), at=now)
    words = f"leo answers for held units since {now:%Y-%m-%d %H:%M} UTC"
    assert words in client.get("/").content.decode()


@pytest.mark.django_db
def test_policy_and_model_changes_of_the_shift_are_told() -> None:
    boss = lead()
    engineer = factories.actor(Role.QUALITY_ENGINEER)
    site = factories.site()
    rules = [Rule(review_from=0.2, contain_from=0.9)]
    for hours, reason in ((-9, "Long ago."), (0, "Too many escapes.")):
        at = NOW + timedelta(hours=hours)
        policy.set_policy(actor=engineer, site=site, rules=rules, reason=reason, at=at)
    champion, challenger = (plant.model(site, version, at=NOW) for version in ("1", "2"))
    for model in (champion, challenger):
        deployments.promote(actor=engineer, model=model, reason="Better.", at=NOW)
    told = [(row["action"], row["what"], row["reason"]) for row in changes(boss)]
    assert told == [
        ("policy.set", "plant-1/2", "Too many escapes."),
        ("model.promotion", str(champion.model_version), "Better."),
        ("model.promotion", str(challenger.model_version), "Better."),
    ]
    document = read(boss)
    deployments.roll_back(actor=engineer, site=site, reason="Worse.", at=LATER)
    with pytest.raises(Changed):
        sign(boss, document)


@pytest.mark.django_db
def test_a_form_sent_twice_takes_the_shift_over_once() -> None:
    boss = lead()
    document = read(boss)
    assert sign(boss, document) == sign(boss, document)
    assert Duty.objects.count() == 1
