"""Faults of the kind that would break a promise, each with the tests that must turn red."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DECISIONS: Final = "tests/review/test_decisions.py"
DELIVERY: Final = "tests/mes_integration/test_delivery.py"
INTAKE: Final = "tests/inference_bridge/test_intake.py"
QUEUE: Final = "tests/review/test_queue.py"
IMAGES: Final = "tests/traceability/test_images.py"
CONSUMER: Final = "tests/inference_bridge/test_consumer.py"


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


BUGS: Final = (
    # Nothing lost, nothing doubled, nothing overtaken.
    Bug(
        name="the lease is not checked on write",
        file="review/decisions.py",
        before="WHERE t.uuid = %(task)s AND t.fence = %(fence)s AND t.holder_id = %(holder)s\n",
        after="WHERE t.uuid = %(task)s\n",
        tests=(
            f"{DECISIONS}::test_a_stale_lease_writes_nothing",
            f"{DECISIONS}::test_somebody_elses_lease_does_not_help",
        ),
    ),
    Bug(
        name="an older fence of the same inspector is taken",
        file="review/decisions.py",
        before="WHERE t.uuid = %(task)s AND t.fence = %(fence)s AND t.holder_id = %(holder)s\n",
        after="WHERE t.uuid = %(task)s AND t.holder_id = %(holder)s\n",
        tests=("tests/faults/test_fences.py",),
    ),
    Bug(
        name="one answer releases a unit that another question holds",
        file="review/dispositions.py",
        before="    WHEN d.kind = 'ACCEPT' AND EXISTS (",
        after="    WHEN false AND EXISTS (",
        tests=(f"{DECISIONS}::test_a_unit_is_released_by_the_last_answer_only",),
    ),
    Bug(
        name="a scrapped unit is released",
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
        file="traceability/migrations/0001_initial.py",
        before="models.UniqueConstraint(fields=('source', 'event_id'), "
        "name='prediction_event_once'), ",
        after="",
        tests=(f"{INTAKE}::test_the_database_itself_refuses_an_event_twice",),
        changes_schema=True,
    ),
    Bug(
        name="events taken before are not looked up",
        file="inference_bridge/sifting.py",
        before="known = facts.taken_before([event for _number, event in events])",
        after="known: dict[tuple[str, str], str] = {}",
        tests=(f"{INTAKE}::test_the_same_event_again_changes_nothing",),
    ),
    Bug(
        name="the idempotency key of a verdict is forgotten",
        file="review/decisions.py",
        before="        idempotency_key=key,\n",
        after='        idempotency_key=f"{digest[:24]}{trail.at.timestamp()}{task.fence}",\n',
        tests=(f"{DECISIONS}::test_the_same_request_again_answers_the_same_and_changes_nothing",),
    ),
    Bug(
        name="a verdict is taken back after the write-back left",
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
        file="mes_integration/delivery.py",
        before=".filter(pk=lease.pk, fence=lease.fence, state=State.SENDING)",
        after=".filter(pk=lease.pk, state=State.SENDING)",
        tests=(f"{DELIVERY}::test_a_stale_fence_writes_nothing",),
    ),
    Bug(
        name="a later revision overtakes an uncertain one",
        file="mes_integration/delivery.py",
        before="        ~Exists(in_the_way),\n",
        after="",
        tests=(f"{DELIVERY}::test_a_later_revision_waits_while_the_earlier_is_uncertain",),
    ),
    Bug(
        name="what may have arrived is sent again without asking",
        file="mes_integration/delivery.py",
        before="reads_back = _last_outcome(row) in MAY_HAVE_ARRIVED",
        after="reads_back = False",
        tests=(f"{DELIVERY}::test_a_failure_after_applying_is_found_and_not_sent_twice",),
    ),
    Bug(
        name="a unit passes before all its views are in",
        file="inference_bridge/consequences.py",
        before="        if not standing.is_complete:\n            return Step()\n",
        after="",
        tests=(f"{INTAKE}::test_a_unit_passes_only_when_every_view_is_in",),
    ),
    Bug(
        # An ACCEPT would be stopped once more, by the question that is still open.
        name="a unit nobody judged in time is not held",
        file="review/queue.py",
        before="kind=DispositionKind.HOLD,",
        after="kind=DispositionKind.REWORK,",
        tests=(f"{QUEUE}::test_past_its_deadline_a_unit_goes_on_hold_and_never_to_accept",),
    ),
    # The inspector never waits.
    Bug(
        name="the prefetched image is loaded once more because its address has changed",
        file="traceability/images.py",
        before="until = int(at.timestamp()) // MINUTE * MINUTE + HOLDS_S",
        after="until = int(at.timestamp()) + HOLDS_S",
        tests=(f"{IMAGES}::test_an_address_is_the_same_for_a_minute_and_holds_for_four_to_five",),
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
        file="governance/migrations/0002_append_only.py",
        before='        AppendOnly("governance_auditentry"),\n',
        after="",
        tests=(f"{DECISIONS}::test_what_was_decided_is_never_changed_or_removed",),
        changes_schema=True,
    ),
    Bug(
        name="units of another site are shown",
        file="insights/units.py",
        before="Unit.objects.filter(actor.within(Capability.SEE_UNITS, line=None) | Q(on_my_line))",
        after="Unit.objects.all()",
        tests=("tests/insights/test_units.py::test_units_of_another_site_do_not_exist",),
    ),
    Bug(
        name="write-backs of another site are shown",
        file="mes_integration/presentation.py",
        before="WriteBack.objects.filter(actor.within(Capability.SEE_WRITE_BACKS, line=LINE))",
        after="WriteBack.objects.all()",
        tests=(
            "tests/mes_integration/test_pages.py::test_another_sites_write_backs_are_not_listed",
        ),
    ),
    Bug(
        name="tasks of another line are claimed",
        file="review/queue.py",
        before="      AND (%(every_line)s OR t.line_id = ANY(%(lines)s))\n",
        after="      AND (%(every_line)s OR %(lines)s IS NOT NULL)\n",
        tests=(f"{QUEUE}::test_an_inspector_of_one_line_is_offered_that_line_only",),
    ),
    # The loop closes, and only with better models.
    Bug(
        name="a dataset is split by image instead of unit and lot",
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
)
