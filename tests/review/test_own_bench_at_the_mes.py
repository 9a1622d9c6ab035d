"""What stands for many units names none that who reads it is judging himself."""

from __future__ import annotations

import json
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.models import Grant, User
from governance.roles import Role
from mes_integration import mapping_form, mappings
from mes_integration.models import Ncr, NcrRule, WriteBack
from review.models import ReviewTask
from tests import factories
from tests.factories import NOW
from tests.mes_integration.plant import enqueued
from tests.mes_integration.test_nonconformance import rule_of
from tests.review.test_mes_conflicts import _targets
from tests.review.test_own_bench import has_judged, lot_on_the_bench_of, small_sample
from tests.review.test_own_bench_elsewhere import (
    ATTENTION,
    OF_LOT,
    OWN,
    client_of,
    on_the_bench_of,
    page_of,
    stuck,
)

__all__ = ["_targets", "small_sample"]
pytestmark = pytest.mark.django_db
API = "/api/v1/nonconformances"
CAUSE = "crack @ line-1/st-1"


@pytest.fixture
def lead() -> User:
    return factories.user(Role.LEAD, name="lena")


@pytest.fixture
def colleague() -> User:
    return factories.user(Role.LEAD, name="lars")


@pytest.fixture
def engineer() -> User:
    return factories.user(Role.QUALITY_ENGINEER, name="quinn")


# --- nonconformances ---


def severe(*serials: str, before: Ncr | None = None) -> Ncr:
    """The last of the units has raised it; every one has the defect."""
    rule = NcrRule.objects.first() or rule_of()
    return Ncr.objects.create(
        site=rule.site,
        line=factories.line(),
        rule=rule,
        kind="SEVERITY",
        state="OPEN" if before else "CLOSED",
        closed_at=None if before else NOW,
        closed_by=None if before else factories.user(Role.LEAD),
        closed_reason="" if before else "Mended.",
        cause=CAUSE,
        defect_class="crack",
        text=f"crack at st-1: a severe defect, unit {serials[-1]}.",
        evidence={"units": list(serials), "inspections": [], "window": {}, "counts": {}},
        recurrence_of=before,
        opened_at=NOW,
    )


def test_a_nonconformance_does_not_name_a_unit_on_ones_bench(lead: User, colleague: User) -> None:
    first = severe("SN-1", "SN-70", "SN-7")
    ncr = severe("SN-1", "SN-70", "SN-7", before=first)
    unit = factories.unit("SN-7")
    held = on_the_bench_of(lead, unit)
    for address in (f"{API}/{ncr.uuid}", API):
        text = client_of(lead).get(address).content.decode()
        assert '"SN-7"' not in text
        assert "unit SN-7." not in text
        item = json.loads(text)
        item = item["items"][0] if "items" in item else item
        assert (item["units"], item["withheld"]) == (["SN-1", "SN-70"], 1)
        assert item["text"] == "crack at st-1: a severe defect, unit …."
    page = page_of(lead, f"/nonconformances/{ncr.uuid}/")
    assert ">SN-7<" not in page
    assert "unit SN-7." not in page
    assert ">SN-70<" in page
    assert OWN in page
    assert "unit SN-7." not in page_of(lead, "/nonconformances/", state="all")
    theirs = client_of(colleague).get(f"{API}/{ncr.uuid}").json()
    assert (theirs["units"], theirs["withheld"]) == (["SN-1", "SN-70", "SN-7"], 0)
    assert page_of(colleague, f"/nonconformances/{ncr.uuid}/").count("unit SN-7.") == 3
    has_judged(lead, held)
    assert "unit SN-7." in page_of(lead, "/nonconformances/", state="all")


def test_who_closes_one_is_not_told_it_by_the_answer(lead: User) -> None:
    ncr = severe("SN-7", before=severe("SN-7"))
    on_the_bench_of(lead, factories.unit("SN-7"))
    answer = client_of(lead).post(
        f"{API}/{ncr.uuid}/close", {"reason": "Mended."}, "application/json"
    )
    assert answer.status_code == 200
    assert "SN-7" not in answer.content.decode()


def test_many_nonconformances_are_veiled_in_one_statement(lead: User) -> None:
    def statements(address: str) -> int:
        with CaptureQueriesContext(connection) as asked:
            assert client.get(address).status_code == 200
        return len(asked)

    client = client_of(lead)
    severe("SN-1")
    addresses = (API, "/nonconformances/?state=all")
    few = [statements(address) for address in addresses]
    for number in range(4):
        severe(f"SN-{number}", "SN-7")
    on_the_bench_of(lead, factories.unit("SN-7"))
    assert [statements(address) for address in addresses] == few


# --- a mapping that is tried ---


def sides(person: User) -> tuple[list[str], int]:
    """What of the last dispositions a new word for REWORK shows, and how many it changes."""
    document = mappings.shipped_document("generic")
    words = {
        f"verdict-{word.ours}": word.theirs
        for word in mapping_form.form_of(document, codes=[]).verdicts
    }
    answer = client_of(person).post(
        "/write-backs/mappings/plant-1/mes/edit/",
        {
            **words,
            "verdict-REWORK": "MEND",
            "defects": "own",
            "rest": mapping_form.form_of(document, codes=[]).rest,
            "base": "0",
            "reason": "Theirs.",
            "do": "try",
        },
    )
    assert answer.status_code == 200
    text = answer.content.decode()
    changed = re.search(r'id="tried-changed">(\d+)', text)
    assert changed is not None
    return re.findall(r"<summary>(SN-\d+), revision 1: Rework</summary>", text), int(changed[1])


def test_a_mapping_is_not_tried_before_ones_eyes_on_what_one_is_judging(engineer: User) -> None:
    rows = [stuck(factories.unit(serial)) for serial in ("SN-8", "SN-7")]
    other = factories.user(Role.QUALITY_ENGINEER, name="quentin")
    assert sides(other) == (["SN-7"], 2)
    held = on_the_bench_of(engineer, rows[1].unit)
    assert sides(engineer) == (["SN-8"], 2)
    assert sides(other) == (["SN-7"], 2)
    has_judged(engineer, held)
    assert "SN-7" in sides(engineer)[0]


# --- the reasons of what does not get through ---


def reasons_of(person: User, **asked: str) -> str:
    page = page_of(person, ATTENTION, **asked)
    return page.split('id="reasons-title"', 1)[1].split("</section>", 1)[0]


TICK = "Tick its row in the list to send it again."


def test_who_may_send_it_is_told_how_and_nobody_else(lead: User) -> None:
    row = stuck()
    other = factories.line(code="line-2")
    enqueued(inspection=factories.inspection(factories.unit("SN-9"), on=other))
    WriteBack.objects.filter(unit__serial="SN-9").update(state="REJECTED", last_error="Down.")
    on_the_bench_of(lead, row.unit)
    assert TICK in reasons_of(lead)
    inspector = factories.user(Role.INSPECTOR, name="ines")
    Grant.objects.create(user=inspector, role=Role.LEAD, site=row.site, line=other)
    ReviewTask.objects.update(state="DECIDED", holder=None, lease_expires_at=None)
    on_the_bench_of(inspector, row.unit)
    reasons = reasons_of(inspector)
    assert OWN in reasons
    assert "Send 1 again" in reasons
    assert TICK not in reasons


def test_of_a_part_of_a_lot_it_is_not_said_that_it_is_on_ones_bench(lead: User) -> None:
    parts, _held = lot_on_the_bench_of(lead)
    stuck(parts[1].unit)
    reasons = reasons_of(lead)
    assert OF_LOT in reasons
    assert f">{OWN}" not in reasons
