"""From labels to a better model: triggers, runs, gate, registry, deployments."""

from __future__ import annotations

from django.apps import AppConfig


class RetrainingConfig(AppConfig):
    """Floor 4, beside review."""

    name = "retraining"
