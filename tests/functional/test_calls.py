"""A call from the line on the bench and on the home page: seen, answered, closed, nothing moved."""

from __future__ import annotations

import pytest
from django.utils import timezone
from playwright.sync_api import APIResponse, Page, Request, Route, expect

from governance.access import actor_of
from governance.models import User
from governance.roles import Role
from review.line import calls
from review.models import AndonCall
from tests import factories
from tests.functional.conftest import Enter, Part
from tests.functional.intercepting import intercept
from tests.functional.test_bench import SIZES, ready, wait_until
from tests.functional.test_still import MOST, WATCH, moved
from traceability.identifiers import new_id

# What is said of an act after each time something was put into the page; null: it has no place.
HEARD = """() => {
  window.heard = [];
  document.addEventListener("htmx:afterSwap", () => {
    window.heard.push(document.querySelector("[data-said]")?.textContent ?? null);
  });
}"""


def press(kind: str = "HELP", *, station: str = "st-1") -> AndonCall:
    """Somebody at the station's tablet calls."""
    where = factories.station(code=station)
    tablet, _token = factories.tablet(where)
    now = timezone.now()
    operator = factories.actor(Role.OPERATOR, on=where.line)
    return calls.call(actor=operator, device=tablet, kind=kind, key=new_id(), made_at=now, at=now)


def shown(page: Page) -> None:
    """Wait for the bench's next look at the queue."""
    with page.expect_response("**/review/queue?*"):
        pass


def on_their_way(page: Page) -> set[Request]:
    """The page's requests from now on, as long as each is on its way."""
    asked: set[Request] = set()

    def ended(request: Request) -> None:
        asked.discard(request)

    page.on("request", lambda request: asked.add(request))  # noqa: PLW0108  # a builtin is not taken
    page.on("requestfinished", ended)
    page.on("requestfailed", ended)
    return asked


@pytest.mark.parametrize("size", ["desk", "tablet", "phone"])
def test_a_call_appears_on_the_bench_in_its_place_and_one_press_answers(
    enter: Enter, part: Part, inspector: User, size: str
) -> None:
    part()
    page = enter(inspector, **SIZES[size])
    ready(page)
    expect(page.locator("#calls")).to_be_hidden()
    shown(page)
    page.evaluate(WATCH)
    press("STOP")
    line = page.locator("#calls-first")
    expect(line).to_contain_text("Stop · st-1")
    expect(line).to_contain_text("nobody has answered")
    expect(page.locator("#calls-said")).to_contain_text("Press Y to answer")
    assert moved(page) < MOST
    page.keyboard.press("y")
    expect(line).to_contain_text("ines is coming")
    assert AndonCall.objects.get().answered_by == inspector


@pytest.mark.parametrize("width", [1024, 1280, 1440])
def test_a_stations_long_name_is_read_whole_on_the_bench(
    enter: Enter, part: Part, inspector: User, width: int
) -> None:
    part()
    factories.station(code="end-of-line-inspection-03")
    page = enter(inspector, viewport={"width": width, "height": 800})
    ready(page)
    shown(page)
    before = page.locator(".status").bounding_box()
    press("STOP", station="end-of-line-inspection-03")
    line = page.locator("#calls-first")
    expect(line).to_contain_text("end-of-line-inspection-03")
    expect(line).to_contain_text("nobody has answered")
    cut = line.evaluate("e => [e.scrollWidth - e.clientWidth, e.scrollHeight - e.clientHeight]")
    assert cut == [0, 0]
    assert page.locator(".status").bounding_box() == before


def test_the_second_press_lists_the_calls_and_a_stop_is_released_there(
    enter: Enter, part: Part, inspector: User
) -> None:
    part()
    press("STOP")
    press("HELP", station="st-2")
    page = enter(inspector)
    ready(page)
    line = page.locator("#calls-first")
    expect(page.locator("#calls-more")).to_have_text("+1")
    page.locator("#calls").click()
    expect(line).to_contain_text("Help · st-2")
    page.keyboard.press("y")
    expect(line).to_contain_text("is coming")
    page.keyboard.press("y")
    form = page.locator("#calls-form")
    expect(form).to_be_visible()
    form.get_by_role("button", name="Release: st-1").click()
    expect(form.locator("li")).to_have_count(1)
    assert AndonCall.objects.get(kind="STOP").closed_by == inspector
    page.keyboard.press("Escape")
    expect(form).to_be_hidden()


