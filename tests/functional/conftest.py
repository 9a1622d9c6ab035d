"""A real browser against a live server: logged in, with parts whose images it can show."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.db import connection
from django.test import Client
from django.utils import timezone
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, BrowserContext, Page, expect
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from governance.models import User
from governance.roles import Role
from review.models import ReviewTask
from tests import factories
from traceability import images
from traceability.gateways import object_store
from traceability.models import Capture, Inspection
from traceability.tasks import make_previews

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser")
BROWSER_ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
SIZE = (480, 360)
# Two cores carry the server, two browsers and PostgreSQL: what comes at all may come late.
WAITS_MS = 20_000
expect.set_options(timeout=WAITS_MS)
# A whole page with its scripts and pictures, the first that a server gives out among them.
LOADS_MS = 60_000
UNDO_S = 180.0


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """The machine's own Chromium, with nothing that talks to the outside.

    Without the frame around a page where there is such a one: a new page then costs a quarter.
    """
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.fail("Chromium is not installed. Install it: apt-get install chromium")
    return {"executable_path": program, "args": BROWSER_ARGUMENTS}


@pytest.fixture(autouse=True, scope="session")
def _static_folder() -> None:
    """The live server gives out bundled and collected files, as the product does."""
    made = subprocess.run(
        ["make", "--no-print-directory", "assets"],
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.fail(f"The page scripts are not built: make assets says\n{made.stderr}")
    call_command("collectstatic", interactive=False, verbosity=0)


@pytest.fixture(autouse=True)
def _commits(transactional_db: None) -> None:
    """The server runs in threads of its own: what a test writes is committed."""


# The threads of the server that are at a request; one that waits for news at a station is not.
_AT_WORK: set[int] = set()


@pytest.fixture(autouse=True, scope="session")
def _known_requests() -> Iterator[None]:
    """Which requests the server is at, also between two of their statements."""

    def begun(environ: dict[str, Any], **_more: object) -> None:
        is_waiting = "wait=" in environ.get("QUERY_STRING", "")
        if threading.current_thread() is not threading.main_thread() and not is_waiting:
            _AT_WORK.add(threading.get_ident())

    def ended(**_more: object) -> None:
        _AT_WORK.discard(threading.get_ident())

    request_started.connect(begun)
    request_finished.connect(ended)
    yield
    request_started.disconnect(begun)
    request_finished.disconnect(ended)


@pytest.fixture
def unhurried(settings: Settings) -> None:
    """A verdict can be taken back for longer than a busy machine may stall."""
    settings.LOUPE = settings.LOUPE.model_copy(update={"undo_window_s": UNDO_S})


@pytest.fixture
def inspector() -> User:
    """An inspector of plant-1."""
    return factories.user(Role.INSPECTOR, name="ines")


Enter = Callable[..., Page]


@pytest.fixture
def enter(browser: Browser, live_server: LiveServer) -> Iterator[Enter]:
    """Opens a page for a person; any fault in the console or an unexpected 5xx fails the test."""
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def open_page(
        person: User | None, path: str = "/review/", *, is_timed: bool = False, **options: Any
    ) -> Page:
        options = {"viewport": {"width": 1440, "height": 900}, **options}
        context = browser.new_context(base_url=live_server.url, **options)
        contexts.append(context)
        if person is not None:
            _sign_in(context, person, live_server.url)
        page = context.new_page()
        page.set_default_timeout(WAITS_MS)
        page.set_default_navigation_timeout(LOADS_MS)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "console",
            lambda said: faults.append(said.text) if "Security Policy" in said.text else None,
        )
        if is_timed:
            page.clock.install()
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.set_offline(True)
    for context in contexts:
        context.close()
    _wait_until_quiet()
    assert faults == []


def _sign_in(context: BrowserContext, person: User, address: str) -> None:
    """The session cookie a login would have left."""
    client = Client()
    client.force_login(person)
    name = settings.SESSION_COOKIE_NAME
    context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": address}])


def _wait_until_quiet() -> None:
    """Let the server finish what the last page asked of it, before the tables are emptied."""
    ends = time.monotonic() + WAITS_MS / 1000
    quiet_since = None
    while time.monotonic() < ends:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND state <> 'idle'"
                " AND backend_type = 'client backend'"
            )
            alive = {thread.ident for thread in threading.enumerate()}
            is_quiet = cursor.fetchone() == (0,) and _AT_WORK.isdisjoint(alive)
        if not is_quiet:
            quiet_since = None
        elif quiet_since is None:
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since > 0.15:
            return
        time.sleep(0.01)
    pytest.fail("The server still works on what the last page asked of it: the tables stay filled.")


def store_picture(capture: Capture, *, shade: int) -> None:
    """An image with a bright mark, behind a capture that has no preview yet."""
    picture = Image.new("L", SIZE, shade % 120 + 60)
    ImageDraw.Draw(picture).ellipse((180, 120, 260, 200), fill=240)
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=88)
    object_store.store(capture.bucket).put(capture.key, data.getvalue())
    Capture.objects.filter(pk=capture.pk).update(sha256=hashlib.sha256(data.getvalue()).hexdigest())


def show(capture: Capture) -> None:
    """Make the capture's preview now."""
    images.make_preview(capture_id=capture.pk, at=timezone.now())


@pytest.fixture
def unmade(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker takes the previews a page asks for: what was not made is made by `show` alone."""
    monkeypatch.setattr(make_previews, "delay", lambda _captures: None)


Part = Callable[..., ReviewTask]


@pytest.fixture
def part() -> Part:
    """Makes one waiting unit with its images, each a shade of its own."""
    made: list[ReviewTask] = []

    def make(
        *, views: tuple[str, ...] = ("main",), is_shown: bool = True, **fields: Any
    ) -> ReviewTask:
        seen: Inspection = factories.inspection(views=len(views))
        for number, view in enumerate(views):
            capture = factories.capture(seen, view=view)
            store_picture(capture, shade=len(made) * 17 + number * 5)
            factories.prediction(capture, score=0.6)
            if is_shown:
                show(capture)
        task = factories.task(seen, at=timezone.now(), **fields)
        made.append(task)
        return task

    return make
