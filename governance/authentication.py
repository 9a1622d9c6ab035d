"""Who calls the API: a browser session, or a machine with a token."""

from __future__ import annotations

from typing import Any

from knox.auth import TokenAuthentication
from rest_framework import authentication
from rest_framework.request import Request


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
