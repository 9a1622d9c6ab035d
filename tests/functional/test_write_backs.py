"""Write-backs in a browser: blocked by the mapping, mended, tried, saved, sent again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from pydantic import SecretStr
from pytest_django.fixtures import Settings

from governance.models import User
from governance.roles import Role
from mes_integration import alarms, delivery, reconciliation
from mes_integration.mappings import shipped_document
from mes_integration.models import MappingProfile, MesChange, Ncr, NcrRule, WriteBack
from tests import factories
from tests.functional.conftest import Enter
from tests.functional.test_every_page import AXE, FAULTS, OVERFLOW, SETTLED, STANDARD
from tests.mes_integration.plant import SECRET, DemoMes, enqueued, state_of

PAGE = "/write-backs/"
MAPPING = "/write-backs/mappings/plant-1/mes/"
VIEWPORTS = ((1440, 900), (1024, 768), (390, 844))


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def engineer() -> User:
    """A quality engineer of plant-1."""
    return factories.user(Role.QUALITY_ENGINEER, name="ada")


@pytest.fixture
def mes(settings: Settings, tmp_path: Path) -> Iterator[DemoMes]:
    """The demo's MES, set as the one to deliver to."""
    demo = DemoMes(tmp_path)
    settings.LOUPE = settings.LOUPE.model_copy(
        update={"mes_url": demo.url, "mes_secret": SecretStr(SECRET)}
    )
    yield demo
    demo.stop()


def in_their_words() -> None:
    """The plant's MES has a code for cracks, and for nothing else."""
    MappingProfile.objects.create(
        site=factories.site(),
        target="mes",
        version=1,
        document={**shipped_document("generic"), "defects": {"crack": "NC-17"}},
        author="ada",
        at=now(),
        reason="Their codes.",
    )


def deliver() -> None:
    delivery.deliver_due(at=now(), limit=20)


def of_every_kind() -> None:
    """Rows in every state a person may meet, an alarm, and an open exception."""
    at = now() - timedelta(minutes=12)
    acknowledged = [enqueued(kind="REWORK", at=at) for _ in range(3)]
    deliver()
    WriteBack.objects.filter(pk=acknowledged[0].pk).update(reference="MES-000000")
    run = reconciliation.start(site=factories.site(), name="mes", at=now())
    reconciliation.carry_through(run, clock=now)
    in_their_words()
    for _ in range(3):
        enqueued(at=at)
    deliver()
    for state, said in (
        ("REJECTED", "The MES answered 422: The lot 4711-B is closed there; open it first."),
        ("REJECTED", "The MES answered 422: The lot 4711-B is closed there; open it first."),
        ("UNCERTAIN", "The MES did not answer in time."),
        ("RETRY", "The MES at mes.plant.example:8443 cannot be reached."),
    ):
        row = enqueued(kind="SCRAP", at=at)
        WriteBack.objects.filter(pk=row.pk).update(
            state=state, last_error=said, attempts=2, due_at=now() + timedelta(hours=1)
        )
    old = enqueued(kind="ACCEPT", at=at)
    WriteBack.objects.filter(pk=old.pk).update(target="old-mes")
    enqueued(at=now(), due_at=now() + timedelta(hours=1))
    alarms.watch(at=now())
    contradicted(old)
    raised()


def contradicted(row: WriteBack) -> None:
    """The MES has changed the unit of this row."""
    MesChange.objects.create(
        site=row.site,
        unit=row.unit,
        target="mes",
        event_id="e-1",
        about="DISPOSITION",
        word="REWORK",
        kind="REWORK",
        changed_at=now(),
        received_at=now(),
        our_revision=row.unit.disposition_revision,
        our_kind=row.unit.disposition,
        state="OPEN",
    )


def raised() -> None:
    """What a rule has raised."""
    rule = NcrRule.objects.create(
        site=factories.site(),
        name="Three in a row",
        kind="CONSECUTIVE",
        count=3,
        since=now(),
        changed_by="ada",
    )
    Ncr.objects.create(
        site=rule.site,
        line=factories.line(),
        rule=rule,
        kind=rule.kind,
        cause="porosity @ line-1/st-1",
        text="porosity: 3 units in a row at line-1/st-1.",
        evidence={"units": ["SN-1", "SN-2"], "inspections": [], "window": {}, "counts": {}},
        opened_at=now(),
    )


def test_the_fields_of_a_rule_follow_its_kind_and_keep_what_is_typed(
    enter: Enter, engineer: User
) -> None:
    factories.site()
    page = enter(engineer, "/nonconformances/rules/new/")
    page.get_by_label("Name").fill("Low yield")
    expect(page.get_by_label("Units in a row")).to_have_value("3")
    page.get_by_label("Looks at").select_option("FIRST_PASS_YIELD")
    page.get_by_label("Yield below, %").fill("92,5")
    expect(page.get_by_label("Units in a row")).to_have_count(0)
    page.get_by_label("Fewest units in the hour").fill("20")
    expect(page.get_by_label("Name")).to_have_value("Low yield")
    tick = page.get_by_label("Active").bounding_box()
    assert tick is not None
    assert tick["width"] >= 20
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").first).to_contain_text("counts units seen from now on")
    expect(page.get_by_role("region", name="Rules")).to_contain_text("Watches since")


