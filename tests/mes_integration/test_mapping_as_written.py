"""A mapping as its author wrote it, tried in a fixed number of statements; secrets stay hidden."""

from __future__ import annotations

import html
import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from config.settings.environment import MesTarget
from governance.roles import Role
from mes_integration import mapping_versions, rehearsal, veil
from mes_integration.mapping import parse
from mes_integration.mappings import shipped_document
from mes_integration.models import MappingProfile
from mes_integration.targets import target
from tests import factories
from tests.mes_integration.plant import NOW, enqueued
from tests.mes_integration.test_pages import signed_in
from traceability.models import Lot

pytestmark = pytest.mark.django_db
ONE = "/write-backs/mappings/plant-1/mes/"
BODY = {"zebra": "=unit.serial", "mole": {"yak": 1, "ant": 2}, "api": "=options.api_token"}
SECRET = "s3cr3t-of-the-plant"


@pytest.fixture(autouse=True)
def _target(settings: Settings) -> None:
    made = MesTarget.model_validate(
        {
            "name": "mes",
            "adapter": "http",
            "url": "http://mes.invalid",
            "profile": "generic",
            "options": {"company": 1, "api_token": SECRET, "more": {"Password": "abc"}},
        }
    )
    settings.LOUPE = settings.LOUPE.model_copy(update={"mes_targets": [made], "mes_url": ""})


@pytest.fixture
def engineer() -> Client:
    return signed_in(factories.user(Role.QUALITY_ENGINEER))


def save(**changed: Any) -> MappingProfile:
    found = target("mes")
    assert found is not None
    return mapping_versions.save(
        actor=factories.actor(Role.QUALITY_ENGINEER),
        site=factories.site(),
        target=found,
        document={**shipped_document("generic"), **changed},
        reason="Theirs.",
        base=MappingProfile.objects.count(),
        at=NOW,
    )


def test_an_own_version_keeps_its_authors_order_everywhere(engineer: Client) -> None:
    save(body=BODY)
    message = json.dumps(BODY, indent=2)
    assert message in html.unescape(engineer.get(ONE).content.decode())
    form = html.unescape(engineer.get(f"{ONE}edit/").content.decode())
    assert form.index('"zebra"') < form.index('"mole"') < form.index('"yak"') < form.index('"ant"')
    [item] = engineer.get("/api/v1/mes/mappings").json()["items"]
    assert json.dumps(item["document"]["body"]) == json.dumps(BODY)
    found = target("mes")
    assert found is not None
    mapping_versions.roll_back(
        actor=factories.actor(Role.QUALITY_ENGINEER),
        site=factories.site(),
        target=found,
        version=1,
        reason="Back.",
        base=1,
        at=NOW,
    )
    assert message in html.unescape(engineer.get(ONE).content.decode())


def test_a_version_from_before_the_order_was_kept_is_shown_as_it_can_be(engineer: Client) -> None:
    save(body=BODY)
    row = MappingProfile.objects.get()
    row.written = ""
    assert row.as_written == {**shipped_document("generic"), "body": BODY}


def test_a_dry_run_costs_the_same_statements_whatever_the_number_of_lots() -> None:
    found = target("mes")
    assert found is not None
    document = shipped_document("generic")
    lots = parse({**document, "subject": "lot"})

    def tried(number: int) -> tuple[int, int]:
        for _each in range(number):
            row = enqueued()
            row.unit.lot = Lot.objects.create(site=row.site, code=row.unit.serial)
            row.unit.save(update_fields=["lot"])
        with CaptureQueriesContext(connection) as queries:
            made = rehearsal.rehearse(
                site=factories.site(), target=found, before=parse(document), after=lots
            )
        assert made.blocking == 0
        return len(queries), made.of

    few = tried(2)
    many = tried(12)
    assert many == (few[0], 14)


def test_a_dry_run_stops_what_would_split_a_lot() -> None:
    found = target("mes")
    assert found is not None
    first, second = enqueued(), enqueued()
    lot = Lot.objects.create(site=first.site, code="L-1")
    for row in (first, second):
        row.unit.lot = lot
        row.unit.save(update_fields=["lot"])
    document = shipped_document("generic")
    lots = parse({**document, "subject": "lot"})
    made = rehearsal.rehearse(
        site=factories.site(), target=found, before=parse(document), after=lots
    )
    [why] = made.blocked
    assert (why.count, why.was) == (2, 0)
    assert "cannot split lot L-1" in why.sentence


def test_what_the_options_keep_secret_is_on_no_page(engineer: Client) -> None:
    save(body=BODY)
    row = enqueued()
    text = html.unescape(engineer.get(f"/write-backs/{row.uuid}/").content.decode())
    assert SECRET not in text
    assert f'"api_token": "{veil.HIDDEN}"' in text
    assert f'"Password": "{veil.HIDDEN}"' in text
    assert f'"api": "{veil.HIDDEN}"' in text
    assert '"company": 1' in text


def test_what_the_options_keep_secret_is_in_no_dry_run() -> None:
    found = target("mes")
    assert found is not None
    enqueued()
    document = shipped_document("generic")
    made = rehearsal.rehearse(
        site=factories.site(),
        target=found,
        before=parse(document),
        after=parse({**document, "body": {"api": "=join(' ', ['Bearer', options.api_token])"}}),
    )
    shown = "".join(line.text for line in made.sides[0].after)
    assert SECRET not in shown
    assert veil.HIDDEN in shown


def test_a_secret_is_hidden_however_deep_the_options_have_it() -> None:
    options = {
        "tokens": ["first-token"],
        "secrets": {"a": "second-one"},
        "to": [{"key": "abcdefg"}],
    }
    said = {"x": "first-token", "y": "=second-one", "z": ["abcdefg"], "w": "plain"}
    hidden = veil.HIDDEN
    assert veil.veiled(said, options) == {"x": hidden, "y": hidden, "z": [hidden], "w": "plain"}
    record = {"options": options, "unit": "u"}
    assert veil.veiled_record(record) == {
        "options": {"tokens": hidden, "secrets": hidden, "to": [{"key": hidden}]},
        "unit": "u",
    }


def test_what_a_function_refuses_is_not_shown(engineer: Client) -> None:
    save(body={"x": "=abs(options.api_token)"})
    row = enqueued()
    text = html.unescape(engineer.get(f"/write-backs/{row.uuid}/").content.decode())
    assert "abs() takes number, not string" in text
    assert SECRET not in text
