"""The pages around the write-back as the documentation shows them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from governance.models import User
from governance.roles import Role
from mes_integration import changes, nonconformances
from mes_integration.changes import Said
from mes_integration.models import NcrRule, WriteBack
from review.models import Approval, ReviewTask
from tests import factories
from tests.functional.conftest import Enter
from tests.functional.snapshots import snap
from tests.functional.test_bench import ready, until_decided
from tests.functional.test_docs_pictures import DESK, rings
from tests.functional.test_write_backs import MAPPING, PAGE, mes, of_every_kind
from tests.mes_integration.plant import DemoMes, disposition

__all__ = ["mes"]


@pytest.fixture
def ada() -> User:
    """The quality engineer on the pictures."""
    return factories.user(Role.QUALITY_ENGINEER, name="ada")


def test_what_was_not_delivered_and_why(enter: Enter, ada: User, mes: DemoMes) -> None:
    of_every_kind()
    page = enter(ada, PAGE, **DESK)
    expect(page.get_by_role("region", name="Undelivered")).to_be_visible()
    snap(page, "write-backs-waiting")
    page.goto(f"{MAPPING}edit/")
    page.get_by_label("porosity").fill("NC-18")
    page.get_by_label("Reason for the change").fill("The MES has a code for pores now.")
    page.get_by_role("button", name="Try on the last dispositions").click()
    page.locator("#tried").wait_for()
    snap(page, "mapping-tried")
    page.goto(f"{PAGE}reconciliation/")
    snap(page, "reconciliation")


def test_what_the_mes_changed_by_itself(enter: Enter, ada: User, mes: DemoMes) -> None:
    now = timezone.now()
    seen = factories.inspection(factories.unit("SN-1042"))
    factories.hold(seen, at=now - timedelta(minutes=30))
    WriteBack.objects.update(state="ACKNOWLEDGED", settled_at=now, reference="MES-000311")
    said = Said(
        event_id="e-1",
        serial="SN-1042",
        word="ACCEPT",
        changed_at=now - timedelta(minutes=4),
        by="u.meyer",
    )
    changes.record(
        actor=factories.actor(Role.MES, at=seen.site),
        site=seen.site,
        target_name="mes",
        said=said,
        at=now,
    )
    page = enter(ada, f"{PAGE}conflicts/", **DESK)
    page.locator("main").get_by_role("link", name="SN-1042").click()
    expect(page.get_by_role("button", name="Theirs stands")).to_be_visible()
    snap(page, "conflict")


def test_a_second_person_is_asked(enter: Enter, ada: User) -> None:
    lead = factories.user(Role.LEAD, name="lena")
    task = rings()
    ReviewTask.objects.filter(pk=task.pk).update(second_for_scrap=True, second_for_concession=True)
    bench = enter(lead, **DESK)
    ready(bench)
    bench.keyboard.press("Shift+R")
    bench.keyboard.press("c")
    expect(bench.locator("#concession-reason")).to_be_focused()
    bench.keyboard.type("Cosmetic only: it lies under the cover.")
    bench.keyboard.press("Enter")
    bench.keyboard.press("r")
    until_decided(bench, 1)
    approval = Approval.objects.get()
    page = enter(ada, f"/review/approvals/{approval.uuid}/", **DESK)
    expect(page.locator("#approve")).to_be_enabled()
    snap(page, "approval")


def test_nonconformances_and_their_rules(enter: Enter, ada: User) -> None:
    began = datetime.now(UTC) - timedelta(minutes=40)
    NcrRule.objects.create(
        site=factories.site(),
        kind="CONSECUTIVE",
        name="Three in a row",
        count=3,
        since=began - timedelta(days=2),
        changed_by="ada",
    )
    for number in range(3):
        disposition(kind="SCRAP", at=began + timedelta(minutes=number))
    nonconformances.evaluate(at=datetime.now(UTC))
    page = enter(ada, "/nonconformances/", **DESK)
    expect(page.get_by_text("3 units in a row").first).to_be_visible()
    snap(page, "nonconformances")
