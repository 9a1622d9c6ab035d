"""Words of the bench's flow: its keys, its comments, a lead's answers."""

from __future__ import annotations

from django.utils.translation import gettext as _


def key_acts() -> list[tuple[str, str]]:
    """What can be laid on another key, by its act, in the order of the help."""
    return [
        ("accept", _("Accept: false call")),
        ("reject", _("Reject, with the disposition on the button")),
        ("choose", _("Reject as: choose defect and disposition")),
        ("skip", _("Skip, with a reason")),
        ("escalate", _("Escalate to a lead")),
        ("undo", _("Take the last verdict back")),
        ("comment", _("Comment on the unit")),
        ("answers", _("Answers of a lead")),
        ("calls", _("Calls from the line: answer, or close")),
        ("model", _("Show or hide what the model saw")),
        ("golden", _("Golden image beside")),
        ("heatmap", _("Heat map")),
        ("zones", _("Zones")),
        ("light", _("Brightness, contrast, window")),
        ("invert", _("Invert the image")),
        ("rotate-left", _("Turn left")),
        ("rotate-right", _("Turn right")),
        ("box", _("Draw a box")),
        ("polygon", _("Draw a polygon")),
        ("proposals", _("Take the model's proposals")),
        ("next-region", _("Next region")),
        ("previous-region", _("Region before")),
        ("delete-region", _("Delete the region")),
    ]


def words() -> dict[str, str]:
    """What the flow's modules show; {name} is filled in by them."""
    return {
        "key_of": _("{act}: {key}. Change the key"),
        "key_none": _("none"),
        "press_a_key": _("Press a key"),
        "key_is": _("{key} is {act} now."),
        "key_taken": _("{key} is {act} already. Press another key, or Esc."),
        "key_reserved": _("{key} always means the same. Press another key, or Esc."),
        "keys_reset": _("All keys are as they came."),
        "comment_going": _("Is being sent"),
        "comment_kept": _("Noted"),
        "comment_failed": _("The comment was not sent."),
        "answer_new": _("new"),
        "answer_asked": _("You asked: {text}"),
        "answers_none": _(
            "No answers yet. What a lead makes of the units you escalate appears here."
        ),
        "call_line": _("{word} · {station} · {t}"),
        "call_more": _("+{n}"),
        "call_who": _("{who} is coming"),
        "call_nobody": _("nobody has answered"),
        "call_escalated": _("nobody has answered, escalated"),
        "call_answer": _("I am coming"),
        "call_answer_to": _("I am coming: {station}"),
        "call_close": _("Close"),
        "call_release": _("Release"),
        "call_close_to": _("Close: {station}"),
        "call_release_to": _("Release: {station}"),
        "calls_none": _("No station calls."),
        "call_came": _("{word}: {line}, {station}. Press {key} to answer."),
        "renewed": _("{serial} was taken back for a moment and is yours again."),
        "other_tab": _("Your units were taken over by another tab of yours. Go on there."),
        "other_person": _(
            "{person} is logged in in this browser now. Nothing is lost: log in as {me}"
            " and it is sent."
        ),
    }
