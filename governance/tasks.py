"""Governance's periodic work."""

from __future__ import annotations

from celery import shared_task
from django.core.management import call_command


@shared_task
def clear_sessions() -> None:
    """Forget expired sessions."""
    call_command("clearsessions")
