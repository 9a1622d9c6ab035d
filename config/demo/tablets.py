"""A tablet at the demo's station, to be taken with one press, and PINs for its people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from governance import devices, pins
from governance.access import actor_of
from governance.models import Device, Pin, User
from governance.tablets import DEMO_FILE
from traceability.models import Station

LEAD: Final = "lead"
NAME: Final = "Tablet 1"
AHEAD: Final = 20
# On the page Tablets for all to read, as the passwords are on the login page.
PINS: Final[Mapping[str, str]] = {
    "operator": "2580",
    "inspector": "1397",
    "lead": "7531",
    "engineer": "8246",
}


def seed(station: Station, state: Path, *, at: datetime) -> None:
    """Make what is missing of it; what somebody has changed since stays."""
    lead = actor_of(User.objects.get(username=LEAD))
    people = {user.username: user for user in User.objects.filter(username__in=PINS)}
    for username in people.keys() - set(Pin.objects.values_list("user__username", flat=True)):
        pins.set_pin(actor=lead, person=username, pin=PINS[username], at=at)
    if not Device.objects.filter(station=station).exists():
        devices.make(actor=lead, station=station, name=NAME, ahead=AHEAD, at=at)
    rows = [f"{people[name]}\t{people[name].badge}\t{pin}" for name, pin in PINS.items()]
    file = state / "demo" / DEMO_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
