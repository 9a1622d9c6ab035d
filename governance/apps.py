"""Who may do what and where, and the record of what they did."""

from __future__ import annotations

from django.apps import AppConfig


class GovernanceConfig(AppConfig):
    """Floor 2: knows the facts only."""

    name = "governance"
