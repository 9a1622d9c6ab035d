"""Labels, the defect catalogue and immutable dataset versions."""

from __future__ import annotations

from django.apps import AppConfig


class LabelingConfig(AppConfig):
    """Floor 3, beside mes_integration."""

    name = "labeling"
