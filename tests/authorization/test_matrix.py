"""Every route, method, role, site and tablet over HTTP: the answer, and that a refusal wrote
nothing."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection, transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from knox.models import AuthToken
from pytest_django.fixtures import Settings

from governance import devices
from governance.access import Actor, actor_of
from governance.models import Grant, User
from governance.roles import Role
from inference_bridge.models import DeadLetter
from insights import handover
from insights.models import Handover
from labeling.models import Dataset, Label
from mes_integration.models import (
    MesChange,
    Ncr,
    NcrRule,
    Reconciliation,
    ReconciliationException,
    WriteBack,
)
from retraining.models import RegisteredModel, TrainingRun
from review import decisions, queue
from review.models import AndonCall, Answer, Approval, Decision, LotMember, LotReview, SecondOpinion
from review.queue import Lease
from review.verdicts import Verdict
from tests import factories
from tests.authorization.table import OPEN, ROLES, TABLE, Row
from traceability import images
from traceability.addresses import HEAT_MAPS, TILES
from traceability.models import Capture, DispositionKind, Site, Unit

MARK = "SN-OF-PLANT-1"
NOBODY = "http://127.0.0.1:9"
"""An MES nobody answers for."""
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
WRITTEN = """
SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_xact_user_tables
WHERE relname NOT IN ('django_session', 'knox_authtoken')
"""
REFUSALS = {302, 401, 403, 404, 405}


def routes(patterns: Any = None, prefix: str = "") -> Iterator[str]:
    """Every route of the resolver, as one string."""
    for entry in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(entry, URLResolver):
            yield from routes(entry.url_patterns, prefix + str(entry.pattern))
        elif isinstance(entry, URLPattern):
            yield prefix + str(entry.pattern)


def test_every_route_is_in_the_table_or_open_with_a_reason() -> None:
    listed = {row.route for row in TABLE} | set(OPEN)
    assert set(routes()) - listed == set(), "routes nobody has said who may call"
    assert listed - set(routes()) == set(), "rows for routes that are gone"


def test_the_table_names_known_roles_only() -> None:
    assert {role for row in TABLE for role in row.may} <= set(ROLES)
    assert set(ROLES) == {role.value for role in Role} | {"nobody"}


@dataclass
class World:
    """One of everything at plant-1, and a person of each role at plant-1 and at plant-2."""

    people: dict[tuple[str, str], User] = field(default_factory=dict)
    tokens: dict[tuple[str, str], str] = field(default_factory=dict)
    tablets: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


@pytest.fixture
def world(settings: Settings) -> World:
    settings.LOUPE = settings.LOUPE.model_copy(update={"mes_url": NOBODY})
    here, there = factories.site("plant-1"), factories.site("plant-2")
    made = World()
    for role in ROLES:
        for relation, site in (("own", here), ("foreign", there)):
            user = factories.user(
                None if role == "nobody" else Role(role), at=site, name=f"{relation}-{role}"
            )
            made.people[role, relation] = user
            if role in {"machine", "mes"}:
                made.tokens[role, relation] = AuthToken.objects.create(user=user)[1]
    made.tablets = _tablets(here, there, made.people)
    unit = factories.unit(MARK, at=here, lot="L-1")
    inspection = factories.inspection(unit)
    task = factories.task(inspection)
    judge = factories.actor(at=here)
    other = factories.task(factories.inspection(factories.unit(f"{MARK}-2", at=here)))
    claimed = queue.claim(
        actor=judge, site=here, count=2, lease=factories_lease(), at=timezone.now()
    )
    held = next(t for t in claimed if t.pk == task.pk)
    recorded = decisions.decide(
        actor=judge,
        held=Lease(task.uuid, held.fence),
        verdict=Verdict(answer=Answer.CONFIRMED, disposition=DispositionKind.REWORK),
        key="key-of-the-world",
        undo_window=factories_lease(),
        at=timezone.now(),
    )
    dataset = Dataset.objects.create(site=here, slug="of-plant-1", name="Of plant-1")
    run = TrainingRun.objects.create(
        site=here,
        dataset=dataset,
        trigger="manual",
        reason=MARK,
        requested_by="test",
        state="PASSED",
        backend="local",
        model_name="casting",
        model_version="1",
        requested_at=timezone.now(),
    )
    model = RegisteredModel.objects.create(
        site=here,
        model_version=factories.model_version(here),
        run=run,
        artifact_prefix="models/x",
        artifact_sha256="0" * 64,
        registered_at=timezone.now(),
    )
    letter = DeadLetter.objects.create(
        site=here,
        message_id="m-1",
        body=MARK,
        code="not_json",
        reason=MARK,
        received_at=timezone.now(),
    )
    assert Label.objects.filter(site=here).exists()
    capture = Capture.objects.get(inspection=inspection)
    # Being cut: whoever may see a tile is asked to come again.
    Capture.objects.filter(pk=capture.pk).update(tiles=Capture.Tiles.PENDING)
    seen = factories.heat_map(capture)
    made.names = {
        "task_id": str(other.uuid),
        "decision_id": str(recorded.decision.uuid),
        "letter_id": str(letter.uuid),
        "token": images.address(capture, at=timezone.now()).rsplit("/", 1)[-1],
        "pyramid": TILES.token(capture.uuid, at=timezone.now()),
        "heatmap": HEAT_MAPS.token(seen.uuid, at=timezone.now()),
        "device": str(_uuid_of(made.tablets["manned"])),
        "station_id": str(factories.station(factories.line(here)).pk),
        "person": "own-operator",
        "level": "0",
        "column": "0",
        "row": "0",
        "capture": str(capture.uuid),
        "serial": Unit.objects.get(serial=MARK).serial,
        "slug": dataset.slug,
        "inspection": str(inspection.uuid),
        "lot": str(unit.lot_id),
        "part": str(unit.part_revision.part_number_id),  # type: ignore[union-attr]  # has one
        "suspicion": "scratch",
        "review_id": str(_lot_review(unit, judge).uuid),
        "write-backs": str(WriteBack.objects.get(disposition=recorded.decision.disposition).uuid),
        "site": here.code,
        "target": "mes",
        "exception": str(
            _exception(WriteBack.objects.get(disposition=recorded.decision.disposition)).uuid
        ),
        "models": str(model.uuid),
        "nonconformances": str((found := _nonconformance(here)).uuid),
        "rule_id": str(found.rule.uuid),
        "runs": str(run.uuid),
        "handover": str(_handover().uuid),
        "station": "line-1:st-2",
        "conflicts": str(_mes_change(unit).uuid),
        "code": "C-1",
        "number": "N-1",
        "revision": "A",
        "approval_id": str(_approval(recorded.decision).uuid),
        "lot_verdict": str(_lot_verdict(recorded.decision).uuid),
        "call_id": str(_call(here).uuid),
        "opinion": str(_second_opinion(here, factories.user(Role.OPERATOR, at=here)).uuid),
    }
    return made


def _tablets(here: Site, there: Site, people: dict[tuple[str, str], User]) -> dict[str, str]:
    """Tokens: of a tablet with an operator at it, with nobody, revoked, and of another site."""
    at_both = factories.user(Role.OPERATOR, at=here, name="at-both")
    Grant.objects.create(user=at_both, role=Role.OPERATOR, site=there)
    found = {}
    for kind, site in (("manned", here), ("alone", here), ("revoked", here), ("foreign", there)):
        tablet, token = factories.tablet(factories.station(factories.line(site)))
        if kind in {"manned", "revoked"}:
            factories.arrive(tablet, people["operator", "own"])
        if kind == "foreign":
            factories.arrive(tablet, at_both)
        if kind == "revoked":
            lead = actor_of(people["lead", "own"])
            devices.revoke(actor=lead, device=tablet.uuid, at=timezone.now())
        found[kind] = token
    return found


def _uuid_of(token: str) -> uuid.UUID:
    tablet = devices.by_token(token)
    assert tablet is not None
    return tablet.uuid


def _call(here: Site) -> AndonCall:
    """Station st-2 of plant-1 calls for help."""
    station = factories.station(factories.line(here), "st-2")
    return AndonCall.objects.create(
        site=here,
        line=station.line,
        station=station,
        kind=AndonCall.Kind.HELP,
        key=uuid.uuid4(),
        made_at=timezone.now(),
        called_at=timezone.now(),
    )


def _second_opinion(here: Site, by: User) -> SecondOpinion:
    """What came too late from a tablet of plant-1's station st-2."""
    station = factories.station(factories.line(here), "st-2")
    tablet, _token = factories.tablet(station)
    return SecondOpinion.objects.create(
        site=here,
        station=station,
        key=uuid.uuid4(),
        device=tablet,
        by=by,
        said={"kind": "decision", "answer": "FALSE_CALL", "disposition": "ACCEPT"},
        why=SecondOpinion.Why.REFUSED,
        sentence=MARK,
        made_at=timezone.now(),
        at=timezone.now(),
    )


