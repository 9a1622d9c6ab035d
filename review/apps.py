"""The inspector's bench: queue, lease, decision, disposition."""

from __future__ import annotations

from django.apps import AppConfig


class ReviewConfig(AppConfig):
    """Floor 4, beside retraining."""

    name = "review"
