"""What a tablet calls, below /api/v1/line/."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from django.utils.cache import patch_cache_control
from django.utils.translation import get_language
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance import device_api
from governance.access import Actor, actor_from
from governance.authentication import (
    DeviceAuthentication,
    MachineTokenAuthentication,
    SessionAuthentication,
)
from governance.devices import device_of, operator_of
from governance.models import Attendance, Device
from governance.permissions import DenyUnlessCapable, RegisteredTablet
from governance.roles import Capability
from governance.standing import actor_at, standing
from review import own_bench
from review.line import board, claims, rows, stations, tickets
from review.line.presentation import tablet_tasks
from review.line.versions import versions_of
from traceability.models import Station
from traceability.refusals import Unknown

STATION = OpenApiParameter("station", str, description="For who looks on from no tablet.")
WAIT = OpenApiParameter(
    "wait",
    int,
    description="Seconds the answer may wait for a change; up to 25. Send If-None-Match with it.",
)


class LineClaimRequest(serializers.Serializer[Any]):
    have = serializers.ListField(child=serializers.UUIDField(), max_length=240, default=list)
    count = serializers.IntegerField(min_value=0, max_value=240, default=240)


class LineTasks(serializers.Serializer[Any]):
    tasks = serializers.ListField(child=serializers.DictField())
    lost = serializers.ListField(
        child=serializers.UUIDField(), help_text="of those it has, no longer the tablet's"
    )


class RowsRequest(serializers.Serializer[Any]):
    rows = serializers.ListField(child=serializers.JSONField(), max_length=rows.MOST_ROWS)


class RowAnswerShape(serializers.Serializer[Any]):
    key = serializers.UUIDField()
    state = serializers.ChoiceField([state.value for state in rows.State])
    sentence = serializers.CharField(allow_blank=True)


class RowsAnswer(serializers.Serializer[Any]):
    answers = RowAnswerShape(many=True)
    server_time = serializers.DateTimeField()


class LineView(APIView):
    """What every call of a tablet needs."""

    authentication_classes: tuple[type[BaseAuthentication], ...] = (DeviceAuthentication,)
    permission_classes: tuple[Any, ...] = (RegisteredTablet,)
    capability: ClassVar = Capability.JUDGE_AT_LINE

    @staticmethod
    def device(request: Request) -> Device | None:
        """The registered tablet that asks."""
        return device_of(request._request)  # noqa: SLF001  # kept on Django's request


class Board(LineView):
    """The station as it stands: for its tablets, and for who looks on."""

    authentication_classes = (
        DeviceAuthentication,
        SessionAuthentication,
        MachineTokenAuthentication,
    )
    permission_classes = (RegisteredTablet | DenyUnlessCapable,)
    capability: ClassVar = Capability.SEE_UNITS

    @extend_schema(
        parameters=[STATION, WAIT], responses={200: dict, 304: None}, operation_id="line_board"
    )
    def get(self, request: Request) -> Response:
        at = timezone.now()
        device, station = self._asked(request)
        version = versions_of([station.pk]).get(station.pk, "")
        looker = None if device else actor_from(request._request)  # noqa: SLF001
        held = own_bench.tag(_holders(device, looker))
        variant = f"{device.pk if device else 0}.{get_language()}{held}"
        tag = tickets.tag(station.pk, version, variant, at=at)
        if tickets.bare(request.headers.get("If-None-Match", "")) == tag:
            response = Response(status=304)
        else:
            there = standing(device, at=at) if device else []
            found = board.board(station=station, at=at, judges=_judges(device, there, looker))
            response = Response(
                {
                    "server_time": timezone.now().isoformat(),
                    **_people(device, there),
                    **board.as_json(found, at=at),
                }
            )
        response["ETag"] = tag
        patch_cache_control(response, private=True, no_cache=True)
        return response

    def _asked(self, request: Request) -> tuple[Device | None, Station]:
        slug = request.query_params.get("station")
        device = self.device(request)
        if device is not None and (not slug or slug == stations.slug_of(device.station)):
            return device, device.station
        actor = actor_from(request._request)  # noqa: SLF001  # kept on Django's request
        seen = stations.seen_by(actor)
        first = None if slug else seen.first()
        return None, first or stations.named(seen, slug or "")


def _judges(device: Device | None, there: Sequence[Attendance], looker: Actor | None) -> list[int]:
    """In whose name units may be judged by who reads the board: his own, or the tablet's, too."""
    if device is None:
        return [looker.user_id] if looker and looker.user_id else []
    return [device.account_id, *(each.user_id for each in there if each.is_current)]


def _holders(device: Device | None, looker: Actor | None) -> Q:
    """The same over what is leased; it may count one more, who may be there no longer."""
    if device is None:
        return Q(holder=looker.user_id if looker else None)
    here = Attendance.objects.filter(device=device, is_current=True, ended_at__isnull=True)
    return Q(holder=device.account_id) | Q(holder__in=here.values("user"))


def _people(device: Device | None, there: Sequence[Attendance]) -> dict[str, Any]:
    """Who is at the tablet, and who can come back to it with one scan."""
    if device is None:
        return {"device": None, "operator": None, "colleagues": []}
    here = next((each for each in there if each.is_current), None)
    return {
        "device": {
            "name": device.name,
            "px_per_mm": device.px_per_mm,
            "ahead": device.ahead,
        },
        "operator": {
            "attendance": str(here.uuid),
            "name": str(here.user),
            "badge": here.user.badge,
            "until": here.until.isoformat(),
        }
        if here
        else None,
        "colleagues": [
            {"attendance": str(each.uuid), "name": str(each.user)}
            for each in there
            if not each.is_current
        ],
    }


class Claims(LineView):
    """Lease tasks ahead, and renew those the tablet has."""

    @extend_schema(request=LineClaimRequest, responses=LineTasks, operation_id="line_claim")
    def post(self, request: Request) -> Response:
        asked = LineClaimRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        device, at = self._registered(request), timezone.now()
        actor: Actor = operator_of(device, attendance=None, at=at)
        lease = timedelta(seconds=settings.LOUPE.line_lease_s)
        claimed = claims.claim(
            actor=actor,
            device=device,
            have=asked.validated_data["have"],
            count=asked.validated_data["count"],
            lease=lease,
            at=at,
        )
        shown = tablet_tasks(claimed.tasks, site=device.site, lease_s=lease.total_seconds(), at=at)
        return Response({"tasks": shown, "lost": [str(each) for each in claimed.lost]})

    def _registered(self, request: Request) -> Device:
        device = self.device(request)
        if device is None:
            raise Unknown("")
        return device


class Outbox(Claims):
    """What a tablet kept while it had no network, in its order."""

    @extend_schema(request=RowsRequest, responses=RowsAnswer, operation_id="line_outbox")
    def post(self, request: Request) -> Response:
        asked = RowsRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        taken = rows.take_in(
            device=self._registered(request),
            raw=asked.validated_data["rows"],
            at=timezone.now(),
        )
        return Response({"answers": _answers(taken), "server_time": timezone.now().isoformat()})


class SignOut(device_api.SignOut):
    """Who is at the tablet goes; what it holds is for others at once."""

    @extend_schema(operation_id="line_sign_out", request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        """To come back he needs his PIN."""
        device, at = self.tablet(), timezone.now()
        claims.release_all(actor=actor_at(device, at=at), device=device, at=at)
        return super().post(request)


def _answers(taken: Sequence[rows.Taken]) -> list[dict[str, Any]]:
    return [
        {"key": each.key, "state": each.state, "sentence": each.sentence, **(each.more or {})}
        for each in taken
    ]
