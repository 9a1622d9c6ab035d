"""An inspection with a settled truth becomes a control, or is one no longer."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from governance import places
from governance.access import actor_of
from governance.models import User
from review import controls
from traceability.models import Inspection
from traceability.refusals import Refusal, Unknown


class Command(BaseCommand):
    """manage.py add_control INSPECTION --site CODE --by NAME [--retire]"""

    help = (
        "Make an inspection a control: the verdict that holds is its truth. It is shown to "
        "inspectors among their tasks, at the policy's control rate, and is in no later dataset "
        "version."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("inspection", help="the inspection's id in its events")
        parser.add_argument("--site", required=True, help="site code")
        parser.add_argument("--by", required=True, help="login name of the lead who answers for it")
        parser.add_argument("--retire", action="store_true", help="show it to nobody any more")

    def handle(self, *args: Any, **options: Any) -> None:
        change = controls.retire if options["retire"] else controls.add
        try:
            site = places.site_of(options["site"])
            found = Inspection.objects.filter(site=site, external_id=options["inspection"]).first()
            person = User.objects.filter(username=options["by"]).first()
            if found is None:
                raise Unknown(_("There is no such inspection for you."))
            if person is None:
                raise Unknown(_("There is no person of this name."))
            change(actor=actor_of(person), inspection_id=found.uuid, at=timezone.now())
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        is_now = "no control any more" if options["retire"] else "a control now"
        self.stdout.write(f"{options['inspection']} is {is_now}.")
