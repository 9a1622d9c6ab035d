"""manage.py reconcile_mes --days 7"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mes_integration import database_clock, reconciliation
from mes_integration.models import Reconciliation, ReconciliationException
from mes_integration.reconciliation import Pair
from mes_integration.targets import targets
from traceability.refusals import Refusal


class Command(BaseCommand):
    """Ends with 1 when a target does not confirm what we hold as acknowledged."""

    help = "Read back what was acknowledged in the last days and report every difference."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, default=7, help="how far back (default 7)")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["days"] < 1:
            raise CommandError("--days must be at least 1.")
        if not targets():
            raise CommandError("LOUPE_MES_URL is not set. Set it to the address of the MES.")
        runs = [self._run(pair, options["days"]) for pair in reconciliation.pairs()]
        compared = sum(run.compared for run in runs if run)
        troubles = [run.trouble for run in runs if run and run.trouble]
        differing = self._differences()
        if differing:
            raise CommandError(f"{differing} differ from the MES; {compared} were compared.")
        if troubles:
            raise CommandError(f"It was not ended: {'; '.join(troubles)}")
        self.stdout.write(f"{compared} compared, all as the MES holds them.")

    def _run(self, pair: Pair, days: int) -> Reconciliation | None:
        """One pair's run; None where the target cannot be asked, which is said."""
        name = pair.target.name
        if sentence := reconciliation.why_not(site=pair.site, name=name):
            self.stdout.write(f"{pair.site.code}\t{name}\t{sentence}")
            return None
        at = database_clock.read()
        run = reconciliation.start(site=pair.site, name=name, at=at, days=days)
        try:
            return reconciliation.carry_through(run, clock=database_clock.read)
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal

    def _differences(self) -> int:
        """Every open exception as a line; how many there are."""
        found = (
            ReconciliationException.objects.filter(state=ReconciliationException.State.OPEN)
            .select_related("site", "write_back__unit")
            .order_by("pk")
        )
        for each in found:
            row = each.write_back
            self.stdout.write(
                f"{each.site.code}\t{row.unit.serial}\trevision {row.revision}\t"
                f"{row.reference}\t{each.theirs}"
            )
        return len(found)
