"""Brings the German catalogue up to date with the code and compiles it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from config import catalogue


class Command(BaseCommand):
    """manage.py update_catalogue"""

    help = "Collect every translatable string, and compile the German catalogue."

    def handle(self, *args: Any, **options: Any) -> None:
        german = catalogue.renewed()
        catalogue.GERMAN.write_bytes(catalogue.as_text(german))
        catalogue.GERMAN.with_suffix(".mo").write_bytes(catalogue.compiled(german))
        for message in catalogue.open_messages(german):
            self.stdout.write(f"not translated: {message}")
