"""A batch of messages becomes facts, tasks and dispositions, once each."""

from __future__ import annotations

import json
import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from governance.access import Actor, system
from governance.models import AuditEntry
from inference_bridge import intake, settling
from inference_bridge.intake import Incoming, Status
from inference_bridge.models import Alert, DeadLetter
from inference_bridge.routing import Rule
from inference_bridge.settling import hold_incomplete
from labeling.models import DefectClass, Label
from review import decisions, queue
from review.models import Answer, Decision, ReviewTask, TaskKind
from review.verdicts import Verdict
from tests import factories
from tests.inference_bridge.conftest import give_policy, take
from tests.inference_bridge.messages import event, view
from traceability.identifiers import new_id
from traceability.models import (
    Capture,
    Disposition,
    DispositionKind,
    Inspection,
    Line,
    Prediction,
    Route,
    Site,
    Station,
    Unit,
)

pytestmark = pytest.mark.usefixtures("plant")


def test_an_event_becomes_unit_inspection_capture_and_prediction(now: datetime) -> None:
    [outcome] = take(now, event(now, score=0.6, id="e-1"))

    assert outcome.status is Status.TAKEN
    prediction = Prediction.objects.select_related("capture__inspection__unit").get()
    unit = prediction.capture.inspection.unit
    assert (prediction.event_id, prediction.score, prediction.route) == ("e-1", 0.6, "REVIEW")
    assert prediction.inclusion_probability == 1.0
    assert prediction.policy_version == 1
    assert prediction.detections[0]["box"] == [1, 2, 3, 4]
    assert prediction.capture.key.startswith("objects/")
    assert prediction.capture.inspection.external_id == "e-1"
    assert prediction.capture.inspection.settled_at == now
    assert str(unit.part_revision) == "P-4711 C"
    assert (unit.lot.code, unit.supplier.code) == ("L9", "S4")  # type: ignore[union-attr]


def test_what_the_schema_does_not_know_is_kept(now: datetime) -> None:
    sent = event(now, data__ext={"a": 1}, data__capture__humidity=40, more="yes")
    take(now, sent)
    kept = Prediction.objects.get().ext
    assert kept == {"a": 1, "_unknown": {"more": "yes", "data": {"capture": {"humidity": 40}}}}


@pytest.mark.parametrize(
    ("score", "quality", "route", "disposition", "kind"),
    [
        (0.1, "ok", Route.PASS, "ACCEPT", None),
        (0.2, "ok", Route.REVIEW, None, TaskKind.REVIEW),
        (0.9, "ok", Route.CONTAIN, "HOLD", TaskKind.CONTAIN),
        (0.1, "unfit", Route.CAPTURE_CHECK, "HOLD", TaskKind.CAPTURE_CHECK),
    ],
)
def test_each_route_has_its_consequence(
    now: datetime, score: float, quality: str, route: str, disposition: str | None, kind: str | None
) -> None:
    [outcome] = take(now, event(now, score=score, data__capture__quality={"verdict": quality}))

    assert outcome.route == route
    assert [d.kind for d in Disposition.objects.all()] == [disposition] * bool(disposition)
    assert [t.kind for t in ReviewTask.objects.all()] == [kind] * bool(kind)
    assert Alert.objects.count() == (route == Route.CONTAIN)


def test_who_holds_or_accepts_is_recorded(now: datetime) -> None:
    unfit = {"verdict": "unfit"}
    take(now, event(now, score=0.1), event(now, score=0.95))
    take(now, event(now, score=0.5, data__capture__quality=unfit))
    made = [(d.kind, d.decider_kind, d.decider) for d in Disposition.objects.order_by("pk")]
    assert sorted(made) == [
        ("ACCEPT", "model", "casting 17"),
        ("HOLD", "model", "casting 17"),
        ("HOLD", "rule", "capture"),
    ]


def test_without_a_policy_everything_goes_before_a_person(now: datetime) -> None:
    bare = factories.site("plant-2")
    factories.line(bare, "line-1")
    take(now, event(now, score=0.0, data__site__site="plant-2"))
    assert Prediction.objects.get().route == Route.REVIEW
    assert Prediction.objects.get().policy_version == 0


