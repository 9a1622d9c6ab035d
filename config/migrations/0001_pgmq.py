"""The message queue tables Celery's PGMQ transport uses, from the SQL the pgmq package carries."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from django.db import migrations


def install(apps: Any, schema_editor: Any) -> None:
    """Run the packaged SQL once; it is not idempotent, so look for its schema first."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'pgmq'")
        if cursor.fetchone() is None:
            cursor.execute(files("pgmq").joinpath("sql/pgmq.sql").read_text(encoding="utf-8"))


def remove(apps: Any, schema_editor: Any) -> None:
    """Drop the queues with their schema."""
    schema_editor.execute("DROP SCHEMA IF EXISTS pgmq CASCADE")


class Migration(migrations.Migration):
    """Installs PGMQ's schema."""

    dependencies: list[tuple[str, str]] = []
    operations = [migrations.RunPython(install, remove)]
