"""manage.py after_restore --backup-at 2026-11-22T06:00Z"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.dateparse import parse_datetime

from mes_integration import restoration


class Command(BaseCommand):
    """Run once after a restore, before the worker starts."""

    help = (
        "After a restore from a backup, before the worker starts: what may have been sent since is "
        "asked for before it is sent."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--backup-at",
            required=True,
            help="when the backup was taken, such as 2026-11-22T06:00Z",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        given = parse_datetime(options["backup_at"])
        if given is None or given.tzinfo is None:
            raise CommandError("--backup-at is a time with its zone, such as 2026-11-22T06:00Z.")
        now = datetime.now(UTC)
        if given > now:
            raise CommandError("--backup-at lies ahead; give the time the backup was taken.")
        count = restoration.doubt_unsettled(backup_at=given, at=now)
        self.stdout.write(
            f"{count} write-backs will be asked for before they are sent. Start the worker, then "
            "run: manage.py reconcile_mes"
        )
