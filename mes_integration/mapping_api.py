"""Mapping profiles over the API: what is in force, a dry run, a new version."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.access import actor_from, check_can
from governance.roles import Capability
from mes_integration import mapping_versions, rehearsal
from mes_integration.mapping_versions import InForce
from mes_integration.rehearsal import Rehearsal
from mes_integration.targets import Target
from traceability.models import Site
from traceability.refusals import Invalid


class MappingShape(serializers.Serializer[Any]):
    site = serializers.CharField()
    target = serializers.CharField()
    version = serializers.IntegerField(help_text="0 is the one that is shipped.")
    author = serializers.CharField(allow_blank=True)
    at = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField(allow_blank=True)
    document = serializers.JSONField()


class MappingList(serializers.Serializer[Any]):
    items = MappingShape(many=True)


class NewMapping(serializers.Serializer[Any]):
    site = serializers.CharField()
    target = serializers.CharField()
    document = serializers.JSONField()
    reason = serializers.CharField()
    base = serializers.IntegerField(help_text="The version it replaces; 409 when it is not that.")


class TriedMapping(serializers.Serializer[Any]):
    site = serializers.CharField()
    target = serializers.CharField()
    document = serializers.JSONField()


class BlockedShape(serializers.Serializer[Any]):
    sentence = serializers.CharField()
    count = serializers.IntegerField()
    was = serializers.IntegerField(help_text="How many the version in force blocks for it.")


class RehearsalShape(serializers.Serializer[Any]):
    of = serializers.IntegerField(help_text="Past dispositions it was tried on.")
    blocked = BlockedShape(many=True)
    changed = serializers.IntegerField(help_text="Said otherwise than by the version in force.")
    freed = serializers.IntegerField(help_text="Blocked by the version in force, sent by this.")
    same = serializers.IntegerField()


class Mappings(APIView):
    """The mapping in force of each target, and how a new version is put in force."""

    capability: ClassVar = Capability.SEE_WRITE_BACKS

    @extend_schema(operation_id="mappings_list", responses=MappingList)
    def get(self, request: Request) -> Response:
        actor = actor_from(request._request)  # noqa: SLF001
        items = [_item(each) for each in mapping_versions.all_in_force(actor=actor)]
        return Response({"items": items})

    @extend_schema(
        operation_id="mappings_create", request=NewMapping, responses={201: MappingShape}
    )
    def post(self, request: Request) -> Response:
        actor = actor_from(request._request)  # noqa: SLF001
        check_can(actor, Capability.MANAGE_MAPPINGS)
        given = _given(request, NewMapping)
        site, target = _place(request, given)
        mapping_versions.save(
            actor=actor,
            site=site,
            target=target,
            document=given["document"],
            reason=given["reason"],
            base=given["base"],
            at=datetime.now(UTC),
        )
        return Response(_item(mapping_versions.in_force(site=site, target=target)), status=201)


class DryRun(APIView):
    """What a mapping would have made of the last dispositions; sends and changes nothing."""

    capability: ClassVar = Capability.MANAGE_MAPPINGS

    @extend_schema(operation_id="mappings_dry_run", request=TriedMapping, responses=RehearsalShape)
    def post(self, request: Request) -> Response:
        given = _given(request, TriedMapping)
        site, target = _place(request, given)
        after = mapping_versions.checked(given["document"], target=target)
        before = mapping_versions.in_force(site=site, target=target).profile
        tried = rehearsal.rehearse(site=site, target=target, before=before, after=after)
        return Response(_tried(tried))


def _given(request: Request, shape: type[serializers.Serializer[Any]]) -> Mapping[str, Any]:
    """The body; Invalid names the first field that is wrong."""
    asked = shape(data=request.data)
    if asked.is_valid():
        if not isinstance(asked.validated_data["document"], dict):
            raise Invalid(_("“document” is a JSON object."))
        given: Mapping[str, Any] = asked.validated_data
        return given
    name, problems = next(iter(asked.errors.items()))
    raise Invalid(_("“%(name)s”: %(problem)s") % {"name": name, "problem": problems[0]})


def _place(request: Request, given: Mapping[str, Any]) -> tuple[Site, Target]:
    return mapping_versions.place(
        actor=actor_from(request._request),  # noqa: SLF001
        capability=Capability.MANAGE_MAPPINGS,
        site=given["site"],
        target=given["target"],
    )


def _item(each: InForce) -> dict[str, Any]:
    row = each.row
    return {
        "site": each.site.code,
        "target": each.target.name,
        "version": each.version,
        "author": row.author if row else "",
        "at": row.at if row else None,
        "reason": row.reason if row else "",
        "document": each.document,
    }


def _tried(tried: Rehearsal) -> dict[str, Any]:
    return {
        "of": tried.of,
        "blocked": [
            {"sentence": each.sentence, "count": each.count, "was": each.was}
            for each in tried.blocked
        ],
        "changed": tried.changed,
        "freed": tried.freed,
        "same": tried.same,
    }
