"""A line of a site, and a station of it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from governance import places
from governance.access import system
from traceability.refusals import Refusal


class Command(BaseCommand):
    """manage.py add_line --site CODE --line CODE [--station CODE]"""

    help = "Add a line to a site, and a station to the line, whichever is not there yet."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--site", required=True, help="site code")
        parser.add_argument("--line", required=True, help="line code")
        parser.add_argument("--station", default="", help="station code")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            line = places.add_line(
                actor=system("add_line"),
                site=places.site_of(options["site"]),
                code=options["line"],
                station=options["station"],
                at=timezone.now(),
            )
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        self.stdout.write(f"{options['station'] or line.code} is there.")