def test_the_task_carries_policy_severity_and_deadline(now: datetime, plant: Site) -> None:
    factories.defect_class("porosity", at=plant, severity="critical")
    deadline = now + timedelta(seconds=95)
    take(now, event(now, score=0.6, data__deadline=deadline.isoformat()), event(now, score=0.5))
    asked, by_rule = ReviewTask.objects.order_by("deadline")
    assert (asked.deadline, asked.due) == (deadline, deadline.replace(second=0))
    assert by_rule.deadline == now + timedelta(seconds=900)
    assert (asked.severity, asked.review_from, asked.contain_from) == (0, 0.2, 0.9)
    assert asked.defect_class == "porosity"


def test_an_unknown_class_is_learnt_as_major(now: datetime) -> None:
    take(now, event(now, data__outcome__label="blowhole"))
    assert DefectClass.objects.get(code="blowhole").severity == "major"
    assert ReviewTask.objects.get().severity == 1


def test_an_audit_sample_is_accepted_and_still_shown(now: datetime, plant: Site) -> None:
    give_policy(plant, now, audit_rate=1.0)
    take(now, event(now, score=0.1))
    task = ReviewTask.objects.get()
    assert (task.kind, task.inclusion_probability) == (TaskKind.AUDIT, 1.0)
    assert Disposition.objects.get().kind == "ACCEPT"
    assert Prediction.objects.get().sampled


def test_what_passes_keeps_the_chance_it_had(now: datetime, plant: Site) -> None:
    give_policy(plant, now, audit_rate=0.25)
    take(now, *[event(now, score=0.1) for _ in range(40)])
    chances = set(Prediction.objects.values_list("inclusion_probability", flat=True))
    sampled = set(Prediction.objects.filter(sampled=True).values_list("pk", flat=True))
    assert chances == {0.25}
    assert 0 < len(sampled) < 40
    assert ReviewTask.objects.count() == len(sampled)
    assert set(ReviewTask.objects.values_list("inclusion_probability", flat=True)) == {0.25}


def test_a_view_has_the_chance_its_inspection_has(now: datetime, plant: Site) -> None:
    give_policy(plant, now, audit_rate=0.25)
    take(now, view(now, of="SN-1", name="top", score=0.1, expected=3))
    take(now, view(now, of="SN-1", name="side", score=0.5, expected=3))
    take(now, view(now, of="SN-1", name="end", score=0.15, expected=3))
    take(
        now,
        view(now, of="SN-2", name="top", score=0.1),
        view(now, of="SN-2", name="side", score=0.5),
    )
    chances = Prediction.objects.order_by("pk").values_list("inclusion_probability", flat=True)
    # The first was drawn from what passes; since the second came, a person is asked for certain.
    assert list(chances) == [0.25, 1.0, 1.0, 1.0, 1.0]
    assert not Prediction.objects.filter(inclusion_probability=1.0, sampled=True).exists()


def test_the_worst_views_rule_has_the_draw(now: datetime, plant: Site) -> None:
    often = Rule(review_from=0.2, contain_from=0.9, audit_rate=1.0, defect_class="crack")
    give_policy(plant, now, often)
    crack = view(now, of="SN-1", name="side", score=0.15, data__outcome__label="crack")
    take(now, view(now, of="SN-1", name="top", score=0.1), crack)
    assert set(Prediction.objects.values_list("sampled", "inclusion_probability")) == {(True, 1.0)}
    task = ReviewTask.objects.get()
    assert (task.kind, task.inclusion_probability) == (TaskKind.AUDIT, 1.0)


def test_a_view_that_passes_after_the_draw_is_not_drawn_again(now: datetime, plant: Site) -> None:
    often = Rule(review_from=0.2, contain_from=0.9, audit_rate=1.0, defect_class="crack")
    give_policy(plant, now, often)
    take(now, view(now, of="SN-1", name="top", score=0.1, expected=1))
    take(now, view(now, of="SN-1", name="side", score=0.15, data__outcome__label="crack"))
    assert set(Prediction.objects.values_list("sampled", "inclusion_probability")) == {(False, 0.0)}
    assert not ReviewTask.objects.exists()


# --- one bad message, nine good ones ---


