"""A person with roles at a site, or at one line of it."""

from __future__ import annotations

import os
from getpass import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from governance import places
from governance.access import system
from governance.people import Right, add_person
from governance.roles import MACHINES, Role
from traceability.refusals import Refusal


class Command(BaseCommand):
    """manage.py add_person NAME --site CODE --role ROLE [--role ROLE] [--line CODE]"""

    help = (
        "Create a person. Asks for the password, or reads it from LOUPE_PERSON_PASSWORD. "
        "With --line the roles hold for that line only."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        roles = sorted(role.value for role in Role if role not in MACHINES)
        parser.add_argument("username")
        parser.add_argument("--site", required=True, help="site code")
        parser.add_argument("--role", action="append", required=True, choices=roles)
        parser.add_argument("--line", default="", help="line code")
        parser.add_argument("--full-name", default="")
        parser.add_argument("--badge", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            site = places.site_of(options["site"])
            line = places.line_of(site, options["line"]) if options["line"] else None
            add_person(
                actor=system("add_person"),
                username=options["username"],
                password=os.environ.get("LOUPE_PERSON_PASSWORD") or getpass("Password: "),
                rights=[Right(Role(role), site, line) for role in dict.fromkeys(options["role"])],
                at=timezone.now(),
                full_name=options["full_name"],
                badge=options["badge"],
            )
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        self.stdout.write(f"{options['username']} may sign in.")
