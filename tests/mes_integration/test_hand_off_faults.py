"""A QMS that answers badly, and one that the settings no longer name, keep nobody waiting."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from config.settings.environment import MesTarget
from mes_integration import nonconformance_hand_off
from mes_integration.models import Ncr, NcrHandOff, NcrRule
from tests import factories
from tests.mes_integration.plant import NOW, SECRET, Reply, ScriptedMes

pytestmark = pytest.mark.django_db


def handed(cause: str, target: str = "qms") -> NcrHandOff:
    """A nonconformance on its way."""
    line = factories.line()
    rule, _is_new = NcrRule.objects.get_or_create(
        site=line.site,
        name="rule",
        defaults={"kind": "CONSECUTIVE", "count": 2, "since": NOW, "changed_by": "x"},
    )
    ncr = Ncr.objects.create(
        site=line.site,
        line=line,
        rule=rule,
        kind=rule.kind,
        cause=cause,
        text="t",
        evidence={},
        opened_at=NOW,
    )
    return NcrHandOff.objects.create(site=line.site, ncr=ncr, target=target, due_at=NOW)


@pytest.fixture(autouse=True)
def _qms(settings: Any, scripted: ScriptedMes) -> None:
    qms = MesTarget.model_validate(
        {
            "name": "qms",
            "adapter": "http",
            "url": scripted.url,
            "profile": "generic",
            "secret": SecretStr(SECRET),
            "options": {"ncr": True},
        }
    )
    settings.LOUPE = settings.LOUPE.model_copy(update={"mes_targets": [qms], "mes_url": ""})


@pytest.mark.parametrize(
    ("reply", "state"),
    [
        (Reply(503, b"\x00down\x00"), "PENDING"),
        (Reply(422, b"\x00no\x00"), "REFUSED"),
        (Reply(201, b'{"reference": "Q\\u00001"}'), "PENDING"),
        (Reply(201, b'{"reference": "\\ud800"}'), "PENDING"),
    ],
)
def test_what_no_database_holds_is_not_taken_down(
    scripted: ScriptedMes, reply: Reply, state: str
) -> None:
    row = handed("a")
    scripted.says(reply)
    nonconformance_hand_off.hand_over_due(at=NOW, limit=1)
    row.refresh_from_db()
    assert (row.state, row.reference) == (state, "")
    assert row.last_error


def test_one_whose_target_is_gone_does_not_end_the_round(scripted: ScriptedMes) -> None:
    gone, waiting = handed("a", "old"), handed("b")
    NcrHandOff.objects.filter(pk=gone.pk).update(due_at=NOW - timedelta(hours=1))
    assert nonconformance_hand_off.hand_over_due(at=NOW) == 1
    gone.refresh_from_db()
    waiting.refresh_from_db()
    assert (gone.state, waiting.state) == ("PENDING", "ACKNOWLEDGED")
    assert gone.last_error
