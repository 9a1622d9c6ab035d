"""Rows that are never changed: the database refuses it."""

from __future__ import annotations

from django.db import migrations

from traceability.append_only import AppendOnly


class Migration(migrations.Migration):
    """Guards the append-only tables."""

    dependencies = [("labeling", "0001_initial")]
    operations = [
        AppendOnly("labeling_label"),
        AppendOnly("labeling_labelwithdrawal"),
        AppendOnly("labeling_annotation"),
        AppendOnly("labeling_splitassignment"),
        AppendOnly("labeling_datasetversion"),
        AppendOnly("labeling_datasetsample"),
    ]
