"""The API's description, for those who may use the API."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.views import SpectacularAPIView

from governance.permissions import DenyUnlessCapable
from governance.roles import Capability


class ApiDescription(SpectacularAPIView):
    """OpenAPI 3, as YAML or JSON."""

    capability = Capability.USE_API_SCHEMA
    permission_classes = (DenyUnlessCapable,)


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # untyped library
    """How the description names a browser session."""

    target_class = "governance.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}


class MachineTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # untyped library
    """How the description names a machine's token."""

    target_class = "governance.authentication.MachineTokenAuthentication"
    name = "machineToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer"}


class TabletScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # untyped library
    """How the description names a registered tablet."""

    target_class = "governance.authentication.DeviceAuthentication"
    name = "tablet"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": "loupe_device"}
