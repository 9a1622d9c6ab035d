"""What each state of a station asks of who stands there, for the guide that hangs beside it."""

from __future__ import annotations

from django.utils.translation import gettext as _

from review.line.board import WORDS


def states() -> list[dict[str, str]]:
    """Name, word and sentence of every state, the normal one first."""
    texts = {
        "RUNNING": _("Nothing to do. The tablet shows the last part it saw."),
        "DECIDE": _("The model is in doubt. Look at the marked place on your part and press."),
        "CAPTURE_CHECK": _("The camera cannot see. Do the steps shown, then press Done."),
        "HOLD": _("Put the part named on the rack named, then press Done."),
        "STOPPED": _("Somebody pressed Stop. Wait until an inspector or a lead releases it."),
    }
    return [{"name": name, "word": str(WORDS[name]), "text": text} for name, text in texts.items()]
