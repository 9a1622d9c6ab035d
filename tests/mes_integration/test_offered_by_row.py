"""Who has other roles elsewhere is offered what he may do here, row by row, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from config.settings.environment import MesTarget
from governance.models import Grant, User
from governance.roles import Role
from mes_integration.models import (
    MesChange,
    Ncr,
    NcrHandOff,
    NcrRule,
    Reconciliation,
    ReconciliationException,
    WriteBack,
)
from tests import factories
from tests.mes_integration.plant import NOW, enqueued
from tests.mes_integration.test_pages import signed_in
from traceability.models import Line

pytestmark = pytest.mark.django_db
LISTS = (
    "/write-backs/undelivered/",
    "/write-backs/rows/",
    "/write-backs/reconciliation/",
    "/write-backs/conflicts/",
    "/nonconformances/",
    "/nonconformances/rules/",
)


@pytest.fixture(autouse=True)
def _target(settings: Settings) -> None:
    target = MesTarget.model_validate(
        {"name": "mes", "adapter": "http", "url": "http://mes.invalid", "profile": "generic"}
    )
    settings.LOUPE = settings.LOUPE.model_copy(update={"mes_targets": [target], "mes_url": ""})


class Place:
    """One of everything that can be acted on, at a line."""

    def __init__(self, line: Line) -> None:
        self.row = self._row(line, "REJECTED", last_error="422")
        self.blocked = self._row(line, "NEEDS_PERSON", last_error="No code.")
        held = self._row(line, "ACKNOWLEDGED", settled_at=NOW)
        known: dict[str, Any] = {"site": line.site, "line": line, "target": "mes"}
        times = dict.fromkeys(("since", "until", "after_at", "started_at", "finished_at"), NOW)
        self.missing = ReconciliationException.objects.create(
            **known,
            write_back=held,
            reconciliation=Reconciliation.objects.create(site=line.site, target="mes", **times),
            kind="MISSING",
            theirs="It is not there.",
            opened_at=NOW,
            seen_at=NOW,
        )
        self.conflict = MesChange.objects.create(
            **known,
            unit=self.row.unit,
            event_id=f"e-{line.code}",
            about="DISPOSITION",
            word="released",
            kind="ACCEPT",
            changed_at=NOW,
            received_at=NOW,
            our_revision=1,
            our_kind="HOLD",
            state="OPEN",
        )
        self.rule = NcrRule.objects.create(
            site=line.site,
            name=f"Three at {line.code}",
            kind="CONSECUTIVE",
            count=3,
            since=NOW,
            changed_by="ada",
        )
        self.ncr = Ncr.objects.create(
            site=line.site,
            line=line,
            rule=self.rule,
            kind=self.rule.kind,
            cause=f"crack @ {line.code}",
            text="3 units in a row.",
            evidence={"units": [], "inspections": [], "window": {}, "counts": {}},
            opened_at=NOW,
        )
        NcrHandOff.objects.create(
            site=line.site, ncr=self.ncr, target="mes", state="REFUSED", due_at=NOW
        )

    @staticmethod
    def _row(line: Line, state: str, **fields: Any) -> WriteBack:
        row = enqueued(inspection=factories.inspection(on=line))
        WriteBack.objects.filter(pk=row.pk).update(state=state, **fields)
        return row

    @property
    def pages(self) -> Sequence[str]:
        rows = (self.row, self.blocked, self.missing.write_back)
        return [
            *(f"/write-backs/{row.uuid}/" for row in rows),
            f"/write-backs/conflicts/{self.conflict.uuid}/",
            f"/nonconformances/{self.ncr.uuid}/",
            f"/write-backs/mappings/{self.row.site.code}/mes/",
        ]


class _Forms(HTMLParser):
    """Every form that is posted, with its fields."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append((given.get("action", ""), {}))
        elif tag == "input" and given.get("name") and self.found:
            self.found[-1][1][given["name"]] = given.get("value", "")


