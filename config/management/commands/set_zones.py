"""The next version of a site's acceptance criteria."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from governance import places
from governance.access import system
from labeling import criteria
from traceability.refusals import Refusal


class Command(BaseCommand):
    """manage.py set_zones --site CODE --file PATH --reason TEXT"""

    help = (
        "Put the zones and severity rules of a TOML or JSON file in force for a site. The file "
        "replaces all that was in force before; with --check it is only read."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--site", required=True, help="site code")
        parser.add_argument("--file", required=True, type=Path, help="ends in .toml or .json")
        parser.add_argument("--reason", default="", help="why, in a few words")
        parser.add_argument("--check", action="store_true", help="read the file, set nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{path} cannot be read: {error}") from error
        try:
            zones, rules = criteria.read(text, is_json=path.suffix == ".json")
            found = f"{len(zones)} zones, {len(rules)} rules"
            if options["check"]:
                self.stdout.write(f"{path}: {found}. Nothing was set.")
                return
            row = criteria.set_criteria(
                actor=system("set_zones"),
                site=places.site_of(options["site"]),
                zones=zones,
                rules=rules,
                reason=options["reason"],
                at=timezone.now(),
            )
        except Refusal as refusal:
            raise CommandError(str(refusal.sentence)) from refusal
        self.stdout.write(f"Criteria {row.version} of {options['site']} are in force: {found}.")