def _exception(row: WriteBack) -> ReconciliationException:
    """A write-back of plant-1 that a reconciliation did not find at its target."""
    at = timezone.now()
    run = Reconciliation.objects.create(
        site=row.site, target=row.target, since=at, until=at, after_at=at, started_at=at
    )
    return ReconciliationException.objects.create(
        site=row.site,
        line=row.disposition.inspection.line,
        target=row.target,
        write_back=row,
        reconciliation=run,
        kind="MISSING",
        theirs=MARK,
        opened_at=at,
        seen_at=at,
    )


def _handover() -> Handover:
    """A shift at plant-1 that somebody has taken over."""
    boss, at = factories.actor(Role.LEAD), timezone.now()
    seen = handover.document(actor=boss, site=factories.site(), at=at).sealed()
    return handover.sign(
        actor=boss,
        site=factories.site(),
        seen=seen,
        password=factories.PASSWORD,
        remark="",
        at=at,
    )


def _mes_change(unit: Unit) -> MesChange:
    """Somebody at plant-1's MES has sent the unit to rework, which takes no second person."""
    unit.refresh_from_db()
    return MesChange.objects.create(
        site=unit.site,
        line=factories.line(unit.site),
        unit=unit,
        target="mes",
        event_id="of-the-world",
        about=MesChange.About.DISPOSITION,
        word="Rework",
        kind="REWORK",
        changed_at=timezone.now(),
        received_at=timezone.now(),
        our_revision=unit.disposition_revision,
        our_kind=unit.disposition,
        state=MesChange.State.OPEN,
    )


