"""Datasets and their versions for programs."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.access import actor_from
from governance.roles import Capability
from labeling import datasets, presentation
from labeling.models import Dataset, DatasetVersion

MOST = 100


class VersionShape(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    content_sha256 = serializers.CharField(help_text="of the manifest's lines")
    prefix = serializers.CharField(help_text="key prefix in the dataset bucket")
    parent = serializers.IntegerField(allow_null=True)  # type: ignore[assignment]  # the key's name
    counts = serializers.DictField(help_text="per split: samples, good, defect")
    changes = serializers.DictField(help_text="images added, removed, relabelled")
    class_map = serializers.DictField(child=serializers.IntegerField())
    reason = serializers.CharField()
    published_by = serializers.CharField()
    published_at = serializers.DateTimeField()


class VersionList(serializers.Serializer[Any]):
    versions = VersionShape(many=True)


class DatasetShape(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name = serializers.CharField()
    site = serializers.CharField()
    new_labels = serializers.IntegerField(help_text="labels that wait for the next version")
    latest = VersionShape(allow_null=True)


class DatasetList(serializers.Serializer[Any]):
    datasets = DatasetShape(many=True)


class Datasets(APIView):
    """Datasets of your sites."""

    capability: ClassVar = Capability.SEE_DATASETS

    @extend_schema(responses=DatasetList)
    def get(self, request: Request) -> Response:
        """The datasets, each with its newest version."""
        actor = actor_from(request._request)  # noqa: SLF001  # DRF hands Django's request this way
        found = presentation.datasets_of(actor, self.capability)
        return Response({"datasets": [_dataset(dataset) for dataset in found]})


class Versions(APIView):
    """Versions of a dataset."""

    capability: ClassVar = Capability.SEE_DATASETS

    @extend_schema(
        responses=VersionList,
        parameters=[OpenApiParameter("before", int, description="Only older versions.")],
    )
    def get(self, request: Request, slug: str) -> Response:
        """The newest versions first, 100 at a time."""
        actor = actor_from(request._request)  # noqa: SLF001  # DRF hands Django's request this way
        dataset = presentation.find(actor, self.capability, slug)
        found = presentation.versions_of(dataset)
        before = request.query_params.get("before", "")
        if before.isdecimal():
            found = found.filter(number__lt=int(before[:9]))
        return Response({"versions": [_version(version) for version in found[:MOST]]})


def _dataset(dataset: Dataset) -> dict[str, Any]:
    latest = datasets.latest(dataset)
    return {
        "slug": dataset.slug,
        "name": dataset.name,
        "site": dataset.site.code,
        "new_labels": datasets.new_labels(dataset=dataset),
        "latest": _version(latest) if latest else None,
    }


def _version(version: DatasetVersion) -> dict[str, Any]:
    return {
        "number": version.number,
        "content_sha256": version.content_sha256,
        "prefix": version.prefix,
        "parent": version.parent.number if version.parent else None,
        "counts": version.counts,
        "changes": version.changes,
        "class_map": version.class_map,
        "reason": version.reason,
        "published_by": version.published_by,
        "published_at": version.published_at.isoformat(),
    }
