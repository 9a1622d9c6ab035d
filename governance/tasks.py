"""Governance's periodic work."""

from __future__ import annotations

from celery import shared_task
from django.core.management import call_command
from django.utils import timezone

from governance import sign_in


@shared_task
def clear_sessions() -> None:
    """Forget expired sessions, and failed sign-ins of before."""
    call_command("clearsessions")
    sign_in.forget(at=timezone.now())