def _nonconformance(here: Site) -> Ncr:
    """What a rule of plant-1 has raised."""
    rule = NcrRule.objects.create(
        site=here, name=MARK, kind="CONSECUTIVE", count=3, since=timezone.now(), changed_by="test"
    )
    return Ncr.objects.create(
        site=here,
        line=factories.line(here),
        rule=rule,
        kind=rule.kind,
        cause="scratch @ line-1/st-1",
        text=MARK,
        evidence={"units": [MARK], "inspections": [], "window": {}, "counts": {}},
        opened_at=timezone.now(),
    )


def _approval(decision: Decision) -> Approval:
    """What a verdict of plant-1 waits for."""
    return Approval.objects.create(
        site=decision.site,
        line=decision.task.line,
        unit=decision.task.unit,
        task=decision.task,
        decision=decision,
        kind=Approval.Kind.SCRAP,
        defect_class="scratch",
        reason=MARK,
        asked_by=decision.decided_by,
        asked_at=decision.decided_at,
    )


def _lot_review(unit: Unit, judge: Actor) -> LotReview:
    """A lot somebody at plant-1 has begun to judge."""
    assert unit.lot is not None
    assert unit.part_revision is not None
    assert judge.user_id is not None
    return LotReview.objects.create(
        site=unit.site,
        lot=unit.lot,
        part_number=unit.part_revision.part_number,
        answer=Answer.FALSE_CALL,
        disposition_kind=DispositionKind.ACCEPT,
        opened_by_id=judge.user_id,
        opened_at=timezone.now(),
    )


def _lot_verdict(decision: Decision) -> LotReview:
    """The lot verdict of plant-1 by which that verdict was given."""
    unit = decision.task.unit
    assert unit.lot is not None
    assert unit.part_revision is not None
    review = LotReview.objects.create(
        site=unit.site,
        lot=unit.lot,
        part_number=unit.part_revision.part_number,
        answer=decision.answer,
        disposition_kind=decision.disposition_kind,
        defect_class=decision.defect_class,
        opened_by=decision.decided_by,
        opened_at=decision.decided_at,
        decided_at=decision.decided_at,
    )
    LotMember.objects.create(
        site=unit.site, review=review, task=decision.task, fence=decision.fence, is_sample=True
    )
    return review


def factories_lease() -> timedelta:
    """A minute; as lease and as undo window."""
    return timedelta(minutes=1)


