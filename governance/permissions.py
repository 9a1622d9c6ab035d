"""What the API asks before it lets a call in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission

from governance.access import actor_from

if TYPE_CHECKING:
    # The framework loads this module while it loads its own views.
    from rest_framework.request import Request
    from rest_framework.views import APIView


class DenyUnlessCapable(BasePermission):
    """A view names the capability it needs as `capability`; one that names none lets nobody in."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        capability = getattr(view, "capability", None)
        return capability is not None and actor_from(request._request).can(capability)  # noqa: SLF001


class RegisteredTablet(BasePermission):
    """A tablet that shows a token which counts, whoever is at it."""

    def has_permission(self, request: Request, _view: APIView) -> bool:
        return getattr(request._request, "device", None) is not None  # noqa: SLF001
