"""The supervisor's page: it lives, it stands still under the hand, and it reaches the bench."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone
from playwright.sync_api import Page, expect

from governance.access import actor_of
from governance.models import User
from governance.roles import Role
from review import queue
from review.models import ReviewTask, TaskState
from review.queue import Lease
from tests import factories
from tests.functional.conftest import Enter, Part
from tests.functional.intercepting import intercept
from tests.functional.test_bench import SIZES, ready

PAGE = "/review/queue/"


@pytest.fixture
def lead() -> User:
    """A lead of plant-1."""
    return factories.user(Role.LEAD, name="leo")


def hold(person: User) -> ReviewTask:
    """The next task, with this person."""
    actor = actor_of(person)
    lease = timedelta(minutes=5)
    [held] = queue.claim(
        actor=actor, site=factories.site(), count=1, lease=lease, at=timezone.now()
    )
    return ReviewTask.objects.get(pk=held.pk)


def row(page: Page, table: str, task: ReviewTask) -> str:
    """Selector of the task's row."""
    return f"#{table}-table tr[data-key='{task.uuid}']"


def test_a_unit_is_taken_back_from_a_bench_by_keyboard(
    enter: Enter, part: Part, inspector: User, lead: User
) -> None:
    task = part()
    bench = enter(inspector)
    ready(bench)
    page = enter(lead, PAGE)
    mine = page.locator(row(page, "held", task))
    for words in ("ines", task.unit.serial, "line-1"):
        expect(mine).to_contain_text(words)
    button = page.get_by_role("button", name=f"Take back {task.unit.serial}")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#queue-said")).to_have_text(f"{task.unit.serial} is back in the queue.")
    expect(bench.locator(".notice")).to_contain_text("was taken back")


def test_a_unit_given_to_a_colleague_leaves_one_bench_and_comes_to_the_other(
    enter: Enter, part: Part, inspector: User, lead: User
) -> None:
    task = part()
    bench = enter(inspector)
    ready(bench)
    factories.user(name="ivan")
    page = enter(lead, PAGE)
    page.locator(row(page, "held", task)).get_by_role("link").click()
    expect(page.locator("#person option")).to_have_count(3)
    page.locator("#person").select_option("ivan")
    page.locator("#reason").fill("Knows this defect")
    page.get_by_role("button", name="Give", exact=True).click()
    expect(page.get_by_text(f"{task.unit.serial} is kept for ivan.")).to_be_visible()
    expect(page.locator(row(page, "next", task))).to_contain_text("kept for ivan")
    expect(bench.locator("#lost")).to_be_visible()
    other = enter(User.objects.get(username="ivan"))
    assert ready(other) == str(task.uuid)


def test_a_unit_moved_to_the_front_is_the_next_at_the_bench(
    enter: Enter, part: Part, inspector: User, lead: User
) -> None:
    part()
    second = part(deadline=timezone.now() + timedelta(hours=3))
    page = enter(lead, PAGE)
    page.get_by_role("button", name=f"To the front: {second.unit.serial}").click()
    expect(page.locator("#queue-said")).to_contain_text("is next in line")
    first_row = page.locator("#next-table tbody tr").first
    page.mouse.move(5, 5)
    page.locator("h1").click()
    expect(first_row).to_contain_text(second.unit.serial)
    assert ready(enter(inspector)) == str(second.uuid)


def test_what_nobody_takes_is_named_with_its_reason(
    enter: Enter, part: Part, inspector: User, lead: User
) -> None:
    task = part()
    page = enter(lead, PAGE)
    expect(page.locator("#stranded-table")).to_contain_text("somebody who can take it")
    for person in (inspector, lead):
        held = hold(person)
        lease = Lease(held.uuid, held.fence)
        queue.skip(actor=actor_of(person), held=lease, reason="Blurred", at=timezone.now())
    expect(page.locator(row(page, "stranded", task))).to_contain_text(
        "Skipped by everyone who may judge it: Blurred"
    )


def test_the_lists_live_but_stand_still_while_somebody_works_in_them(
    enter: Enter, part: Part, lead: User
) -> None:
    first, second = part(), part()
    page = enter(lead, PAGE)
    button = page.get_by_role("button", name=f"To the front: {second.unit.serial}")
    button.focus()
    before = button.bounding_box()
    ReviewTask.objects.filter(pk=first.pk).update(state=TaskState.CLOSED)
    third = part()
    gone = page.locator(row(page, "next", first))
    expect(gone).to_have_attribute("data-gone", "")
    expect(page.locator("#next-title")).to_contain_text("+1")
    assert button.bounding_box() == before
    expect(button).to_be_focused()
    page.locator("h1").click()
    expect(gone).to_have_count(0)
    expect(page.locator(row(page, "next", third))).to_be_visible()


def test_figures_change_in_their_places(enter: Enter, part: Part, lead: User) -> None:
    part()
    page = enter(lead, PAGE)
    count = page.locator("#groups-table td.number").first
    expect(count).to_have_text("1")
    before = page.locator("#held-title").bounding_box()
    part()
    expect(count).to_have_text("2")
    assert page.locator("#held-title").bounding_box() == before


def test_the_forecast_says_when_there_is_too_little_to_go_by(
    enter: Enter, part: Part, lead: User
) -> None:
    part()
    page = enter(lead, PAGE)
    expect(page.get_by_text("Too little data for a forecast")).to_be_visible()
    page.get_by_text("How this is reckoned").click()
    expect(page.get_by_text(re.compile("Erlang C"))).to_be_visible()


def test_a_page_without_an_answer_says_so(enter: Enter, part: Part, lead: User) -> None:
    part()
    page = enter(lead, PAGE)
    intercept(page, "**/live/", lambda route: route.abort("internetdisconnected"))
    expect(page.locator("#queue-stale")).to_be_visible()
    page.unroute("**/live/")
    expect(page.locator("#queue-stale")).to_be_hidden()


@pytest.mark.parametrize("size", SIZES)
def test_the_page_fits_every_screen(
    enter: Enter, part: Part, inspector: User, lead: User, size: str
) -> None:
    for _ in range(3):
        part()
    hold(inspector)
    ReviewTask.objects.filter(state=TaskState.LEASED).update(leased_at=Now())
    page = enter(lead, PAGE, **SIZES[size])
    expect(page.locator("#held-table")).to_contain_text("ines")
    width, room = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width <= room
    least = 44 if SIZES[size].get("has_touch") else 24
    for box in page.locator(".supervisor__do .button").all():
        found = box.bounding_box()
        assert found is not None
        assert found["height"] >= least


def test_an_inspector_has_no_such_page(enter: Enter, inspector: User) -> None:
    page = enter(inspector)
    expect(page.locator(f".nav a[href='{PAGE}']")).to_have_count(0)
    answer = page.goto(PAGE)
    assert answer is not None
    assert answer.status == 403
