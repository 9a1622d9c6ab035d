"""The inspector's bench: queue, lease, decision, disposition."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class ReviewConfig(AppConfig):
    """Floor 4, beside retraining."""

    name = "review"

    def ready(self) -> None:
        """Tell the floors below how they learn what is on somebody's bench."""
        # Not before: it reads models.
        import_module("review.own_bench")
