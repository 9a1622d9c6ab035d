"""The facts: what was made, seen, predicted and disposed."""

from __future__ import annotations

from django.apps import AppConfig


class TraceabilityConfig(AppConfig):
    """Floor 1: knows no other app."""

    name = "traceability"
