"""Rows that are never changed: the database refuses it."""

from __future__ import annotations

from django.db import migrations

from traceability.append_only import AppendOnly


class Migration(migrations.Migration):
    """Guards the append-only tables."""

    dependencies = [("review", "0001_initial")]
    operations = [
        AppendOnly("review_decision"),
        AppendOnly("review_decisionwithdrawal"),
        AppendOnly("review_skip"),
    ]
