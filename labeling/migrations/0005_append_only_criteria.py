"""Acceptance criteria are superseded, never changed: the database refuses it."""

from __future__ import annotations

from django.db import migrations

from traceability.append_only import AppendOnly


class Migration(migrations.Migration):
    """Guards the versions of the acceptance criteria."""

    dependencies = [("labeling", "0004_acceptance_criteria")]
    operations = [AppendOnly("labeling_acceptancecriteria")]
