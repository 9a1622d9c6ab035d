"""What the lists name as the one thing to do next, and where it leads."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from config.settings.environment import MesTarget
from governance.roles import Role
from mes_integration.mappings import shipped_document
from mes_integration.models import MappingProfile, WriteBack
from tests import factories
from tests.mes_integration.plant import NOW, enqueued

pytestmark = pytest.mark.django_db
EDIT = "/write-backs/mappings/plant-1/mes/edit/"


@pytest.fixture(autouse=True)
def _target(settings: Settings) -> None:
    target = MesTarget.model_validate(
        {"name": "mes", "adapter": "http", "url": "http://mes.invalid", "profile": "generic"}
    )
    settings.LOUPE = settings.LOUPE.model_copy(update={"mes_targets": [target], "mes_url": ""})


def in_force(**changed: Any) -> None:
    MappingProfile.objects.create(
        site=factories.site(),
        target="mes",
        version=1 + MappingProfile.objects.count(),
        document={**shipped_document("generic"), **changed},
        author="ada",
        at=NOW,
        reason="Theirs.",
    )


def put(row: WriteBack, **fields: Any) -> WriteBack:
    WriteBack.objects.filter(pk=row.pk).update(**fields)
    row.refresh_from_db()
    return row


def text_of(path: str, role: Role = Role.QUALITY_ENGINEER) -> str:
    client = Client(headers={"Accept-Language": "en"})
    client.force_login(factories.user(role))
    return client.get(path).content.decode()


def both(role: Role = Role.QUALITY_ENGINEER) -> list[str]:
    return [text_of("/write-backs/undelivered/", role), text_of("/write-backs/rows/", role)]


def test_a_missing_word_leads_to_its_field_until_it_is_there() -> None:
    in_force(defects={"crack": "NC-17"})
    row = put(enqueued(), state="NEEDS_PERSON", last_error="No code.")
    for text in both():
        assert f'href="{EDIT}#defect-porosity">Add a word for porosity</a>' in text
    for text in both(Role.LEAD):
        assert EDIT not in text
        assert "A quality engineer adds what the mapping lacks." in text
    in_force(defects={"porosity": "NC-18"})
    for text in both():
        assert f'href="/write-backs/{row.uuid}/#do">Send again</a>' in text


def test_what_the_master_data_lack_is_told_on_the_row_s_own_page() -> None:
    in_force(required=["work_order"])
    row = put(enqueued(), state="NEEDS_PERSON", last_error="The target needs work_order.")
    for text in both():
        assert f'href="/write-backs/{row.uuid}/">Supply what is missing</a>' in text


def test_what_follows_a_final_word_is_settled_and_not_sent_again() -> None:
    can = shipped_document("generic")["capabilities"]
    in_force(capabilities={**can, "terminal_verdicts": ["SCRAP"]})
    first = enqueued(kind="SCRAP")
    put(first, state="ACKNOWLEDGED", settled_at=NOW)
    row = put(enqueued(first.unit, kind="ACCEPT"), state="NEEDS_PERSON", last_error="Final there.")
    for text in both():
        assert f'href="/write-backs/{row.uuid}/#do">Settle it by hand</a>' in text


def test_a_mapping_by_which_nothing_can_be_said_is_where_it_is_mended() -> None:
    in_force(adapter="mqtt")
    put(enqueued(), state="NEEDS_PERSON", last_error="Put a mapping for http in force.")
    for text in both():
        assert f'href="{EDIT}#">To the mapping</a>' in text


def test_a_refused_one_may_be_our_own_word_so_the_mapping_is_named_too() -> None:
    put(enqueued(), state="REJECTED", last_error="422")
    for text in both():
        assert f'href="{EDIT}#verdict-HOLD">Or change our word in the mapping</a>' in text
    for text in both(Role.LEAD):
        assert EDIT not in text
        assert 'href="/write-backs/mappings/plant-1/mes/">Or see to our word in the mapping' in text


def test_what_is_being_sent_is_not_offered_to_be_sent_again() -> None:
    put(enqueued(), state="SENDING", lease_expires_at=NOW, last_error="Late.")
    text = text_of("/write-backs/undelivered/")
    assert "Send 1 again" not in text
    assert "Late." in text


def test_a_refused_one_is_mended_there_and_an_overtaken_one_is_settled() -> None:
    row = put(enqueued(), state="REJECTED", last_error="422")
    for text in both():
        assert f'href="/write-backs/{row.uuid}/#do">Mend it there, then send again</a>' in text
    enqueued(row.unit)
    for text in both():
        assert f'href="/write-backs/{row.uuid}/#do">Settle it by hand</a>' in text


def test_one_in_doubt_leads_to_a_look_in_the_mes() -> None:
    row = put(enqueued(), state="NEEDS_PERSON", message={"a": 1}, profile_version=0, last_error="?")
    for text in both():
        assert f'href="/write-backs/{row.uuid}/#do">Look whether the MES has it</a>' in text


@pytest.mark.parametrize("state", ["RETRY", "UNCERTAIN", "SENT", "PENDING"])
def test_what_goes_on_by_itself_asks_for_nothing(state: str) -> None:
    row = put(enqueued(), state=state)
    for text in both():
        assert "Nothing" in text
        assert f'href="/write-backs/{row.uuid}/#do"' not in text


def test_an_acknowledged_one_says_how_long_it_took_and_asks_for_nothing() -> None:
    row = put(enqueued(at=NOW), state="ACKNOWLEDGED", settled_at=NOW + timedelta(seconds=14))
    assert "took 14 s" in text_of("/write-backs/rows/")
    text = text_of(f"/write-backs/{row.uuid}/")
    assert "<dt>Until it was acknowledged</dt><dd>14 s</dd>" in text
    assert 'id="do"' not in text
    assert "disabled" not in text


def test_the_revision_is_named_as_one() -> None:
    enqueued(kind="ACCEPT")
    for text in both():
        assert '<span class="quiet small nowrap">revision 1</span>' in text
