"""Faults by which one person's word would do where two are asked for, or rework end by itself."""

from __future__ import annotations

from typing import Final

from tests.planted.bugs import Bug

APPROVALS: Final = "tests/review/test_approvals.py"
OF_LOTS: Final = "tests/review/test_lot_approvals.py"
SECONDS: Final = "tests/review/test_second_persons.py"
REWORK: Final = "tests/review/test_rework.py"
CONFLICTS: Final = "tests/review/test_mes_conflicts.py"
OWN: Final = "tests/review/test_own_bench.py"
ELSEWHERE: Final = "tests/review/test_own_bench_elsewhere.py"
_CODE: Final = "review/approvals.py"
_ASKED_FIRST: Final = "test_a_scrap_waits_though_its_unit_was_queued_before_the_policy"
_HANDED_OVER: Final = (
    "test_the_handover_says_nothing_of_a_lot_while_one_part_of_it_is_on_ones_own_bench"
)
_WRITE_BACKS: Final = "test_of_a_lot_the_write_backs_say_nothing_while_a_part_is_on_ones_bench"
_REASON: Final = "test_a_press_on_a_reason_neither_sends_it_nor_tells_that_it_is_the_reason"
_TOO_OLD: Final = "test_an_image_from_before_the_rework_leaves_it_there_and_says_why"

