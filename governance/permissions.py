"""What the API asks before it lets a call in."""

from __future__ import annotations

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from governance.access import actor_from


class DenyUnlessCapable(BasePermission):
    """A view names the capability it needs as `capability`; one that names none lets nobody in."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        capability = getattr(view, "capability", None)
        return capability is not None and actor_from(request._request).can(capability)  # noqa: SLF001
