"""The API's description, for those who may use the API."""

from __future__ import annotations

from drf_spectacular.views import SpectacularAPIView

from governance.permissions import DenyUnlessCapable
from governance.roles import Capability


class ApiDescription(SpectacularAPIView):
    """OpenAPI 3, as YAML or JSON."""

    capability = Capability.USE_API_SCHEMA
    permission_classes = (DenyUnlessCapable,)
