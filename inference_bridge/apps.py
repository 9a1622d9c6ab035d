"""Between the model and the people: events in, routed by policy."""

from __future__ import annotations

from django.apps import AppConfig


class InferenceBridgeConfig(AppConfig):
    """Floor 5, beside insights."""

    name = "inference_bridge"
