"""A role taken from a person."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from governance import places, rights
from governance.access import system
from governance.people import Right
from governance.roles import Role
from traceability.refusals import Refusal


class Command(BaseCommand):
    """manage.py take_right NAME --site CODE --role ROLE [--line CODE]"""

    help = (
        "Take a role from a person; it is gone with his next request. Refused for the last who "
        "answers for held units at the site."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--site", required=True, help="site code")
        parser.add_argument("--role", required=True, choices=sorted(r.value for r in Role))
        parser.add_argument("--line", default="", help="line code, where the role is for one line")

    def handle(self, *args: Any, **options: Any) -> None:
        name, role = options["username"], Role(options["role"])
        try:
            site = places.site_of(options["site"])
            line = places.line_of(site, options["line"]) if options["line"] else None
            right = Right(role, site, line)
            rights.take(actor=system("take_right"), username=name, right=right, at=timezone.now())
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        self.stdout.write(
            f"{name} is no longer {role.label} at {line.code if line else site.code}."
        )
