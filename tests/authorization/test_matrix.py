"""Every route, method, role and site over HTTP: the answer, and that a refusal wrote nothing."""

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

from governance.models import User
from governance.roles import Role
from inference_bridge.models import DeadLetter
from labeling.models import Dataset, Label
from retraining.models import RegisteredModel, TrainingRun
from review import decisions, queue
from review.decisions import Verdict
from review.models import Answer
from review.queue import Lease
from tests import factories
from tests.authorization.table import OPEN, ROLES, TABLE, Row
from traceability import images
from traceability.models import Capture, DispositionKind, Unit

MARK = "SN-OF-PLANT-1"
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
    names: dict[str, str] = field(default_factory=dict)


@pytest.fixture
def world() -> World:
    here, there = factories.site("plant-1"), factories.site("plant-2")
    made = World()
    for role in ROLES:
        for relation, site in (("own", here), ("foreign", there)):
            user = factories.user(
                None if role == "nobody" else Role(role), at=site, name=f"{relation}-{role}"
            )
            made.people[role, relation] = user
            if role == "machine":
                made.tokens[role, relation] = AuthToken.objects.create(user=user)[1]
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
    made.names = {
        "task_id": str(other.uuid),
        "decision_id": str(recorded.decision.uuid),
        "letter_id": str(letter.uuid),
        "token": images.address(capture, at=timezone.now()).rsplit("/", 1)[-1],
        "serial": Unit.objects.get(serial=MARK).serial,
        "slug": dataset.slug,
        "write-backs": str(recorded.decision.disposition.write_back.uuid),
        "models": str(model.uuid),
        "runs": str(run.uuid),
    }
    return made


def factories_lease() -> timedelta:
    """A minute; as lease and as undo window."""
    return timedelta(minutes=1)


BODIES: dict[str, Any] = {
    "": {},
    "claims": {"site": "plant-1", "count": 1},
    "leases": {"leases": []},
    "decision": {"fence": 1, "answer": "FALSE_CALL", "disposition": "ACCEPT"},
    "skip": {"fence": 1, "reason": "Blurred."},
    "fence": {"fence": 1},
    "prediction": [],
    "reason": {"reason": "Because."},
    "settle": {"reference": "MES-1", "reason": "Because."},
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
        return names[name]

    return "/" + re.sub(r"<\w+:(\w+)>", fill, row.route)


def call(world: World, row: Row, method: str, who: tuple[str, str] | None) -> Any:
    """The answer, and how many rows it wrote, in a transaction that is thrown away."""
    client = Client(raise_request_exception=False)
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    if who and who in world.tokens and row.route.startswith("api/"):
        headers["Authorization"] = f"Bearer {world.tokens[who]}"
    elif who:
        client.force_login(world.people[who])
    is_api = row.route.startswith("api/")
    body: Any = BODIES[row.body]
    if is_api:
        content, kind = json.dumps(body), "application/json"
    else:
        content, kind = urlencode(body), "application/x-www-form-urlencoded"
    with transaction.atomic():
        before = rows_written()
        response = client.generic(method, path_of(row, world.names), content, kind, headers=headers)
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
    expected = 401 if row.route.startswith("api/") else 302
    if stranger.status_code != expected or wrote:
        wrong.append(("stranger", "", stranger.status_code, wrote))
    for role in ROLES:
        for relation in ("own", "foreign"):
            response, wrote = call(world, row, row.method, (role, relation))
            if problem := _problem(row, role, relation, response, wrote):
                wrong.append((role, relation, response.status_code, problem))
    assert wrong == []


def _problem(row: Row, role: str, relation: str, response: Any, wrote: int) -> str:
    """What is wrong with the answer; empty when it is as the table says."""
    expected = 0
    if role not in row.may:
        expected = 403
    elif row.scope == "personal" or (relation == "foreign" and row.scope == "object"):
        expected = 404
    if expected:
        refused = response.status_code == expected
        return "" if refused and not wrote else f"should be {expected} and write nothing"
    return _admitted(response, foreign=relation == "foreign")


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
        response, wrote = call(world, row, method, ("quality_engineer", "own"))
        assert response.status_code in {403, 404, 405}, method
        assert not wrote, method
