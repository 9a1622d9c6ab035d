"""What the plant learns from its verdicts."""

from __future__ import annotations

from django.apps import AppConfig


class InsightsConfig(AppConfig):
    """Floor 5, beside inference_bridge."""

    name = "insights"
