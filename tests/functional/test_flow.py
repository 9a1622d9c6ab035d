"""The flow of work at the bench: own keys, comments, answers, going on where one stopped."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, Route, expect

from governance.access import actor_of
from governance.models import User
from governance.roles import Role
from review import decisions, directing, queue
from review.models import Answer, Comment, Decision, Escalation, Preference, ReviewTask, TaskState
from review.queue import Lease
from review.verdicts import Verdict
from tests import factories
from tests.functional.conftest import Enter, Part
from tests.functional.intercepting import intercept
from tests.functional.test_bench import (
    at_the_bench_with,
    next_after,
    ready,
    settled,
    until_decided,
    wait_until,
)
from traceability.models import DispositionKind

LEASE = timedelta(minutes=1)


def sign_in(page: Page, person: User) -> None:
    """Another log-in in the same browser, as from another tab: new session, new token."""
    client = Client()
    client.get("/login/")
    client.force_login(person)
    address = page.evaluate("location.origin")
    for name in (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME):
        if name in client.cookies:
            value = client.cookies[name].value
            page.context.add_cookies([{"name": name, "value": value, "url": address}])


def new_token(page: Page) -> None:
    """What logging in does to the token: the cookie holds another secret."""
    address = page.evaluate("location.origin")
    name = settings.CSRF_COOKIE_NAME
    page.context.add_cookies([{"name": name, "value": "a" * 32, "url": address}])


def decide_as(person: User, task: ReviewTask, **said: Any) -> None:
    """A verdict of somebody elsewhere, its undo window over."""
    actor = actor_of(person)
    [held] = queue.claim(actor=actor, site=task.site, count=1, lease=LEASE, at=timezone.now())
    assert held.pk == task.pk
    decisions.decide(
        actor=actor,
        held=Lease(held.uuid, held.fence),
        verdict=Verdict(**said),
        key=str(uuid.uuid4()),
        undo_window=timedelta(),
        at=timezone.now(),
    )


def test_a_key_is_changed_by_pressing_it_and_a_taken_one_is_named(
    enter: Enter, part: Part, inspector: User
) -> None:
    first, second = part(), part()
    page = enter(inspector)
    ready(page)
    page.keyboard.press("Shift+?")
    own = page.locator("[data-key-of=accept]")
    own.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("s")
    expect(page.locator("#keys-said")).to_contain_text("S is Skip, with a reason already")
    page.keyboard.press("Tab")
    expect(page.locator("#keys-said")).to_contain_text("always means the same")
    with page.expect_response("**/preferences"):
        page.keyboard.press("f")
    expect(own).to_have_text("F")
    expect(page.locator("#accept kbd")).to_have_text("F")
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    assert ready(page) == str(first.uuid)
    page.keyboard.press("f")
    assert next_after(page, str(first.uuid)) == str(second.uuid)
    assert Preference.objects.get(user=inspector).value == {"accept": "KeyF"}
    page.reload()
    ready(page)
    expect(page.locator("#accept kbd")).to_have_text("F")
    page.keyboard.press("Shift+?")
    page.locator("#keys-reset").click()
    expect(page.locator("#accept kbd")).to_have_text("A")


def test_settings_made_without_a_network_are_sent_later(
    enter: Enter, part: Part, inspector: User
) -> None:
    part()
    page = enter(inspector)
    ready(page)
    intercept(page, "**/preferences", lambda route: route.abort("internetdisconnected"))
    with page.expect_event("requestfailed", lambda sent: sent.url.endswith("/preferences")):
        page.keyboard.press("m")
    page.unroute("**/preferences")
    page.reload()
    wait_until(page, lambda: Preference.objects.filter(name="opinion_shown", value=False).exists())
    expect(page.locator("#model-toggle")).to_have_attribute("aria-pressed", "false")


def test_a_comment_is_noted_and_a_colleague_reads_it(
    enter: Enter, part: Part, inspector: User
) -> None:
    task = part()
    page = enter(inspector)
    ready(page)
    page.keyboard.press("c")
    page.keyboard.type("Rim is dull here")
    page.keyboard.press("Enter")
    expect(page.locator("#comments")).to_contain_text("Rim is dull here")
    assert Comment.objects.get().inspection_id == task.inspection_id
    assert not Decision.objects.exists()
    page.keyboard.press("e")
    page.keyboard.press("Enter")
    expect(page.locator("#empty")).to_be_visible()
    lead = enter(factories.user(Role.LEAD))
    ready(lead)
    expect(lead.locator("#comments")).to_contain_text("Rim is dull here")
    other = enter(factories.user(Role.OPERATOR), f"/units/{task.unit.serial}/")
    expect(other.get_by_text("Rim is dull here")).to_be_visible()


def test_a_comment_that_could_not_be_sent_stays_in_its_field(
    enter: Enter, part: Part, inspector: User
) -> None:
    part()
    page = enter(inspector)
    ready(page)
    intercept(page, "**/comments", lambda route: route.abort("internetdisconnected"))
    page.keyboard.press("c")
    page.keyboard.type("Not lost")
    page.keyboard.press("Enter")
    expect(page.locator(".notice")).to_contain_text("The comment was not sent.")
    expect(page.locator("#unit-comment")).to_have_value("Not lost")


def test_the_leads_answer_comes_back_and_is_seen_once(
    enter: Enter, part: Part, inspector: User
) -> None:
    task = part()
    page = enter(inspector)
    ready(page)
    page.keyboard.press("e")
    page.keyboard.type("Within the limit?")
    page.keyboard.press("Enter")
    wait_until(page, Escalation.objects.exists)
    lead = factories.user(Role.LEAD, name="leo")
    decide_as(
        lead,
        task,
        answer=Answer.FALSE_CALL,
        disposition=DispositionKind.ACCEPT,
        comment="Dust.",
    )
    expect(page.locator("#answers-count")).to_have_text("1")
    before = page.locator("#connection").bounding_box()
    page.keyboard.press("q")
    shown = page.locator("#answers-list")
    for words in (task.unit.serial, "Accept", "You asked: Within the limit?", "Dust.", "leo"):
        expect(shown).to_contain_text(words)
    expect(page.locator("#answers-count")).to_have_text("")
    assert page.locator("#connection").bounding_box() == before
    assert Escalation.objects.get().seen_at is not None


# What the page comes back to after a reload is written.
KEPT = """words => Object.entries(sessionStorage).some(
  ([name, place]) => name.startsWith("loupe-place") && place.includes(words))"""


def test_after_a_reload_the_same_unit_and_view_are_on_the_screen(
    enter: Enter, part: Part, inspector: User
) -> None:
    first = part()
    second = part(views=("side", "top"))
    page = enter(inspector)
    ready(page)
    page.keyboard.press("a")
    assert next_after(page, str(first.uuid)) == str(second.uuid)
    page.keyboard.press("Tab")
    expect(page.locator(".view").nth(1)).to_have_attribute("aria-current", "true")
    page.wait_for_function(KEPT, arg=f'"{second.uuid}":1')
    urgent = part()
    ReviewTask.objects.filter(pk=urgent.pk).update(due=timezone.now() - timedelta(hours=1))
    page.reload()
    assert ready(page) == str(second.uuid)
    expect(page.locator(".view").nth(1)).to_have_attribute("aria-current", "true")


def test_after_a_crash_the_units_still_held_come_again(
    enter: Enter, part: Part, inspector: User
) -> None:
    tasks = [part() for _ in range(3)]
    page = enter(inspector)
    ready(page)
    wait_until(page, lambda: ReviewTask.objects.filter(state=TaskState.LEASED).count() == 3)
    intercept(page, "**/release", lambda route: route.abort())
    page.reload()
    assert ready(page) == str(tasks[0].uuid)
    assert set(ReviewTask.objects.values_list("fence", flat=True)) == {2}


def test_two_tabs_do_not_take_each_others_units_but_a_copy_does_and_says_so(
    enter: Enter, part: Part, inspector: User
) -> None:
    for _ in range(9):
        part()
    page = enter(inspector)
    first = ready(page)
    page.wait_for_function(KEPT, arg=first)
    place = page.evaluate("() => ({...sessionStorage})")
    other = page.context.new_page()
    other.goto("/review/")
    assert ready(other) != first
    expect(page.locator("#lost")).to_be_hidden()
    copy = page.context.new_page()
    copy.add_init_script(f"Object.assign(sessionStorage, {place!r})")
    copy.goto("/review/")
    assert ready(copy) == first
    expect(page.locator(".notice")).to_contain_text("another tab of yours")
    expect(page.locator("#lost")).to_be_visible()


def test_a_unit_taken_back_by_a_lead_is_told_at_once(
    enter: Enter, part: Part, inspector: User
) -> None:
    task = part()
    page = enter(inspector)
    ready(page)
    boss = factories.actor(Role.LEAD)
    factories.user(name="ivan")
    directing.reassign(actor=boss, task_id=task.uuid, person="ivan", reason="", at=timezone.now())
    expect(page.locator("#lost")).to_be_visible()


def test_a_unit_taken_back_that_comes_to_the_same_bench_again_goes_on_there(
    enter: Enter, part: Part, inspector: User
) -> None:
    task = part()
    page = enter(inspector)
    ready(page)
    boss = factories.actor(Role.LEAD)
    directing.release(actor=boss, task_id=task.uuid, reason="", at=timezone.now())
    expect(page.locator(".notice")).to_contain_text(f"{task.unit.serial} was taken back")
    page.keyboard.press("a")
    [decision] = until_decided(page, 1)
    assert decision.task == task


def test_after_logging_in_again_elsewhere_verdicts_are_sent_with_the_new_token(
    enter: Enter, part: Part, inspector: User
) -> None:
    part()
    page = enter(inspector)
    ready(page)
    new_token(page)
    page.keyboard.press("a")
    [decision] = until_decided(page, 1)
    assert decision.decided_by == inspector


def test_a_verdict_is_never_sent_as_somebody_else(
    enter: Enter, part: Part, inspector: User
) -> None:
    part()
    page = enter(inspector)
    ready(page)
    new_token(page)
    sign_in(page, factories.user(name="ivan"))
    page.keyboard.press("a")
    expect(page.locator(".notice")).to_contain_text("ivan is logged in in this browser now")
    expect(page.locator("#unsent")).to_have_text("Unsent: 1")
    assert not Decision.objects.exists()
    sign_in(page, inspector)
    wait_until(page, lambda: Decision.objects.filter(decided_by=inspector).exists())


@pytest.mark.usefixtures("unhurried")
def test_an_undo_whose_answer_was_lost_is_done_by_pressing_again(
    enter: Enter, part: Part, inspector: User
) -> None:
    task = part()
    cut: list[str] = []

    def swallow(route: Route) -> None:
        if cut:
            route.continue_()
            return
        cut.append(route.request.url)
        route.fetch()
        route.abort("connectionreset")

    page = at_the_bench_with(enter, inspector, "**/undo", swallow)
    ready(page)
    page.keyboard.press("a")
    until_decided(page, 1)
    page.keyboard.press("u")
    expect(page.locator(".notice")).to_contain_text("was not taken back")
    page.keyboard.press("u")
    expect(page.locator("#stage")).to_have_attribute("data-task", str(task.uuid))
    settled(page)
    page.keyboard.press("a")
    wait_until(page, lambda: Decision.objects.filter(withdrawal__isnull=True).exists())
    assert Decision.objects.count() == 2


def test_an_accept_that_is_held_for_another_question_says_so(
    enter: Enter, part: Part, inspector: User
) -> None:
    task = part()
    elsewhere = factories.line(code="line-2")
    factories.task(factories.inspection(task.unit, on=elsewhere), at=timezone.now())
    page = enter(factories.user(Role.INSPECTOR, on=task.line, name="one-line"))
    ready(page)
    page.keyboard.press("a")
    notice = page.locator(".notice")
    expect(notice).to_contain_text(f"{task.unit.serial} was recorded as Hold.")
    expect(notice).to_contain_text("other question about this unit")
