"""The composition root as an app, for its management commands only."""

from __future__ import annotations

from django.apps import AppConfig


class CompositionConfig(AppConfig):
    """Floor 6: knows every app, has no models."""

    name = "config"
