"""A person who has left, or comes back."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from governance import rights
from governance.access import system
from traceability.refusals import Refusal


class Command(BaseCommand):
    """manage.py deactivate_person NAME [--back]"""

    help = (
        "Shut a person out from the next request on; his record stays. Refused for the last who "
        "answers for held units at a site. --back lets him in again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--back", action="store_true", help="let the person in again")

    def handle(self, *args: Any, **options: Any) -> None:
        name, by = options["username"], system("deactivate_person")
        try:
            if options["back"]:
                rights.reactivate(actor=by, username=name, at=timezone.now())
            else:
                rights.deactivate(actor=by, username=name, at=timezone.now())
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        self.stdout.write(f"{name} {'may sign in again' if options['back'] else 'is shut out'}.")
