"""What the bench's calls take and answer, as the API describes it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from labeling.regions import FARTHEST, MOST_REGIONS
from review.line import call_api
from review.models import Answer
from review.queue import MOST_AT_ONCE, MOST_HELD
from traceability.models import DispositionKind

KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, required=True, description="One per verdict."
)
SITE = OpenApiParameter("site", str, description="Site code; the first of yours when left out.")


class ClaimRequest(serializers.Serializer[Any]):
    site = serializers.CharField(required=False, allow_null=True, max_length=64)
    count = serializers.IntegerField(min_value=1, max_value=MOST_AT_ONCE, default=1)
    prefer = serializers.ListField(
        child=serializers.UUIDField(),
        max_length=MOST_HELD,
        default=list,
        help_text="tasks to go on with; taken first, in this order, where they are still to be had",
    )


class ViewShape(serializers.Serializer[Any]):
    capture = serializers.UUIDField()
    view = serializers.CharField()
    width = serializers.IntegerField(help_text="pixels")
    height = serializers.IntegerField(help_text="pixels")
    image_url = serializers.CharField(help_text="same origin; holds for eleven hours and more")
    score = serializers.FloatField(allow_null=True)
    captured_at = serializers.DateTimeField()
    quality = serializers.DictField()
    regions = serializers.ListField(child=serializers.DictField())


class TaskShape(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    fence = serializers.IntegerField()
    lease_expires_in = serializers.FloatField(help_text="seconds")
    kind = serializers.CharField()
    question = serializers.CharField()
    deadline = serializers.DateTimeField()
    opened_at = serializers.DateTimeField()
    is_escalated = serializers.BooleanField()
    unit = serializers.DictField()
    station = serializers.DictField()
    score = serializers.FloatField(
        allow_null=True, help_text="calibrated probability of a defect, 0-1; null where blind"
    )
    policy = serializers.DictField(allow_null=True)
    is_blind = serializers.BooleanField(help_text="judged without the model's opinion")
    adjudication = serializers.DictField(
        allow_null=True, help_text="the two verdicts a lead decides between, without names"
    )
    defect_class = serializers.CharField(allow_null=True)
    model = serializers.DictField()
    views_expected = serializers.IntegerField(help_text="how many views the unit is to have")
    criteria = serializers.DictField(
        allow_null=True, help_text="version and rules of the acceptance criteria; null without"
    )
    views = ViewShape(many=True)
    comments = serializers.ListField(child=serializers.DictField())
    history = serializers.ListField(child=serializers.DictField())


class Tasks(serializers.Serializer[Any]):
    tasks = TaskShape(many=True)


class OneTask(serializers.Serializer[Any]):
    task = TaskShape()


class Pixels(serializers.FloatField):
    """A place or a length in an image; true is no number here, and there is an end to numbers."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or (isinstance(data, int) and abs(data) > FARTHEST):
            self.fail("invalid")
        return super().to_internal_value(data)


class RegionShape(serializers.Serializer[Any]):
    label = serializers.CharField(max_length=64)  # type: ignore[assignment]  # the contract's name
    view = serializers.CharField(required=False, default="main", max_length=64)
    box = serializers.ListField(child=Pixels(), min_length=4, max_length=4, required=False)
    polygon = serializers.ListField(
        child=serializers.ListField(child=Pixels(), min_length=2, max_length=2),
        min_length=3,
        required=False,
    )


class DecisionRequest(serializers.Serializer[Any]):
    fence = serializers.IntegerField(min_value=1)
    answer = serializers.ChoiceField(Answer.choices)
    disposition = serializers.ChoiceField(DispositionKind.choices)
    defect_class = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, max_length=64
    )
    comment = serializers.CharField(required=False, allow_blank=True, max_length=1000, default="")
    regions = RegionShape(  # type: ignore[call-arg]  # the list's own
        many=True, required=False, default=list, max_length=MOST_REGIONS
    )
    concession = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=1000,
        default="",
        help_text="why a part with a confirmed defect may be used; with CONFIRMED and ACCEPT only",
    )
    seconds = serializers.FloatField(required=False, allow_null=True, min_value=0)
    images = serializers.IntegerField(
        required=False, min_value=0, help_text="shown of the unit; a later one is looked at first"
    )


class ControlShape(serializers.Serializer[Any]):
    truth = serializers.CharField(help_text="CONFIRMED or FALSE_CALL")
    defect_class = serializers.CharField(allow_blank=True)
    is_right = serializers.BooleanField()


class DecisionShape(serializers.Serializer[Any]):
    decision = serializers.UUIDField()
    undo_seconds = serializers.FloatField()
    undo_until = serializers.DateTimeField()
    disposition = serializers.CharField(
        allow_null=True, help_text="what the unit became; null where the verdict moves none"
    )
    revision = serializers.IntegerField(allow_null=True)
    why = serializers.CharField(
        allow_blank=True, help_text="why the unit became something else than was asked for"
    )
    control = ControlShape(
        allow_null=True, help_text="what the part was, where it was shown as a control"
    )


class SkipRequest(serializers.Serializer[Any]):
    fence = serializers.IntegerField(min_value=1)
    reason = serializers.CharField(max_length=300)


class EscalateRequest(serializers.Serializer[Any]):
    fence = serializers.IntegerField(min_value=1)
    comment = serializers.CharField(max_length=1000, required=False, allow_blank=True, default="")


class ReleaseRequest(serializers.Serializer[Any]):
    fence = serializers.IntegerField(min_value=1)


class HeldLease(serializers.Serializer[Any]):
    task = serializers.UUIDField()
    fence = serializers.IntegerField(min_value=1)


class HeartbeatRequest(serializers.Serializer[Any]):
    leases = HeldLease(many=True, max_length=16)  # type: ignore[call-arg]  # the list's own


class HeartbeatAnswer(serializers.Serializer[Any]):
    kept = serializers.ListField(child=serializers.UUIDField())
    lost = serializers.ListField(child=serializers.UUIDField())


class QueueShape(serializers.Serializer[Any]):
    waiting = serializers.IntegerField(help_text="stops counting at 1000")
    oldest_deadline = serializers.DateTimeField(allow_null=True)
    oldest_opened_at = serializers.DateTimeField(allow_null=True)
    decided_today = serializers.IntegerField()
    answers = serializers.IntegerField(help_text="a lead's answers not seen yet; stops at 50")
    held = serializers.ListField(child=serializers.UUIDField(), help_text="tasks with oneself now")
    calls = call_api.CallShape(many=True, help_text="open calls from the lines one sees")
