"""A target's adapter or shipped mapping is changed in the settings while write-backs are open."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from config.settings.environment import MesTarget
from governance.roles import Role
from mes_integration import bulk, delivery, messages, resolution
from mes_integration.models import WriteBack
from tests import factories
from tests.mes_integration.plant import NOW, Reply, ScriptedMes, enqueued, outcomes, state_of

pytestmark = pytest.mark.django_db
Reach = Callable[..., None]


@pytest.fixture
def reached(settings: Settings, scripted: ScriptedMes) -> Reach:
    """Set how the one target is reached from now on."""

    def reach(**how: Any) -> None:
        given = {"name": "plm", "adapter": "http", "url": scripted.url, **how}
        settings.LOUPE = settings.LOUPE.model_copy(
            update={"mes_url": "", "mes_targets": [MesTarget.model_validate(given)]}
        )

    return reach


def deliver(*, seconds: float = 0) -> int:
    return delivery.deliver_due(at=NOW + timedelta(seconds=seconds), limit=1, target="plm")


def test_an_open_one_goes_on_by_the_mapping_it_was_said_with(
    reached: Reach, scripted: ScriptedMes
) -> None:
    reached(profile="generic")
    row = enqueued()
    scripted.says(Reply(429))
    deliver()
    assert state_of(row) == "RETRY"
    assert (row.profile_version, row.profile_name) == (0, "generic")

    reached(profile="standard-webhooks")
    scripted.says(Reply(201, b'{"reference": "R-1"}'))
    deliver(seconds=60)
    assert state_of(row) == "ACKNOWLEDGED"
    first, second = scripted.requests
    assert (second.path, second.body) == (first.path, first.body)
    assert "Webhook-Id" not in second.headers


def test_what_is_said_anew_is_said_by_the_mapping_of_now(
    reached: Reach, scripted: ScriptedMes
) -> None:
    reached(profile="generic")
    row = enqueued()
    scripted.says(Reply(422))
    deliver()
    assert state_of(row) == "REJECTED"
    reached(profile="standard-webhooks")
    scripted.says(Reply())
    lead = factories.actor(Role.LEAD)
    bulk.resend(actor=lead, rows=WriteBack.objects.filter(pk=row.pk), at=NOW)
    row.refresh_from_db()
    assert (row.profile_version, row.profile_name) == (None, None)
    deliver(seconds=1)
    assert state_of(row) == "ACKNOWLEDGED"
    assert row.profile_name == "standard-webhooks"


def test_one_from_before_names_were_kept_goes_by_the_mapping_of_now(
    reached: Reach, scripted: ScriptedMes
) -> None:
    reached(profile="generic")
    row = enqueued()
    scripted.says(Reply(429))
    deliver()
    WriteBack.objects.filter(pk=row.pk).update(profile_name=None)
    row.refresh_from_db()
    assert messages.pinned_of(row).name == "generic"
    scripted.says(Reply())
    deliver(seconds=60)
    assert state_of(row) == "ACKNOWLEDGED"


def test_said_for_another_adapter_it_is_for_a_person_who_can_settle_it(
    reached: Reach, scripted: ScriptedMes
) -> None:
    reached()
    row = enqueued()
    scripted.says(Reply(500))
    deliver()
    assert state_of(row) == "RETRY"
    reached(adapter="b2mml-http", profile="b2mml")
    deliver(seconds=60)
    assert state_of(row) == "NEEDS_PERSON"
    assert "said for the adapter http, and plm is reached by b2mml-http now" in row.last_error
    assert outcomes(row) == ["FAILED", "BLOCKED"]
    assert len(scripted.requests) == 1

    lead = factories.actor(Role.LEAD)
    resolution.resend(actor=lead, write_back=row, at=NOW)
    reached()
    scripted.says(Reply(200, b'{"reference": "R-1"}'))
    deliver(seconds=61)
    assert scripted.requests[-1].method == "GET"
    assert state_of(row) == "ACKNOWLEDGED"


def test_a_mapping_in_force_for_another_adapter_names_what_to_do(
    reached: Reach, scripted: ScriptedMes
) -> None:
    reached(profile="b2mml")
    row = enqueued()
    deliver()
    assert state_of(row) == "NEEDS_PERSON"
    assert "Put a mapping for http in force" in row.last_error
    assert scripted.requests == []
