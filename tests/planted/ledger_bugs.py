"""Faults by which a disposition would be lost, doubled or overtaken on its way to the MES."""

from __future__ import annotations

from typing import Final

from tests.planted.bugs import Bug

DELIVERY: Final = "tests/mes_integration/test_delivery.py"
QUARANTINE: Final = "tests/mes_integration/test_quarantine.py"
RESTORATION: Final = "tests/mes_integration/test_restoration.py"
MAPPING: Final = "tests/mes_integration/test_mapping.py"
HTTP: Final = "tests/mes_integration/test_http_adapter.py"
LEFT: Final = "tests/mes_integration/test_rejected_and_left.py"
_CODE: Final = "mes_integration/delivery.py"
_LEASES: Final = "mes_integration/leases.py"
_GATEWAY: Final = "test_what_a_gateway_gave_up_on_rests_until_the_system_behind_it_must_be_done"
_OVERTAKES: Final = "test_while_the_call_is_open_the_next_word_does_not_overtake_it"
_REPLACED: Final = "test_a_revision_that_was_replaced_meanwhile_does_not_come_after_the_later_one"

LEDGER_BUGS: Final = (
    Bug(
        name="what is uncertain is asked for at once",
        is_thorough=True,
        file="mes_integration/messages.py",
        before="    return timedelta(seconds=target_of(row).quarantine_s or longest)\n",
        after="    return timedelta(seconds=0 * longest)\n",
        tests=(
            f"{DELIVERY}::test_silence_rests_out_the_quarantine_then_is_read_back_and_sent",
            f"{DELIVERY}::test_a_lease_that_ran_out_is_quarantined_then_asked_for",
        ),
    ),
    Bug(
        name="what a gateway gave up on is asked for at once",
        is_thorough=True,
        file=_CODE,
        before="    if outcome is Outcome.FAILED and messages.doubles(row):\n",
        after="    if outcome is Outcome.LOST and messages.doubles(row):\n",
        tests=(f"{QUARANTINE}::{_GATEWAY}",),
    ),
    Bug(
        name="send again cuts the rest short",
        is_thorough=True,
        file="mes_integration/resolution.py",
        before="State.RETRY, max(row.due_at, trail.at) if rests else trail.at\n",
        after="State.RETRY, trail.at if rests else trail.at\n",
        tests=(f"{QUARANTINE}::test_a_person_who_sends_again_does_not_cut_the_rest_short",),
    ),
    Bug(
        name="a later word overtakes an open call that was rejected",
        is_thorough=True,
        file="mes_integration/turns.py",
        before=""" AND NOT {_never_left("o")} OR {_may_land("o")})\n""",
        after=""" AND NOT {_never_left("o")})\n""",
        tests=(f"{LEFT}::{_OVERTAKES}",),
    ),
    Bug(
        name="a relay that stood still sends all the same",
        is_thorough=True,
        file=_CODE,
        before="    if time.monotonic() >= lease.until:\n",
        after="    if lease.until < 0:\n",
        tests=(f"{QUARANTINE}::test_a_relay_that_stood_still_past_its_lease_sends_nothing",),
    ),
    Bug(
        name="a body leaves after its time",
        is_thorough=True,
        file="mes_integration/adapters/http_line.py",
        before="    if time.monotonic() > ends:\n",
        after="    if ends < 0:\n",
        tests=(f"{QUARANTINE}::test_a_body_does_not_leave_after_its_time",),
    ),
    Bug(
        name="a relay recovers a lease that is running",
        is_thorough=True,
        file=_LEASES,
        before="state=State.SENDING, lease_expires_at__lt=Now()",
        after="state=State.SENDING, lease_expires_at__isnull=False",
        tests=(f"{DELIVERY}::test_a_running_lease_is_left_alone",),
    ),
    Bug(
        name="one that may have arrived is superseded",
        is_thorough=True,
        file="mes_integration/turns.py",
        before="        AND NOT EXISTS (\n            SELECT FROM {_table(DeliveryAttempt)}",
        after="        OR EXISTS (\n            SELECT FROM {_table(DeliveryAttempt)}",
        tests=(f"{DELIVERY}::test_a_later_revision_waits_while_a_failed_one_may_have_arrived",),
    ),
    Bug(
        name="a success without a reference settles",
        is_thorough=True,
        file="mes_integration/adapters/http.py",
        before="        if 200 <= status < 300:\n            return Uncertain(\n",
        after="        if 200 <= status < 300:\n            return Applied('it') or Uncertain(\n",
        tests=(
            f"{HTTP}::test_a_success_without_a_usable_reference_is_uncertain",
            f"{HTTP}::test_a_204_is_uncertain",
        ),
    ),
    Bug(
        name="after a restore what has left since is sent again",
        is_thorough=True,
        file="mes_integration/restoration.py",
        before="outcome=Outcome.LOST, answer=said",
        after="outcome=Outcome.NOT_TAKEN, answer=said",
        tests=(f"{RESTORATION}::test_what_was_sent_after_the_backup_is_found_and_not_sent_again",),
    ),
    Bug(
        name="after a restore an earlier revision comes after the later one",
        is_thorough=True,
        file="mes_integration/succession.py",
        before="    if row.attempts and _may_be_overtaken(row):\n",
        after="    if row.attempts < 0 and _may_be_overtaken(row):\n",
        tests=(f"{RESTORATION}::{_REPLACED}",),
    ),
    Bug(
        name="a verdict without a word is not stopped",
        is_thorough=True,
        file="mes_integration/mapping.py",
        before="    if verdict not in profile.verdicts:\n",
        after="    if not profile.verdicts:\n",
        tests=(f"{MAPPING}::test_no_verdict_and_no_code_is_ever_said_by_a_word_nobody_chose",),
    ),
    Bug(
        name="a defect without a code goes under its own",
        is_thorough=True,
        file="mes_integration/mapping.py",
        before="    if code not in profile.defects:\n",
        after="    if code not in profile.defects:\n        return code\n    if not code:\n",
        tests=(f"{MAPPING}::test_no_verdict_and_no_code_is_ever_said_by_a_word_nobody_chose",),
    ),
)
