"""The bench as the documentation shows it, with pictures of the demo part."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from config.demo import pictures, xray
from governance.models import User
from governance.roles import Role
from review.models import ReviewTask
from tests import factories
from tests.functional.conftest import Enter, show
from tests.functional.snapshots import snap
from traceability import references
from traceability.gateways import object_store
from traceability.models import Capture, Inspection
from traceability.tasks import make_previews

DESK: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"}
TABLET: dict[str, Any] = {
    "viewport": {"width": 1024, "height": 768},
    "has_touch": True,
    "is_mobile": True,
    "color_scheme": "dark",
}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True}


@pytest.fixture
def ines() -> User:
    """The inspector on the pictures."""
    return factories.user(Role.INSPECTOR, name="ines")


def ring(of: Inspection, *, view: str, defect: str | None, seed: int) -> Capture:
    """A capture of the demo part, seen from one side, with what the model says of it."""
    made = pictures.picture(seed=seed, defect=defect, contrast=0.7)
    capture = factories.capture(
        of, view=view, width=made.width, height=made.height, sha256=made.sha256
    )
    object_store.store(capture.bucket).put(capture.key, made.jpeg)
    found = [{"id": "1", "label": defect, "score": 0.64, "box": made.box}] if defect else []
    factories.prediction(
        capture,
        score=0.64 if defect else 0.12,
        defect_class=defect or "",
        detections=found,
    )
    show(capture)
    return capture


def rings(*, views: tuple[str, ...] = ("main",), expected: int = 0, seed: int = 7) -> ReviewTask:
    """A waiting unit; its first view has the defect."""
    for position, (code, disposition) in enumerate(
        (("scratch", "REWORK"), ("pore", "SCRAP"), ("dent", "HOLD")), start=1
    ):
        factories.defect_class(code, position=position, default_disposition=disposition)
    unit = factories.unit(lot="L-0007", supplier="S2")
    seen = factories.inspection(unit, views=expected or len(views))
    for number, view in enumerate(views):
        ring(seen, view=view, defect=None if number else "scratch", seed=seed + number)
    return factories.task(seen, score=0.64, at=timezone.now())


def bench(enter: Enter, person: User, theme: str = "", **options: Any) -> Page:
    """The bench with the first unit on its stage."""
    page = enter(person, "/health/", **options)
    if theme:
        page.add_init_script(f"localStorage.setItem('loupe-theme', '{theme}')")
    page.goto("/review/")
    expect(page.locator("#accept")).to_be_enabled()
    return page


def test_the_bench_and_its_keys(enter: Enter, ines: User) -> None:
    for number in range(3):
        rings(seed=7 + 10 * number)
    page = bench(enter, ines, **DESK)
    snap(page, "bench")
    page.keyboard.press("?")
    snap(page, "bench-keys")


def test_the_prompt_for_a_box(enter: Enter, ines: User) -> None:
    rings()
    page = bench(enter, ines, **DESK)
    page.keyboard.press("r")
    box = page.locator("#stage").bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(middle[0] + 62, middle[1] + 92)
    page.mouse.down()
    page.mouse.move(middle[0] + 224, middle[1] + 168, steps=4)
    snap(page, "bench-box")
    page.mouse.up()


def test_four_views_one_of_them_missing(enter: Enter, ines: User) -> None:
    rings(views=("top", "left", "right"), expected=4)
    page = bench(enter, ines, **DESK)
    expect(page.locator("#views img")).to_have_count(3)
    snap(page, "bench-views")


def test_on_a_tablet_and_on_a_phone(enter: Enter, ines: User) -> None:
    rings()
    rings(seed=27)
    page = bench(enter, ines, theme="dark", **TABLET)
    snap(page, "bench-tablet")
    page.close()
    other = factories.user(Role.INSPECTOR, name="omar")
    rings(seed=37)
    page = bench(enter, other, theme="contrast", **PHONE)
    snap(page, "bench-phone")


def test_the_golden_image_beside_the_part(enter: Enter, ines: User) -> None:
    task = rings()
    perfect = factories.inspection(factories.unit())
    model = ring(perfect, view="main", defect=None, seed=8)
    references.set_reference(capture=Capture.objects.get(pk=model.pk), by="test", at=timezone.now())
    page = bench(enter, ines, **DESK)
    assert page.locator("#stage").get_attribute("data-task") == str(task.uuid)
    page.keyboard.press("g")
    expect(page.locator("#golden img")).to_be_visible()
    for _ in range(3):
        page.keyboard.press("+")
    snap(page, "bench-golden")


def test_window_and_level_of_a_deep_image(enter: Enter, ines: User) -> None:
    unit = next(xray.units())
    view = unit.views[0]
    factories.defect_class("pore", position=1, default_disposition="SCRAP")
    seen = factories.inspection(factories.unit(unit.serial))
    capture = factories.capture(
        seen,
        width=view.width,
        height=view.height,
        sha256=hashlib.sha256(view.data).hexdigest(),
        media_type=view.media_type,
    )
    object_store.store(capture.bucket).put(capture.key, view.data)
    found = [
        {"id": str(number), "label": code, "score": score, "box": list(box)}
        for number, (code, score, box) in enumerate(view.found)
    ]
    factories.prediction(capture, score=view.score, defect_class="pore", detections=found)
    make_previews([capture.pk])
    factories.task(seen, score=view.score, at=timezone.now())
    page = bench(enter, ines, **DESK)
    page.keyboard.press("l")
    snap(page, "bench-light")


def test_a_leads_queue_and_a_lot(enter: Enter, ines: User) -> None:
    for number in range(14):
        rings(seed=60 + number)
    lead = factories.user(Role.LEAD, name="lena")
    bench(enter, ines, **DESK)
    page = enter(lead, "/review/queue/", **DESK)
    expect(page.get_by_text("ines").first).to_be_visible()
    snap(page, "supervisor")
    other = factories.user(Role.INSPECTOR, name="omar")
    page = enter(other, "/review/lots/", **DESK)
    page.locator("main a[href*='/review/lots/']").first.click()
    expect(page.locator("main img").first).to_be_visible()
    snap(page, "lot")
