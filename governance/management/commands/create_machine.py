"""A program that sends predictions or speaks for the MES, and its token."""

from __future__ import annotations

from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from governance.access import system
from governance.people import add_machine
from governance.roles import Role
from traceability.models import Site
from traceability.refusals import Refusal

_ROLES: Final = {"predictions": Role.MACHINE, "mes": Role.MES}


class Command(BaseCommand):
    """manage.py create_machine NAME --site CODE [--site CODE] [--for predictions|mes]"""

    help = "Create a machine that may post predictions, or the MES; prints its token once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--site", action="append", required=True, help="site code")
        parser.add_argument(
            "--for",
            dest="role",
            choices=sorted(_ROLES),
            default="predictions",
            help="predictions: a line that sends them; mes: master data, acknowledgements, changes",
        )

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
                role=_ROLES[options["role"]],
            )
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        self.stdout.write(token)