APPROVAL_BUGS: Final = (
    Bug(
        name="who asked for a scrap approves it himself",
        file=_CODE,
        before="    if approval.asked_by_id == actor.user_id:\n",
        after="    if approval.asked_by_id is None:\n",
        tests=(f"{APPROVALS}::test_nobody_answers_what_he_has_asked_himself",),
    ),
    Bug(
        name="a scrap of a unit that was decided anew is approved",
        is_thorough=True,
        file=_CODE,
        before="    if Approval.objects.filter(_is_idle(), pk=approval.pk).exists():\n",
        after="    if Approval.objects.filter(_is_idle(), pk=0).exists():\n",
        tests=(
            f"{APPROVALS}::test_a_scrap_of_a_unit_sent_to_rework_since_is_not_approved",
            f"{APPROVALS}::test_a_unit_that_is_decided_otherwise_closes_the_question",
        ),
    ),
    Bug(
        name="a scrap that waits for a second person is told to the MES",
        is_thorough=True,
        file=_CODE,
        before="    return replace(ruling, kind=DispositionKind.HOLD, why=why)\n",
        after="    return replace(ruling, why=why)\n",
        tests=(f"{APPROVALS}::test_a_scrap_that_waits_holds_the_unit_and_tells_the_mes_so",),
    ),
    Bug(
        name="a refused concession releases the unit",
        is_thorough=True,
        file=_CODE,
        before="        _ask_a_lead(trail, approval)\n",
        after=(
            "        refused = [_draft(approval, actor, at=at)]\n"
            "        dispositions.dispose_all(trail=trail, drafts=refused, due_at=at)\n"
            "        _ask_a_lead(trail, approval)\n"
        ),
        tests=(f"{APPROVALS}::test_a_refused_concession_leaves_the_unit_held_and_tells_nobody",),
    ),
    Bug(
        name="who may not approve is the second person",
        is_thorough=True,
        file=_CODE,
        before="actor.within(Capability.APPROVE_DISPOSITIONS)",
        after="actor.within(Capability.REVIEW)",
        tests=(f"{APPROVALS}::test_who_may_not_approve_is_told_of_nothing",),
    ),
    Bug(
        name="a lead of another site is the second person",
        is_thorough=True,
        file=_CODE,
        before="Approval.objects.filter(actor.within(Capability.APPROVE_DISPOSITIONS))",
        after="Approval.objects.filter(pk__gt=0)",
        tests=(
            f"{APPROVALS}::test_a_lead_of_another_site_is_told_of_nothing",
            f"{APPROVALS}::test_a_lead_of_another_line_is_told_of_nothing",
        ),
    ),
    Bug(
        name="a verdict is taken back after the second person has answered",
        is_thorough=True,
        file=_CODE,
        before="    if approval.state != State.OPEN:\n        raise Conflict(\n",
        after="    if approval.pk is None:\n        raise Conflict(\n",
        tests=(f"{APPROVALS}::test_what_was_answered_is_not_taken_back",),
    ),
    Bug(
        name="a unit whose scrap waits is released by another answer",
        is_thorough=True,
        file="review/dispositions.py",
        before="a.unit_id = u.id AND a.state = 'OPEN'\n",
        after="a.unit_id = u.id AND a.state = 'REFUSED'\n",
        tests=(f"{APPROVALS}::test_no_other_answer_releases_a_unit_whose_scrap_waits",),
    ),
    Bug(
        name="one press on a lot answers a part that was judged anew",
        is_thorough=True,
        file="review/lots.py",
        before='        fence=OuterRef("decision__fence"),\n',
        after="",
        tests=(f"{OF_LOTS}::test_a_part_that_was_judged_anew_is_not_answered_with_its_lot",),
    ),
    Bug(
        name="who inspects a unit a second time reads what the first has asked for",
        is_thorough=True,
        file=_CODE,
        before="found = visible(actor).filter(state=State.OPEN).exclude(own_bench.tells(actor))\n",
        after="found = visible(actor).filter(state=State.OPEN)\n",
        tests=(
            f"{OWN}::test_an_approval_about_a_unit_on_ones_own_bench_says_nothing_until_it_is_judged",
        ),
    ),
    Bug(
        name="of a lot one reads what was said of a part that one is judging",
        is_thorough=True,
        file="review/own_bench.py",
        before="    return Q(unit__in=units) | Q(Exists(of_its_lot))\n",
        after="    return Q(unit__in=units)\n",
        tests=(f"{OWN}::test_a_lot_says_nothing_while_one_part_of_it_is_on_ones_own_bench",),
    ),
    Bug(
        name="who is judging a part reads on the page of another what was said of its lot",
        is_thorough=True,
        file="insights/units.py",
        before='    return dict.fromkeys(of_lot.values_list("task__inspection", flat=True), why)\n',
        after="    return dict.fromkeys(of_lot.none(), why)\n",
        tests=(f"{OWN}::test_the_page_of_another_part_of_the_lot_says_nothing_of_the_verdict",),
    ),
    Bug(
        name="the handover names what of a lot waits to who is judging a part of it",
        is_thorough=True,
        file="insights/open_items.py",
        before='            of_lots.values_list("task__unit__serial", flat=True),\n',
        after='            of_lots.none().values_list("task__unit__serial", flat=True),\n',
        tests=(f"{OWN}::{_HANDED_OVER}",),
    ),
    Bug(
        name="the write-backs say to who is judging a part what was decided of its lot",
        is_thorough=True,
        file="governance/unseen.py",
        before="        for unit, is_own in own.union(of_lots):\n",
        after="        for unit, is_own in own.union(of_lots.none()):\n",
        tests=(
            f"{ELSEWHERE}::test_of_a_lot_the_write_backs_say_nothing_while_a_part_is_on_ones_bench",
        ),
    ),
    Bug(
        name="a press on a reason tells who is judging the unit that it is the reason",
        is_thorough=True,
        file="mes_integration/bulk.py",
        before="        .exclude(unseen.about(actor))\n",
        after="",
        tests=(f"{ELSEWHERE}::{_REASON}",),
    ),
    Bug(
        name="the audit trail tells who is judging a unit what was done with it",
        is_thorough=True,
        file="review/own_bench.py",
        before='        (Unit.objects.filter(serial__in=among), "serial", "pk"),\n',
        after="",
        tests=(f"{ELSEWHERE}::test_the_audit_trail_does_not_say_who_said_what_of_it",),
    ),
    Bug(
        name="a browser reads on from a board that told what is on ones bench now",
        is_thorough=True,
        file="review/line/api.py",
        before="        held = own_bench.tag(_holders(device, looker))\n",
        after='        held = ""\n',
        tests=(f"{ELSEWHERE}::test_a_board_that_was_read_before_is_not_read_on_from_the_browser",),
    ),
    Bug(
        name="who is judging a unit is told by a late answer how it was answered",
        is_thorough=True,
        file=_CODE,
        before="    # First: how it was answered is no news for who is judging the unit.\n"
        "    if why := why_not(actor, approval):\n",
        after="    if why := approval.state == State.OPEN and why_not(actor, approval):\n",
        tests=(f"{OWN}::test_who_answers_late_is_not_told_the_answer_of_a_unit_on_his_own_bench",),
    ),
    Bug(
        name="a policy that wants two people leaves out what waits already",
        is_thorough=True,
        file="review/second_persons.py",
        before="    if (found := _by(own, ruling)) is not None:\n",
        after="    if (found := _by(own, ruling)) is None or found:\n",
        tests=(f"{SECONDS}::{_ASKED_FIRST}",),
    ),
    Bug(
        name="rework is released by images from before it",
        is_thorough=True,
        file="review/dispositions.py",
        before="HAVING min(c.captured_at) > u.rework_since",
        after="HAVING count(*) > 0",
        tests=(
            f"{REWORK}::{_TOO_OLD}",
            f"{REWORK}::test_one_old_view_among_new_ones_is_too_old",
        ),
    ),
    Bug(
        name="a hold ends the rework",
        is_thorough=True,
        file="review/dispositions.py",
        before="WHEN b.too_old OR b.becomes = 'HOLD' THEN rework_since\n",
        after="WHEN b.too_old THEN rework_since\n",
        tests=(f"{REWORK}::test_a_hold_in_between_does_not_end_it",),
    ),
    Bug(
        name="who asked for a scrap gets it by the MES",
        is_thorough=True,
        file="review/mes_conflicts.py",
        before="state=Approval.State.OPEN, asked_by=actor.user_id\n",
        after="state=Approval.State.OPEN, asked_by=None\n",
        tests=(f"{CONFLICTS}::test_who_asked_for_a_scrap_does_not_get_it_by_the_mes",),
    ),
    Bug(
        name="the MES's release of a confirmed defect takes one person",
        is_thorough=True,
        file="review/mes_conflicts.py",
        before="    if kind is not DispositionKind.SCRAP and not is_concession:\n",
        after="    if kind is not DispositionKind.SCRAP or is_concession:\n",
        tests=(f"{CONFLICTS}::test_a_concession_is_not_approved_by_who_may_not_approve",),
    ),
)