CUT = "() => { const n = document.querySelector('.nav'); return n.scrollWidth - n.clientWidth; }"


@pytest.mark.parametrize("language", ["en", "de"])
def test_no_room_of_the_navigation_is_cut(enter: Enter, engineer: User, language: str) -> None:
    factories.site()
    page = enter(engineer, PAGE)
    page.context.add_cookies([{"name": "django_language", "value": language, "url": page.url}])
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", language)
    for width, height in VIEWPORTS[:2]:
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate(CUT) <= 0, width
        assert page.locator(".nav a").last.is_visible()


def test_on_a_phone_a_row_is_a_card_with_its_next_step_on_the_screen(
    enter: Enter, engineer: User, mes: DemoMes
) -> None:
    row = enqueued(at=now())
    said = "The MES answered 422: The lot 4711-B is closed there; open it first."
    WriteBack.objects.filter(pk=row.pk).update(state="REJECTED", last_error=said)
    lost = enqueued(at=now())
    WriteBack.objects.filter(pk=lost.pk).update(target="old-mes")
    page = enter(engineer, PAGE)
    page.set_viewport_size({"width": 390, "height": 844})
    for name in ("Targets", "Undelivered", "Why"):
        wrap = page.get_by_role("region", name=name)
        # A fraction of a pixel is rounded up.
        assert wrap.evaluate("each => each.scrollWidth - each.clientWidth") <= 1
        if name != "Targets":
            expect(wrap).to_contain_text(said)
    box = page.locator(f"#do-{row.uuid}").bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 390


def test_blocked_by_the_mapping_mended_tried_saved_and_sent_again(
    enter: Enter, engineer: User, mes: DemoMes
) -> None:
    in_their_words()
    rows = [enqueued(at=now()) for _ in range(2)]
    deliver()
    page = enter(engineer, PAGE)
    why = page.get_by_role("region", name="Why")
    expect(why).to_contain_text("The mapping has no code for the defect porosity.")
    page.get_by_role("region", name="Undelivered").get_by_role(
        "link", name=rows[0].unit.serial
    ).click()
    page.get_by_role("link", name="Add a word for porosity").click()
    field = page.get_by_label("porosity")
    expect(field).to_have_value("")
    field.fill("NC-18")
    page.get_by_label("Reason for the change").fill("The MES has a code for pores now.")
    expect(page.get_by_role("button", name="Save as version")).to_have_count(0)
    page.get_by_role("button", name="Try on the last dispositions").click()
    tried = page.locator("#tried")
    expect(tried.locator("#tried-freed")).to_have_text("2")
    expect(tried.locator("ins").first).to_be_visible()
    assert MappingProfile.objects.count() == 1
    page.get_by_role("button", name="Save as version 2").click()
    expect(page.get_by_role("status").first).to_contain_text("Version 2 is in force.")
    page.get_by_role("button", name="Send all 2 again").click()
    expect(page.get_by_role("status").first).to_contain_text("2 are sent again.")
    deliver()
    assert [state_of(row) for row in rows] == ["ACKNOWLEDGED"] * 2
    page.goto(PAGE)
    expect(page.get_by_text("Everything is delivered")).to_be_visible()


def test_what_is_ticked_stays_ticked_while_the_page_lives_and_goes_again(
    enter: Enter, engineer: User, mes: DemoMes
) -> None:
    rows = [enqueued(at=now()) for _ in range(3)]
    WriteBack.objects.update(state="REJECTED", last_error="The MES answered 422: no.")
    page = enter(engineer, PAGE)
    boxes = page.get_by_role("region", name="Undelivered").get_by_role("checkbox")
    boxes.nth(1).check()
    fresh = enqueued(at=now())
    expect(page.get_by_role("region", name="Undelivered")).to_contain_text(
        fresh.unit.serial, timeout=20_000
    )
    expect(boxes.nth(1)).to_be_checked()
    expect(boxes.nth(0)).not_to_be_checked()
    page.get_by_role("button", name="Send the ticked ones again").click()
    expect(page.get_by_role("status").first).to_contain_text("1 is sent again.")
    assert [state_of(row) for row in rows] == ["REJECTED", "RETRY", "REJECTED"]


