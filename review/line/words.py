"""The words a tablet's page shows by itself; {name} is filled in there."""

from __future__ import annotations

from django.utils.translation import gettext as _

from review.line.board import WORDS


def words() -> dict[str, str]:
    """Every word of the page that its template does not hold."""
    return {
        **{f"state_{code}": str(word) for code, word in WORDS.items()},
        **_units(),
        **_answers(),
        **_calls(),
        **_people(),
        **_tablet(),
        "seconds": _("{n} s"),
        "minutes": _("{n} min"),
        "hours": _("{n} h"),
        "days": _("{n} d"),
    }


def _units() -> dict[str, str]:
    return {
        "lot": _("Lot {lot}"),
        "image_of": _("Image of {serial}"),
        "image_unfit": _("The image that is not fit to judge"),
        "image_failed": _(
            "The image does not come. Press here to ask for it again, or leave the unit to the "
            "bench."
        ),
        "image_coming": _("The image is on its way."),
        "image_came": _("The image has just come. Look at it, then press again."),
        "look_wait": _("This image has not come yet. Wait for it, or leave the unit to the bench."),
        "look_failed": _("This image does not come. Leave the unit to the bench."),
        "no_image": _("No image"),
        "no_unit": _("No unit yet"),
        "no_unit_do": _("Wait for the first unit."),
        "view_next": _("View {n} of {count}"),
        "look_first": _("Look at every view first. This is view {n} of {count}."),
        "more_holds": _("{n} more on hold."),
        "hold_owner": _("{name} answers for it."),
        "check_unfit": _("{n} not fit to judge"),
        "check_waits": _("Take the picture again. Fit: {fit} of {needs}"),
        "check_done_by": _("Cleared by {name}."),
        "stopped_do": _("Wait until somebody comes."),
        "waiting": _("To decide {operator} · bench {bench} · rack {rack}"),
        "nothing_waits": _("Nothing waits here."),
        "nothing_to_decide": _("Nothing to decide."),
    }


def _answers() -> dict[str, str]:
    return {
        "accept": _("Accept"),
        "accept_what": _("Good part"),
        "to_bench": _("To the bench"),
        "to_bench_what": _("Let an inspector look"),
        "reject": _("Reject"),
        "hold_to_press": _("{what}: keep pressed"),
        "keep_holding": _("Keep pressed to reject {serial}: {what}."),
        "let_go": _("Let go too early. Nothing was decided."),
        "placed": _("Done"),
        "check_done": _("Done"),
        "said_accept": _("{serial} accepted"),
        "said_reject": _("{serial} rejected: {what}"),
        "said_bench": _("{serial} goes to the bench"),
        "said_placed": _("{serial} is there: {what}"),
        "said_cleaned": _("Cleared"),
        "said_undo": _("{serial} is back"),
        "where_saved": _("Saved on this tablet"),
        "where_arrived": _("At the server"),
        "not_saved": _("Not saved. Press again; if it stays so, call the shift lead."),
        "cannot_keep": _(
            "This tablet cannot keep what is pressed. Leave private browsing or free some space, "
            "then open the page again."
        ),
        "disk_hangs": _(
            "This tablet cannot keep verdicts now. Wait until this note is gone, or call the shift "
            "lead."
        ),
        "disk_back": _("This tablet keeps verdicts again."),
        "seen": _("Seen"),
    }


def _calls() -> dict[str, str]:
    return {
        "call_HELP": _("Help"),
        "call_STOP": _("Stop"),
        "called_since": _("called {t}"),
        "answered_since": _("{name} comes"),
        "call_by": _("Called by {name}, {t} ago."),
        "call_open": _("Nobody has answered yet."),
        "call_answered": _("{name} has answered and comes."),
        "call_escalated": _("Nobody has answered yet. The alert has gone on to others."),
        "call_saved": _("Saved on this tablet. It is sent as soon as there is network."),
        "stop_released": _("An inspector or a lead releases it."),
        "call_none": _("No open call."),
        "solved": _("Solved"),
        "called_HELP": _("Help is called."),
        "called_STOP": _("Stop is called."),
    }


def _people() -> dict[str, str]:
    return {
        "nobody": _("Nobody"),
        "scan_to_change": _("Scan badge to change"),
        "scan_to_begin": _("Scan your badge"),
        "one_scan": _("One scan is enough for {names}."),
        "badge": _("Badge {badge}"),
        "pin_typed": _("{n} digits typed"),
        "is_here": _("{name} is here."),
        "no_network_badge": _("No network: a badge cannot be checked now."),
        "no_network_badge_stays": _(
            "No network: a badge cannot be checked now. {name} stays signed in."
        ),
        "scan_waits": _("{code} is next: another badge is being checked."),
        "scan_unknown": _("{code}: neither a badge nor a unit that waits here."),
        "scan_here": _("{serial} comes first."),
        "scan_bench": _("{serial} waits at the bench."),
        "scan_rack": _("{serial} is on hold and goes to the rack."),
        "scan_operator": _("{serial} waits here, but another tablet has it."),
        "sign_out_unsent": _(
            "Not signed out: {n} presses have not arrived. Stay until they have, or let the "
            "shift lead scan his badge."
        ),
        "sign_out_failed": _("Not signed out: the server does not answer."),
        "sign_in_failed": _("Not signed in. {detail}"),
    }


def _tablet() -> dict[str, str]:
    return {
        "connected": _("Connected"),
        "no_network": _("No network"),
        "no_answer_yet": _("The server does not answer yet. This screen comes up by itself."),
        "unsent": _("Unsent: {n}"),
        "look_only": _(
            "To look at only: this browser is not a registered tablet. A shift lead registers it "
            "under Tablets."
        ),
        "revoked": _("This tablet is no longer registered"),
        "revoked_do": _("A shift lead registers it again under Tablets."),
        "revoked_unsent": _("{n} presses are kept here and are sent once it is registered."),
        "signed_out": _("You are logged out"),
        "signed_out_do": _("Log in to look at the station."),
        "sound_off": _("Tap once anywhere: only then can this tablet sound an alarm."),
        "volume": _("{n} %"),
        "calibrate_hint": _("The screen has not been measured. Buttons are larger to be safe."),
        "calibrate": _("Measure"),
        "calibrate_says": _("A verdict of 20 mm is then {big} pixels, other buttons {small}."),
        "calibrate_saved": _("Measured. Buttons have their size."),
        "calibrate_kept": _("Measured, and kept on this tablet. The server does not answer."),
        "clock_off": _("This tablet's clock is off by {t}. Have it set."),
        "old_presses": _(
            "{n} presses have waited for more than a day. Bring the tablet to where there is "
            "network, and tell the shift lead."
        ),
        "not_persistent": _(
            "The browser may clear what this tablet keeps when its disk is full. Add the page to "
            "the home screen."
        ),
        "not_secure": _(
            "Without HTTPS this page cannot be opened while there is no network. A lead finds the "
            "address to use under Tablets."
        ),
        "update": _("A new version is ready."),
        "update_do": _("Load it"),
    }