def test_who_is_late_is_told_who_comes(enter: Enter, part: Part, inspector: User) -> None:
    part()
    made = press()
    page = enter(inspector)
    asked = on_their_way(page)
    ready(page)
    expect(page.locator("#calls-first")).to_contain_text("Help")
    lead = factories.user(Role.LEAD, name="leo")
    intercept(page, "**/review/queue?*", lambda route: route.abort())
    # Nothing that is still on its way tells the page who comes.
    wait_until(page, lambda: not asked)
    calls.answer(actor=actor_of(lead), call_id=made.uuid, at=timezone.now())
    page.keyboard.press("y")
    expect(page.locator("#notices")).to_contain_text("leo has answered this call.")


def test_a_call_that_was_answered_here_stays_so_though_older_figures_come_later(
    enter: Enter, part: Part, inspector: User
) -> None:
    part()
    press()
    page = enter(inspector)
    ready(page)
    line = page.locator("#calls-first")
    expect(line).to_contain_text("nobody has answered")
    held: list[tuple[Route, APIResponse]] = []

    def hold(route: Route) -> None:
        held.append((route, route.fetch()))

    intercept(page, "**/review/queue?*", hold)
    wait_until(page, lambda: len(held) > 0)
    page.keyboard.press("y")
    expect(line).to_contain_text("ines is coming")
    route, before = held[0]
    with page.expect_event("requestfinished", lambda sent: sent == route.request):
        route.fulfill(response=before)
    # The page has drawn what it was told.
    page.evaluate("() => new Promise((done) => setTimeout(() => setTimeout(done)))")
    assert "ines is coming" in (line.text_content() or "")
    page.unroute_all(behavior="ignoreErrors")


def test_the_home_page_shows_a_call_and_answers_it_and_nothing_moves(enter: Enter) -> None:
    lead = factories.user(Role.LEAD, name="leo")
    page = enter(lead, "/")
    strip = page.locator("#calls")
    expect(strip).to_contain_text("No station calls.")
    page.evaluate(WATCH)
    made = press("STOP")
    row = strip.locator(f"[data-call='{made.uuid}']")
    expect(row).to_contain_text("Stop")
    assert moved(page) < MOST
    row.get_by_role("button", name="I am coming: st-1").click()
    expect(strip).to_contain_text("st-1: you are on your way.")
    strip.evaluate("each => { each.dataset.old = 1; }")
    expect(strip).not_to_have_attribute("data-old", "1")
    # It is read in peace, though the figures are renewed every two seconds.
    expect(strip.get_by_role("status")).to_have_text("st-1: you are on your way.")
    expect(row).to_contain_text("leo is coming")
    row.get_by_role("button", name="Release: st-1").click()
    expect(strip).to_contain_text("No station calls.")
    made.refresh_from_db()
    assert made.closed_by == lead


def test_what_was_said_of_a_call_is_over_with_the_next_act_though_nothing_is_said_of_that(
    enter: Enter,
) -> None:
    made = press()
    page = enter(factories.user(Role.LEAD, name="leo"), "/")
    strip = page.locator("#calls")
    strip.get_by_role("button", name="I am coming: st-1").click()
    expect(strip.get_by_role("status")).to_have_text("st-1: you are on your way.")
    page.evaluate(HEARD)
    nothing = "<section id='calls'></section>"
    intercept(
        page,
        f"**/line/calls/{made.uuid}/close/**",
        lambda route: route.fulfill(body=nothing, content_type="text/html"),
    )
    strip.get_by_role("button", name="Close: st-1").click()
    page.wait_for_function("() => window.heard.includes(null) && window.heard.at(-1) !== null")
    heard = page.evaluate("window.heard")
    assert heard[heard.index(None) + 1] == ""


def test_an_operator_sees_the_call_and_has_no_button_to_answer(enter: Enter) -> None:
    press()
    page = enter(factories.user(Role.OPERATOR), "/")
    expect(page.locator("#calls .call")).to_contain_text("st-1")
    expect(page.locator("#calls button")).to_have_count(0)


def test_the_page_of_calls_says_how_soon_somebody_came(enter: Enter) -> None:
    lead = factories.user(Role.LEAD, name="leo")
    made = press()
    page = enter(lead, "/line/calls/")
    expect(page.locator("#times-today td").nth(1)).to_have_text("1")
    page.get_by_role("button", name="Close: st-1").click()
    expect(page.locator("#recent-table")).to_contain_text("leo")
    expect(page.locator("#times-today td").nth(1)).to_have_text("0")
    made.refresh_from_db()
    assert made.answered_by == lead
