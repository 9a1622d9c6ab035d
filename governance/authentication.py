"""Who calls the API: a browser session, a machine with a token, or a registered tablet."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth.models import AnonymousUser
from django.utils.translation import gettext as _
from knox.auth import TokenAuthentication
from rest_framework import authentication, exceptions
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from governance.devices import device_of
from governance.devices_middleware import person_at

LINE_HEADER: Final = "X-Loupe-Line"


class SessionAuthentication(authentication.SessionAuthentication):
    """A browser session with its CSRF token; 401 rather than 403 for strangers."""

    def authenticate_header(self, request: Request) -> str:
        return "Session"


class MachineTokenAuthentication(TokenAuthentication):  # type: ignore[misc]  # knox is untyped
    """`Authorization: Bearer <token>`; the token is stored hashed and can be revoked."""

    def authenticate(self, request: Request) -> Any:
        found = super().authenticate(request)
        if found is not None:
            request._request.user = found[0]  # noqa: SLF001  # actor_from reads Django's request
        return found


class DeviceAuthentication(authentication.BaseAuthentication):
    """A registered tablet: as who is at it, as an operator; else as nobody, with the tablet.

    `request.auth` is the tablet. A session in the same browser does not count here. A header no
    form can send stands in for the CSRF token, which a tablet without network would outlive.
    """

    def authenticate(self, request: Request) -> Any:
        device = device_of(request._request)  # noqa: SLF001  # set by the middleware
        if device is None:
            return None
        if request.method not in SAFE_METHODS and not request.headers.get(LINE_HEADER):
            raise exceptions.PermissionDenied(
                _("The header %(name)s is missing.") % {"name": LINE_HEADER}
            )
        return person_at(device) or AnonymousUser(), device

    def authenticate_header(self, request: Request) -> str:
        return "Tablet"