BODIES: dict[str, Any] = {
    "": {},
    "badge": {"badge": "B-at-both", "pin": factories.PIN},
    "ahead": {"ahead": 30},
    "tablet": {"name": "Tablet of the matrix", "ahead": 20},
    "place": {"place": "blue rack"},
    "pin": {"pin": "8642"},
    "new_badge": {"badge": "B-another"},
    "scale": {"px_per_mm": 4},
    "count": {"count": 3},
    "claim": {"have": [], "count": 1},
    "rows": {"rows": [{"key": "x"}]},
    "claims": {"site": "plant-1", "count": 1},
    "leases": {"leases": []},
    "decision": {"fence": 1, "answer": "FALSE_CALL", "disposition": "ACCEPT"},
    "preferences": {"preferences": {"ask_for_box": True}},
    "seen": {"seen": []},
    "person": {"person": "own-inspector"},
    "text": {"text": "Under the label."},
    "ncr_rule": {"site": "plant-1", "name": "Three", "kind": "CONSECUTIVE", "count": "3"},
    "words": {"words": "Measure it."},
    "skip": {"fence": 1, "reason": "Blurred."},
    "fence": {"fence": 1},
    "lot": {
        "answer": "FALSE_CALL",
        "disposition": "ACCEPT",
        "suspicion": "scratch",
        "excluded": [],
    },
    "lot_decision": {"excluded": []},
    "sample": {
        "task": "00000000-0000-7000-8000-000000000000",
        "fence": 1,
        "answer": "FALSE_CALL",
        "disposition": "ACCEPT",
    },
    "prediction": [],
    "conflict": {"revision": "1", "reason": "Because."},
    "answer": {"answer": "THEIRS_STANDS", "revision": 1, "reason": "Because."},
    "attempts": {"attempts": 0, "state": "PENDING"},
    "supplied": {"site": "plant-1", "changed_at": "2026-11-01T06:00:00Z"},
    "master_data": {
        "site": "plant-1",
        "items": [{"kind": "supplier", "code": "S-1", "changed_at": "2026-11-01T06:00:00Z"}],
    },
    "b2mml": (
        '<SyncMaterialDefinition xmlns="http://www.mesa.org/xml/B2MML" releaseID="7.0">'
        "<ApplicationArea><CreationDateTime>2026-11-01T06:00:00Z</CreationDateTime>"
        "</ApplicationArea><DataArea><Sync/><MaterialDefinition><ID>P-1</ID>"
        "</MaterialDefinition></DataArea></SyncMaterialDefinition>"
    ),
    "acknowledgement": {"key": "{write-backs}", "state": "applied", "reference": "R-1"},
    "mes_change": {
        "site": "plant-1",
        "event_id": "e-1",
        "serial": MARK,
        "disposition": "HOLD",
        "at": "2026-11-01T06:00:00Z",
    },
    "reason": {"reason": "Because."},
    "handover": {"site": "plant-1", "seen": "", "password": "a-guess"},
    "settle": {"reference": "MES-1", "reason": "Because."},
    "send_again": {"write_back": str(uuid.uuid4())},
    "at_target": {"site": "plant-1", "target": "mes"},
    "mapping": {
        "site": "plant-1",
        "target": "mes",
        "document": {},
        "reason": "Because.",
        "base": 0,
    },
    "retrain": {"dataset": "of-plant-1", "reason": "Because."},
    "roll_back": {"site": "plant-1", "reason": "Because."},
    "training_run": {"dataset": "of-plant-1", "reason": "Because."},
    "business_event": {"site": "plant-1", "kind": "supplier", "reason": "Because."},
}


def path_of(row: Row, names: dict[str, str]) -> str:
    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        if name == "uuid":
            owner = "runs" if "/runs/" in row.route else row.route.removeprefix("api/v1/")
            name = owner.split("/")[0]
            name = "conflicts" if "conflicts/" in row.route else name
        return names[name]

    return "/" + re.sub(r"<\w+:(\w+)>", fill, row.route)


