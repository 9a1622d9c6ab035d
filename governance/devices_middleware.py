"""Which registered tablet a request comes from, and who stands at it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from governance.access import address_of
from governance.devices import COOKIE, by_token, touch
from governance.models import Device
from governance.standing import current, granted_at


class DeviceMiddleware:
    """`request.device`; and who is at it, as an operator, where no session says who it is."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token = request.COOKIES.get(COOKIE, "")
        device = by_token(token) if token else None
        request.device = device  # type: ignore[attr-defined]  # read by devices.device_of
        if device is not None:
            device.address = address_of(request)
            touch(device, at=timezone.now())
            by_session = request.user
            request.user = SimpleLazyObject(lambda: _who(by_session, device))  # type: ignore[assignment]  # as Django does
        return self._get_response(request)


def _who(by_session: Any, device: Device) -> Any:
    """Who has signed in with his password keeps his own rights."""
    return by_session if by_session.is_authenticated else person_at(device) or by_session


def person_at(device: Device) -> Any:
    """Who is at the tablet, with an operator's rights at its line and no others."""
    here = current(device, at=timezone.now())
    if here is None:
        return None
    here.user.granted = granted_at(device)  # type: ignore[attr-defined]  # read by actor_of
    return here.user
