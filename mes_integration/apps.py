"""Every disposition's way to the MES and its acknowledgement."""

from __future__ import annotations

from django.apps import AppConfig


class MesIntegrationConfig(AppConfig):
    """Floor 3, beside labeling."""

    name = "mes_integration"
