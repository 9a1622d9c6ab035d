"""A machine whose token is not to open anything any more."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from governance.access import system
from governance.people import revoke_machine
from traceability.refusals import Refusal


class Command(BaseCommand):
    """manage.py revoke_machine NAME"""

    help = "Delete every token of a machine; its next call is refused."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["username"]
        try:
            count = revoke_machine(actor=system("revoke_machine"), username=name, at=timezone.now())
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        self.stdout.write(f"{name} is revoked, tokens deleted: {count}.")
