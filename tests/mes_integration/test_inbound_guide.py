"""The integrator's guide: its examples are sent as they stand, in their order."""

from __future__ import annotations

import itertools
import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import resolve
from knox.models import AuthToken

from governance.models import User
from governance.roles import Role
from mes_integration.inbound_api import MasterData
from mes_integration.master_items import KINDS
from mes_integration.models import MesChange, WriteBack
from tests import factories
from traceability.models import Lot, Unit

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "how-to" / "mes-integrator.md"
HOST = "https://loupe.example"


@dataclass(frozen=True)
class Example:
    """One `curl` of the guide."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


def examples() -> list[Example]:
    """Every call to what the MES sends, as a shell would read it."""
    found = []
    for block in re.findall(r"(?:^    .*\n)+", GUIDE.read_text(encoding="utf-8"), re.MULTILINE):
        if f"{HOST}/api/v1/mes/" in block:
            words = shlex.split(block.replace("\\\n", " "))
            assert words[0] == "curl"
            options = list(itertools.pairwise(words))
            url = next(word for word in words if word.startswith(HOST))
            found.append(
                Example(
                    method=next(value for name, value in options if name == "-X"),
                    path=url.removeprefix(HOST),
                    headers=dict(value.split(": ", 1) for name, value in options if name == "-H"),
                    body=next(value for name, value in options if name == "-d"),
                )
            )
    return found


def test_every_way_in_has_an_example() -> None:
    kinds = {resolve(example.path).func.view_class for example in examples()}  # type: ignore[attr-defined]  # as DRF makes them
    singles = {view.kind for view in kinds if hasattr(view, "kind")}
    assert singles == set(KINDS)
    assert MasterData in kinds
    assert {"Acknowledgements", "MesChanges"} <= {view.__name__ for view in kinds}


def test_the_examples_do_what_the_guide_says() -> None:
    machine = factories.user(Role.MES, at=factories.site())
    seen = factories.inspection(factories.unit("SN-000123"))
    factories.hold(seen)
    row = WriteBack.objects.get(unit=seen.unit)
    WriteBack.objects.filter(pk=row.pk).update(state="SENT", attempts=1)
    answers = [send(example, machine, str(row.uuid)) for example in examples()]
    wrong = [(a.status_code, a.json()) for a in answers if a.status_code not in {200, 201}]
    assert wrong == []
    unit = Unit.objects.select_related("work_order", "lot").get(serial="SN-000123")
    assert str(unit.work_order) == "WO-7001"
    assert unit.lot == Lot.objects.get(supplier__name="Foundry North", quantity=400)
    assert Unit.objects.get(serial="SN-000124").work_order == unit.work_order
    row.refresh_from_db()
    assert (row.state, row.reference) == ("ACKNOWLEDGED", "NC-2026-0815")
    change = MesChange.objects.get()
    assert (change.state, change.unit, unit.disposition) == ("OPEN", unit, "HOLD")


def send(example: Example, machine: User, key: str) -> Any:
    _row, token = AuthToken.objects.create(machine)
    headers = {k: v.replace("$TOKEN", str(token)) for k, v in example.headers.items()}
    kind = headers.pop("Content-Type")
    body = example.body.replace("<key>", key)
    assert json.loads(body), example
    return Client().generic(example.method, example.path, body, kind, headers=headers)


def test_the_answers_of_the_guide_are_the_apis_own() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    for word in ("stale", "unchanged", "same_time", *MesChange.State.values[:1], "AGREED", "NOTED"):
        assert f"`{word}`" in guide, word
