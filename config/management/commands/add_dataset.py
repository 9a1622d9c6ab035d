"""A dataset that a site's labels are published to."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from governance import places
from governance.access import system
from labeling.founding import found_dataset
from traceability.refusals import Refusal


class Command(BaseCommand):
    """manage.py add_dataset SLUG --site CODE [--name NAME]"""

    help = "Create a dataset; its versions lie under this slug in the dataset bucket."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug")
        parser.add_argument("--site", required=True, help="site code")
        parser.add_argument("--name", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            dataset = found_dataset(
                actor=system("add_dataset"),
                site=places.site_of(options["site"]),
                slug=options["slug"],
                name=options["name"],
                at=timezone.now(),
            )
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        self.stdout.write(f"{dataset.slug} is there.")
