"""The next version of a site's routing policy."""

from __future__ import annotations

from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from governance import places
from governance.access import system
from inference_bridge.policy import set_policy
from inference_bridge.routing import Rule
from traceability.refusals import Invalid, Refusal

_SHARES: Final = {
    "blind": "share of tasks judged without the model's opinion",
    "second": "share of verdicts that somebody else inspects a second time",
    "control": "share of claims that may bring a control",
}


class Command(BaseCommand):
    """manage.py set_policy --site CODE --review-from X --contain-from Y --reason TEXT"""

    help = (
        "Put a policy with one rule for the whole site in force. A score from --review-from on "
        "goes before a person, one from --contain-from on holds the unit as well."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--site", required=True, help="site code")
        parser.add_argument("--review-from", type=float, required=True, help="0 to 1")
        parser.add_argument("--contain-from", type=float, required=True, help="0 to 1")
        parser.add_argument(
            "--audit-rate", type=float, default=0.01, help="share of passed units shown anyway"
        )
        for share, what in _SHARES.items():
            parser.add_argument(f"--{share}-rate", type=float, default=0.0, help=what)
        parser.add_argument("--review-within", type=int, default=900, help="seconds to review")
        parser.add_argument(
            "--operators-within",
            type=int,
            default=0,
            help="seconds a doubtful unit is kept for the operators at its station before the "
            "bench gets it; 0 leaves nothing to them",
        )
        parser.add_argument(
            "--second-for-scrap",
            action="store_true",
            help="a scrap waits for a second person; the unit is held until then",
        )
        parser.add_argument(
            "--concession-alone",
            action="store_true",
            help="who may ask for a concession grants it; else a second person has to agree",
        )
        parser.add_argument("--reason", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        rule = Rule(
            review_from=options["review_from"],
            contain_from=options["contain_from"],
            audit_rate=options["audit_rate"],
            review_within_s=options["review_within"],
            operators_within_s=options["operators_within"],
            second_for_scrap=options["second_for_scrap"],
            second_for_concession=not options["concession_alone"],
            **{f"{share}_rate": options[f"{share}_rate"] for share in _SHARES},
        )
        try:
            reason = options["reason"].strip()
            if not reason:
                raise Invalid("Say why, in a few words.")
            policy = set_policy(
                actor=system("set_policy"),
                site=places.site_of(options["site"]),
                rules=[rule],
                reason=reason,
                at=timezone.now(),
            )
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        self.stdout.write(f"Policy {policy.version} of {options['site']} is in force.")
