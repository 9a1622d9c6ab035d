"""Faults of the kind that would break a promise, each with the tests that must turn red."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DECISIONS: Final = "tests/review/test_decisions.py"
DELIVERY: Final = "tests/mes_integration/test_delivery.py"
INTAKE: Final = "tests/inference_bridge/test_intake.py"
QUEUE: Final = "tests/review/test_queue.py"
IMAGES: Final = "tests/traceability/test_images.py"
CONTROLS: Final = "tests/review/test_controls.py"
SECONDS: Final = "tests/review/test_adjudication.py"
CALLS: Final = "tests/review/test_calls.py"
CHECKS: Final = "tests/review/test_capture_checks.py"
CONSUMER: Final = "tests/inference_bridge/test_consumer.py"
HOLD_OWNERS: Final = "tests/insights/test_hold_owners.py"
DUTY: Final = "tests/governance/test_duty.py"
HANDOVER: Final = "tests/insights/test_handover.py"
DEVICES: Final = "tests/governance/test_devices.py"
PINS: Final = "tests/governance/test_pins.py"
ATTENDANCES: Final = "tests/governance/test_attendances.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """One exact replacement in one file. `tests`: pytest ids, relative to the repository."""

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]
    # A fault in the schema needs a database of its own.
    changes_schema: bool = False
    # Left to `make planted`: another one that is tried at every change stands for its promise.
    is_thorough: bool = False


ROWS: Final = "tests/review/test_line_rows.py"
BOARD: Final = "tests/review/test_line_board.py"
BUGS: Final = (
    # Nothing lost, nothing doubled, nothing overtaken.
    Bug(
        name="a tablet's verdict that comes too late is dropped",
        is_thorough=True,
        file="review/line/rows.py",
        before="        return _too_late(delivery, refusal)\n",
        after="        return Taken(str(row.key), State.CONFLICT, refusal.sentence)\n",
        tests=(f"{ROWS}::test_a_verdict_after_somebody_elses_becomes_a_second_opinion",),
    ),
    Bug(
        name="an operator judges what the policy did not leave to him",
        is_thorough=True,
        file="review/taking.py",
        before=" AND (NOT %(at_line)s OR t.operators_until IS NOT NULL)\n",
        after=" AND (%(at_line)s OR true)\n",
        tests=(f"{ROWS}::test_what_is_no_longer_the_operators_takes_no_verdict_of_theirs",),
    ),
    Bug(
        name="the bench takes what is kept for the operators",
        is_thorough=True,
        file="review/queue.py",
        before="AND (t.operators_until IS NULL OR t.operators_until < clock_timestamp())",
        after="",
        tests=(f"{ROWS}::test_the_bench_leaves_the_operators_their_time",),
    ),
    Bug(
        name="a hold that was lifted and came again counts as put away",
        is_thorough=True,
        file="review/line/holds.py",
        before='unit=OuterRef("pk"), held_since=OuterRef("held_since")',
        after='unit=OuterRef("pk")',
        tests=(f"{BOARD}::test_a_hold_is_as_old_as_when_it_began_and_anew_once_it_was_lifted",),
    ),
    Bug(
        name="the lease is not checked on write",
        file="review/taking.py",
        before=(
            " AND t.fence = %(fence)s\n      AND (t.state = 'LEASED' AND t.holder_id = %(holder)s\n"
        ),
        after="\n      AND (t.state = 'LEASED'\n",
        tests=(
            f"{DECISIONS}::test_a_stale_lease_writes_nothing",
            f"{DECISIONS}::test_somebody_elses_lease_does_not_help",
        ),
    ),
    Bug(
        name="an older fence of the same inspector is taken",
        is_thorough=True,
        file="review/taking.py",
        before="WHERE t.uuid = %(task)s AND t.fence = %(fence)s\n",
        after="WHERE t.uuid = %(task)s\n",
        tests=("tests/faults/test_fences.py",),
    ),
    Bug(
        name="one answer releases a unit that another question holds",
        is_thorough=True,
        file="review/dispositions.py",
        before="    {kept}\n    WHEN d.kind = 'ACCEPT' AND EXISTS (",
        after="    {kept}\n    WHEN false AND EXISTS (",
        tests=(f"{DECISIONS}::test_a_unit_is_released_by_the_last_answer_only",),
    ),
    Bug(
        name="a scrapped unit is released",
        is_thorough=True,
        file="review/dispositions.py",
        before="    WHEN u.disposition = 'SCRAP' THEN 'SCRAP'\n",
        after="",
        tests=(f"{DECISIONS}::test_a_scrapped_unit_stays_scrapped_whatever_is_said_later",),
    ),
    Bug(
        name="messages are deleted before the commit",
        file="inference_bridge/consumer.py",
        before="        outcomes = intake.take(\n            actor=self._actor,\n",
        after="        self._delete([m.receipt for m in received])\n"
        "        outcomes = intake.take(\n            actor=self._actor,\n",
        tests=(
            f"{CONSUMER}::test_a_batch_that_does_not_commit_stays_in_the_queue",
            f"{CONSUMER}::test_the_commit_comes_before_the_delete",
        ),
    ),
    Bug(
        name="an event has no unique key",
        is_thorough=True,
        file="traceability/migrations/0001_initial.py",
        before="models.UniqueConstraint(fields=('source', 'event_id'), "
        "name='prediction_event_once'), ",
        after="",
        tests=(f"{INTAKE}::test_the_database_itself_refuses_an_event_twice",),
        changes_schema=True,
    ),
    Bug(
        name="events taken before are not looked up",
        is_thorough=True,
        file="inference_bridge/sifting.py",
        before="known = facts.taken_before([event for _number, event in events])",
        after="known: dict[tuple[str, str], str] = {}",
        tests=(f"{INTAKE}::test_the_same_event_again_changes_nothing",),
    ),
    Bug(
        name="the idempotency key of a verdict is forgotten",
        is_thorough=True,
        file="review/decisions.py",
        before="        idempotency_key=how.key,\n",
        after='        idempotency_key=f"{how.digest[:24]}{trail.at.timestamp()}{task.fence}",\n',
        tests=(f"{DECISIONS}::test_the_same_request_again_answers_the_same_and_changes_nothing",),
    ),
    Bug(
        name="a verdict is taken back after the write-back left",
        is_thorough=True,
        file="mes_integration/outbox.py",
        before="state=WriteBack.State.PENDING, due_at__gte=trail.at",
        after='state__in=["PENDING", "SENDING", "RETRY", "UNCERTAIN", "ACKNOWLEDGED"]',
        tests=(
            "tests/mes_integration/test_outbox.py::test_what_has_left_is_not_withdrawn",
            "tests/mes_integration/test_outbox.py::test_what_is_due_is_not_withdrawn_any_more",
        ),
    ),
    Bug(
        name="the relay records under a stale fence",
        is_thorough=True,
        file="mes_integration/delivery.py",
        before="WHERE w.id = %(pk)s AND w.fence = %(fence)s AND w.state = 'SENDING'\n",
        after="WHERE w.id = %(pk)s AND w.fence >= %(fence)s AND w.state = 'SENDING'\n",
        tests=(f"{DELIVERY}::test_a_stale_fence_writes_nothing",),
    ),
    Bug(
        name="a later revision overtakes an uncertain one",
        file="mes_integration/turns.py",
        before="      AND (w.revision = 1 OR NOT EXISTS (\n",
        after="      AND (w.revision >= 1 OR NOT EXISTS (\n",
        tests=(f"{DELIVERY}::test_a_later_revision_waits_while_the_earlier_is_uncertain",),
    ),
    Bug(
        name="what may have arrived is sent again without asking",
        file="mes_integration/transitions.py",
        before="    if last not in MAY_HAVE_ARRIVED:\n        return Step.POST\n",
        after="    if last is None or last:\n        return Step.POST\n",
        tests=(f"{DELIVERY}::test_a_failure_after_applying_is_found_and_not_sent_twice",),
    ),
    Bug(
        name="a unit passes before all its views are in",
        is_thorough=True,
        file="inference_bridge/consequences.py",
        before="        if not standing.is_complete:\n            return Step()\n",
        after="",
        tests=(f"{INTAKE}::test_a_unit_passes_only_when_every_view_is_in",),
    ),
    Bug(
        name="a unit with a missing view is accepted",
        is_thorough=True,
        file="review/rulings.py",
        before="    if not views.is_whole and said",
        after="    if views.unfit and said",
        tests=("tests/review/test_rulings.py::test_a_missing_view_holds_whatever_is_said",),
    ),
    Bug(
        # An ACCEPT would be stopped once more, by the question that is still open.
        name="a unit nobody judged in time is not held",
        file="review/deadlines.py",
        before="kind=DispositionKind.HOLD,",
        after="kind=DispositionKind.REWORK,",
        tests=(f"{QUEUE}::test_past_its_deadline_a_unit_goes_on_hold_and_never_to_accept",),
    ),
    # The inspector never waits.
    Bug(
        name="the prefetched image is loaded once more because its address has changed",
        file="traceability/addresses.py",
        before="until = int(at.timestamp()) // self.step_s * self.step_s + self.holds_s",
        after="until = int(at.timestamp()) + self.holds_s",
        tests=(f"{IMAGES}::test_an_address_is_the_same_for_an_hour_and_holds_for_a_shift",),
    ),
    # Every number can be defended.
    Bug(
        name="the audit entry is written outside the transaction",
        file="governance/audit.py",
        before="        yield trail\n        trail._close()",
        after="        yield trail\n    trail._close()",
        tests=("tests/faults/test_audit.py",),
    ),
    Bug(
        name="the audit trail can be rewritten",
        is_thorough=True,
        file="governance/migrations/0002_append_only.py",
        before='        AppendOnly("governance_auditentry"),\n',
        after="",
        tests=(f"{DECISIONS}::test_what_was_decided_is_never_changed_or_removed",),
        changes_schema=True,
    ),
    Bug(
        name="units of another site are shown",
        is_thorough=True,
        file="insights/units.py",
        before="Unit.objects.filter(actor.within(Capability.SEE_UNITS, line=None) | Q(on_my_line))",
        after="Unit.objects.all()",
        tests=("tests/insights/test_units.py::test_units_of_another_site_do_not_exist",),
    ),
    Bug(
        name="write-backs of another site are shown",
        is_thorough=True,
        file="mes_integration/presentation.py",
        before="WriteBack.objects.filter(actor.within(Capability.SEE_WRITE_BACKS, line=LINE))",
        after="WriteBack.objects.all()",
        tests=(
            "tests/mes_integration/test_pages.py::test_another_sites_write_backs_are_not_listed",
        ),
    ),
    Bug(
        name="tasks of another line are claimed",
        is_thorough=True,
        file="review/queue.py",
        before="      AND (%(every_line)s OR t.line_id = ANY(%(lines)s))\n",
        after="      AND (%(every_line)s OR %(lines)s IS NOT NULL)\n",
        tests=(f"{QUEUE}::test_an_inspector_of_one_line_is_offered_that_line_only",),
    ),
    # What people answer is worth something.
    Bug(
        name="a control makes a write-back",
        is_thorough=True,
        file="review/decisions.py",
        before="[verdicts.draft(trail, task, verdict, defect, ruling)] if moves_unit else [],",
        after="[verdicts.draft(trail, task, verdict, defect, ruling)],",
        tests=(f"{CONTROLS}::test_a_control_reaches_neither_the_outbox_nor_a_dataset",),
    ),
    Bug(
        name="a second inspection is given to the first inspector",
        is_thorough=True,
        file="review/queue.py",
        before="      AND (t.purpose = 'FIRST' OR NOT EXISTS (\n",
        after="      AND (true OR NOT EXISTS (\n",
        tests=(f"{SECONDS}::test_the_second_inspection_is_never_offered_to_the_first_inspector",),
    ),
    Bug(
        name="a blind task carries the model's opinion",
        is_thorough=True,
        file="review/opinions.py",
        before="return _blind(seen) if task.is_blind else seen",
        after="return seen",
        tests=("tests/review/test_opinions.py::test_a_blind_task_carries_no_opinion_anywhere",),
    ),
    Bug(
        name="a lot is decided without its sample",
        is_thorough=True,
        file="review/lot_reviews.py",
        before="    if left > 0:\n",
        after="    if left < 0:\n",
        tests=(
            "tests/review/test_lots.py::test_nothing_is_decided_while_a_part_of_the_sample_is_open",
        ),
    ),
    # The loop closes, and only with better models.
    Bug(
        name="a dataset is split by image instead of unit and lot",
        is_thorough=True,
        file="labeling/datasets.py",
        before="group=splits.group_of(serial=unit.serial, lot=code),",
        after='group=f"image:{capture.sha256}",',
        tests=("tests/labeling/test_datasets.py::test_no_lot_or_unit_is_in_two_splits",),
    ),
    Bug(
        name="the gate passes a model on too little evidence",
        file="retraining/gate.py",
        before="enough = defects >= policy.min_defects and good >= policy.min_good",
        after="enough = defects + good >= policy.min_defects",
        tests=("tests/retraining/test_gate.py::test_too_little_evidence_never_passes",),
    ),
    Bug(
        name="the chance to be judged is not recorded",
        is_thorough=True,
        file="inference_bridge/routing.py",
        before="return audit_rate if route == Route.PASS else 1.0",
        after="return 1.0",
        tests=(f"{INTAKE}::test_what_passes_keeps_the_chance_it_had",),
    ),
    # It runs whole on one laptop.
    Bug(
        name="a second start does not see the first",
        file="config/runner/lock.py",
        before="fcntl.LOCK_EX",
        after="fcntl.LOCK_SH",
        tests=(
            "tests/runner/test_commands.py::test_a_second_start_names_the_first_and_how_to_stop_it",
        ),
    ),
    # No hold without an owner.
    Bug(
        name="who has left keeps the duty",
        is_thorough=True,
        file="governance/duty.py",
        before="        AND u.is_active AND (%(demo)s OR NOT u.is_demo)\n",
        after="        AND (%(demo)s OR NOT u.is_demo)\n",
        tests=(
            HOLD_OWNERS,
            f"{DUTY}::test_the_duty_falls_back_on_who_had_it_before_when_its_person_is_gone",
        ),
    ),
    Bug(
        name="the last who answers for held units may leave",
        is_thorough=True,
        file="governance/rights.py",
        before="    for site_id in sorted(before.keys() - after.keys()):\n",
        after="    for site_id in sorted(before.keys() - before.keys()):\n",
        tests=(
            HOLD_OWNERS,
            f"{DUTY}::test_the_last_who_could_answer_is_neither_shut_out_nor_loses_his_right",
        ),
    ),
    Bug(
        name="a handover is signed though the list has changed",
        is_thorough=True,
        file="insights/handover.py",
        before="    if now.keys != read.keys:\n",
        after="    if now.keys < read.keys:\n",
        tests=(f"{HANDOVER}::test_what_came_or_went_since_he_looked_keeps_him_from_signing",),
    ),
    # Nobody acts at a tablet who should not.
    Bug(
        name="a revoked tablet keeps its token",
        is_thorough=True,
        file="governance/devices.py",
        before="        found.token_sha256 = found.code_sha256 = found.code_expires_at = None\n",
        after="        found.code_sha256 = found.code_expires_at = None\n",
        tests=(
            f"{DEVICES}::test_a_revoked_tablet_is_nobodys_at_once_and_a_new_code_takes_it_back",
        ),
    ),
    Bug(
        name="tries of a PIN are counted when it was wrong, not before",
        is_thorough=True,
        file="governance/pins.py",
        before='        pin.failures += 1\n        pin.save(update_fields=["failures"])\n',
        after="        pin.failures += 1\n",
        tests=(
            f"{PINS}::test_tries_at_the_same_time_are_no_more_tries",
            f"{PINS}::test_wrong_pins_lock_it_until_a_lead_sets_a_new_one",
        ),
    ),
    Bug(
        name="a badge counts on after its PIN was changed",
        is_thorough=True,
        file="governance/standing.py",
        before="JOIN governance_pin p ON p.user_id = u.id AND p.set_at <= a.began_at\n",
        after="JOIN governance_pin p ON p.user_id = u.id\n",
        tests=(f"{ATTENDANCES}::test_what_ends_it_ends_it_with_the_next_request",),
    ),
    Bug(
        name="who is at a tablet keeps the rights he has elsewhere",
        is_thorough=True,
        file="governance/devices_middleware.py",
        before="    here.user.granted = granted_at(device)",
        after="    here.user.elsewhere = granted_at(device)",
        tests=(f"{DEVICES}::test_who_came_by_badge_has_an_operators_rights_on_every_other_page",),
    ),
    # Somebody comes when a station calls.
    Bug(
        name="a call never escalates",
        is_thorough=True,
        file="review/line/calls.py",
        before="called_at__lte=late\n",
        after="called_at__lte=late - timedelta(days=1)\n",
        tests=(
            f"{CALLS}::test_a_call_nobody_answers_escalates_on_time_and_once",
            "tests/inference_bridge/test_escalated_calls.py",
        ),
    ),
    Bug(
        name="a call escalates twice",
        is_thorough=True,
        file="review/line/calls.py",
        before="answered_at__isnull=True, escalated_at__isnull=True, called_at",
        after="answered_at__isnull=True, called_at",
        tests=(f"{CALLS}::test_a_call_nobody_answers_escalates_on_time_and_once",),
    ),
    Bug(
        name="of two who answer a call both are told that they come",
        is_thorough=True,
        file="review/line/calls.py",
        before="AndonCall.objects.select_for_update(no_key=True).filter(which)",
        after="AndonCall.objects.filter(which)",
        tests=(f"{CALLS}::test_of_two_who_answer_at_once_one_comes_and_the_other_is_told_who",),
    ),
    Bug(
        name="an operator releases a stop",
        is_thorough=True,
        file="review/line/calls.py",
        before="if found.kind == AndonCall.Kind.STOP and not comes:",
        after="if found.kind == AndonCall.Kind.STOP and comes is None:",
        tests=(f"{CALLS}::test_a_stop_is_released_by_who_may_answer_calls",),
    ),
    Bug(
        name="a capture check is over though the last image was unfit",
        is_thorough=True,
        file="review/line/checks.py",
        before="        check.fit = 0\n",
        after="",
        tests=(f"{CHECKS}::test_the_fit_ones_count_in_a_row_only",),
    ),
)
