"""Models, training runs and business events for programs."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.access import actor_from, site_for, sites_for
from governance.roles import Capability
from retraining import deployments, presentation, registry, runs, triggers
from retraining.models import RegisteredModel
from retraining.triggers import BusinessEvent, Cause

SITE = OpenApiParameter("site", str, description="Site code; all of yours when left out.")
MOST = 100


class ModelShape(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    site = serializers.CharField()
    name = serializers.CharField()
    version = serializers.CharField()
    state = serializers.ChoiceField(RegisteredModel.State.choices)
    run = serializers.UUIDField(allow_null=True)
    sha256 = serializers.CharField(help_text="over the names and bytes of the model's files")
    registered_at = serializers.DateTimeField()


class ModelList(serializers.Serializer[Any]):
    models = ModelShape(many=True)


class ModelName(serializers.Serializer[Any]):
    name = serializers.CharField()
    version = serializers.CharField()


class GateShape(serializers.Serializer[Any]):
    passed = serializers.BooleanField()
    checks = serializers.ListField(child=serializers.DictField())


class RunShape(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    site = serializers.CharField()
    dataset = serializers.CharField()
    dataset_version = serializers.IntegerField(allow_null=True)
    trigger = serializers.CharField()
    reason = serializers.CharField()
    requested_by = serializers.CharField()
    state = serializers.CharField()
    fraction = serializers.FloatField(help_text="0-1")
    stage = serializers.CharField()
    failure = serializers.CharField()
    model = ModelName()
    requested_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    gate = GateShape(allow_null=True)


class RunList(serializers.Serializer[Any]):
    runs = RunShape(many=True)


class RunRequest(serializers.Serializer[Any]):
    dataset = serializers.CharField(max_length=63)
    reason = serializers.CharField(max_length=runs.REASON_LIMIT)


class PromotionRequest(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=deployments.REASON_LIMIT)


class DeploymentShape(serializers.Serializer[Any]):
    model = ModelShape()
    kind = serializers.CharField()
    reason = serializers.CharField()
    deployed_by = serializers.CharField()
    at = serializers.DateTimeField()
    serving_since = serializers.DateTimeField(allow_null=True)


class EventRequest(serializers.Serializer[Any]):
    site = serializers.CharField(max_length=64)
    kind = serializers.ChoiceField(BusinessEvent.choices)
    reason = serializers.CharField(max_length=250)


def _read(shape: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    serializer = shape(data=request.data)
    serializer.is_valid(raise_exception=True)
    found: dict[str, Any] = serializer.validated_data
    return found


class Models(APIView):
    """The registered models of the caller's sites, newest first."""

    capability: ClassVar = Capability.SEE_MODELS

    @extend_schema(parameters=[SITE], responses=ModelList)
    def get(self, request: Request) -> Response:
        actor = actor_from(request._request)  # noqa: SLF001
        sites = sites_for(actor, Capability.SEE_MODELS)
        if code := request.query_params.get("site"):
            sites = sites.filter(pk=site_for(actor, Capability.SEE_MODELS, code).pk)
        found = [model for site in sites for model in registry.models_of(site)[:MOST]]
        return Response({"models": [presentation.model_json(model) for model in found]})


class TrainingRuns(APIView):
    """Training runs: see them, ask for one."""

    capability: ClassVar = Capability.SEE_MODELS

    @extend_schema(parameters=[SITE], responses=RunList)
    def get(self, request: Request) -> Response:
        actor = actor_from(request._request)  # noqa: SLF001
        found = presentation.runs_for(actor)
        if code := request.query_params.get("site"):
            found = found.filter(site=site_for(actor, Capability.SEE_MODELS, code))
        return Response({"runs": [presentation.run_json(run) for run in found[:MOST]]})

    @extend_schema(request=RunRequest, responses={201: RunShape})
    def post(self, request: Request) -> Response:
        asked = _read(RunRequest, request)
        actor = actor_from(request._request)  # noqa: SLF001
        run = runs.request(
            actor=actor,
            dataset=presentation.find_dataset(actor, asked["dataset"]),
            trigger=Cause.MANUAL,
            reason=asked["reason"],
            at=timezone.now(),
        )
        return Response(presentation.run_json(run), status=status.HTTP_201_CREATED)


class Promotion(APIView):
    """Put a model in force."""

    capability: ClassVar = Capability.PROMOTE_MODELS

    @extend_schema(request=PromotionRequest, responses={201: DeploymentShape})
    def post(self, request: Request, uuid: UUID) -> Response:
        asked = _read(PromotionRequest, request)
        actor = actor_from(request._request)  # noqa: SLF001
        deployment = deployments.promote(
            actor=actor,
            model=presentation.find_model(actor, Capability.PROMOTE_MODELS, uuid),
            reason=asked["reason"],
            at=timezone.now(),
        )
        return Response(presentation.deployment_json(deployment), status=status.HTTP_201_CREATED)


class BusinessEvents(APIView):
    """Tell of something that makes the model's past a poor guide: runs start."""

    capability: ClassVar = Capability.TRAIN_MODELS

    @extend_schema(request=EventRequest, responses={201: RunList})
    def post(self, request: Request) -> Response:
        asked = _read(EventRequest, request)
        actor = actor_from(request._request)  # noqa: SLF001
        started = triggers.business_event(
            actor=actor,
            site=site_for(actor, Capability.TRAIN_MODELS, asked["site"]),
            kind=asked["kind"],
            reason=asked["reason"],
            at=timezone.now(),
        )
        return Response(
            {"runs": [presentation.run_json(run) for run in started]},
            status=status.HTTP_201_CREATED,
        )
