"""manage.py reconcile_mes --days 7"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mes_integration import reconciliation
from mes_integration.adapters import http


class Command(BaseCommand):
    """Ends with 1 when the MES does not confirm what we hold as acknowledged."""

    help = "Read back what was acknowledged in the last days and report every difference."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, default=7, help="how far back (default 7)")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["days"] < 1:
            raise CommandError("--days must be at least 1.")
        mes = http.configured()
        if mes is None:
            raise CommandError("LOUPE_MES_URL is not set. Set it to the address of the MES.")
        since = datetime.now(UTC) - timedelta(days=options["days"])
        compared = differing = 0
        for found in reconciliation.compare(mes=mes, since=since):
            compared += 1
            if found.difference:
                differing += 1
                row = found.write_back
                self.stdout.write(
                    f"{row.site.code}\t{row.unit.serial}\trevision {row.revision}\t"
                    f"{row.reference}\t{found.difference}"
                )
        if differing:
            raise CommandError(f"{differing} of {compared} differ from the MES.")
        self.stdout.write(f"{compared} compared, all as the MES holds them.")
