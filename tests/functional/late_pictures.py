"""Pictures of single captures that are held back on their way to a browser, or never come."""

from __future__ import annotations

from collections.abc import Callable

from django.utils import timezone
from playwright.sync_api import BrowserContext, Route

from review.models import ReviewTask
from traceability import images
from traceability.models import Capture

Answer = Callable[[Route], None]


class HeldBack:
    """The pictures of one capture wait on their way until they are let go."""

    def __init__(self) -> None:
        self.waiting: list[Route] = []
        self.is_free = False

    def __call__(self, route: Route) -> None:
        if self.is_free:
            route.continue_()
        else:
            self.waiting.append(route)

    def let_go(self) -> None:
        """They go on, and those that are asked for later with them."""
        self.is_free = True
        for route in self.waiting:
            route.continue_()


def missing(route: Route) -> None:
    """There is none."""
    route.fulfill(status=404, json={"code": "unknown", "detail": "There is no such image."})


def broken(route: Route) -> None:
    """It comes and is none."""
    route.fulfill(status=200, content_type="image/jpeg", body=b"\xff\xd8 no picture")


def on_its_way(context: BrowserContext, task: ReviewTask, view: str, answer: Answer) -> None:
    """What is answered for this view of the unit, whoever asks."""
    capture = Capture.objects.get(inspection=task.inspection_id, view=view)

    def asked(route: Route) -> None:
        token = route.request.url.rsplit("/", 1)[1].partition("?")[0]
        if images.read_token(token, at=timezone.now()) == capture.uuid:
            answer(route)
        else:
            route.continue_()

    context.route("**/images/*", asked)
