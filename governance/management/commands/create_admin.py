"""The first admin of a site; the only account that is made without another one."""

from __future__ import annotations

import os
from getpass import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from governance.access import system
from governance.people import add_admin
from governance.roles import Role
from traceability.refusals import Refusal


class Command(BaseCommand):
    """manage.py create_admin NAME --site CODE"""

    help = (
        "Create an admin (and the site, when it is new). Asks for the password, or reads it "
        "from LOUPE_ADMIN_PASSWORD."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--site", required=True, help="site code, for instance plant-17")
        parser.add_argument("--quality-engineer", action="store_true", help="grant that role too")

    def handle(self, *args: Any, **options: Any) -> None:
        password = os.environ.get("LOUPE_ADMIN_PASSWORD") or getpass("Password: ")
        roles = [Role.ADMIN]
        if options["quality_engineer"]:
            roles.append(Role.QUALITY_ENGINEER)
        try:
            add_admin(
                actor=system("create_admin"),
                username=options["username"],
                password=password,
                site_code=options["site"],
                roles=roles,
                at=timezone.now(),
            )
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        self.stdout.write(f"{options['username']} is admin of {options['site']}.")
