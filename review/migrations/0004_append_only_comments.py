"""Comments are never changed: the database refuses it."""

from __future__ import annotations

from django.db import migrations

from traceability.append_only import AppendOnly


class Migration(migrations.Migration):
    """Guards the comments."""

    dependencies = [("review", "0003_purposes")]
    operations = [AppendOnly("review_comment")]