def test_the_whole_report_renews_itself_and_keeps_what_is_being_typed(
    enter: Enter, engineer: User, mes: DemoMes
) -> None:
    rows = [enqueued(at=now()) for _ in range(2)]
    deliver()
    WriteBack.objects.filter(pk=rows[0].pk).update(reference="MES-000000")
    compared()
    page = enter(engineer, f"{PAGE}reconciliation/")
    reason = page.get_by_label("Why it is in order")
    reason.press_sequentially("Renamed the")
    WriteBack.objects.filter(pk=rows[1].pk).update(reference="MES-000001")
    compared()
    expect(page.locator(".tabs__count")).to_have_text("2", timeout=20_000)
    expect(page.locator("#report")).to_contain_text(rows[1].unit.serial)
    expect(reason.first).to_be_focused()
    page.keyboard.type("re.")
    expect(reason.first).to_have_value("Renamed there.")


def compared() -> None:
    run = reconciliation.start(site=factories.site(), name="mes", at=now())
    reconciliation.carry_through(run, clock=now)


def test_answers_and_exceptions_are_read_on_a_phone_and_nothing_to_do_is_cut_at_1024(
    enter: Enter, engineer: User, mes: DemoMes
) -> None:
    of_every_kind()
    page = enter(engineer, PAGE)
    page.context.add_cookies([{"name": "django_language", "value": "de", "url": page.url}])
    refused = WriteBack.objects.filter(state="ACKNOWLEDGED").first()
    assert refused is not None
    wide: list[tuple[str, int, str, int]] = []
    for width, height in VIEWPORTS[1:]:
        page.set_viewport_size({"width": width, "height": height})
        for path in (PAGE, f"{PAGE}reconciliation/", f"{PAGE}{refused.uuid}/", MAPPING):
            page.goto(path)
            for wrap in page.locator(".table-wrap").all():
                over = wrap.evaluate("each => each.scrollWidth - each.clientWidth")
                if over > 1:
                    name = wrap.get_attribute("aria-labelledby") or "?"
                    wide.append((path, width, name, over))
    assert wide == []
    page.goto(MAPPING)
    yes = page.locator(".mapping__can dd").first.bounding_box()
    assert yes is not None
    assert yes["width"] >= 80


def test_the_home_page_says_how_old_the_oldest_is_and_where_it_should_go(
    enter: Enter, engineer: User, mes: DemoMes
) -> None:
    page = enter(engineer, "/")
    tile = page.locator("#figure-mes")
    expect(tile).to_contain_text("all acknowledged")
    enqueued(at=now() - timedelta(seconds=330))
    expect(tile).to_contain_text("oldest 6 min old, to mes")
    expect(tile.locator(".state--hold")).to_be_visible()


def paths() -> list[str]:
    row = WriteBack.objects.get(target="mes", state="RETRY")
    blocked = WriteBack.objects.filter(state="NEEDS_PERSON").first()
    assert blocked is not None
    return [
        PAGE,
        f"{PAGE}{row.uuid}/",
        f"{PAGE}{blocked.uuid}/",
        f"{PAGE}reconciliation/",
        f"{PAGE}conflicts/",
        f"{PAGE}mappings/",
        MAPPING,
        f"{MAPPING}?version=0",
        f"{MAPPING}edit/",
        "/nonconformances/",
        f"/nonconformances/{Ncr.objects.get().uuid}/",
        "/nonconformances/rules/",
        "/nonconformances/rules/new/",
        f"/nonconformances/rules/{NcrRule.objects.get().uuid}/",
        *(f"{PAGE}conflicts/{each.uuid}/" for each in MesChange.objects.all()),
        *(f"/units/{each.unit.serial}/" for each in MesChange.objects.all()),
    ]


def open_at(page: Page, path: str) -> None:
    page.goto(path)
    page.wait_for_function(SETTLED)
    if path.endswith("edit/"):
        page.get_by_label("crack").fill("NC-99")
        page.get_by_label("Reason for the change").fill("Because.")
        page.get_by_role("button", name="Try on the last dispositions").click()
        page.locator("#tried").wait_for()
        page.get_by_text("The rest: message").click()


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark", "contrast"])
def test_axe_finds_nothing_and_nothing_is_wider_than_its_screen(
    enter: Enter, engineer: User, mes: DemoMes, theme: str
) -> None:
    of_every_kind()
    page = enter(engineer, "/health/")
    page.add_init_script(f"localStorage.setItem('loupe-theme', '{theme}')")
    found: dict[str, list[str]] = {}
    wide: list[tuple[str, int, int]] = []
    for path in paths():
        open_at(page, path)
        page.evaluate(AXE)
        if faults := page.evaluate(FAULTS, STANDARD):
            found[path] = faults
        for width, height in VIEWPORTS:
            page.set_viewport_size({"width": width, "height": height})
            over = page.evaluate(OVERFLOW)
            if over > 0:
                wide.append((path, width, over))
        page.set_viewport_size({"width": 1440, "height": 900})
    assert found == {}
    assert wide == []
