"""Rows that are never changed: the database refuses it."""

from __future__ import annotations

from django.db import migrations

from traceability.append_only import AppendOnly


class Migration(migrations.Migration):
    """Guards the append-only tables."""

    dependencies = [("mes_integration", "0001_initial")]
    operations = [
        AppendOnly("mes_integration_deliveryattempt"),
    ]
