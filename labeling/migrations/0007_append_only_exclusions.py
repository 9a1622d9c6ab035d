"""An exclusion is never lifted: the database refuses it."""

from __future__ import annotations

from django.db import migrations

from traceability.append_only import AppendOnly


class Migration(migrations.Migration):
    """Guards the exclusions."""

    dependencies = [("labeling", "0006_exclusions")]
    operations = [AppendOnly("labeling_exclusion")]