def call(world: World, row: Row, method: str, who: tuple[str, str] | None) -> Any:
    """The answer, and how many rows it wrote, in a transaction that is thrown away."""
    client = Client(raise_request_exception=False)
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    if who and who[0] == "tablet":
        client.cookies[devices.COOKIE] = world.tablets[who[1]]
        headers["X-Loupe-Line"] = "1"
    elif who and who in world.tokens and row.route.startswith("api/"):
        headers["Authorization"] = f"Bearer {world.tokens[who]}"
    elif who:
        client.force_login(world.people[who])
    is_api = row.route.startswith("api/")
    body: Any = BODIES[row.body]
    path = path_of(row, world.names)
    if isinstance(body, str):
        path, content, kind = f"{path}?site=plant-1", body, "application/xml"
    elif is_api:
        content, kind = json.dumps(body), "application/json"
        content = content.replace("{write-backs}", world.names["write-backs"])
    else:
        content, kind = urlencode(body), "application/x-www-form-urlencoded"
    with transaction.atomic():
        before = rows_written()
        response = client.generic(method, path, content, kind, headers=headers)
        wrote = rows_written() - before
        transaction.set_rollback(True)
    return response, wrote


def rows_written() -> int:
    """Rows this transaction has inserted, changed or removed so far, sessions left out."""
    with connection.cursor() as cursor:
        cursor.execute(WRITTEN)
        return int(cursor.fetchone()[0])


@pytest.mark.django_db
@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.method} /{row.route}")
def test_the_row_holds_for_every_role_and_site(row: Row, world: World) -> None:
    wrong: list[tuple[str, str, int, object]] = []
    stranger, wrote = call(world, row, row.method, None)
    if _refused(stranger, wrote, _to_strangers(row)):
        wrong.append(("stranger", "", stranger.status_code, wrote))
    for role in ROLES:
        for relation in ("own", "foreign"):
            response, wrote = call(world, row, row.method, (role, relation))
            if problem := _problem(row, role, relation, response, wrote):
                wrong.append((role, relation, response.status_code, problem))
    for tablet in world.tablets:
        response, wrote = call(world, row, row.method, ("tablet", tablet))
        if problem := _problem_of_tablet(row, tablet, response, wrote):
            wrong.append(("tablet", tablet, response.status_code, problem))
    assert wrong == []


def _problem(row: Row, role: str, relation: str, response: Any, wrote: int) -> str:
    """What is wrong with the answer; empty when it is as the table says."""
    if row.scope == "tablet":
        return _refused(response, wrote, _to_strangers(row))
    if role not in row.may:
        return _refused(response, wrote, 403)
    if row.scope == "personal" or (relation == "foreign" and row.scope == "object"):
        return _refused(response, wrote, 404)
    return _admitted(response, foreign=relation == "foreign")


def _problem_of_tablet(row: Row, tablet: str, response: Any, wrote: int) -> str:
    """The same for a tablet."""
    if tablet == "revoked" or (tablet == "alone" and row.tablet is None):
        return _refused(response, wrote, _to_strangers(row))
    if row.tablet is None:
        relation = "foreign" if tablet == "foreign" else "own"
        return _problem(row, "operator", relation, response, wrote)
    if ("alone" if tablet == "alone" else "manned") not in row.tablet:
        return _refused(response, wrote, 403)
    if tablet == "foreign" and row.scope == "object":
        return _refused(response, wrote, 404)
    return _admitted(response, foreign=tablet == "foreign")


def _to_strangers(row: Row) -> int:
    return 401 if row.route.startswith("api/") else 302


def _refused(response: Any, wrote: int, expected: int) -> str:
    refused = response.status_code == expected
    return "" if refused and not wrote else f"should be {expected} and write nothing"


def _admitted(response: Any, *, foreign: bool) -> str:
    status = response.status_code
    body = response.content.decode(errors="replace") if not response.streaming else ""
    is_login = status == 302 and "/login/" in response.headers.get("Location", "")
    if is_login or status in REFUSALS - {302} or (status >= 500 and status != 503):
        return f"should be let in: {body[:200]}"
    return "shows another site's unit" if foreign and MARK in body else ""


@pytest.mark.django_db
@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.method} /{row.route}")
def test_a_method_that_is_not_in_the_table_does_nothing(row: Row, world: World) -> None:
    listed = {other.method for other in TABLE if other.route == row.route}
    for method in set(METHODS) - listed:
        who = ("tablet", "manned") if row.scope == "tablet" else ("quality_engineer", "own")
        response, wrote = call(world, row, method, who)
        assert response.status_code in {403, 404, 405}, method
        assert not wrote, method
