"""The home page lives, says when it does not, and the frame of every page does what it offers."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from pytest_django import Settings

from config.settings.environment import ENVIRONMENT
from governance.models import User
from governance.roles import Role
from tests import factories
from tests.functional.conftest import Enter, Part
from tests.functional.intercepting import intercept
from traceability.models import Route


def test_the_plants_figures_change_by_themselves_and_nothing_moves(
    enter: Enter, part: Part
) -> None:
    page = enter(factories.user(Role.OPERATOR), "/")
    waiting = page.locator("#figure-waiting .figure__value")
    expect(waiting).to_have_text("0")
    page.evaluate(
        """() => { window.moved = 0; new PerformanceObserver(list => {
          for (const entry of list.getEntries()) { window.moved += entry.value; }
        }).observe({type: "layout-shift"}); }"""
    )
    task = part()
    expect(waiting).to_have_text("1")
    expect(page.get_by_role("row", name=task.unit.serial)).to_contain_text("0.60")
    assert page.evaluate("window.moved") == 0


@pytest.mark.parametrize("width", [1024, 1280])
def test_no_column_of_the_line_runs_into_the_next_in_german(enter: Enter, width: int) -> None:
    said = factories.prediction(score=0.6, route=Route.CONTAIN)
    size = {"width": width, "height": 768}
    page = enter(factories.user(Role.OPERATOR), "/", locale="de-DE", viewport=size)
    row = page.get_by_role("row", name=said.capture.inspection.unit.serial)
    expect(row).to_contain_text("Sofort sperren")
    expect(row).to_contain_text("0,60")
    beyond = page.locator("#line-table th, #line-table td").evaluate_all(
        "cells => cells.filter(one => one.scrollWidth > one.clientWidth).map(one => one.innerText)"
    )
    assert beyond == []


def test_old_figures_are_not_shown_as_new(enter: Enter) -> None:
    page = enter(factories.user(Role.OPERATOR), "/")
    note = page.get_by_text("these figures are old")
    expect(note).to_be_hidden()
    intercept(page, "**/live/*", lambda route: route.abort("internetdisconnected"))
    expect(note).to_be_visible()
    page.unroute("**/live/*")
    expect(note).to_be_hidden()


def test_a_link_keeps_the_focus_while_the_figures_change(enter: Enter, part: Part) -> None:
    part()
    page = enter(factories.user(Role.INSPECTOR), "/")
    page.locator("#figure-waiting").focus()
    with page.expect_response("**/live/*"):
        pass
    part()
    expect(page.locator("#figure-waiting .figure__value")).to_have_text("2")
    expect(page.locator("#figure-waiting")).to_be_focused()


def test_a_table_scrolled_sideways_stays_there(enter: Enter, part: Part) -> None:
    part()
    page = enter(factories.user(Role.OPERATOR), "/", viewport={"width": 390, "height": 844})
    page.locator("#line-table").evaluate("wrap => { wrap.scrollLeft = 120; wrap.dataset.old = 1; }")
    expect(page.locator("#line-table")).not_to_have_attribute("data-old", "1")
    assert page.locator("#line-table").evaluate("wrap => wrap.scrollLeft") == 120


def test_who_may_not_enter_a_room_is_not_shown_its_door(enter: Enter) -> None:
    page = enter(factories.user(Role.OPERATOR), "/")
    doors = page.get_by_role("navigation", name="Rooms").get_by_role("link")
    expect(doors.first).to_be_visible()
    names = doors.all_inner_texts()
    assert "Home" in names
    assert not {"Bench", "Audit", "Policies"} & set(names)


def test_a_chosen_theme_stays_from_page_to_page(enter: Enter) -> None:
    page = enter(factories.user(Role.INSPECTOR), "/")
    page.locator(".person summary").click()
    page.get_by_role("button", name="Dark").click()
    page.goto("/review/")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.locator(".person summary").click()
    page.get_by_role("button", name="As the system").click()
    assert page.locator("html").get_attribute("data-theme") is None


def test_the_language_is_one_press_away_and_logging_out_two(enter: Enter) -> None:
    page = enter(factories.user(Role.INSPECTOR), "/")
    page.locator(".person summary").click()
    page.get_by_role("button", name="Deutsch").click()
    expect(page.locator("html")).to_have_attribute("lang", "de")
    page.locator(".person summary").click()
    page.locator("form[action='/logout/'] button").click()
    expect(page.locator("#id_username")).to_be_visible()


def test_a_demo_login_is_one_press(enter: Enter, settings: Settings, inspector: User) -> None:
    settings.LOUPE = ENVIRONMENT.model_copy(update={"demo": True})
    folder = ENVIRONMENT.state / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    logins = f"{inspector.username}\t{factories.PASSWORD}\tInspector\n"
    (folder / "logins.txt").write_text(logins, encoding="utf-8")
    page = enter(None, "/login/")
    page.get_by_role("button", name="Inspector").click()
    expect(page.get_by_role("navigation", name="Rooms")).to_be_visible()


def test_a_wrong_password_says_what_to_check(enter: Enter) -> None:
    page = enter(None, "/login/")
    page.locator("#id_username").fill("nobody")
    page.locator("#id_password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not fit together")