def bad_messages(now: datetime) -> list[tuple[str, Any]]:
    good = event(now)
    return [
        ("not_json", "{"),
        ("nul", json.dumps({**good, "subject": "a\x00b"})),
        ("nul", "\x00"),
        ("not_text", json.dumps({**good, "subject": "\ud800"})),
        ("not_json", json.dumps(good).replace("0.6", "1e999")),
        ("not_json", json.dumps({**good, "x": float("nan")})),
        ("not_an_event", {"hello": 1}),
        ("unknown_type", {**good, "type": "com.other.thing"}),
        ("unknown_version", {**good, "type": "com.loupe.prediction.v2"}),
        ("schema", event(now, data__outcome__score=1.5)),
        ("schema", event(now, data__image__width=10**400)),
        ("schema", event(now, data__capture__captured_at="2026-02-31T00:00:00Z")),
        ("schema", event(now, data__model__package_arn="a" * 301)),
        ("bucket_not_allowed", event(now, data__image__uri="s3://somebody-else/a.jpg")),
        ("bucket_not_allowed", event(now, data__image__heatmap_uri="s3://somebody-else/a.jpg")),
        ("key_refused", event(now, data__image__uri="s3://loupe-images/../a.jpg")),
        ("too_old", event(now, time=(now - timedelta(days=15)).isoformat())),
        ("from_the_future", event(now, time=(now + timedelta(minutes=6)).isoformat())),
        ("unknown_site", event(now, data__site__site="plant-9")),
        ("unknown_line", event(now, data__site__line="line-9")),
        ("celery_message", {"headers": {"task": "x"}, "body": ""}),
        ("too_large", "[" + " " * 1024 * 1024 + "]"),
        ("too_deep", "[" * 100_000),
    ]


@pytest.mark.parametrize("number", range(len(bad_messages(datetime.now()))))  # noqa: DTZ005
def test_a_bad_message_harms_none_of_its_neighbours(now: datetime, number: int) -> None:
    code, bad = bad_messages(now)[number]
    neighbours = [event(now) for _ in range(9)]
    outcomes = take(now, *neighbours[:4], bad, *neighbours[4:])

    assert [o.status for o in outcomes] == [Status.TAKEN] * 4 + [Status.REFUSED] + [
        Status.TAKEN
    ] * 5
    letter = DeadLetter.objects.get()
    assert letter.code == code
    assert letter.reason.endswith(".")
    assert Prediction.objects.count() == 9


