"""A machine that sends predictions, and its token."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from governance.access import system
from governance.people import add_machine
from traceability.models import Site
from traceability.refusals import Refusal


class Command(BaseCommand):
    """manage.py create_machine NAME --site CODE [--site CODE]"""

    help = "Create a machine that may post predictions; prints its token once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--site", action="append", required=True, help="site code")

    def handle(self, *args: Any, **options: Any) -> None:
        sites = list(Site.objects.filter(code__in=options["site"]))
        missing = set(options["site"]) - {site.code for site in sites}
        if missing:
            raise CommandError(f"There is no site {', '.join(sorted(missing))}.")
        try:
            _machine, token = add_machine(
                actor=system("create_machine"),
                username=options["username"],
                sites=sites,
                at=timezone.now(),
            )
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        self.stdout.write(token)
