"""A tablet at a station in a real browser, and everything that can happen at that station."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.utils import timezone
from playwright.sync_api import Page, expect

from governance import devices, pins
from governance.models import Device, User
from governance.roles import Role
from review.line import calls
from review.models import AndonCall, CaptureCheck, ReviewTask
from tests import factories
from tests.functional.conftest import Enter, show, store_picture
from traceability.models import Capture, Disposition, DispositionKind, Inspection, Station

# A 12-inch tablet: 256 x 160 mm.
TABLET: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}, "has_touch": True}
SMALL: dict[str, Any] = {"viewport": {"width": 1024, "height": 768}, "has_touch": True}
UPRIGHT: dict[str, Any] = {"viewport": {"width": 800, "height": 1280}, "has_touch": True}
DESK: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}
SETTLED_MS = 650
SCANNED_EVERY_S = 0.008
STATES = ("RUNNING", "DECIDE", "CAPTURE_CHECK", "HOLD", "STOPPED")


@dataclass
class Floor:
    """Station st-1 with its tablet; the operator `bo` may stand there."""

    station: Station
    device: Device
    token: str
    operator: User
    made: int = 0

    def arrive(self, person: User | None = None) -> None:
        """The operator, or somebody else, is at the tablet from now on."""
        factories.arrive(self.device, person or self.operator)

    def person(self, name: str) -> User:
        """Another operator of the line, with a PIN."""
        person = factories.user(Role.OPERATOR, name=name)
        self.give_pin(person)
        return person

    def give_pin(self, person: User) -> None:
        """A lead gives him his PIN."""
        lead = factories.actor(Role.LEAD)
        pins.set_pin(actor=lead, person=person.username, pin=factories.PIN, at=timezone.now())

    def measured(self, px_per_mm: float) -> None:
        """Somebody has held a bank card to it."""
        Device.objects.filter(pk=self.device.pk).update(px_per_mm=px_per_mm)

    def seen(self, *, views: tuple[str, ...] = ("main",), lot: str = "L-0007") -> Inspection:
        """A unit that came by, with an image of each view."""
        self.made += 1
        of = factories.inspection(factories.unit(lot=lot), on=self.station.line, views=len(views))
        for number, view in enumerate(views):
            capture = factories.capture(of, view=view)
            store_picture(capture, shade=self.made * 17 + number * 40)
            box = [180, 120, 80, 80]
            factories.prediction(
                capture, detections=[{"id": "1", "label": "scratch", "score": 0.6, "box": box}]
            )
            show(capture)
        return of

    def passed(self) -> Inspection:
        """A good unit."""
        of = self.seen()
        factories.release(of)
        return of

    def left(self, **fields: Any) -> ReviewTask:
        """A unit that operators may judge."""
        at = timezone.now()
        until = at + timedelta(minutes=30)
        return factories.task(self.seen(**fields), at=at, operators_until=until)

    def held(self) -> Disposition:
        """A unit on hold."""
        return factories.hold(self.seen())

    def unfit(self, *causes: str) -> CaptureCheck:
        """An image that cannot be judged."""
        of = self.seen()
        return CaptureCheck.objects.create(
            site=of.site,
            line=of.line,
            station=self.station,
            capture=Capture.objects.get(inspection=of),
            causes=list(causes or ("sharpness", "glare")),
            opened_at=timezone.now(),
        )

    def called(self, kind: str) -> AndonCall:
        """The operator has called."""
        at = timezone.now()
        return calls.call(
            actor=devices.operator_of(self.device, attendance=None, at=at),
            device=self.device,
            kind=kind,
            key=uuid4(),
            made_at=at,
            at=at,
        )

    def come_to(self, state: str) -> None:
        """Whatever makes this the state of the station."""
        self.passed()
        if state == "DECIDE":
            self.left()
        elif state == "CAPTURE_CHECK":
            self.unfit()
        elif state == "HOLD":
            self.held()
        elif state == "STOPPED":
            self.called("STOP")

    def rejects_to(self, kind: DispositionKind) -> None:
        """What a reject of a scratch comes to."""
        factories.defect_class(default_disposition=kind.value)

    def open(self, enter: Enter, *, theme: str = "", **options: Any) -> Page:
        """The station's page on its tablet."""
        page = enter(None, "/health/", **{**TABLET, **options})
        if theme:
            page.add_init_script(f"localStorage.setItem('loupe-theme', '{theme}')")
        page.context.add_cookies(
            [{"name": devices.COOKIE, "value": self.token, "url": page.url.split("/health")[0]}]
        )
        page.goto("/line/line-1:st-1/")
        return page


def floor() -> Floor:
    """Station st-1 as it is when nothing has happened."""
    station = factories.station()
    device, token = factories.tablet(station)
    factories.defect_class(default_disposition="SCRAP")
    operator = factories.user(Role.OPERATOR, name="bo")
    return Floor(station, device, token, operator)


def scan(page: Page, code: str) -> None:
    """A scanner types it, as fast as scanners do, however long the machine takes to say so."""
    scanner = page.context.new_cdp_session(page)
    began = time.time()
    for number, character in enumerate([*code, "Enter"]):
        is_end = character == "Enter"
        key = {"key": character, "timestamp": began + number * SCANNED_EVERY_S}
        text = {"text": "\r" if is_end else character}
        scanner.send("Input.dispatchKeyEvent", {"type": "keyDown", **key, **text})
        scanner.send("Input.dispatchKeyEvent", {"type": "keyUp", **key})
    scanner.detach()


def in_state(page: Page, state: str) -> None:
    """Wait until the station shows this, and its buttons count."""
    expect(page.locator("#line")).to_have_attribute("data-state", state)
    expect(page.locator("[data-turned]")).to_have_count(0)
