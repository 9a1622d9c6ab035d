"""Prepares the demo plant; repeated, it completes what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.demo import plant
from config.demo.images import FolderError
from config.demo.source import OtherSource, remember


class Command(BaseCommand):
    """manage.py seed_demo [--images FOLDER]"""

    help = "Create the demo plant, its people, its first labels and its first model."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--images", type=Path, help="your own images: good/ and class folders")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.LOUPE.demo:
            raise CommandError(
                "The demo's people have a password that stands on its login page; they are made "
                "in the demo only. `make run` starts one; elsewhere use create_admin."
            )
        try:
            source = remember(settings.LOUPE.state, options["images"])
            for note in getattr(source, "notes", ()):
                self._tell(note)
            plant.seed(source=source, state=settings.LOUPE.state, tell=self._tell)
        except (FolderError, OtherSource, plant.FirstModelRefused) as error:
            raise CommandError(str(error)) from error

    def _tell(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
