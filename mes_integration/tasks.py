"""What the beat starts."""

from __future__ import annotations

from typing import Final

from celery import shared_task
from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string

from mes_integration import (
    alarms,
    database_clock,
    nonconformance_hand_off,
    nonconformances,
    reconciliation,
)

RECONCILES_FOR_S: Final = 8.0
"""Shorter than the beat's interval: between two stretches other tasks have their turn."""


@shared_task
def raise_alarms() -> None:
    """Raise and clear the alarms about what does not get through."""
    alarms.watch(at=timezone.now())


@shared_task
def raise_nonconformances() -> None:
    """Raise what the sites' rules raise; twice at once one of the two does nothing."""
    nonconformances.evaluate(at=timezone.now())


@shared_task
def hand_nonconformances_over() -> None:
    """Tell the QMS of what it has not been told of."""
    nonconformance_hand_off.hand_over_due(at=timezone.now())


@shared_task
def start_reconciliations() -> None:
    """Open the night's runs."""
    reconciliation.start_all(at=database_clock.read())


@shared_task
def carry_on_reconciliations() -> None:
    """Take the open runs a stretch further."""
    reconciliation.carry_on(clock=database_clock.read, for_s=RECONCILES_FOR_S)


@shared_task
def collect_b2mml() -> None:
    """Take the B2MML files that lie in the folders of the settings."""
    loupe = settings.LOUPE
    if loupe.b2mml_inbox or any(t.adapter == "b2mml-files" for t in loupe.mes_targets):
        # Imported where it is used: reading XML needs a library that others do not install.
        import_string("mes_integration.b2mml_folders.collect")(clock=database_clock.read)