def test_what_only_the_database_refuses_is_found_one_by_one(
    now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A bound that the reader forgets: the column is shorter than what comes.
    monkeypatch.setattr("inference_bridge.events._at_most", lambda _length, text, _where: text)
    poison = event(now, data__image__version_id="v" * 2000)
    outcomes = take(now, event(now), poison, event(now))
    assert [o.status for o in outcomes] == [Status.TAKEN, Status.REFUSED, Status.TAKEN]
    assert DeadLetter.objects.get().code == "database"
    assert Prediction.objects.count() == 2
    assert Unit.objects.count() == 2


def test_a_dead_letter_names_its_site_where_it_can(now: datetime, plant: Site) -> None:
    take(now, event(now, data__outcome__score=7), "{")
    assert [letter.site for letter in DeadLetter.objects.order_by("pk")] == [plant, None]


def test_a_refused_message_given_out_again_leaves_no_second_entry(now: datetime) -> None:
    message = Incoming(message_id="m-again", body="{")
    for _time in range(2):
        [outcome] = intake.take(actor=system("consumer"), messages=[message], at=now)
        assert outcome.status is Status.REFUSED
    assert DeadLetter.objects.count() == 1
    assert AuditEntry.objects.filter(action="dead_letter.keep").count() == 1


# --- the same again ---


def test_the_same_event_again_changes_nothing(now: datetime) -> None:
    sent = event(now, score=0.95)
    take(now, sent)
    before = AuditEntry.objects.count()
    [again] = take(now + timedelta(minutes=1), sent)
    [reordered] = take(now, json.dumps(dict(reversed(sent.items())), indent=2))

    assert (again.status, reordered.status) == (Status.REPEATED, Status.REPEATED)
    assert [
        m.objects.count() for m in (Prediction, Capture, Unit, ReviewTask, Disposition, Alert)
    ] == [1] * 6
    assert AuditEntry.objects.count() == before


def test_the_same_event_twice_in_a_batch_is_taken_once(now: datetime) -> None:
    sent = event(now)
    assert [o.status for o in take(now, sent, sent)] == [Status.TAKEN, Status.REPEATED]
    assert Capture.objects.count() == 1


def test_an_id_used_again_for_something_else_is_refused(now: datetime) -> None:
    sent = event(now)
    take(now, sent)
    [outcome] = take(now, {**sent, "subject": "another"})
    assert outcome.code == "id_reused"
    assert DeadLetter.objects.get().site is not None
    [there, here] = take(now, event(now, id="x-1"), event(now, id="x-1", subject="another"))
    assert (there.status, here.code) == (Status.TAKEN, "id_reused")


def test_a_source_of_another_site_is_refused_and_mended_by_naming_the_site(now: datetime) -> None:
    factories.line(factories.site("plant-2"), "line-1")
    sent = event(now, source="line-pc", id="1")
    there = event(now, source="line-pc", id="1", data__site__site="plant-2")
    take(now, sent)
    [outcome] = take(now, there)
    assert outcome.code == "source_taken"
    assert "Name the site in the source" in outcome.sentence
    [one, other] = take(now, {**sent, "id": "2"}, {**there, "id": "2"})
    assert (one.status, other.code) == (Status.TAKEN, "source_taken")
    [mended] = take(now, {**there, "source": "urn:plant-2:line-pc"})
    assert mended.status is Status.TAKEN


def test_the_database_itself_refuses_an_event_twice(now: datetime) -> None:
    take(now, event(now))
    row = Prediction.objects.get()
    row.pk, row.uuid = None, new_id()
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save(force_insert=True)


@pytest.mark.django_db(transaction=True)
def test_two_consumers_with_the_same_messages_take_each_once(now: datetime) -> None:
    sent = [event(now, score=score) for score in (0.1, 0.5, 0.95) for _ in range(4)]
    views = [view(now, of="SN-V", name=name, score=0.1) for name in ("a", "b")]
    start = threading.Barrier(2)
    outcomes: list[Status] = []

    def consume(bodies: list[Any]) -> None:
        start.wait()
        for first in range(0, len(bodies), 5):
            outcomes.extend(o.status for o in take(now, *bodies[first : first + 5]))
        connection.close()

    threads = [
        threading.Thread(target=consume, args=([*sent, views[0]],)),
        threading.Thread(target=consume, args=([*reversed(sent), views[1]],)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)

    assert outcomes.count(Status.TAKEN) == 14
    assert outcomes.count(Status.REPEATED) == 12
    assert Prediction.objects.count() == Capture.objects.count() == 14
    # The two views met: neither consumer saw only its own.
    assert Inspection.objects.get(unit__serial="SN-V").settled_at == now
    assert Disposition.objects.filter(unit__serial="SN-V").count() == 1


# --- places ---


def test_a_site_that_registers_by_itself_learns_lines_and_areas(now: datetime, plant: Site) -> None:
    Site.objects.filter(pk=plant.pk).update(self_registration=True)
    take(now, event(now, data__site__line="line-7", data__site__area="hall-2"))
    line = Line.objects.get(code="line-7")
    assert line.area is not None
    assert (line.area.code, Station.objects.get(line=line).code) == ("hall-2", "st-1")


def test_a_unit_keeps_its_facts_and_gains_those_it_lacked(now: datetime) -> None:
    take(now, event(now, data__capture__serial="SN-1", data__capture__lot=None))
    take(now, event(now, data__capture__serial="SN-1", data__capture__supplier="other"))
    unit = Unit.objects.get()
    assert unit.lot is not None
    assert unit.supplier is not None
    assert (unit.lot.code, unit.supplier.code) == ("L9", "S4")


def test_an_inspection_belongs_to_one_unit(now: datetime) -> None:
    first = event(now, data__capture__inspection_id="i-1", data__capture__serial="SN-1")
    second = event(now, data__capture__inspection_id="i-1", data__capture__serial="SN-2")
    take(now, first)
    [outcome] = take(now, second)
    assert outcome.code == "inspection_of_another_unit"
    assert "SN-1" in outcome.sentence
    [one, other] = take(
        now,
        event(now, data__capture__inspection_id="i-2", data__capture__serial="SN-3"),
        event(now, data__capture__inspection_id="i-2", data__capture__serial="SN-4"),
    )
    assert (one.status, other.code) == (Status.TAKEN, "inspection_of_another_unit")
    assert not Unit.objects.filter(serial="SN-4").exists()


@pytest.mark.parametrize("together", [False, True])
def test_an_inspection_is_joined_at_its_own_line_and_station_only(
    now: datetime, plant: Site, together: bool
) -> None:
    factories.line(plant, "line-2")
    first = view(now, of="SN-1", name="top", score=0.1)
    elsewhere = [
        view(now, of="SN-1", name="side", score=0.1, data__site__line="line-2"),
        view(now, of="SN-1", name="side", score=0.1, data__site__station="st-2"),
    ]
    batches = [[first, *elsewhere]] if together else [[first], elsewhere]
    outcomes = [outcome for batch in batches for outcome in take(now, *batch)]
    assert [o.code for o in outcomes] == ["", "inspection_elsewhere", "inspection_elsewhere"]
    assert "line-1" not in outcomes[1].sentence
    assert not Disposition.objects.exists()
    # A camera that does not know its station still belongs to the line's inspection.
    take(now, view(now, of="SN-1", name="side", score=0.1, data__site__station=None))
    assert Disposition.objects.get().kind == "ACCEPT"


def test_two_sources_with_the_same_id_are_not_mixed_up(now: datetime) -> None:
    take(now, event(now, id="1", source="a", data__capture__serial=None))
    [outcome] = take(now, event(now, id="1", source="b", data__capture__serial=None))
    assert outcome.code == "inspection_taken"


# --- several views ---


def test_a_unit_passes_only_when_every_view_is_in(now: datetime) -> None:
    take(now, view(now, of="SN-1", name="top", score=0.1))
    assert not Disposition.objects.exists()
    take(now, view(now, of="SN-1", name="side", score=0.15))
    assert Disposition.objects.get().kind == "ACCEPT"
    assert Inspection.objects.get().settled_at == now


def test_a_view_that_expects_more_is_remembered(now: datetime) -> None:
    take(now, view(now, of="SN-1", name="top", score=0.1, expected=2))
    take(now, view(now, of="SN-1", name="top", score=0.1, expected=3))
    take(now, view(now, of="SN-1", name="side", score=0.1, expected=2))
    assert Inspection.objects.get().views_expected == 3
    assert not Disposition.objects.exists()


def test_the_same_view_twice_does_not_complete_an_inspection(now: datetime) -> None:
    take(now, *[view(now, of="SN-1", name="top", score=0.1) for _ in range(2)])
    assert not Disposition.objects.exists()


def test_the_worst_view_decides(now: datetime) -> None:
    take(
        now,
        view(now, of="SN-1", name="top", score=0.1),
        view(now, of="SN-1", name="side", score=0.95, data__outcome__label="crack"),
    )
    task = ReviewTask.objects.get()
    assert (task.kind, task.score, task.defect_class) == (TaskKind.CONTAIN, 0.95, "crack")
    assert Disposition.objects.get().kind == "HOLD"


def test_nobody_is_asked_before_every_view_is_in(now: datetime) -> None:
    take(now, view(now, of="SN-1", name="top", score=0.5, expected=3))
    take(now, view(now, of="SN-1", name="side", score=0.1, expected=3))
    assert not ReviewTask.objects.exists()
    # Nor is the unit passed by another inspection meanwhile.
    take(now, event(now, score=0.1, data__capture__serial="SN-1"))
    assert not Disposition.objects.exists()
    take(now, view(now, of="SN-1", name="end", score=0.6, expected=3))
    task = ReviewTask.objects.get()
    assert (task.kind, task.score) == (TaskKind.REVIEW, 0.6)


@pytest.mark.parametrize(
    ("score", "verdict", "kind", "alerts"),
    [(0.95, "ok", TaskKind.CONTAIN, 1), (0.1, "unfit", TaskKind.CAPTURE_CHECK, 0)],
)
def test_a_grave_view_holds_at_once_and_is_asked_about_when_all_are_in(
    now: datetime, score: float, verdict: str, kind: str, alerts: int
) -> None:
    quality = {"verdict": verdict}
    grave = view(now, of="SN-1", name="top", score=score, data__capture__quality=quality)
    take(now, grave)
    assert Unit.objects.get().disposition == "HOLD"
    assert (Alert.objects.count(), ReviewTask.objects.count()) == (alerts, 0)
    take(now, view(now, of="SN-1", name="side", score=0.1))
    assert ReviewTask.objects.get().kind == kind
    assert (Alert.objects.count(), Disposition.objects.count()) == (alerts, 1)


def test_a_late_view_makes_an_open_task_graver(now: datetime) -> None:
    take(now, view(now, of="SN-1", name="top", score=0.3, expected=1))
    take(now, view(now, of="SN-1", name="side", score=0.95, data__outcome__label="crack"))
    task = ReviewTask.objects.get()
    assert (task.kind, task.score, task.defect_class) == (TaskKind.CONTAIN, 0.95, "crack")
    assert Disposition.objects.get().kind == "HOLD"
    assert Alert.objects.count() == 1


def test_a_late_view_leaves_a_task_at_the_front_where_a_lead_has_moved_it(now: datetime) -> None:
    take(now, view(now, of="SN-1", name="top", score=0.3, expected=1))
    front = now - timedelta(minutes=1)
    ReviewTask.objects.update(due=front, raised_at=now)
    take(now, view(now, of="SN-1", name="side", score=0.95))
    assert ReviewTask.objects.get().due == front


def test_a_late_view_never_makes_a_task_less_grave(now: datetime) -> None:
    take(now, view(now, of="SN-1", name="top", score=0.5, expected=1))
    take(now, view(now, of="SN-1", name="side", score=0.1))
    task = ReviewTask.objects.get()
    assert (task.kind, task.score) == (TaskKind.REVIEW, 0.5)
    assert Inspection.objects.get().settled_at == now


@pytest.mark.parametrize(
    ("score", "verdict", "kind", "decider"),
    [
        (0.5, "ok", TaskKind.REVIEW, "late view"),
        (0.95, "ok", TaskKind.CONTAIN, "casting 17"),
        (0.1, "unfit", TaskKind.CAPTURE_CHECK, "capture"),
    ],
)
def test_a_doubtful_view_after_the_answer_holds_the_unit_and_asks_again(
    now: datetime, plant: Site, score: float, verdict: str, kind: str, decider: str
) -> None:
    take(now, view(now, of="SN-1", name="top", score=0.3, expected=1))
    fence = _answered(plant, now)
    later = now + timedelta(minutes=20)
    quality = {"verdict": verdict}
    late = view(later, of="SN-1", name="side", score=score, data__capture__quality=quality)
    take(later, late)

    task = ReviewTask.objects.get()
    assert (task.state, task.kind, task.score, task.fence) == ("QUEUED", kind, score, fence)
    assert (task.holder, task.lease_expires_at, task.held_at) == (None, None, None)
    assert task.deadline == later + timedelta(seconds=900)
    assert AuditEntry.objects.filter(action="task.reopen").count() == 1
    held = Disposition.objects.get(kind="HOLD")
    assert (held.decider, Unit.objects.get().disposition) == (decider, "HOLD")
    assert Alert.objects.count() == (kind == TaskKind.CONTAIN)
    assert Decision.objects.filter(withdrawal__isnull=True).count() == 1
    _answered(plant, later)
    is_fit = kind != TaskKind.CAPTURE_CHECK
    assert Unit.objects.get().disposition == ("ACCEPT" if is_fit else "HOLD")


def test_a_unit_held_for_want_of_a_view_is_asked_about_again_when_it_comes(
    now: datetime, plant: Site
) -> None:
    take(now, view(now, of="SN-1", name="top", score=0.5))
    later = now + timedelta(minutes=3)
    assert hold_incomplete(at=later) == 1
    _answered(plant, later)
    assert Unit.objects.get().disposition == "HOLD"
    take(later, view(now, of="SN-1", name="side", score=0.1))
    assert ReviewTask.objects.get().state == "QUEUED"
    _answered(plant, later)
    assert Unit.objects.get().disposition == "ACCEPT"
    take(later, view(now, of="SN-1", name="side", score=0.1))
    assert ReviewTask.objects.get().state == "DECIDED"


def test_an_unfit_view_holds_until_it_is_taken_again(now: datetime, plant: Site) -> None:
    unfit = {"verdict": "unfit"}
    blurred = view(now, of="SN-1", name="top", score=0.1, expected=1)
    blurred["data"]["capture"]["quality"] = unfit
    take(now, blurred)
    _answered(plant, now)
    assert Unit.objects.get().disposition == "HOLD"
    assert not Label.objects.exists()
    take(now, view(now, of="SN-1", name="top", score=0.1, expected=1))
    assert ReviewTask.objects.get().state == "QUEUED"
    _answered(plant, now)
    assert Unit.objects.get().disposition == "ACCEPT"
    assert Label.objects.get().verdict == "good"


def test_a_fine_view_after_the_answer_changes_nothing(now: datetime, plant: Site) -> None:
    take(now, view(now, of="SN-1", name="top", score=0.3, expected=1))
    _answered(plant, now)
    take(now, view(now, of="SN-1", name="side", score=0.1))
    assert ReviewTask.objects.get().state == "DECIDED"
    assert Unit.objects.get().disposition == "ACCEPT"


def test_a_late_view_releases_no_scrap(now: datetime) -> None:
    take(now, view(now, of="SN-1", name="top", score=0.3, expected=1))
    ReviewTask.objects.update(state="DECIDED")
    Unit.objects.update(disposition="SCRAP")
    take(now, view(now, of="SN-1", name="side", score=0.95))
    assert Unit.objects.get().disposition == "SCRAP"
    assert not Disposition.objects.exists()


def _answered(plant: Site, at: datetime) -> int:
    """A false call by an inspector; the fence of his claim."""
    mine = factories.actor(at=plant)
    [held] = queue.claim(actor=mine, site=plant, count=1, lease=timedelta(seconds=90), at=at)
    _decide(mine, queue.Lease(held.uuid, held.fence), at)
    return held.fence


def test_a_doubtful_view_after_the_unit_passed_holds_it_and_asks(now: datetime) -> None:
    take(now, view(now, of="SN-1", name="top", score=0.1, expected=1))
    take(now, view(now, of="SN-1", name="side", score=0.5, expected=1))
    assert [d.kind for d in Disposition.objects.order_by("revision")] == ["ACCEPT", "HOLD"]
    assert ReviewTask.objects.get().kind == TaskKind.REVIEW


def test_a_model_never_lifts_a_hold(now: datetime) -> None:
    same = {"data__capture__serial": "SN-1"}
    take(now, event(now, score=0.95, **same))
    take(now, event(now, score=0.1, **same))
    take(now, event(now, score=0.1, data__capture__serial="SN-2"))
    assert Unit.objects.get(serial="SN-1").disposition == "HOLD"
    assert Unit.objects.get(serial="SN-2").disposition == "ACCEPT"
    # In one batch, too.
    both = {"data__capture__serial": "SN-3"}
    take(now, event(now, score=0.1, **both), event(now, score=0.95, **both))
    assert Unit.objects.get(serial="SN-3").disposition == "HOLD"


def test_a_model_does_not_accept_a_unit_a_person_is_asked_about(now: datetime) -> None:
    same = {"data__capture__serial": "SN-1"}
    take(now, event(now, score=0.5, **same))
    take(now, event(now, score=0.1, data__site__station="st-2", **same))
    both = {"data__capture__serial": "SN-2"}
    take(now, event(now, score=0.1, **both), event(now, score=0.5, **both))
    assert not Disposition.objects.exists()
    # Once he has answered, the model may pass it again.
    ReviewTask.objects.update(state="DECIDED")
    take(now, event(now, score=0.1, **same))
    assert Unit.objects.get(serial="SN-1").disposition == "ACCEPT"


def test_an_inspection_that_misses_a_view_is_held_and_asked_about(now: datetime) -> None:
    take(now, view(now, of="SN-1", name="top", score=0.1), event(now, score=0.1))
    assert hold_incomplete(at=now + timedelta(seconds=119)) == 0
    later = now + timedelta(seconds=121)
    assert hold_incomplete(at=later) == 1
    assert hold_incomplete(at=later) == 0

    held = Disposition.objects.get(kind="HOLD")
    assert (held.decider_kind, held.decider, held.unit.serial) == (
        "rule",
        "inspection incomplete",
        "SN-1",
    )
    assert ReviewTask.objects.get().kind == TaskKind.CAPTURE_CHECK
    take(later, view(now, of="SN-1", name="side", score=0.1))
    assert Unit.objects.get(serial="SN-1").disposition == "HOLD"


def test_an_incomplete_inspection_is_held_once_and_asked_about_by_its_worst_view(
    now: datetime,
) -> None:
    take(now, view(now, of="SN-1", name="top", score=0.5))
    take(now, view(now, of="SN-2", name="top", score=0.95))
    assert hold_incomplete(at=now + timedelta(minutes=3)) == 2
    assert sorted(ReviewTask.objects.values_list("unit__serial", "kind")) == [
        ("SN-1", TaskKind.REVIEW),
        ("SN-2", TaskKind.CONTAIN),
    ]
    assert sorted(Disposition.objects.values_list("unit__serial", "kind")) == [
        ("SN-1", "HOLD"),
        ("SN-2", "HOLD"),
    ]


def test_a_verdict_on_too_few_views_does_not_release_the_unit(now: datetime, plant: Site) -> None:
    take(now, view(now, of="SN-1", name="top", score=0.5, expected=1))
    _answered(plant, now)
    Inspection.objects.update(settled_at=None, views_expected=2)
    assert hold_incomplete(at=now + timedelta(minutes=3)) == 1
    assert Unit.objects.get().disposition == "HOLD"
    assert ReviewTask.objects.get().state == "QUEUED"


def test_the_sweep_leaves_scrap_as_it_is(now: datetime) -> None:
    take(now, view(now, of="SN-1", name="top", score=0.5))
    Unit.objects.update(disposition="SCRAP")
    hold_incomplete(at=now + timedelta(minutes=3))
    assert Unit.objects.get().disposition == "SCRAP"
    assert not Disposition.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("through", ["a late view", "the sweep"])
def test_a_verdict_is_recorded_while_its_inspection_is_worked_on(
    now: datetime, monkeypatch: pytest.MonkeyPatch, plant: Site, through: str
) -> None:
    take(now, view(now, of="SN-1", name="top", score=0.5, expected=1))
    if through == "the sweep":
        Inspection.objects.update(settled_at=None, views_expected=2)
    mine = factories.actor(at=plant)
    [held] = queue.claim(actor=mine, site=plant, count=1, lease=timedelta(seconds=90), at=now)
    lease = queue.Lease(held.uuid, held.fence)
    plain = settling.tasks_of

    def after_a_verdict(inspections: Any) -> Any:
        # The inspection is locked by now, and its task is what is wanted next.
        thread = threading.Thread(target=_judge, args=(mine, lease, now))
        thread.start()
        thread.join(timeout=30)
        return plain(inspections)

    monkeypatch.setattr(settling, "tasks_of", after_a_verdict)
    if through == "the sweep":
        hold_incomplete(at=now + timedelta(minutes=3))
    else:
        take(now, view(now, of="SN-1", name="side", score=0.1))
    assert Decision.objects.count() == 1
    is_whole = through == "a late view"
    assert Disposition.objects.get(revision=1).kind == ("ACCEPT" if is_whole else "HOLD")


def _judge(actor: Actor, held: queue.Lease, at: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '2s'")
    _decide(actor, held, at)
    connection.close()


def _decide(actor: Actor, held: queue.Lease, at: datetime) -> None:
    decisions.decide(
        actor=actor,
        held=held,
        verdict=Verdict(answer=Answer.FALSE_CALL, disposition=DispositionKind.ACCEPT),
        key=f"key-{held.fence:08d}",
        undo_window=timedelta(seconds=8),
        at=at,
    )


# --- cost ---


@pytest.mark.django_db(transaction=True)
def test_a_batch_costs_as_many_statements_whatever_its_size(
    now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Sending the task is the broker's work, and here it would run at once.
    monkeypatch.setattr("traceability.tasks.make_previews.delay", lambda _captures: None)

    def statements(size: int, lot: str) -> int:
        scores = [0.1, 0.5, 0.95, 0.1, 0.6] * 2
        batch = [event(now, score=score, data__capture__lot=lot) for score in scores[:size]]
        with CaptureQueriesContext(connection) as caught:
            take(now, *batch)
        return len([q for q in caught.captured_queries if "SAVEPOINT" not in q["sql"]])

    statements(10, "warm")
    five, ten = statements(5, "L-5"), statements(10, "L-10")
    assert five == ten
    assert ten <= 25


def test_the_most_specific_rule_routes(now: datetime, plant: Site) -> None:
    strict = Rule(review_from=0.01, contain_from=0.02, part_number="P-1")
    give_policy(plant, now, strict)
    take(now, event(now, score=0.1), event(now, score=0.1, data__capture__part_number="P-1"))
    assert sorted(Prediction.objects.values_list("route", flat=True)) == ["CONTAIN", "PASS"]
