"""A page that was looked at while the database was away comes by itself when it is back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from playwright.sync_api import expect

from governance.models import User
from governance.roles import Role
from tests import factories
from tests.faults.plant import shut
from tests.functional.conftest import Enter, Part
from tests.functional.test_bench import ready, until_decided


@contextmanager
def database_away() -> Iterator[None]:
    """The test run's database lets nobody in, and those who were are thrown out."""
    used = connection.settings_dict
    name = used["NAME"]
    connection.close()
    address = f"postgresql://{used['USER']}:{used['PASSWORD']}@{used['HOST']}:{used['PORT']}"
    with shut(name, server_url=f"{address}/postgres"):
        yield


def test_a_page_says_that_the_database_is_away_and_comes_by_itself_when_it_is_back(
    enter: Enter,
) -> None:
    page = enter(factories.user(Role.LEAD, name="leo"), "/review/approvals/")
    expect(page.get_by_role("heading", name="Approvals", exact=True)).to_be_visible()
    with database_away():
        answer = page.reload()
        assert answer is not None
        assert answer.status == 503
        expect(page.get_by_role("heading", name="The database does not answer")).to_be_visible()
        expect(page.get_by_text("loads itself again")).to_be_visible()
    expect(page.get_by_role("heading", name="Approvals", exact=True)).to_be_visible(timeout=20_000)


def test_a_verdict_pressed_meanwhile_is_sent_again_when_the_database_is_back(
    enter: Enter, inspector: User, part: Part
) -> None:
    part()
    page = enter(inspector)
    ready(page)
    with database_away():
        with page.expect_response("**/decision") as told:
            page.keyboard.press("a")
        assert told.value.status == 503
        assert told.value.headers["retry-after"] == "2"
    expect(page.locator("#decided")).to_have_text("1", timeout=20_000)
    [decision] = until_decided(page, 1)
    assert decision.answer == "FALSE_CALL"