def offered(client: Client, paths: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """What can be pressed on these pages."""
    ours = re.compile(r"^/(write-backs|nonconformances|conflicts|review)/")
    found = []
    for path in paths:
        answer = client.get(path)
        assert answer.status_code == 200, path
        forms = _Forms(answer.content.decode()).found
        found += [each for each in forms if ours.match(each[0])]
    return found


def with_roles(*roles: tuple[Role, Line, bool]) -> User:
    """Each role at the site of the line, or for the line alone."""
    who = factories.user(None)
    for role, line, is_of_line in roles:
        Grant.objects.create(user=who, role=role, site=line.site, line=line if is_of_line else None)
    return who


def press_all(client: Client, places: Sequence[Place]) -> int:
    """Press whatever is offered; how much that was."""
    forms = offered(client, [*LISTS, *(path for each in places for path in each.pages)])
    for action, fields in forms:
        status = client.post(action, {**fields, "reason": "Looked."}).status_code
        assert status not in {403, 404}, (action, fields)
    return len(forms)


def test_lead_of_one_site_and_auditor_of_another() -> None:
    own = Place(factories.line())
    foreign = Place(factories.line(factories.site("plant-2")))
    who = with_roles((Role.LEAD, own.ncr.line, False), (Role.AUDITOR, foreign.ncr.line, False))
    client = signed_in(who)
    assert offered(client, foreign.pages) == []
    actions = " ".join(action for action, _fields in offered(client, own.pages))
    for part in ("resend", "settle", "close"):
        assert part in actions
    attention = client.get(LISTS[0]).content.decode()
    assert f'id="tick-{own.row.uuid}"' in attention
    assert f'id="tick-{foreign.row.uuid}"' not in attention
    assert attention.count("A lead sees to it.") == 2
    fields = [fields for _action, fields in offered(client, LISTS[:1])]
    assert {f["site"] for f in fields if "site" in f} == {"plant-1"}
    report = client.get(LISTS[2]).content.decode()
    assert f'id="again-{own.missing.uuid}"' in report
    assert f'id="again-{foreign.missing.uuid}"' not in report
    assert 'id="run-plant-1-mes"' in report
    assert 'id="run-plant-2-mes"' not in report
    assert press_all(client, [own, foreign]) > 8


def test_lead_of_one_line_and_auditor_of_its_site() -> None:
    own, foreign = Place(factories.line()), Place(factories.line(code="line-2"))
    who = with_roles((Role.LEAD, own.ncr.line, True), (Role.AUDITOR, own.ncr.line, False))
    client = signed_in(who)
    text = client.get(LISTS[0]).content.decode()
    assert "Send 1 again" in text
    assert f'id="tick-{foreign.row.uuid}"' not in text
    assert "Send the missing one again" in client.get(LISTS[2]).content.decode()
    assert [a for a, _f in offered(client, foreign.pages[:-1])] == []
    assert press_all(client, [own, foreign]) > 8
    foreign.row.refresh_from_db()
    assert foreign.row.state == "REJECTED"


def test_engineer_of_one_site_and_lead_of_another() -> None:
    own = Place(factories.line())
    foreign = Place(factories.line(factories.site("plant-2")))
    who = with_roles(
        (Role.QUALITY_ENGINEER, own.ncr.line, False), (Role.LEAD, foreign.ncr.line, False)
    )
    client = signed_in(who)
    rules = client.get("/nonconformances/rules/").content.decode()
    assert f'href="/nonconformances/rules/{own.rule.uuid}/"' in rules
    assert f'href="/nonconformances/rules/{foreign.rule.uuid}/"' not in rules
    links = set()
    for path in [*LISTS, *own.pages, *foreign.pages]:
        links |= set(re.findall(r'href="(/[^"#?]*edit/)', client.get(path).content.decode()))
    assert links == {"/write-backs/mappings/plant-1/mes/edit/"}
    assert client.get("/write-backs/mappings/plant-1/mes/edit/").status_code == 200
    assert client.get("/write-backs/mappings/plant-2/mes/edit/").status_code == 404


def test_who_sets_rules_for_one_line_only_is_not_offered_those_of_the_site() -> None:
    own = Place(factories.line())
    who = with_roles((Role.QUALITY_ENGINEER, own.ncr.line, True), (Role.LEAD, own.ncr.line, False))
    client = signed_in(who)
    text = client.get("/nonconformances/rules/").content.decode()
    assert "rules/new/" not in text
    assert client.get("/nonconformances/rules/new/?site=plant-1").status_code == 404
